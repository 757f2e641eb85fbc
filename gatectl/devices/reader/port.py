"""An open device as drivers give it to the supervisor: its port, its decoder, and the causes of its loss."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from gatectl.decision.reader.reading import Reading


class LossCause(StrEnum):
    """Why a device cannot be read, in a technician's words. Rarer causes are the system's own words."""

    UNPLUGGED = "unplugged"
    HELD = "held by another process"
    DENIED = "permission denied"
    NO_SCANNER = "not a device of this type"
    SLOW = "it does not answer"
    SEVERAL = "several devices have this name"


SAME_DEVICE = "the same device as"
"""The cause where two names in the settings lead to one device; the other name follows."""

_CAUSES = {
    errno.ENOENT: LossCause.UNPLUGGED,
    errno.ENODEV: LossCause.UNPLUGGED,
    errno.ENXIO: LossCause.UNPLUGGED,
    errno.EIO: LossCause.UNPLUGGED,
    errno.EBUSY: LossCause.HELD,
    errno.EAGAIN: LossCause.HELD,  # another process holds the lock
    errno.EACCES: LossCause.DENIED,
    errno.EPERM: LossCause.DENIED,
    errno.ENOTTY: LossCause.NO_SCANNER,
    errno.EISDIR: LossCause.NO_SCANNER,
}


class DeviceLost(Exception):
    """The device cannot be opened, or is gone; `cause` is a `LossCause` or the system's words."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def cause_of(number: int | None) -> str:
    """Return the cause for an errno."""
    if number is None:
        return LossCause.NO_SCANNER
    return _CAUSES.get(number) or os.strerror(number).lower()


class Decoder(Protocol):
    """Turns a device's input into readings. Raises for no input."""

    @property
    def begun(self) -> int:
        """Return how many codes have begun so far."""

    @property
    def pending(self) -> bool:
        """Return whether a code has begun and not ended."""

    @property
    def discarding(self) -> bool:
        """Return whether the rest of a dropped code is being skipped."""

    def feed(self, chunk: Any) -> list[Reading]:
        """Take what a port's `read` returned; return the readings that it completes, in order."""

    def silence(self) -> list[Reading]:
        """End a code whose reader sends no ending, and end the skipping of a dropped code."""

    def give_up(self) -> list[Reading]:
        """Drop the code that has begun and not ended in time."""


class Port(Protocol):
    """An open device."""

    def fileno(self) -> int:
        """Return the descriptor to wait for; the same until `close`."""

    def read(self) -> Any:
        """Return the waiting input, empty for none; never blocks. DeviceLost if the device is gone."""

    def close(self) -> None:
        """Close the device; may block, never raises."""


class ReaderConnection:
    """An open device with its decoder: a half-read code is lost with the connection."""

    def __init__(self, port: Port, decoder: Decoder, close: Callable[[], None]) -> None:
        """`close` closes the port, may block and never raises."""
        self._port = port
        self.decoder = decoder
        self.fileno = port.fileno
        self.close = close

    def read(self) -> list[Reading]:
        """Read the waiting input and return completed readings; never blocks. DeviceLost if it is gone."""
        return self.decoder.feed(self._port.read())
