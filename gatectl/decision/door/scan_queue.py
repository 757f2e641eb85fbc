"""The codes of one door: a short queue behind the scan under way, and de-duplication of readings."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from gatectl.decision.door.messages import CodeRead

PLACES = 4
"""Codes that may wait; a fifth member is too far from the gate to be meant by it."""


class Admission(Enum):
    """The queue's answer to a reading."""

    ACCEPTED = auto()
    DUPLICATE = auto()
    """Another reading of a scan that is already there."""
    FULL = auto()
    """Dropped, and not remembered: the member may scan again at once."""


class RecentCodes:
    """The latest readings: the same code within `repeat_s` of its last reading is the same scan."""

    def __init__(self, repeat_s: float) -> None:
        self._repeat_s = repeat_s
        self._read_at: dict[str, float] = {}
        """The code's key → its last reading, the oldest first."""

    def has(self, read: CodeRead) -> bool:
        """Whether the code was read so lately."""
        while self._read_at:
            key, at_s = next(iter(self._read_at.items()))
            if read.at.loop_s - at_s < self._repeat_s:
                break
            del self._read_at[key]
        return read.key in self._read_at

    def note(self, read: CodeRead) -> None:
        """Take a reading."""
        self._read_at.pop(read.key, None)  # so that it moves to the end
        self._read_at[read.key] = read.at.loop_s


class ScanQueue:
    """The readings of one door. `repeat_s` counts from the last reading of a code."""

    def __init__(self, repeat_s: float) -> None:
        self._recent = RecentCodes(repeat_s)
        self._waiting: deque[CodeRead] = deque()
        self._deciding: CodeRead | None = None

    @property
    def deciding(self) -> CodeRead | None:
        """The code of the scan under way."""
        return self._deciding

    @property
    def waiting(self) -> int:
        """Codes behind the one that is being decided."""
        return len(self._waiting)

    def offer(self, read: CodeRead) -> Admission:
        """Take a reading: a new scan, the same scan again, or one too many."""
        if self._recent.has(read) or self._is_under_way(read.key):
            self._recent.note(read)
            return Admission.DUPLICATE
        # One read may hand over many codes before the first of them is begun: that one's place counts too.
        if len(self._waiting) + (self._deciding is not None) > PLACES:
            return Admission.FULL
        self._recent.note(read)
        self._waiting.append(read)
        return Admission.ACCEPTED

    def repeat(self, read: CodeRead) -> None:
        """Take another reading of a scan that is decided, from which `repeat_s` counts again."""
        self._recent.note(read)

    def begin(self) -> CodeRead | None:
        """The next scan to decide, if the door is free and one waits."""
        if self._deciding is None and self._waiting:
            self._deciding = self._waiting.popleft()
            return self._deciding
        return None

    def end(self) -> None:
        """The scan is decided; the door is free."""
        self._deciding = None

    def clear(self) -> int:
        """Drop the codes that wait; return their number."""
        waited = len(self._waiting)
        self._waiting.clear()
        return waited

    def _is_under_way(self, key: str) -> bool:
        return key in [read.key for read in (self._deciding, *self._waiting) if read is not None]
