"""A pin that is driven: claimed off, on and off, and given back."""

from __future__ import annotations

import contextlib
from typing import Any


class Output:
    """One output of a gpiozero pin factory; what the driver raises comes through.

    gpiozero's own OutputDevice keeps a pin that could not be claimed reserved for as long as anything holds
    the error, so that nobody could try again.
    """

    def __init__(self, factory: Any, number: int, *, active_high: bool = True) -> None:
        """Claims the pin with its level, which is off."""
        self._on_level = active_high
        self._pin = factory.pin(number)
        try:
            self._pin.output_with_state(not active_high)
        except Exception:
            with contextlib.suppress(Exception):  # drivers share no base class; the first error says more
                self._pin.close()
            raise

    @property
    def value(self) -> bool:
        """The level that the pin itself reports."""
        return bool(self._pin.state) == self._on_level

    @value.setter
    def value(self, on: bool) -> None:
        self._pin.state = on == self._on_level

    def close(self) -> None:
        """Gives the pin back."""
        self._pin.close()
