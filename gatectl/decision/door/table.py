"""The states of a scan, an opening by hand and a check-in, and the rows that drive the machine.

Two guarantees are rows that are missing here: no partner is asked before the attempt is recorded or known to
be late, and the relay is energised only after a basis was found. An input without a row is an error.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of the scan under way; the words are those of `gatectl status`."""

    FREE = "free"
    REFUSING = "refusing"
    RECORDING = "recording"
    LETTING_IN = "letting in"
    ASKING = "asking"
    SETTLING = "settling"
    LOOKING_BACK = "looking back"
    OPENING = "opening"


class Happening(StrEnum):
    """An input, as far as it matters to the table."""

    NO_PARTNER_TO_ASK = "nobody to ask"
    TO_BE_ASKED = "a partner to be asked"
    LET_IN = "let in without asking"
    BY_HAND = "opened by hand"
    RECORDED = "recorded"
    RECORD_LATE = "record late"
    OUT_OF_TIME = "out of time"
    ALLOWED = "allowed"
    REFUSED = "refused"
    ALREADY_IN = "refused as already in"
    UNANSWERED = "no verdict in an outage"
    RETRIED = "relay tried once more"
    RELAY_ON = "relay on"
    RELAY_STUCK = "relay stuck"
    ANSWERED = "answered"


class Action(StrEnum):
    """Work to do on the way into the next state; each is a method of the machine."""

    REFUSE = "record and show a refusal without asking"
    CONCLUDE = "conclude a refusal without asking"
    REJECT = "reject"
    RECORD = "record"
    ASK = "ask"
    ASK_UNRECORDED = "ask unrecorded"
    GIVE_UP = "give up"
    LOOK_UP = "look up"
    LOOK_BACK = "look back"
    ENERGISE = "energise"
    ENERGISE_UNRECORDED = "energise unrecorded"
    ENERGISE_RETRIED = "energise after another try"
    ADMIT = "admit"


class Row(NamedTuple):
    """The next state, and the work on the way."""

    to: State
    action: Action


SCAN: dict[tuple[State, Happening], Row] = {
    (State.FREE, Happening.NO_PARTNER_TO_ASK): Row(State.REFUSING, Action.REFUSE),
    (State.REFUSING, Happening.RECORDED): Row(State.FREE, Action.CONCLUDE),
    (State.REFUSING, Happening.RECORD_LATE): Row(State.FREE, Action.CONCLUDE),
    (State.FREE, Happening.TO_BE_ASKED): Row(State.RECORDING, Action.RECORD),
    (State.FREE, Happening.LET_IN): Row(State.LETTING_IN, Action.RECORD),
    (State.LETTING_IN, Happening.RECORDED): Row(State.OPENING, Action.ENERGISE),
    (State.LETTING_IN, Happening.RECORD_LATE): Row(State.OPENING, Action.ENERGISE_UNRECORDED),
    (State.LETTING_IN, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.RECORDING, Happening.RECORDED): Row(State.ASKING, Action.ASK),
    (State.RECORDING, Happening.RECORD_LATE): Row(State.ASKING, Action.ASK_UNRECORDED),
    (State.RECORDING, Happening.OUT_OF_TIME): Row(State.FREE, Action.GIVE_UP),
    (State.RECORDING, Happening.LET_IN): Row(State.OPENING, Action.ENERGISE),
    (State.RECORDING, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.ASKING, Happening.ALLOWED): Row(State.OPENING, Action.ENERGISE),
    (State.ASKING, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.ASKING, Happening.ALREADY_IN): Row(State.SETTLING, Action.LOOK_UP),
    (State.SETTLING, Happening.ALLOWED): Row(State.OPENING, Action.ENERGISE),
    (State.SETTLING, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.ASKING, Happening.UNANSWERED): Row(State.LOOKING_BACK, Action.LOOK_BACK),
    (State.LOOKING_BACK, Happening.ALLOWED): Row(State.OPENING, Action.ENERGISE),
    (State.LOOKING_BACK, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.OPENING, Happening.RELAY_ON): Row(State.FREE, Action.ADMIT),
    (State.OPENING, Happening.RELAY_STUCK): Row(State.FREE, Action.REJECT),
}
"""Of a scan."""

BY_HAND: dict[tuple[State, Happening], Row] = {
    (State.FREE, Happening.BY_HAND): Row(State.RECORDING, Action.RECORD),
    (State.RECORDING, Happening.RECORDED): Row(State.OPENING, Action.ENERGISE),
    (State.RECORDING, Happening.RECORD_LATE): Row(State.OPENING, Action.ENERGISE_UNRECORDED),
    (State.RECORDING, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.OPENING, Happening.RETRIED): Row(State.OPENING, Action.ENERGISE_RETRIED),
    (State.OPENING, Happening.REFUSED): Row(State.FREE, Action.REJECT),
    (State.OPENING, Happening.RELAY_ON): Row(State.FREE, Action.ADMIT),
    (State.OPENING, Happening.RELAY_STUCK): Row(State.FREE, Action.REJECT),
}
"""Of an opening by hand."""


CHECK_IN: dict[tuple[State, Happening], Row] = {
    (State.FREE, Happening.NO_PARTNER_TO_ASK): Row(State.REFUSING, Action.REFUSE),
    (State.REFUSING, Happening.RECORDED): Row(State.FREE, Action.CONCLUDE),
    (State.REFUSING, Happening.RECORD_LATE): Row(State.FREE, Action.CONCLUDE),
    (State.FREE, Happening.TO_BE_ASKED): Row(State.RECORDING, Action.RECORD),
    (State.RECORDING, Happening.RECORDED): Row(State.ASKING, Action.ASK),
    (State.RECORDING, Happening.RECORD_LATE): Row(State.ASKING, Action.ASK_UNRECORDED),
    (State.RECORDING, Happening.OUT_OF_TIME): Row(State.FREE, Action.GIVE_UP),
    (State.ASKING, Happening.ANSWERED): Row(State.FREE, Action.CONCLUDE),
}
"""Of a check-in that follows the passage."""


class IllegalInputError(Exception):
    """The table has no such row: a bug, and worth a restart rather than an open gate."""


def row_of(table: dict[tuple[State, Happening], Row], state: State, happening: Happening) -> Row:
    """The row for an input in a state; raises IllegalInputError where the table has none."""
    try:
        return table[state, happening]
    except KeyError:
        raise IllegalInputError(f"{happening.value} while {state.value}: the table has no such row") from None
