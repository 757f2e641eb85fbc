"""The systemd journal: lines, priorities, and fields."""

import pytest

from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord, interrupted
from gatectl.decision.log import Priority
from gatectl.decision.outcomes import Fault, Message, outcome_row
from gatectl.decision.verdict import Basis, Result, Verdict
from gatectl.sinks.systemd_journal import entry_of, line_of

SCAN = Attempt(
    "id",
    "scan",
    0,
    "T",
    "S",
    "main",
    "/dev/a",
    "1234567890123",
    "wellhub",
    "1234567890123",
    2000,
    "b" * 32,
    0,
)
ASKED = RequestRecord(True, 1, 2, 182.4, 2000, "warm")


def event(result, verdict=None, fault=None, status=None, request=ASKED, detail=None):
    message = outcome_row(result, verdict, fault).message.value
    return Event(SCAN, Outcome(result, message, verdict, status, fault, request=request, detail=detail))


NOT_FOUND = event(Result.REJECTED, Verdict.NOT_FOUND, status=404)
TIMED_OUT = event(Result.REJECTED, Verdict.NONE, Fault.TIMEOUT)
UNRECOGNISED = event(Result.REJECTED, fault=Fault.UNRECOGNISED, request=None)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (
            NOT_FOUND,
            f"main: rejected 1234567890123 (wellhub 404, 182 ms): {Message.NOT_FOUND}",
        ),
        (
            TIMED_OUT,
            f"main: rejected 1234567890123 (wellhub timeout, 182 ms): {Message.NO_VERDICT}",
        ),
        (
            event(
                Result.REJECTED, Verdict.NONE, Fault.NETWORK, detail="connection refused (203.0.113.4:443)"
            ),
            (
                f"main: rejected 1234567890123 (wellhub network, 182 ms): {Message.NO_VERDICT}: "
                "connection refused (203.0.113.4:443)"
            ),
        ),
        (UNRECOGNISED, "main: rejected 1234567890123: Credential not recognised"),
        (
            Event(SCAN, interrupted(SCAN)),
            "main: unknown 1234567890123 (wellhub interrupted): Interrupted: the outcome was not recorded",
        ),
    ],
)
def test_the_line(what, line):
    assert line_of(what) == line


def test_an_opening_by_hand():
    attempt = Attempt("id", "manual", 0, "T", "S", "main", None, None, None, None, None, "b" * 32, 0)
    opened = Event(attempt, Outcome(Result.ADMITTED, "Opened by hand: fire drill", gate=GateRecord(1, 2, 3)))
    entry = entry_of(opened)
    assert entry.message == "main: admitted: Opened by hand: fire drill"
    assert entry.message_id == Message.OPENED_BY_HAND.catalog_id
    assert entry.priority == 6
    lost = entry_of(Event(attempt, interrupted(attempt)))
    assert lost.message_id == Message.INTERRUPTED.catalog_id


@pytest.mark.parametrize(
    ("what", "priority"),
    [
        (event(Result.ADMITTED, Verdict.ALLOWED, status=200), 6),
        (event(Result.REJECTED, Verdict.NOT_ALLOWED, status=403), 5),
        (NOT_FOUND, 5),
        (UNRECOGNISED, 5),
        *(
            (event(Result.REJECTED, Verdict.NONE, fault), 4)
            for fault in (Fault.NETWORK, Fault.TLS, Fault.TIMEOUT, Fault.PARTNER)
        ),
        (Event(SCAN, interrupted(SCAN)), 4),
        (event(Result.REJECTED, Verdict.NONE, Fault.CREDENTIALS, 403), 3),
        (event(Result.REJECTED, Verdict.NONE, Fault.CONFIGURATION, 404), 3),
        (event(Result.REJECTED, Verdict.ALLOWED, Fault.GATE, 200), 3),
        (event(Result.REJECTED, fault=Fault.GATE, request=None), 3),
        (event(Result.REJECTED, fault=Fault.CARDS, request=None), 3),
    ],
)
def test_how_loud(what, priority):
    assert entry_of(what).priority == Priority(priority)


def test_the_fields():
    assert entry_of(NOT_FOUND).fields == {
        "EVENT_ID": "id",
        "KIND": "scan",
        "DOOR": "main",
        "PARTNER": "wellhub",
        "MEMBER": "1234567890123",
        "RESULT": "rejected",
        "VERDICT": "not_found",
        "STATUS": "404",
    }
    assert entry_of(TIMED_OUT).fields["FAULT"] == "timeout"
    nobody = Event(SCAN._replace(partner=None, member=None), UNRECOGNISED.outcome)
    assert set(entry_of(nobody).fields) == {"EVENT_ID", "KIND", "DOOR", "RESULT", "FAULT"}
    second = entry_of(
        Event(SCAN._replace(of="other"), NOT_FOUND.outcome._replace(basis=Basis.SETTLED, detail="why"))
    )
    assert {name: second.fields[name] for name in ("OF", "BASIS", "DETAIL")} == {
        "OF": "other",
        "BASIS": "settled",
        "DETAIL": "why",
    }
