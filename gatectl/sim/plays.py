"""The plays of a simulated gate: each is a short scene, from the people at the gate to its inputs.

A play waits for what gatectl does (the relay, an event in the journal), and only then moves on; the pauses
between are those of people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gatectl.decision.door.contact import TAIL_S
from gatectl.decision.verdict import Result
from gatectl.sim.simulated_door import MAIN, SIDE
from gatectl.sim.simulated_gate import GateInput

MEMBERS = ("1000000000200", "1000000000001", "1000000000002")
"""Members whom the simulated Wellhub admits at every scan."""

STRANGERS = ("1000000000210", "1000000000211")
"""Members of Wellhub who were never here."""

PARTNER = "wellhub"
"""Their partner."""

STEP_S = 0.15
"""Between two movements of a person: longer than any debouncing, short enough not to bore."""

BOUNCE_S = 0.004
"""How long one level of a bouncing contact lasts: shorter than any debouncing."""

BOUNCES = 5

STANDS_S = 1.2
"""How long a forced door stands open."""

HOLD_S = 7200
"""How long the gate is held open for visitors."""


class Stage(Protocol):
    """The abilities of a play. A method that waits fails with GatectlError where nothing comes in time."""

    @property
    def member(self) -> str | None:
        """The code that was scanned last at the main door."""

    def pause(self, seconds: float) -> None:
        """Let time pass."""

    def move(self, what: GateInput, *, active: bool) -> None:
        """Set an input's level."""

    def until_shut(self) -> None:
        """Wait until the relay is off."""

    def scan(self, code: str, door: str = MAIN) -> bool:
        """Scan, and wait for the event; return whether the member was admitted, and the relay is on."""

    def expect(self, kind: str, result: Result) -> None:
        """Wait for this event; others may come before it."""

    def order(self, command: str, *, seconds: int | None = None, reason: str | None = None) -> None:
        """Give a person's order to the main door, as `gatectl hold`, `lockdown` and `normal` do."""

    def fail_partner(self, partner: str, *, down: bool) -> None:
        """Let a partner answer nobody, or everybody again."""


class Play(NamedTuple):
    """One play; `key` plays it in the interactive demo.

    `member`: it wants a member at the open gate. In the others, a member who stands there passes first.
    """

    name: str
    key: str
    words: str
    run: Callable[[Stage], None]
    member: bool = False


def passes(stage: Stage) -> None:
    """Play a member who opens the gate and walks through."""
    _walk(stage)
    stage.expect("passage", Result.PASSED)


def _does_not_pass(stage: Stage) -> None:
    stage.expect("passage", Result.NOT_PASSED)


def _turns_back(stage: Stage) -> None:
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=True)
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=False)
    stage.expect("passage", Result.NOT_PASSED)


def _two_at_once(stage: Stage) -> None:
    stage.scan(_others(stage)[0])
    passes(stage)
    passes(stage)


def _tailgates(stage: Stage) -> None:
    passes(stage)
    _walk(stage)
    stage.expect("passage", Result.UNEXPECTED)


def _bounces(stage: Stage) -> None:
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=True)
    for active in (True, False) * BOUNCES:
        stage.move(GateInput.PASSAGE, active=active)
        stage.pause(BOUNCE_S)
    _turn(stage, GateInput.PASSAGE)
    stage.expect("passage", Result.PASSED)
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=False)


def _left_open(stage: Stage) -> None:
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=True)
    _turn(stage, GateInput.PASSAGE)
    stage.expect("passage", Result.PASSED)
    stage.expect("contact", Result.HELD)
    _close(stage)


def _leaves(stage: Stage) -> None:
    _turn(stage, GateInput.EXIT_BUTTON)
    stage.expect("exit", Result.OPENED)
    stage.move(GateInput.CONTACT, active=True)
    _turn(stage, GateInput.EXIT_PASSAGE)
    stage.expect("passage", Result.LEFT)
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=False)


def _is_forced(stage: Stage) -> None:
    stage.until_shut()
    stage.pause(TAIL_S + STEP_S)  # until then an opening still belongs to the one before
    stage.move(GateInput.CONTACT, active=True)
    stage.expect("contact", Result.FORCED)
    stage.pause(STANDS_S)
    _close(stage)


def _close(stage: Stage) -> None:
    """Close a door that had raised an alarm."""
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=False)
    stage.expect("contact", Result.CLOSED)


def _fire(stage: Stage) -> None:
    stage.move(GateInput.FIRE, active=True)
    stage.expect("mode", Result.FIRE)
    stage.scan(_others(stage)[0])
    stage.move(GateInput.FIRE, active=False)
    stage.expect("mode", Result.NORMAL)


def _is_held(stage: Stage) -> None:
    stage.order("hold", seconds=HOLD_S, reason="open day")
    if stage.scan(_others(stage)[0]):
        passes(stage)
    stage.order("normal")


def _lockdown(stage: Stage) -> None:
    stage.order("lockdown", reason="a threat in the street")
    stage.scan(_others(stage)[0])
    stage.order("normal")


def _closed(stage: Stage) -> None:
    stage.scan(_others(stage)[0], SIDE)


def _outage(stage: Stage) -> None:
    member = stage.member if stage.member in MEMBERS else None
    if member is None:
        member = MEMBERS[0]
        _come_in(stage, member)
    stage.fail_partner(PARTNER, down=True)
    for stranger in STRANGERS:
        stage.scan(stranger)
    _come_in(stage, member)
    stage.fail_partner(PARTNER, down=False)
    _come_in(stage, member)


def _come_in(stage: Stage, member: str) -> None:
    if stage.scan(member):
        passes(stage)


def _others(stage: Stage) -> list[str]:
    """Members who do not stand at the gate."""
    return [code for code in MEMBERS if code != stage.member]


def _walk(stage: Stage) -> None:
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=True)
    _turn(stage, GateInput.PASSAGE)
    stage.pause(STEP_S)
    stage.move(GateInput.CONTACT, active=False)


def _turn(stage: Stage, what: GateInput) -> None:
    """Let an input signal once."""
    stage.move(what, active=True)
    stage.pause(STEP_S)
    stage.move(what, active=False)


PLAYS = {
    play.name: play
    for play in (
        Play("passes", "p", "the member passes", passes, member=True),
        Play("does-not-pass", "n", "the member does not pass", _does_not_pass, member=True),
        Play("turns-back", "t", "the member opens the door, and turns back", _turns_back, member=True),
        Play("two-at-once", "w", "a second member scans before the first passes", _two_at_once, member=True),
        Play("tailgates", "g", "a second person passes behind the member", _tailgates, member=True),
        Play("bounces", "b", "the member passes, and the sensor's contact bounces", _bounces, member=True),
        Play("left-open", "o", "the member passes and leaves the door open", _left_open, member=True),
        Play("leaves", "l", "somebody presses the exit button and leaves", _leaves),
        Play("forced", "f", "somebody forces the door open", _is_forced),
        Play("fire", "a", "the fire alarm goes off, and ends", _fire),
        Play("held", "h", "a person holds the gate open for visitors", _is_held),
        Play("lockdown", "k", "a person locks the gate down", _lockdown),
        Play("closed", "c", "a member scans at the side door, which its schedule keeps closed", _closed),
        Play("outage", "d", "the partner is down for a while; a member whom it knows comes", _outage),
    )
}
"""By name, in the order of the help."""

TOUR = (
    ("1000000000200", "passes"),
    ("1000000000001", "does-not-pass"),
    ("1000000000001", "passes"),
    ("1000000000002", "turns-back"),
    ("1000000000200", "two-at-once"),
    ("1000000000200", "tailgates"),
    ("1000000000200", "bounces"),
    ("1000000000200", "left-open"),
    (None, "leaves"),
    (None, "forced"),
    (None, "closed"),
    (None, "held"),
    (None, "lockdown"),
    (None, "fire"),
    ("1000000000200", "outage"),
)
"""The scenes of the tour: a code to scan first, if any, and the play."""
