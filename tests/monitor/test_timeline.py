"""An event's timeline: the steps of the connection that carried its request."""

import pytest

from gatectl.decision.event import Attempt, DialRecord, Event, Evidence, Outcome, RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Result, Verdict
from gatectl.monitor.presenters import timeline_of


def words(dial, *, sent, connection, language="en"):
    attempt = Attempt(
        id="0198f2c4-7d7c-7000-8000-000000000001", kind="scan", at_us=1_000_000, tenant="T", studio="S",
        door="main", scanner="/dev/a", credential="1", partner="p", member="1", budget_ms=750,
        boot="b" * 32, since_boot_us=1,
    )  # fmt: skip
    evidence = Evidence(dial, None) if dial else None
    request = RequestRecord(sent, 2 if sent else None, None, 750.0, 750, connection, evidence)
    outcome = Outcome(Result.REJECTED, "m", Verdict.NONE, None, Fault.NETWORK, request=request)
    return [step for _, step in timeline_of(Event(attempt, outcome), language)]


@pytest.mark.parametrize(
    ("dial", "sent", "expected"),
    [
        (DialRecord(1, 12.3, False, 20.4, 41.0), True, "look-up 12 ms, connect 20 ms, TLS 41 ms"),
        (DialRecord(1, 12.3, False, 20.4, None), True, "look-up 12 ms, connect 20 ms"),
        (DialRecord(1, 12.3, False, 20.4, None), False, "look-up 12 ms, connect 20 ms, TLS not done"),
        (DialRecord(1, 12.3, False, None, None), False, "look-up 12 ms, connect not done"),
        (DialRecord(1, None, None, None, None), False, "look-up not done"),
    ],
)
def test_a_new_connection_is_shown_step_by_step(dial, sent, expected):
    story = words(dial, sent=sent, connection="new")
    assert story[1] == f"New connection: {expected}"


def test_in_german():
    story = words(DialRecord(1, 12.3, False, None, None), sent=False, connection="new", language="de")
    assert story[1] == "Neue Verbindung: Namensauflösung 12 ms, Verbindungsaufbau nicht geschehen"


@pytest.mark.parametrize(("dial", "connection"), [(DialRecord(1, 1, False, 1, 1), "warm"), (None, "new")])
def test_one_that_was_ready_or_was_not_recorded_is_not(dial, connection):
    assert not [step for step in words(dial, sent=True, connection=connection) if "look-up" in step]
