"""Reading what the stamping pins of another process wrote (`pins.py`), while it writes."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speed.pins import CHANGE, COUNT

ROOM = 4_000_000
"""Changes that find room: 64 MB, of which the system gives only what is written."""

LOOK_S = 0.002
"""Between two looks. Each takes microseconds, and what is read are stamps: looking late costs nothing."""

PATIENCE_S = 30.0
"""Nothing here takes so long; it ends a measurement that would otherwise wait for ever."""


class NothingHappened(Exception):
    """A change that was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Change:
    """`at` is seconds on the monotonic clock."""

    at: float
    pin: int
    level: int


class Stamps:
    """The changes in their order. Used by one thread; `path` is what the other process opens.

    The file is in memory alone: a page of a file on a disk may have to wait for that, and with it the change
    of a pin.
    """

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("speed-pins", os.MFD_CLOEXEC)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._descriptor}")
        os.ftruncate(self._descriptor, COUNT.size + ROOM * CHANGE.size)
        self._file = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        self._read = 0

    def new(self) -> Iterator[Change]:
        """The changes since the last call."""
        (count,) = COUNT.unpack_from(self._file, 0)
        while self._read < count:
            at = COUNT.size + self._read * CHANGE.size
            self._read += 1
            yield Change(*CHANGE.unpack_from(self._file, at))

    def wait(self, wanted: Callable[[Change], bool]) -> Change:
        """The first further change that is wanted; those before it are passed over."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for change in self.new():
                if wanted(change):
                    return change
            time.sleep(LOOK_S)
        raise NothingHappened("a pin that was to change did not")

    def close(self) -> None:
        self._file.close()
        os.close(self._descriptor)
