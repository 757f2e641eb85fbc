"""The member's view of a scan: lamps and buzzer as timed steps, and one screen of the display for each state.

Screens are shown and forgotten: no part of one may get into an event, the store or a log.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from gatectl.decision.verdict import MemberWords

if TYPE_CHECKING:
    from gatectl.decision.event import GateRecord  # an event's outcome names a screen


BEEP_MS = 100
"""Shorter beeps of a piezo buzzer run together in a hall's noise."""
BLINK_MS = 250
RED_MS = 2000
"""A turnstile's cycle is 1.7 to 2.4 s: the next member is not there sooner."""


class Lamp(StrEnum):
    """A lamp of a gate, or its buzzer; each has a pin of its own."""

    GREEN = "green"
    RED = "red"
    BUZZER = "buzzer"


class Indication(StrEnum):
    """An indication to the member by lamps and buzzer."""

    WELCOME = "green while open, one beep"
    REFUSED = "red, two beeps"
    TRY_AGAIN = "red blinking, three beeps"


class LampStep(NamedTuple):
    """At `at_ms` after the outcome, `lamp` goes on or off."""

    at_ms: int
    lamp: Lamp
    on: bool


@cache
def lamp_steps(indication: Indication, open_ms: int) -> tuple[LampStep, ...]:
    """The steps in their order; every lamp that goes on goes off again."""
    match indication:
        case Indication.WELCOME:
            shown = [*_pulses(Lamp.GREEN, 1, open_ms), *_pulses(Lamp.BUZZER, 1, BEEP_MS)]
        case Indication.REFUSED:
            shown = [*_pulses(Lamp.RED, 1, RED_MS), *_pulses(Lamp.BUZZER, 2, BEEP_MS)]
        case Indication.TRY_AGAIN:
            blinks = RED_MS // (2 * BLINK_MS)
            shown = [*_pulses(Lamp.RED, blinks, BLINK_MS), *_pulses(Lamp.BUZZER, 3, BEEP_MS)]
    return tuple(sorted(shown, key=lambda step: step.at_ms))


def _pulses(lamp: Lamp, count: int, length_ms: int) -> list[LampStep]:
    edges = range(0, 2 * count * length_ms, length_ms)
    return [LampStep(at_ms, lamp, on=index % 2 == 0) for index, at_ms in enumerate(edges)]


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


class View(NamedTuple):
    """A screen of one door, with the partner's words to this member."""

    door: str
    screen: Screen
    partner: str | None = None
    gate: GateRecord | None = None
    """The opening, where there is one."""
    for_member: MemberWords | None = None

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
