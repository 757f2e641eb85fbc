"""One lamp, or the buzzer, beside a gate: a door works without it."""

from __future__ import annotations

import contextlib
from typing import Any

from gatectl.decision.notice import Tell
from gatectl.decision.signals import Lamp
from gatectl.devices.off import cause_of
from gatectl.devices.output import Output
from gatectl.devices.trouble import Flaw, Trouble


class LampPin:
    """A lamp's pin. `recover` is called from the guard's thread, all else from the event loop."""

    def __init__(self, door: str, lamp: Lamp, pin: int, factory: Any, tell: Tell) -> None:
        """Touches nothing yet: `recover` does."""
        self.lamp = lamp
        self.trouble = Trouble(tell, door, f"the signal {lamp.value} can be driven again")
        self._pin = pin
        self._factory = factory
        self._device: Output | None = None
        self._failed: bool | None = None
        """The value that could not be set: what is driven to the other one may still be broken."""

    def recover(self) -> None:
        """Takes the pin, dark, if it is not ours yet."""
        if self._device is None:
            try:
                self._device = Output(self._factory, self._pin)
            except Exception as error:  # noqa: BLE001 - drivers share no base class; told
                self._begin(Flaw.NOT_CLAIMED, error)
                return
            self.trouble.end()
        self.trouble.retry_at = None  # what is ours is tried at each use

    def set(self, *, on: bool) -> None:
        """On or off; a lamp that cannot be driven stops no member."""
        if self._device is None:
            return
        try:
            self._device.value = on
        except Exception as error:  # noqa: BLE001 - drivers share no base class; told
            self._failed = on
            self._begin(Flaw.NOT_ON, error)
        else:
            if self._failed is on:
                self._failed = None
                self.trouble.end()

    def _begin(self, flaw: Flaw, error: Exception) -> None:
        self.trouble.begin(flaw, f"the signal {self.lamp.value} cannot be driven ({cause_of(error)})")

    def close(self) -> None:
        """Gives the pin back."""
        if self._device is not None:
            with contextlib.suppress(Exception):  # drivers share no base class; the daemon ends
                self._device.close()
