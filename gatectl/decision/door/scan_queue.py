"""The codes of one door: a short queue behind the scan under way, and de-duplication of readings."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from gatectl.decision.door.messages import CodeRead
from gatectl.decision.timestamps import LoopTime

PLACES = 4
"""Codes that may wait; a fifth member is too far from the gate to be meant by it."""


class Admission(Enum):
    """The queue's answer to a reading."""

    ACCEPTED = auto()
    DUPLICATE = auto()
    """Another reading of a scan that is already there."""
    FULL = auto()
    """Dropped, and not remembered: the member may scan again at once."""


class ScanQueue:
    """The readings of one door. `repeat_s` counts from the last reading of a code."""

    def __init__(self, repeat_s: float) -> None:
        self._repeat_s = repeat_s
        self._read_at: dict[str, float] = {}
        """The code's key → its last reading, the oldest first."""
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
        """Takes a reading: a new scan, the same scan again, or one too many."""
        self._forget(read.at.loop_s)
        if self._is_duplicate(read.key):
            self._note(read)
            return Admission.DUPLICATE
        # One read may hand over many codes before the first of them is begun: that one's place counts too.
        if len(self._waiting) + (self._deciding is not None) > PLACES:
            return Admission.FULL
        self._note(read)
        self._waiting.append(read)
        return Admission.ACCEPTED

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
        """Drops the codes that wait; their number."""
        waited = len(self._waiting)
        self._waiting.clear()
        return waited

    def _is_duplicate(self, key: str) -> bool:
        if key in self._read_at:
            return True
        return key in [read.key for read in (self._deciding, *self._waiting) if read is not None]

    def _note(self, read: CodeRead) -> None:
        self._read_at.pop(read.key, None)  # so that it moves to the end
        self._read_at[read.key] = read.at.loop_s

    def _forget(self, now_s: LoopTime) -> None:
        while self._read_at:
            key, at_s = next(iter(self._read_at.items()))
            if now_s - at_s < self._repeat_s:
                return
            del self._read_at[key]
