"""Drive one pin: claim it off, switch it, release it."""

from __future__ import annotations

import contextlib
from typing import Any


class Output:
    """One output of a gpiozero pin factory. The driver's errors are raised unchanged.

    gpiozero's own OutputDevice is not used: after a failed claim the pin stays reserved for as long as
    anything refers to the error, so that it could not be tried again.
    """

    def __init__(self, factory: Any, number: int, *, active_high: bool = True) -> None:
        """Claim the pin with its off level at once."""
        self._on_level = active_high
        self._pin = factory.pin(number)
        try:
            self._pin.output_with_state(not active_high)
        except Exception:
            with contextlib.suppress(Exception):  # drivers share no base class; the first error is raised
                self._pin.close()
            raise

    @property
    def value(self) -> bool:
        """Return the value read from the pin itself."""
        return bool(self._pin.state) == self._on_level

    @value.setter
    def value(self, on: bool) -> None:
        self._pin.state = on == self._on_level

    def close(self) -> None:
        """Release the pin."""
        self._pin.close()
