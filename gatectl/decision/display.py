"""The member's display at the door: one screen for each state of a scan.

Screens are shown and forgotten: no part of one may get into an event, the store or a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gatectl.decision.verdict import MemberWords

if TYPE_CHECKING:
    from gatectl.decision.event import GateRecord  # an event's outcome names a screen


class Screen(StrEnum):
    """A screen of a display, which has its own words for it."""

    IDLE = "idle"
    CHECKING = "checking"
    WELCOME = "welcome"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    CHECK_IN_FIRST = "check_in_first"
    CHECK_IN_AGAIN = "check_in_again"
    ALREADY_IN = "already_in"
    ASK_AT_DESK = "ask_at_desk"
    UNRECOGNISED = "unrecognised"
    TRY_AGAIN = "try_again"
    NOT_READY = "not_ready"
    GATE_STAYED_SHUT = "gate_stayed_shut"
    GATE_OUT_OF_ORDER = "gate_out_of_order"
    CLOSED = "closed"
    DID_NOT_PASS = "did_not_pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class View:
    """A screen of one door, with the partner's words to this member."""

    door: str
    screen: Screen
    partner: str | None = None
    gate: GateRecord | None = None
    """The opening, where there is one."""
    for_member: MemberWords | None = field(default=None, repr=False)

    def to_json(self, *, with_name: bool) -> dict[str, Any]:
        """The object that viewers get; the name is in it only where the door's settings allow."""
        words = self.for_member or MemberWords()
        return {
            "door": self.door,
            "screen": self.screen.value,
            "partner": self.partner,
            "open_ms": self.gate and self.gate.open_ms,
            "name": words.first_name if with_name else None,
            "lines": list(words.lines),
        }
