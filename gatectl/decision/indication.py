"""The signals of lamps and buzzer for each outcome, as timed steps."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import NamedTuple

BEEP_MS = 100
"""Shorter beeps of a piezo buzzer run together in a hall's noise."""
BLINK_MS = 250
RED_MS = 2000
"""A turnstile's cycle is 1.7 to 2.4 s: the next member is not there sooner."""


class Lamp(StrEnum):
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
