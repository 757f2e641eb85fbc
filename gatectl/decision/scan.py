"""The way of one scan: its states, and the steps between them, in one table.

Two promises of the contract are rows that are missing here: nothing is asked before the record is made
or known to be late, and the gate opens only after the partner's own success.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    READ = "read"
    RECORDING = "recording"
    ASKING = "asking"
    SETTLING = "settling"
    OPENING = "opening"
    ADMITTED = "admitted"
    REJECTED = "rejected"


class Step(StrEnum):
    NOBODY_TO_ASK = "nobody to ask"
    PLANNED = "planned"
    RECORDED = "recorded"
    RECORD_LATE = "record late"
    OUT_OF_TIME = "out of time"
    ALLOWED = "allowed"
    REFUSED = "refused"
    PERHAPS_OURS = "perhaps the late answer to our own request"
    OPENED = "opened"
    STUCK = "stuck"


TABLE: dict[tuple[State, Step], State] = {
    (State.READ, Step.NOBODY_TO_ASK): State.REJECTED,
    (State.READ, Step.PLANNED): State.RECORDING,
    (State.RECORDING, Step.RECORDED): State.ASKING,
    (State.RECORDING, Step.RECORD_LATE): State.ASKING,
    (State.RECORDING, Step.OUT_OF_TIME): State.REJECTED,
    (State.ASKING, Step.ALLOWED): State.OPENING,
    (State.ASKING, Step.REFUSED): State.REJECTED,
    (State.ASKING, Step.PERHAPS_OURS): State.SETTLING,
    (State.SETTLING, Step.ALLOWED): State.OPENING,
    (State.SETTLING, Step.REFUSED): State.REJECTED,
    (State.OPENING, Step.OPENED): State.ADMITTED,
    (State.OPENING, Step.STUCK): State.REJECTED,
}


class IllegalStepError(Exception):
    """The table has no such row: a bug, and worth a restart rather than an open gate."""


class Scan:
    """Where one scan stands."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.READ

    def take(self, step: Step) -> State:
        """Goes on to the next state; raises IllegalStepError where the table has none."""
        try:
            self.state = TABLE[self.state, step]
        except KeyError:
            raise IllegalStepError(f"a scan that is {self.state.value} cannot be {step.value}") from None
        return self.state
