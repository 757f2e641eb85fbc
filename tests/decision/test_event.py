"""The event: its fields in their order, its messages, its times."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.event import (
    Attempt,
    BodyRecord,
    DialRecord,
    Event,
    Evidence,
    GateRecord,
    Outcome,
    RequestRecord,
    interrupted,
    timestamp,
    uuid7,
)
from gatectl.decision.outcomes import ADMITTED_BY, KINDS, Fault, Message, outcome_row
from gatectl.decision.verdict import Basis, Decision, Reason, Result, Verdict

UNABLE = "Unable to check in aggregator customer, partner service communication error, please try again"
FIELDS = [
    "id", "kind", "at", "of", "tenant", "studio", "door", "scanner", "credential", "partner", "member",
    "customer", "result", "basis", "message", "verdict", "status", "fault", "detail", "reason", "outage",
    "request", "gate",
]  # fmt: skip


def attempt(**changes):
    values = {
        "id": "x", "kind": "scan", "at_us": 1_795_000_000_000_042, "tenant": "T", "studio": "S",
        "door": "main", "scanner": "/dev/a", "credential": "1", "partner": "p", "member": "1",
        "budget_ms": 750, "boot": "b" * 32, "since_boot_us": 42,
    }  # fmt: skip
    return Attempt(**values | changes)


EVIDENCE = Evidence(DialRecord(1, 2.0, stale=False, connect_ms=3.0, tls_ms=4.0), BodyRecord(5, b"6" * 32))


@pytest.mark.parametrize("evidence", [None, EVIDENCE])
def test_the_fields_are_in_the_documented_order(evidence):
    outcome = Outcome(
        Result.ADMITTED,
        "m",
        Verdict.ALLOWED,
        200,
        basis=Basis.PARTNER,
        reason=Reason("k", "t"),
        request=RequestRecord(True, 1, 2, 1.5, 750, "warm", evidence),
        gate=GateRecord(3, 2.5, 3000),
    )
    shown = Event(attempt(), outcome).to_json()
    assert list(shown) == FIELDS
    assert shown["at"] == "2026-11-18T11:06:40.000042Z"
    assert shown["reason"] == {"key": "k", "text": "t"}
    assert shown["request"] == {
        "sent": True,
        "sent_at": "1970-01-01T00:00:00.000001Z",
        "answered_at": "1970-01-01T00:00:00.000002Z",
        "elapsed_ms": 1.5,
        "budget_ms": 750,
        "connection": "warm",
    }
    assert shown["basis"] == "partner"
    assert shown["gate"] == {"opened_at": "1970-01-01T00:00:00.000003Z", "after_ms": 2.5, "open_ms": 3000}


def test_absent_values_are_null():
    shown = Event(attempt(budget_ms=None), Outcome(Result.REJECTED, "m")).to_json()
    nulls = ("of", "customer", "basis", "verdict", "status", "fault", "detail", "reason", "request", "gate")
    assert [shown[name] for name in nulls] == [None] * len(nulls)
    assert shown["outage"] is False


def test_an_event_that_belongs_to_another_names_it():
    shown = Event(attempt(of="y", customer="77"), Outcome(Result.REJECTED, "m", detail="why")).to_json()
    assert [shown[name] for name in ("of", "customer", "detail")] == ["y", "77", "why"]


def test_an_interrupted_scan_may_have_been_sent():
    outcome = interrupted(attempt())
    assert (outcome.result, outcome.fault, outcome.verdict) == (
        Result.UNKNOWN,
        Fault.INTERRUPTED,
        Verdict.NONE,
    )
    assert outcome.message == "Interrupted: the outcome was not recorded"
    assert outcome.request == RequestRecord(None, None, None, None, 750, None)


def test_an_interrupted_scan_without_a_partner_has_no_request():
    outcome = interrupted(attempt(budget_ms=None))
    assert outcome.request is None
    assert outcome.verdict is None


def test_an_opening_by_hand_that_was_interrupted_blames_no_relay():
    begun = attempt(kind="manual", budget_ms=None)
    assert Event(begun, interrupted(begun)).row.cause.key == "stopped"
    shut = Outcome(Result.REJECTED, Message.GATE_OUT_OF_ORDER.value, fault=Fault.GATE)
    assert Event(begun, shut).row.cause.key == "by_hand_shut"


@pytest.mark.parametrize(
    ("verdict", "fault", "message"),
    [
        (Verdict.ALLOWED, None, "Aggregator member checked in"),
        (Verdict.NOT_ALLOWED, None, "Aggregator member check-in not allowed"),
        (Verdict.NOT_FOUND, None, "Aggregator member not found in partner system"),
        *(
            (Verdict.NONE, fault, UNABLE)
            for fault in (
                Fault.NETWORK,
                Fault.TLS,
                Fault.TIMEOUT,
                Fault.PARTNER,
                Fault.CREDENTIALS,
                Fault.CONFIGURATION,
            )
        ),
        (None, Fault.UNRECOGNISED, "Credential not recognised"),
        (None, Fault.CARDS, "Enrolled cards not available, please try again"),
        (Verdict.NONE, Fault.INTERRUPTED, "Interrupted: the outcome was not recorded"),
        (Verdict.ALLOWED, Fault.GATE, "Checked in, but the gate did not open"),
        (Verdict.NOT_ALLOWED, Fault.GATE, "Checked in, but the gate did not open"),
        (None, Fault.GATE, "Gate out of order"),
    ],
)
def test_the_event_monitors_lines_to_the_letter(verdict, fault, message):
    assert outcome_row(Result.REJECTED, verdict, fault).message == message


def test_every_message_is_reached():
    reached = set()
    for verdict in (*Verdict, None):
        for fault in (*Fault, None):
            if (verdict in (None, Verdict.NONE)) and fault is None:
                with pytest.raises(ValueError, match="no outcome"):
                    outcome_row(Result.REJECTED, verdict, fault)
            else:
                reached.add(outcome_row(Result.REJECTED, verdict, fault).message)
    others = {row.message for kind in KINDS.values() for row in kind.rows.values()}
    others |= {row.message for row in ADMITTED_BY.values()} | {Message.REFUSING_EVERYONE}
    assert set(Message) - reached <= others, "which are no scan's"


def test_an_admission_is_one_with_any_verdict():
    admitted = outcome_row(Result.ADMITTED, Verdict.NOT_ALLOWED, None, "checkin.already.validated")
    assert admitted is outcome_row(Result.ADMITTED, Verdict.ALLOWED, None)


def test_only_the_partners_own_success_admits():
    admitting = [
        (verdict, fault)
        for verdict in (*Verdict, None)
        for fault in (*Fault, None)
        if Decision(verdict, fault).admits
    ]
    assert admitting == [(Verdict.ALLOWED, None)]


@given(st.integers(0, 4_102_444_800_000_000))
def test_timestamps_keep_every_microsecond(at_us):
    text = timestamp(at_us)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert int(text[20:26]) == at_us % 1_000_000


@given(st.integers(0, 4_102_444_800_000_000), st.integers(0, 2**62 - 1))
def test_ids_are_uuids_of_version_7_that_carry_the_time(at_us, random):
    parsed = uuid.UUID(uuid7(at_us, random))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == at_us // 1000
    assert uuid7(at_us + 1, 0) > str(parsed), "later is greater, to the microsecond"
