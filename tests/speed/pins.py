"""A gpiozero pin factory that stamps every change of a pin with the monotonic clock, and drives no pin.

The stamps go into a file in memory: reading them wakes no process. The process's starter makes the file,
empty and of its full size (`timestamps.py`); `$SPEED_PINS` names it.
"""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

ENVIRONMENT = "SPEED_PINS"
LEVELS_ENVIRONMENT = "SPEED_LEVELS"
"""Names a pipe with the levels of inputs, a line each: `26 0`."""
COUNT = struct.Struct("=Q")
"""At the start of the file: how many changes there are."""
CHANGE = struct.Struct("=dII")
"""A change: when (s, monotonic), the pin, its level."""


class StampingPin(MockPin):  # type: ignore[misc] # gpiozero ships no types
    """Holds its level, and stamps each time it is set: also to the level that it has."""

    def output_with_state(self, state: bool) -> None:
        self._function, self._state = "output", bool(state)
        self.factory.stamp(self._number, int(state))

    def _set_function(self, value: Any) -> None:
        super()._set_function(value)
        if value == "input":
            self.factory.listen()

    def _set_state(self, value: Any) -> None:
        self._state = bool(value)
        self.factory.stamp(self._number, int(value))


class StampingFactory(MockFactory):  # type: ignore[misc]
    """The factory of the process named by the environment."""

    def __init__(self) -> None:
        super().__init__(pin_class=StampingPin)
        with Path(os.environ[ENVIRONMENT]).open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), 0)
        self._changes = 0
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def listen(self) -> None:
        """From now on the pipe's levels are the inputs'."""
        if self._listener is None and LEVELS_ENVIRONMENT in os.environ:
            self._listener = threading.Thread(target=self._drive, daemon=True)
            self._listener.start()

    def _drive(self) -> None:
        with Path(os.environ[LEVELS_ENVIRONMENT]).open() as levels:
            for line in levels:
                number, level = line.split()
                pin = self.pin(int(number))
                pin.drive_high() if int(level) else pin.drive_low()

    def stamp(self, pin: int, level: int) -> None:
        """Writes a change down; the count last, so that a reader never sees half a change."""
        with self._lock:
            CHANGE.pack_into(
                self._file, COUNT.size + self._changes * CHANGE.size, time.monotonic(), pin, level
            )
            self._changes += 1
            COUNT.pack_into(self._file, 0, self._changes)
