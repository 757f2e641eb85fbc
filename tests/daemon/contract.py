"""The rules of gatectl-events(5) for every event: its fields, their order and forms."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

FIELDS = [
    *("id", "kind", "at", "of", "tenant", "studio", "door", "scanner", "credential", "partner", "member"),
    *("customer", "result", "basis", "message", "verdict", "status", "fault", "detail", "reason", "outage"),
    *("request", "gate"),
]
REQUEST_FIELDS = ["sent", "sent_at", "answered_at", "elapsed_ms", "budget_ms", "connection"]
GATE_FIELDS = ["opened_at", "after_ms", "open_ms"]

CHECKED_IN = "Aggregator member checked in"
NOT_ALLOWED = "Aggregator member check-in not allowed"
NOT_FOUND = "Aggregator member not found in partner system"
NO_VERDICT = "Unable to check in aggregator customer, partner service communication error, please try again"
NOT_RECOGNISED = "Credential not recognised"
INTERRUPTED = "Interrupted: the outcome was not recorded"
CARDS_AWAY = "Enrolled cards not available, please try again"
GATE_SHUT = "Checked in, but the gate did not open"
OUT_OF_ORDER = "Gate out of order"

RULES = {
    # (verdict, fault): (result, message)
    ("allowed", None): ("admitted", CHECKED_IN),
    ("allowed", "gate"): ("rejected", GATE_SHUT),
    (None, "gate"): ("rejected", OUT_OF_ORDER),
    (None, "closed"): ("rejected", "Closed at this time"),
    (None, "lockdown"): ("rejected", "Locked down"),
    ("allowed", "lockdown"): ("rejected", "Locked down"),
    (None, "cards"): ("rejected", CARDS_AWAY),
    ("not_allowed", None): ("rejected", NOT_ALLOWED),
    ("not_found", None): ("rejected", NOT_FOUND),
    ("none", "interrupted"): ("unknown", INTERRUPTED),
    (None, "interrupted"): ("unknown", INTERRUPTED),
    (None, "unrecognised"): ("rejected", NOT_RECOGNISED),
    **{
        ("none", fault): ("rejected", NO_VERDICT)
        for fault in ("network", "tls", "timeout", "partner", "credentials", "configuration")
    },
}

ALREADY_IN_SHUT = ("not_allowed", "gate")
"""The member was to be let in, since the partner says that he is in already, and the gate did not open."""

RESULTS = {
    "check_in": {"done", "failed"},
    "passage": {"passed", "not_passed", "unexpected", "left"},
    "exit": {"opened", "rejected"},
    "mode": {"fire", "lockdown", "held", "closed", "normal"},
    "contact": {"forced", "held", "closed"},
    "input": {"suspect", "stuck", "flutters", "lost", "ok"},
}
"""The events that are no scans."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def moment(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC with microseconds."""
    assert _MOMENT.fullmatch(text), text
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC).timestamp()


def check(event: dict[str, Any]) -> dict[str, Any]:
    """The event itself, once it is seen to be one."""
    assert list(event) == FIELDS
    identity = uuid.UUID(event["id"])
    assert str(identity) == event["id"]
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    at = moment(event["at"])
    assert identity.int >> 80 == int(at * 1000 + 1e-6)
    assert isinstance(event["outage"], bool)
    assert event["reason"] is None or list(event["reason"]) == ["key", "text"]
    if event["kind"] == "manual":
        _check_manual(event)
    elif event["kind"] == "check_in":
        _check_check_in(event)
    elif event["kind"] in RESULTS:
        _check_gates_own(event)
    else:
        assert event["kind"] == "scan"
        assert event["credential"]
        assert event["scanner"]
        in_already = event["basis"] in {"already_in", "return"} or (
            (event["verdict"], event["fault"]) == ALREADY_IN_SHUT
        )
        decided = ("allowed" if in_already else event["verdict"], event["fault"])
        if event["basis"] == "grace":
            assert (event["result"], event["verdict"], event["outage"]) == ("admitted", "none", True)
            assert event["message"] == "Let in without the partner: outage"
            assert event["fault"] in {"network", "timeout", "partner"}
        elif event["basis"] == "fire":
            assert (event["message"], event["request"]) == ("Let in: fire alarm", None)
        elif event["basis"] == "again":
            assert (event["message"], event["request"]) == ("Let in again: had not passed", None)
            assert event["of"] is not None
        elif event["basis"] == "return":
            assert event["message"] == "Let in again: came back"
        else:
            assert (event["result"], event["message"]) == RULES[decided]
    _check_request(event, event["request"])
    _check_gate(event, event["gate"], at)
    _check_basis(event)
    detail = event["detail"]
    assert detail is None or (detail.isprintable() and 0 < len(detail) <= 200)
    return event


def _check_basis(event: dict[str, Any]) -> None:
    settled = event["reason"] is not None and (event["reason"]["key"] or "").startswith("settled:")
    opened = event["result"] == "admitted"
    expected = "manual" if event["kind"] == "manual" else "settled" if settled else "partner"
    if event["kind"] == "scan" and event["verdict"] is None:
        expected = "again" if event["of"] else "fire"
    if event["kind"] == "exit":
        opened, expected = event["result"] == "opened", "exit"
    if event["basis"] == "grace":
        expected = "grace"
    if event["basis"] in {"already_in", "return"}:
        assert (event["verdict"], expected) == ("not_allowed", "partner")
        expected = event["basis"]
    assert event["basis"] == (expected if opened else None)


def _check_check_in(event: dict[str, Any]) -> None:
    done = (event["verdict"], event["fault"]) == ("allowed", None)
    words = ("done", "Checked in after passing") if done else ("failed", "Passed, but not checked in")
    assert (event["result"], event["message"]) == words
    assert event["of"] is not None
    assert event["member"] is not None
    assert event["scanner"] is None


def _check_gates_own(event: dict[str, Any]) -> None:
    assert event["result"] in RESULTS[event["kind"]]
    assert event["request"] is event["verdict"] is event["status"] is event["reason"] is None
    belongs = event["kind"] != "mode" and event["result"] in {"closed", "passed", "not_passed"}
    assert (event["of"] is not None) == belongs
    assert (event["fault"] == "gate") == (event["result"] == "rejected")


def _check_manual(event: dict[str, Any]) -> None:
    assert [event[name] for name in ("scanner", "credential", "partner", "member", "verdict", "status")] == (
        [None] * 6
    )
    assert event["request"] is None


def _check_request(event: dict[str, Any], request: dict[str, Any] | None) -> None:
    if request is None:
        assert event["status"] is None
        resting = event["reason"] is not None and event["reason"]["key"] == "resting"
        assert resting or event["fault"] == "interrupted" or event["verdict"] is None
        return
    assert list(request) == REQUEST_FIELDS
    assert isinstance(request["budget_ms"], int)
    if event["fault"] == "interrupted":
        assert list(request.values()) == [None, None, None, None, request["budget_ms"], None]
        return
    assert isinstance(request["sent"], bool)
    assert request["connection"] in {"warm", "new"}
    assert request["elapsed_ms"] >= 0
    assert (request["sent_at"] is not None) == request["sent"]
    assert request["sent"] or request["answered_at"] is None
    if request["answered_at"] is not None:
        sent, answered = moment(request["sent_at"]), moment(request["answered_at"])
        assert sent <= answered
        assert abs(answered - moment(event["at"]) - request["elapsed_ms"] / 1000) < 0.02
    else:
        assert event["status"] is None
        assert event["verdict"] == "none"


def _check_gate(event: dict[str, Any], gate: dict[str, Any] | None, at: float) -> None:
    if event["result"] == "passed":
        assert list(gate) == GATE_FIELDS
        return
    if event["kind"] == "exit" and event["result"] == "opened":
        return  # a button that cuts the lock's power moves no relay
    assert (gate is not None) == (event["result"] == "admitted")
    if gate is not None:
        assert list(gate) == GATE_FIELDS
        assert isinstance(gate["open_ms"], int)
        assert abs(moment(gate["opened_at"]) - at - gate["after_ms"] / 1000) < 0.02
