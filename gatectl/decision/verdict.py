"""The result of a partner's answer: verdict, reason, and the words for the member."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gatectl.decision.outcomes import Fault  # whose rows name verdicts


class Result(StrEnum):
    """The result at the gate."""

    ADMITTED = "admitted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    DONE = "done"
    """Of events that are not at a gate."""
    FAILED = "failed"
    """Of a check-in, like `done`."""
    PASSED = "passed"
    NOT_PASSED = "not_passed"
    UNEXPECTED = "unexpected"
    LEFT = "left"
    """Of a passage."""
    OPENED = "opened"
    """Of the way out."""
    FORCED = "forced"
    HELD = "held"
    CLOSED = "closed"
    """Of the door contact."""
    FIRE = "fire"
    LOCKDOWN = "lockdown"
    NORMAL = "normal"
    """Of a mode."""
    OK = "ok"
    STUCK = "stuck"
    SUSPECT = "suspect"
    FLUTTERS = "flutters"
    LOST = "lost"
    """Of an input."""


class Verdict(StrEnum):
    """The partner's decision; `NONE`: it was asked, but no verdict came."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not_allowed"
    NOT_FOUND = "not_found"
    NONE = "none"


class Basis(StrEnum):
    """The reason for which the gate opened."""

    PARTNER = "partner"
    """The partner's own success."""
    SETTLED = "settled"
    """A refusal that was the late answer to our own unanswered request."""
    ALREADY_IN = "already_in"
    """A refusal that says the member is in already, where the settings let that in."""
    RETURN = "return"
    """A refusal that says the member is in already, of a member who passed lately."""
    AGAIN = "again"
    """The member had been admitted, and did not pass."""
    GRACE = "grace"
    """The partner has an outage, and admitted the member here lately."""
    FIRE = "fire"
    """The fire input keeps the gate open."""
    MANUAL = "manual"
    """A person opened."""
    EXIT = "exit"
    """Somebody left."""


class Reason(NamedTuple):
    """The partner's own reason (cut and masked), or our own: `resting`, `settled:ID`."""

    key: str | None
    text: str | None


class MemberWords(NamedTuple):
    """The partner's words for the member: shown at the door, never stored and never logged."""

    first_name: str | None = None
    lines: tuple[str, ...] = ()
    """Alerts that explain a refusal, milestones of a welcome; without names, addresses and keys."""

    def __repr__(self) -> str:
        return "MemberWords()"


class Decision(NamedTuple):
    """The interpretation of an answer or of its absence. `fault` is None if the partner decided."""

    verdict: Verdict | None
    fault: Fault | None = None
    status: int | None = None
    reason: Reason | None = None
    rest_s: float | None = None
    """Seconds for which the partner asked to be left alone (429 alone)."""
    detail: str | None = None
    """In our own words what exactly failed: one line, at most 200 characters."""
    by_rule: bool = False
    """Whether a rule in the settings decided about exactly this answer."""
    for_member: MemberWords | None = None

    @property
    def admits(self) -> bool:
        """Only the partner's own success opens a gate."""
        return self.verdict is Verdict.ALLOWED and self.fault is None
