"""What the member reads at the door: one screen for each state of a scan.

It is made for the moment. Nothing of it belongs into an event, the store or a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gatectl.decision.event import GateRecord
from gatectl.decision.verdict import Fault, ForMember, Reason, Result, Verdict

CHECK_IN_FIRST_KEY = "checkin.validation.notfound"
"""Wellhub's word for "no check-in waits": the member makes one in the app, and scans again."""


class Screen(StrEnum):
    """What a display shows; the words are its own."""

    IDLE = "idle"
    CHECKING = "checking"
    WELCOME = "welcome"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    CHECK_IN_FIRST = "check_in_first"
    UNRECOGNISED = "unrecognised"
    TRY_AGAIN = "try_again"
    GATE_STAYED_SHUT = "gate_stayed_shut"


@dataclass(frozen=True, slots=True)
class View:
    """A screen of one door, and what the partner has to say to this member."""

    door: str
    screen: Screen
    partner: str | None = None
    gate: GateRecord | None = None
    """The opening, where there is one."""
    for_member: ForMember | None = field(default=None, repr=False)

    def to_json(self, *, with_name: bool) -> dict[str, Any]:
        """The object that viewers get; the name is in it only where the door's settings allow."""
        words = self.for_member or ForMember()
        return {
            "door": self.door,
            "screen": self.screen.value,
            "partner": self.partner,
            "open_ms": self.gate and self.gate.open_ms,
            "name": words.first_name if with_name else None,
            "lines": list(words.lines),
        }


def screen_of(result: Result, verdict: Verdict | None, fault: Fault | None, reason: Reason | None) -> Screen:
    """The screen for a finished scan."""
    if result is Result.ADMITTED:
        return Screen.WELCOME
    match fault:
        case Fault.UNRECOGNISED:
            return Screen.UNRECOGNISED
        case Fault.GATE:
            return Screen.GATE_STAYED_SHUT
        case None:
            pass
        case _:
            return Screen.TRY_AGAIN
    if verdict is Verdict.NOT_FOUND:
        waits_for_app = reason is not None and reason.key == CHECK_IN_FIRST_KEY
        return Screen.CHECK_IN_FIRST if waits_for_app else Screen.NOT_FOUND
    return Screen.DECLINED
