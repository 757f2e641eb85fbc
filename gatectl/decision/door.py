"""Whose turn it is at a door: one scan at a time, a short queue, and repeated readings of the same code."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from gatectl.decision.cards import key_of

PLACES = 4
"""Codes that may wait; a fifth member is too far from the gate to be meant by it."""


class Offer(Enum):
    """What became of a reading."""

    TAKEN = auto()
    SAME = auto()
    """Another reading of a scan that is already there."""
    FULL = auto()
    """Dropped, and not remembered: the member may scan again at once."""


@dataclass(frozen=True, slots=True)
class Presented:
    """A complete code, the scanner it came from, and when it was complete (s, monotonic)."""

    code: str
    scanner: str
    at: float

    @property
    def key(self) -> str:
        """The code in the form in which codes are compared."""
        return key_of(self.code)


class Turns:
    """The readings of one door. Times are seconds on any one monotonic clock."""

    def __init__(self, repeat_s: float) -> None:
        self._repeat_s = repeat_s
        self._read_at: dict[str, float] = {}
        """The code's key → its last reading, the oldest first."""
        self._waiting: deque[Presented] = deque()
        self._deciding: Presented | None = None

    @property
    def deciding(self) -> Presented | None:
        return self._deciding

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def offer(self, presented: Presented) -> Offer:
        """A reading: a new scan, the same scan again, or one too many."""
        self._forget(presented.at)
        if self._is_same(presented):
            self._note(presented)
            return Offer.SAME
        # One read may hand over many codes before the first of them is begun: that one's place counts too.
        if len(self._waiting) + (self._deciding is not None) > PLACES:
            return Offer.FULL
        self._note(presented)
        self._waiting.append(presented)
        return Offer.TAKEN

    def begin(self) -> Presented | None:
        """The next scan to decide, if the door is free and one waits."""
        if self._deciding is None and self._waiting:
            self._deciding = self._waiting.popleft()
            return self._deciding
        return None

    def end(self) -> None:
        """The scan is decided; the door is free."""
        self._deciding = None

    def clear(self) -> int:
        """Nobody's turn comes any more; says how many waited."""
        waited = len(self._waiting)
        self._waiting.clear()
        return waited

    def _is_same(self, presented: Presented) -> bool:
        if self._deciding is not None and self._deciding.key == presented.key:
            return True
        if any(other.key == presented.key for other in self._waiting):
            return True
        return presented.key in self._read_at

    def _note(self, presented: Presented) -> None:
        self._read_at.pop(presented.key, None)  # so that it moves to the end
        self._read_at[presented.key] = presented.at

    def _forget(self, now: float) -> None:
        while self._read_at:
            key, at = next(iter(self._read_at.items()))
            if now - at < self._repeat_s:
                return
            del self._read_at[key]
