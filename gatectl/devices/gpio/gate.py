"""A door's gate as a whole: the relay, the lamps and the buzzer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from gatectl import clock
from gatectl.decision.indication import Indication, Lamp, LampStep, lamp_steps
from gatectl.decision.timestamps import LONG_AGO, LoopTime
from gatectl.devices.gpio.output import LampPin
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError
from gatectl.devices.gpio.relay_timer import RelayTimer

RETRY_S = 1.0
"""How long an opening by hand waits for another try of the relay; a driver takes microseconds for it."""


class RelaySwitch:
    """One relay, switched off on time by the event loop. Used from the event loop only."""

    def __init__(self, relay: RelayPin, timer: RelayTimer) -> None:
        self.relay = relay
        self._timer = timer
        self._closing: asyncio.TimerHandle | None = None

    @property
    def out_of_order(self) -> str | None:
        """Return why the relay cannot be driven; None as long as no failure is known."""
        return self.relay.trouble.cause

    async def retry(self) -> None:
        """Try at once whether a relay that is out of order can be driven again."""
        tried = asyncio.wrap_future(self._timer.retry(self.relay))
        await asyncio.wait([tried], timeout=RETRY_S)

    def open(self, open_ms: int | None = None) -> None:
        """Energise for this time, or the relay's own, from now; never cut a longer one. Raises StuckError."""
        try:
            off_at = self.relay.energise(open_ms)
        except StuckError:
            self._timer.changed()
            raise
        self._timer.changed(off_at)
        self._cancel()
        self._closing = asyncio.get_running_loop().call_at(off_at, self._close_on_time)

    def release(self, at_s: LoopTime = LONG_AGO) -> None:
        """Switch off then, not later; the relay timer retries a relay that does not go off."""
        off_at = self.relay.off_at
        if off_at is None or off_at <= at_s:
            return
        self._cancel()
        try:
            if at_s > clock.monotonic():
                self.relay.shorten(at_s)
                self._timer.changed(at_s)
            else:
                self.relay.release()
        except StuckError:
            self._timer.changed()

    def keep_on(self, until_s: LoopTime) -> None:
        """Keep the relay on until then; one that cannot be driven is kept on as soon as it can."""
        with contextlib.suppress(StuckError):  # its trouble is logged, and the relay timer goes on trying
            self.relay.keep_on(until_s)
        self._timer.changed()

    def stop_keeping(self) -> None:
        """End what keeps the relay on; an opening under way has its full time."""
        with contextlib.suppress(StuckError):  # the relay timer goes on trying
            self.relay.stop_keeping()
        self._timer.changed()

    def close(self) -> None:
        """Switch off and release the pin. Raises StuckError if the relay does not go off."""
        self._cancel()
        self.relay.close()

    def _cancel(self) -> None:
        if self._closing:
            self._closing.cancel()

    def _close_on_time(self) -> None:
        try:
            self.relay.release_if_due(clock.monotonic())
        except StuckError:
            self._timer.changed()  # the relay timer keeps trying


class Gate:
    """Opens for a bounded time, and signals the decision. Used from the event loop only."""

    def __init__(
        self,
        relay: RelayPin,
        timer: RelayTimer,
        lamps: Iterable[LampPin],
        exit_relay: RelayPin | None = None,
    ) -> None:
        self.entry = RelaySwitch(relay, timer)
        self.exit = RelaySwitch(exit_relay, timer) if exit_relay else self.entry
        """The door's own lock, if the way out has none."""
        self.lamps = {lamp.lamp: lamp for lamp in lamps}
        self._shown: list[asyncio.TimerHandle] = []
        self._warns = False

    @property
    def relay(self) -> RelayPin:
        """Return the relay of the way in."""
        return self.entry.relay

    @property
    def relays(self) -> list[RelayPin]:
        """Return every relay of the gate."""
        return list(dict.fromkeys((self.entry.relay, self.exit.relay)))

    def warn(self, *, on: bool) -> None:
        """Let the buzzer sound until it is switched off."""
        self._warns = on
        if Lamp.BUZZER in self.lamps:
            self.lamps[Lamp.BUZZER].set(on=on)

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
            lamp.set(on=self._warns and lamp.lamp is Lamp.BUZZER)

    def _set(self, step: LampStep) -> None:
        self.lamps[step.lamp].set(on=step.on or (self._warns and step.lamp is Lamp.BUZZER))

    def shut(self) -> None:
        """Switch the relays off early, and the lamps."""
        for switch in (self.entry, self.exit):
            switch.stop_keeping()
            switch.release()
        self._dark()

    def close(self) -> None:
        """Switch everything off and release the pins. Raises StuckError if a relay does not go off."""
        self._warns = False
        with contextlib.ExitStack() as stack:  # all are tried before the first error is raised
            for lamp in self.lamps.values():
                stack.callback(lamp.close)
            stack.callback(self._dark)
            for switch in {self.entry, self.exit}:
                stack.callback(switch.close)
