"""One row for each outcome: its message, lamps, screen, priority, and the advice that it gets.

A new fault is one member of `Fault` with its row, and its words in `decision/words/`. Everything else that
depends on a fault is derived from here. Sources: https://support.magicline.com/hc/en-us/articles/47879904419857
(the Event Monitor's page), and the partners' own pages for the keys of their refusals.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Self

from gatectl.decision.indication import Indication, Screen
from gatectl.decision.log import Priority
from gatectl.decision.verdict import Basis, Result, Verdict


class Message(StrEnum):
    """The Event Monitor's lines, to the letter, and our own; each with its entry in the catalog."""

    catalog_id: str
    """32 hex digits: the ID of the entry that explains the message to `journalctl -x`."""

    def __new__(cls, value: str, catalog_id: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.catalog_id = catalog_id
        return member

    CHECKED_IN = "Aggregator member checked in", "5e1a2f5c0d8b4b0f9d3c6a1e7b204c11"
    NOT_ALLOWED = "Aggregator member check-in not allowed", "8f0b6d3e2a714c5b9e6f1d0c3a825b42"
    NOT_FOUND = "Aggregator member not found in partner system", "c27d9e1b5f604a8e8b3d7c0f6e914d73"
    NO_VERDICT = (
        "Unable to check in aggregator customer, partner service communication error, please try again",
        "1d84b7f2c3e94f6ab05e8d2c9f1a6ea4",
    )
    NOT_RECOGNISED = "Credential not recognised", "b6e35a90d17c4c2f8a4b9f0e2d7c81d5"
    CARDS_UNAVAILABLE = "Enrolled cards not available, please try again", "2f6d81c94b3e4a7f8e05d9a1c7b3f264"
    INTERRUPTED = "Interrupted: the outcome was not recorded", "e90c4d7b38a541f69c1f5b8e0a63d2f6"
    GATE_STAYED_SHUT = "Checked in, but the gate did not open", "47f1c8e6a25d4b93bd0e7a9c5f38e117"
    GATE_OUT_OF_ORDER = "Gate out of order", "d30b7e5a91c2486fa4e81f6b05c9d728"
    ERASED = "One member's data erased", "0c7a4f92e1d84b35b6f20d9e8a531c47"
    AGAIN = "Let in again: had not passed", "5d9b0e7c3a184f62b7e4c8d1f0a26935"
    CAME_BACK = "Let in again: came back", "b05e7d3c9a6f41d28c4e1f7a6d92e830"
    GRACE = "Let in without the partner: outage", "b1f4d7a03c9e4e52986ad0c7f3e81b65"
    PASSED = "Passed", "e27f4b91d6c84a0f93b5d8e7a1c06f42"
    NOT_PASSED = "Admitted, but did not pass", "84c1d7f0e3b64592a6f8b0c3d5e72914"
    UNEXPECTED = "Passage without admission", "19f6e8a4c05b4d73b2e9f7a1d83c6405"
    LEFT = "Left", "c73a5e0d8b1f4269a4d6c2f8e91b7053"
    LET_IN_BY_FIRE = "Let in: fire alarm", "6a2e9d4f7c1b4805b3f8d0e6a97c5142"
    CLOSED = "Closed at this time", "f08b3c6d2e5a4179a1c7e4f9b82d6035"
    LOCKED_DOWN = "Locked down", "2d7f4a9c0b8e4631b5d2f6c8a3e17094"
    FIRE = "Fire alarm", "93e6b1d05f7c4a28a8f4c0d7e2b95613"
    HELD = "Held open", "4e91d7c2f8a04b63a6d5e0b9c3f71824"
    """Until when and why, or by which schedule, follows it in the event."""
    CLOSED_BY_SCHEDULE = "Closed by schedule", "0b6d9e2f7a4c4813b7e1d8f5c0a39462"
    NORMAL_AGAIN = "Normal again", "7fc4a0d9e3b64158a5c8e2f1d7b06943"
    EXIT = "Exit", "71d2c4a80f3b4e6c9a57b1e08d64f2c3"
    FORCED = "Door forced open", "b84e1f6d27c94a03a5d8e6f1920b7c4e"
    HELD_OPEN = "Door held open", "3f9a7c12e5d64b80b2c7a41f6d08e953"
    CLOSED_AGAIN = "Door closed again after", "d05c8e2b4a7f41969e1b3c7d82f6a40e"
    """The time follows it in the event."""
    INPUT = "The inputs of a gate", "a6e3d18f90b24c7d8f42e5b7c1609d3a"
    """Each event says which input, and what happened to it: `The exit button is stuck`."""
    CHECKED_IN_AFTER = "Checked in after passing", "6c2e8f1d4b9047a5a3d0e7c8f5b91264"
    NOT_CHECKED_IN = "Passed, but not checked in", "d8a41f6b3c7e4952b0f9e2d7c6a51839"
    OPENED_BY_HAND = "Opened by hand", "9a3d5c0e7f214b68a1c94e6d2b50f738"
    """The person's reason follows it in the event."""
    REFUSING_EVERYONE = "A partner refuses everyone", "6b1f0d92e7a84c35b90a4e2d8c6f13a7"
    """A notice, and no event's message."""


class Cause(NamedTuple):
    """The cause of an event, as far as the advice depends on it."""

    key: str
    """Of the sentence in `words/triage.py` that says why it is a case for Support, or why not."""
    advice: tuple[str, ...] = ()
    """Keys of the sentences in `words/advice.py`, in their order."""
    is_for_support: bool = False


class OutcomeRow(NamedTuple):
    """Everything that varies with an outcome."""

    message: Message
    indication: Indication | None
    screen: Screen
    priority: Priority
    """The nearer the fault is to this gym, the more urgent."""
    cause: Cause
    counts: bool = False
    """Whether it counts towards an outage of the partner: a fault between the door and the partner, or of
    the partner, whose cause depends on further evidence (`decision/cause.py`)."""


ADMITTED = OutcomeRow(
    Message.CHECKED_IN, Indication.WELCOME, Screen.WELCOME, Priority.INFO, Cause("admitted")
)

VERDICTS = {
    Verdict.ALLOWED: ADMITTED,
    Verdict.NOT_ALLOWED: OutcomeRow(
        Message.NOT_ALLOWED,
        Indication.REFUSED,
        Screen.DECLINED,
        Priority.NOTICE,
        Cause("declined", ("declined", "final")),
    ),
    Verdict.NOT_FOUND: OutcomeRow(
        Message.NOT_FOUND,
        Indication.REFUSED,
        Screen.NOT_FOUND,
        Priority.NOTICE,
        Cause("not_known", ("not_known", "final")),
    ),
}
"""The rows of the partner's own decisions."""

_COMMUNICATION = OutcomeRow(
    Message.NO_VERDICT,
    Indication.TRY_AGAIN,
    Screen.TRY_AGAIN,
    Priority.WARNING,
    Cause("hiccup", ("hiccup", "again", "keeps")),
    counts=True,
)
_SETTINGS = _COMMUNICATION._replace(priority=Priority.ERROR, counts=False)


class Fault(StrEnum):
    """The cause, where the partner did not decide. `unasked` is the row where no partner was asked."""

    row: OutcomeRow
    unasked: OutcomeRow

    def __new__(cls, value: str, row: OutcomeRow = _COMMUNICATION, unasked: OutcomeRow | None = None) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.row = row
        member.unasked = unasked or row
        return member

    UNRECOGNISED = (
        "unrecognised",
        OutcomeRow(
            Message.NOT_RECOGNISED,
            Indication.REFUSED,
            Screen.UNRECOGNISED,
            Priority.NOTICE,
            Cause("no_route", ("no_route", "support_if_right"), is_for_support=True),
        ),
    )
    CARDS = (
        "cards",
        OutcomeRow(
            Message.CARDS_UNAVAILABLE,
            Indication.TRY_AGAIN,
            Screen.NOT_READY,
            Priority.ERROR,
            Cause("our_cards", ("our_cards", "support"), is_for_support=True),
        ),
    )
    """The enrolled cards cannot be read yet."""
    NETWORK = "network", _COMMUNICATION
    TLS = "tls", _COMMUNICATION
    TIMEOUT = "timeout", _COMMUNICATION
    PARTNER = "partner", _COMMUNICATION
    CREDENTIALS = (
        "credentials",
        _SETTINGS._replace(cause=Cause("our_key", ("our_key", "support"), is_for_support=True)),
    )
    CONFIGURATION = (
        "configuration",
        _SETTINGS._replace(cause=Cause("our_settings", ("our_settings", "support"), is_for_support=True)),
    )
    GATE = (
        "gate",
        OutcomeRow(
            Message.GATE_STAYED_SHUT,
            Indication.TRY_AGAIN,
            Screen.GATE_STAYED_SHUT,
            Priority.ERROR,
            Cause("our_gate", ("our_gate", "support"), is_for_support=True),
        ),
        OutcomeRow(
            Message.GATE_OUT_OF_ORDER,
            Indication.TRY_AGAIN,
            Screen.GATE_OUT_OF_ORDER,
            Priority.ERROR,
            Cause("gate_out_of_order", ("gate_out_of_order", "support"), is_for_support=True),
        ),
    )
    CLOSED = (
        "closed",
        OutcomeRow(
            Message.CLOSED, Indication.REFUSED, Screen.CLOSED, Priority.NOTICE, Cause("closed", ("closed",))
        ),
    )
    LOCKDOWN = (
        "lockdown",
        OutcomeRow(
            Message.LOCKED_DOWN,
            Indication.REFUSED,
            Screen.CLOSED,
            Priority.NOTICE,
            Cause("locked_out", ("locked_out",)),
        ),
        OutcomeRow(
            Message.LOCKED_DOWN,
            Indication.REFUSED,
            Screen.CLOSED,
            Priority.NOTICE,
            Cause("closed", ("closed",)),
        ),
    )
    INTERRUPTED = (
        "interrupted",
        OutcomeRow(
            Message.INTERRUPTED,
            Indication.TRY_AGAIN,
            Screen.TRY_AGAIN,
            Priority.WARNING,
            Cause("stopped", ("stopped", "stopped_asked")),
        ),
        OutcomeRow(
            Message.INTERRUPTED,
            Indication.TRY_AGAIN,
            Screen.TRY_AGAIN,
            Priority.WARNING,
            Cause("stopped", ("stopped", "stopped_unasked")),
        ),
    )


_APP_AGAIN = Screen.CHECK_IN_AGAIN, Cause("app_again", ("check_in_again",))
_IN_ALREADY = Screen.ALREADY_IN, Cause("in_already", ("in_already",))
_FRONT_DESK = Screen.ASK_AT_DESK, Cause("front_desk", ("front_desk",))

REFUSALS: dict[str, tuple[Screen, Cause]] = {
    # Wellhub: the member makes a check-in in the app, and scans again.
    "checkin.validation.notfound": (
        Screen.CHECK_IN_FIRST,
        Cause("app_first", ("check_in_first", "final")),
    ),
    "checkin.validation.expired": _APP_AGAIN,
    "checkin.validation.cancelled": _APP_AGAIN,
    "checkin.validation.canceled": _APP_AGAIN,
    "checkin.already.validated": _IN_ALREADY,
    # Capitan is the gym's own software, so its customers ask at the gym.
    "duplicate_check_in": _IN_ALREADY,
    "check_in_alerts": _FRONT_DESK,
    "no_entry_method": _FRONT_DESK,
    "customer_not_found": (
        Screen.ASK_AT_DESK,
        Cause("front_desk_not_known", ("front_desk_not_known",)),
    ),
}
"""The partners' own keys for a refusal that the member or the front desk can clear up."""


class KindRow(NamedTuple):
    """A kind of event. `rows` are those of its own results; a scan has none, and a fault has its own row."""

    rows: Mapping[Result, OutcomeRow] = MappingProxyType({})
    failed: Cause | None = None
    """The cause of its failure, in place of the fault's."""
    is_scan: bool = False
    """Whether a code was read, and a partner may have been asked."""


ERASED = OutcomeRow(Message.ERASED, None, Screen.IDLE, Priority.NOTICE, Cause("erased"))

_OUR_RELAY = Cause("by_hand_shut", ("our_relay", "support"), is_for_support=True)


def _quiet(message: Message, priority: Priority, cause: str) -> OutcomeRow:
    """The row of an event that no member sees."""
    return OutcomeRow(message, None, Screen.IDLE, priority, Cause(cause))


KINDS: dict[str, KindRow] = {
    "scan": KindRow(is_scan=True),
    "manual": KindRow(
        {Result.ADMITTED: ADMITTED._replace(message=Message.OPENED_BY_HAND, cause=Cause("by_hand"))},
        _OUR_RELAY,
    ),
    "exit": KindRow({Result.OPENED: _quiet(Message.EXIT, Priority.INFO, "exit")}, _OUR_RELAY),
    "passage": KindRow(
        {
            Result.PASSED: _quiet(Message.PASSED, Priority.INFO, "passed"),
            Result.NOT_PASSED: OutcomeRow(
                Message.NOT_PASSED, None, Screen.DID_NOT_PASS, Priority.NOTICE, Cause("not_passed")
            ),
            Result.UNEXPECTED: _quiet(Message.UNEXPECTED, Priority.WARNING, "unexpected"),
            Result.LEFT: _quiet(Message.LEFT, Priority.INFO, "exit"),
        }
    ),
    "check_in": KindRow(
        {
            Result.DONE: _quiet(Message.CHECKED_IN_AFTER, Priority.INFO, "checked_in"),
            Result.FAILED: OutcomeRow(
                Message.NOT_CHECKED_IN,
                None,
                Screen.IDLE,
                Priority.ERROR,
                Cause("not_checked_in", ("not_checked_in",)),
            ),
        }
    ),
    "mode": KindRow(
        {
            Result.FIRE: _quiet(Message.FIRE, Priority.CRITICAL, "fire"),
            Result.LOCKDOWN: _quiet(Message.LOCKED_DOWN, Priority.WARNING, "mode"),
            Result.HELD: _quiet(Message.HELD, Priority.NOTICE, "mode"),
            Result.CLOSED: _quiet(Message.CLOSED_BY_SCHEDULE, Priority.NOTICE, "mode"),
            Result.NORMAL: _quiet(Message.NORMAL_AGAIN, Priority.NOTICE, "mode"),
        }
    ),
    "contact": KindRow(
        {
            Result.FORCED: _quiet(Message.FORCED, Priority.ERROR, "forced"),
            Result.HELD: _quiet(Message.HELD_OPEN, Priority.WARNING, "held_open"),
            Result.CLOSED: _quiet(Message.CLOSED_AGAIN, Priority.NOTICE, "closed_again"),
        }
    ),
    "input": KindRow(
        {
            Result.STUCK: _quiet(Message.INPUT, Priority.WARNING, "input"),
            Result.SUSPECT: _quiet(Message.INPUT, Priority.WARNING, "input"),
            Result.FLUTTERS: _quiet(Message.INPUT, Priority.WARNING, "input"),
            Result.LOST: _quiet(Message.INPUT, Priority.ERROR, "input"),
            Result.OK: _quiet(Message.INPUT, Priority.NOTICE, "input_ok"),
        }
    ),
    "erased": KindRow({Result.DONE: ERASED}),
}
"""The kinds of events that this version makes; a store may hold further ones of a later version."""


ADMITTED_BY = {
    Basis.FIRE: ADMITTED._replace(message=Message.LET_IN_BY_FIRE, cause=Cause("fire")),
    Basis.AGAIN: ADMITTED._replace(message=Message.AGAIN, cause=Cause("again")),
    Basis.RETURN: ADMITTED._replace(message=Message.CAME_BACK, cause=Cause("came_back")),
    Basis.GRACE: ADMITTED._replace(
        message=Message.GRACE, priority=Priority.NOTICE, cause=Cause("grace", ("grace",))
    ),
}
"""The rows of admissions with words of their own."""


def outcome_row(
    result: Result,
    verdict: Verdict | None,
    fault: Fault | None,
    reason_key: str | None = None,
    basis: Basis | None = None,
) -> OutcomeRow:
    """The row of a finished scan. Raises ValueError where there is neither a verdict nor a fault."""
    if result is Result.ADMITTED:
        return ADMITTED if basis is None else ADMITTED_BY.get(basis, ADMITTED)
    if fault is not None:
        # A gate that stays shut in an outage: the partner gave no success that would have to be explained.
        is_unasked = verdict is None or (fault is Fault.GATE and verdict is Verdict.NONE)
        return fault.unasked if is_unasked else fault.row
    if verdict not in VERDICTS:
        raise ValueError(f"no outcome for verdict {verdict} without a fault")
    row = VERDICTS[verdict]
    screen, cause = REFUSALS.get(reason_key or "", (row.screen, row.cause))
    return row._replace(screen=screen, cause=cause)
