"""A door's gate as a whole: the relay, and the lamps and the buzzer beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gpiozero import OutputDevice

from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.signals import Lamp, Sight, Step, steps
from gatectl.devices.relay import Guard, Relay, StuckError


class Gate:
    """Opens for a bounded time, and shows what was decided. Used from the event loop alone."""

    def __init__(self, relay: Relay, guard: Guard, lamps: Mapping[Lamp, OutputDevice], tell: Tell) -> None:
        self.relay = relay
        self._guard = guard
        self._lamps = lamps
        self._tell = tell
        self._closing: asyncio.TimerHandle | None = None
        self._shown: list[asyncio.TimerHandle] = []
        self._broken: set[Lamp] = set()

    def open(self) -> None:
        """Energises the relay for a full `open_ms` from now. Raises StuckError."""
        try:
            off_at = self.relay.energise()
        finally:
            self._guard.changed()
        if self._closing:
            self._closing.cancel()
        self._closing = asyncio.get_running_loop().call_at(off_at, self._close_on_time)

    def _close_on_time(self) -> None:
        try:
            self.relay.release_if_due(asyncio.get_running_loop().time())
        except StuckError:
            self._guard.changed()  # it tells, and goes on trying

    def show(self, sight: Sight) -> None:
        """Lamps and buzzer, from now on; what was shown before ends."""
        self._dark()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for step in steps(sight, self.relay.open_ms):
            if step.lamp not in self._lamps:
                continue
            if step.at_ms == 0:
                self._set(step)
            else:
                self._shown.append(loop.call_at(now + step.at_ms / 1000, self._set, step))

    def _dark(self) -> None:
        for timer in self._shown:
            timer.cancel()
        self._shown.clear()
        for lamp in self._lamps:
            self._set(Step(0, lamp, on=False))

    def _set(self, step: Step) -> None:
        try:
            self._lamps[step.lamp].value = step.on
        except Exception as error:  # noqa: BLE001 - drivers share no base class; a dark lamp stops no member
            if step.lamp not in self._broken:
                self._broken.add(step.lamp)
                self._tell(
                    Notice(
                        Priority.ERROR,
                        f"{self.relay.door}: the signal {step.lamp.value} cannot be driven"
                        f" ({str(error) or type(error).__name__})",
                        {"DOOR": self.relay.door},
                    )
                )

    def shut(self) -> None:
        """The relay off before its time, and dark; what does not go off is the guard's."""
        if self.relay.off_at is not None:
            try:
                self.relay.release()
            except StuckError:
                self._guard.changed()
        self._dark()

    def close(self) -> None:
        """Everything off, and the pins given back. Raises StuckError if the relay does not go off."""
        if self._closing:
            self._closing.cancel()
        try:
            self.relay.close()
        finally:
            self._dark()
            for device in self._lamps.values():
                device.close()


def lamp_devices(pins: Mapping[Lamp, int], factory: Any) -> dict[Lamp, OutputDevice]:
    """The lamps of one door, dark. Raises what the driver raises."""
    return {lamp: OutputDevice(pin, pin_factory=factory) for lamp, pin in pins.items()}
