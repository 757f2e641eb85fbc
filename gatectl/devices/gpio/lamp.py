"""One lamp, or the buzzer, of a gate. The door works even if it fails."""

from __future__ import annotations

import contextlib
from typing import Any

from gatectl.decision.indication import Lamp
from gatectl.decision.log import Log
from gatectl.devices.gpio.lines_off import cause_of
from gatectl.devices.gpio.output import Output, PinFault, Trouble


class LampPin:
    """A lamp's pin. Call `recover` from the guard's thread, the other methods from the event loop."""

    def __init__(self, door: str, lamp: Lamp, pin: int, factory: Any, log: Log) -> None:
        """Do not touch the pin yet: `recover` does."""
        self.lamp = lamp
        self.trouble = Trouble(log, door, f"the signal {lamp.value} can be driven again")
        self._pin = pin
        self._factory = factory
        self._device: Output | None = None
        self._failed: bool | None = None
        """The value that could not be set: a pin that takes the other value may still be broken."""

    def recover(self) -> None:
        """Claim the pin, off, unless it is claimed already."""
        if self._device is None:
            try:
                self._device = Output(self._factory, self._pin)
            except Exception as error:  # noqa: BLE001 - drivers share no base class; logged
                self._begin(PinFault.NOT_CLAIMED, error)
                return
            self.trouble.end()
        self.trouble.retry_at = None  # a claimed pin is tried again at each use

    def set(self, *, on: bool) -> None:
        """Switch it on or off; a failure is logged and never raised, so that members still get in."""
        if self._device is None:
            return
        try:
            self._device.value = on
        except Exception as error:  # noqa: BLE001 - drivers share no base class; logged
            self._failed = on
            self._begin(PinFault.NOT_ON, error)
        else:
            if self._failed is on:
                self._failed = None
                self.trouble.end()

    def _begin(self, flaw: PinFault, error: Exception) -> None:
        self.trouble.begin(flaw, f"the signal {self.lamp.value} cannot be driven ({cause_of(error)})")

    def close(self) -> None:
        """Release the pin."""
        if self._device is not None:
            with contextlib.suppress(Exception):  # drivers share no base class; the daemon ends
                self._device.close()
