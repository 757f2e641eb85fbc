"""A door's inputs: levels debounced, and what is known of each input's health.

A level decides, an edge only makes somebody read earlier: a reading that was missed costs time, and never
leaves a wrong state behind. Moments are seconds on the event loop's clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gatectl.decision.timestamps import LONG_AGO, LoopTime

FLUTTER_CHANGES = 20
"""More changes than this within `FLUTTER_S` are a loose wire; a turnstile at its fastest makes fewer."""
FLUTTER_S = 60.0
"""The time within which changes are counted, and the quiet after which an input counts as healthy again."""


class InputName(StrEnum):
    """The inputs of a door; the words are those of `gatectl status --json`."""

    PASSAGE = "passage"
    CONTACT = "contact"
    FIRE = "fire"
    EXIT = "exit"
    EXIT_PASSAGE = "exit_passage"


THINGS = {
    InputName.PASSAGE: "passage sensor",
    InputName.CONTACT: "door contact",
    InputName.FIRE: "fire input",
    InputName.EXIT: "exit button",
    InputName.EXIT_PASSAGE: "exit's passage sensor",
}
"""The inputs in words, as events and the status have them."""


class InputHealth(StrEnum):
    """How far an input can be trusted; each is also the result of the event of its change."""

    OK = "ok"
    STUCK = "stuck"
    SUSPECT = "suspect"
    FLUTTERS = "flutters"
    LOST = "lost"


CONDITIONS = {
    InputHealth.OK: "works again",
    InputHealth.STUCK: "is stuck",
    InputHealth.SUSPECT: "is suspect",
    InputHealth.FLUTTERS: "flutters",
    InputHealth.LOST: "is lost",
}
"""The words for a change of an input's health, after its name."""


class LevelChange(NamedTuple):
    """A level that has been stable for its time; `since_s` is when it began."""

    active: bool
    since_s: LoopTime


class LevelFilter:
    """Debounces one input: a level counts once every reading has shown it for `debounce_s`.

    Feed it readings in the order of their time; between two of them the level is unknown.
    """

    def __init__(self, debounce_s: float) -> None:
        self._debounce_s = debounce_s
        self._stable: bool | None = None
        self._read: bool | None = None
        self._since_s = LONG_AGO

    @property
    def due_s(self) -> LoopTime | None:
        """When to read again at the latest to settle a change; None while no change is under way."""
        return None if self._read == self._stable else LoopTime(self._since_s + self._debounce_s)

    @property
    def is_settled(self) -> bool:
        """Whether a level is known."""
        return self._stable is not None

    def read(self, active: bool, at_s: LoopTime) -> LevelChange | None:  # noqa: FBT001 - a level is a value
        """Take a reading; return the change that it settles, if any. The first level is a change too."""
        if active != self._read:
            self._read, self._since_s = active, at_s
        if active == self._stable or at_s < self._since_s + self._debounce_s:
            return None
        self._stable = active
        return LevelChange(active, self._since_s)

    def forget(self) -> None:
        """Forget every level: the pin was lost, and may have changed meanwhile."""
        self._stable = self._read = None


@dataclass(slots=True)
class InputState:
    """One input as the door knows it. `level` is None until it was read, and while the pin is lost."""

    name: InputName
    level: bool | None = None
    since_s: LoopTime = LONG_AGO
    health: InputHealth = InputHealth.OK
    opening_is_explained: bool = False
    """Whether the door was unlocked when this contact opened last."""
    _changes: deque[LoopTime] = field(default_factory=lambda: deque(maxlen=FLUTTER_CHANGES + 1))

    @property
    def word(self) -> str:
        """The state as `gatectl status` shows it: the health, or `active` for a healthy active input."""
        return "active" if self.health is InputHealth.OK and self.level else self.health.value

    def take(self, change: LevelChange, *, explained: bool) -> None:
        """Take a stable level. A change that the door expects, or the first level, counts for no flutter."""
        is_first = self.level is None
        self.level, self.since_s = change.active, change.since_s
        if not is_first and not explained:
            self._changes.append(change.since_s)

    def begins_to_flutter(self) -> bool:
        """Whether the latest change was one too many; from then on `health` is FLUTTERS."""
        full = len(self._changes) == self._changes.maxlen
        if self.health is InputHealth.FLUTTERS or not full:
            return False
        if self._changes[-1] - self._changes[0] > FLUTTER_S:
            return False
        self.health = InputHealth.FLUTTERS
        return True

    @property
    def quiet_at_s(self) -> LoopTime:
        """When a fluttering input counts as healthy again, if it does not change until then."""
        return LoopTime((self._changes[-1] if self._changes else self.since_s) + FLUTTER_S)

    def calm(self) -> None:
        """Count the input as healthy again."""
        self.health = InputHealth.OK
        self._changes.clear()
