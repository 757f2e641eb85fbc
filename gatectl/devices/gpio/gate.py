"""A door's gate as a whole: the relay, the lamps and the buzzer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gatectl import clock
from gatectl.decision.indication import Indication, LampStep, lamp_steps
from gatectl.devices.gpio.lamp import LampPin
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError
from gatectl.devices.gpio.relay_timer import RelayTimer

RETRY_S = 1.0
"""How long an opening by hand waits for another try of the relay; a driver takes microseconds for it."""


class Gate:
    """Opens for a bounded time, and signals the decision. Used from the event loop only."""

    def __init__(self, relay: RelayPin, guard: RelayTimer, lamps: Iterable[LampPin]) -> None:
        self.relay = relay
        self.lamps = {lamp.lamp: lamp for lamp in lamps}
        self._guard = guard
        self._closing: asyncio.TimerHandle | None = None
        self._shown: list[asyncio.TimerHandle] = []

    @property
    def out_of_order(self) -> str | None:
        """Return why the relay cannot be driven; None as long as no failure is known."""
        return self.relay.trouble.cause

    async def retry(self) -> None:
        """Try at once whether a relay that is out of order can be driven again."""
        tried = asyncio.wrap_future(self._guard.retry(self.relay))
        await asyncio.wait([tried], timeout=RETRY_S)

    def open(self) -> None:
        """Energise the relay for a full `open_ms` from now. Raises StuckError."""
        try:
            off_at = self.relay.energise()
        except StuckError:
            self._guard.changed()
            raise
        self._guard.changed(off_at)
        if self._closing:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_at(off_at, self._close_on_time)

    def _close_on_time(self) -> None:
        try:
            self.relay.release_if_due(clock.monotonic())
        except StuckError:
            self._guard.changed()  # the guard keeps trying

    def show(self, indication: Indication) -> None:
        """Show a signal with lamps and buzzer from now on, in place of the one before."""
        self._dark()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for step in lamp_steps(indication, self.relay.open_ms):
            if step.lamp not in self.lamps:
                continue
            if step.at_ms == 0:
                self._set(step)
            else:
                self._shown.append(loop.call_at(now + step.at_ms / 1000, self._set, step))

    @property
    def is_showing(self) -> bool:
        """Return whether lamps or buzzer still show a signal, or the gate is open."""
        now = asyncio.get_running_loop().time()
        return self.relay.off_at is not None or any(timer.when() > now for timer in self._shown)

    def _dark(self) -> None:
        for timer in self._shown:
            timer.cancel()
        self._shown.clear()
        for lamp in self.lamps.values():
            lamp.set(on=False)

    def _set(self, step: LampStep) -> None:
        self.lamps[step.lamp].set(on=step.on)

    def shut(self) -> None:
        """Switch the relay off early, and the lamps; the guard retries a relay that does not go off."""
        if self.relay.off_at is not None:
            try:
                self.relay.release()
            except StuckError:
                self._guard.changed()
        self._dark()

    def close(self) -> None:
        """Switch everything off and release the pins. Raises StuckError if the relay does not go off."""
        if self._closing:
            self._closing.cancel()
        try:
            self.relay.close()
        finally:
            self._dark()
            for lamp in self.lamps.values():
                lamp.close()
