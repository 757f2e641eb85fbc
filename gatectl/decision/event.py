"""The event: one per scan, in two halves, as the journal holds it and `events --json` prints it.

The attempt is known when the code is complete and is on disk before anything leaves; the outcome
follows. All times are integers, microseconds since the epoch, UTC; durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from gatectl.decision.outcomes import KINDS, Fault, Message, OutcomeRow, outcome_row
from gatectl.decision.timestamps import BootUs, Timestamp, WallUs
from gatectl.decision.verdict import Basis, Reason, Result, Verdict

Connection = Literal["warm", "new"]

DETAIL_CHARS = 200
"""An event's `detail` is one line of at most so many: a host's name or a driver's message may be long."""

ID_RANDOM_BITS = 62
"""The field `rand_b` of a UUID of version 7 (RFC 9562, section 5.7)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(at_us: int, random: int) -> str:
    """Return the ID of an event at a time (µs since the epoch), with 62 random bits: a UUIDv7.

    IDs sort by the time of the scan, to a quarter microsecond: the twelve bits behind the milliseconds are
    their fraction (RFC 9562, sections 5.7 and 6.2, method 3).
    """
    milliseconds, microseconds = divmod(at_us, 1000)
    fraction = microseconds * 4096 // 1000
    whole = milliseconds & (1 << 48) - 1
    digits = f"{whole << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random & (1 << ID_RANDOM_BITS) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def timestamp(at_us: int) -> str:
    """RFC 3339, UTC, with microseconds: `2026-11-22T19:35:01.000042Z`."""
    moment = _EPOCH + timedelta(microseconds=at_us)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


class Attempt(NamedTuple):
    """The first half of an event: the code, the door and the member."""

    id: str
    kind: str
    """One of `outcomes.KINDS`, or of a later version's."""
    at_us: WallUs
    tenant: str
    studio: str
    door: str
    scanner: str | None
    credential: str | None
    partner: str | None
    member: str | None
    budget_ms: int | None
    """None where no partner will be asked: no route, an ID that cannot be carried, a resting partner."""
    boot: str
    """The kernel's ID of the boot, 32 hex digits; and the microseconds from it to the complete code."""
    since_boot_us: BootUs
    of: str | None = None
    """The ID of the event that this one belongs to."""
    customer: str | None = None
    """The partner's own number of the customer, where it has one in addition to the member's."""

    @property
    def moment(self) -> Timestamp:
        """The time of the complete code, on both clocks."""
        return Timestamp(self.at_us, self.boot, self.since_boot_us)


class DialRecord(NamedTuple):
    """The steps of making the request's connection. A step that was not reached has no duration.

    A warm connection was made for an earlier scan, or ahead of all: `begun_us` is then long past.
    """

    begun_us: WallUs
    look_up_ms: float | None
    stale: bool | None
    """Whether the addresses were an earlier answer's, as the name server gave none in time."""
    connect_ms: float | None
    tls_ms: float | None
    """None also where there is no TLS."""


class BodyRecord(NamedTuple):
    """The record of a whole answer's body. `sha256` is None where the body names somebody."""

    length: int
    sha256: bytes | None


class Evidence(NamedTuple):
    """Further evidence for Support, which `gatectl report` alone shows."""

    dial: DialRecord | None
    """None where no connection was begun."""
    body: BodyRecord | None
    """None where no whole answer came."""


class RequestRecord(NamedTuple):
    """The record of the request. `sent` is None where that was not recorded.

    `answered_us` is None exactly where no whole answer came. `evidence` is None where none was recorded:
    the scan was interrupted, or the store was of a version that had no place for it.
    """

    sent: bool | None
    sent_us: WallUs | None
    answered_us: WallUs | None
    elapsed_ms: float | None
    budget_ms: int
    connection: Connection | None
    evidence: Evidence | None = None

    def to_json(self) -> dict[str, Any]:
        """The event's `request`, without the evidence, which `gatectl report` alone shows."""
        return {
            "sent": self.sent,
            "sent_at": None if self.sent_us is None else timestamp(self.sent_us),
            "answered_at": None if self.answered_us is None else timestamp(self.answered_us),
            "elapsed_ms": self.elapsed_ms,
            "budget_ms": self.budget_ms,
            "connection": self.connection,
        }


class GateRecord(NamedTuple):
    """The opening: when, how long after the complete code, and for how long."""

    opened_us: WallUs
    after_ms: float
    open_ms: int

    def to_json(self) -> dict[str, Any]:
        return {
            "opened_at": timestamp(self.opened_us),
            "after_ms": self.after_ms,
            "open_ms": self.open_ms,
        }


class Outcome(NamedTuple):
    """The second half of an event: the result and its causes."""

    result: Result
    message: str
    verdict: Verdict | None = None
    status: int | None = None
    fault: Fault | None = None
    reason: Reason | None = None
    outage: bool = False
    request: RequestRecord | None = None
    gate: GateRecord | None = None
    basis: Basis | None = None
    """Why the gate opened; None exactly where it did not."""
    detail: str | None = None
    """In our own words what exactly failed: one line, at most 200 characters."""
    facts: Mapping[str, Any] | None = None
    """Facts that only this kind of event has: a JSON object, in the store alone."""


class Event(NamedTuple):
    """A finished scan, or an opening by hand."""

    attempt: Attempt
    outcome: Outcome
    device: str = ""
    """The gate's name in a fleet, known at head office alone."""

    @property
    def row(self) -> OutcomeRow:
        """The row of its outcome; of a kind that this version makes."""
        kind, outcome = KINDS[self.attempt.kind], self.outcome
        if outcome.result in kind.rows:
            return kind.rows[outcome.result]
        reason_key = outcome.reason.key if outcome.reason else None
        row = outcome_row(outcome.result, outcome.verdict, outcome.fault, reason_key, outcome.basis)
        return row._replace(cause=kind.failed) if kind.failed and outcome.fault is Fault.GATE else row

    def to_json(self) -> dict[str, Any]:
        """The object that `events --json` prints, its fields in the order of gatectl-events(5)."""
        a, o = self.attempt, self.outcome
        return {
            "id": a.id,
            "kind": a.kind,
            "at": timestamp(a.at_us),
            "of": a.of,
            "tenant": a.tenant,
            "studio": a.studio,
            "door": a.door or None,
            "scanner": a.scanner,
            "credential": a.credential,
            "partner": a.partner,
            "member": a.member,
            "customer": a.customer,
            "result": o.result.value,
            "basis": o.basis and o.basis.value,
            "message": o.message,
            "verdict": o.verdict and o.verdict.value,
            "status": o.status,
            "fault": o.fault and o.fault.value,
            "detail": o.detail,
            "reason": o.reason and {"key": o.reason.key, "text": o.reason.text},
            "outage": o.outage,
            "request": o.request and o.request.to_json(),
            "gate": o.gate and o.gate.to_json(),
        }


def interrupted(attempt: Attempt) -> Outcome:
    """The outcome with which the next start closes an attempt that has none.

    Whether bytes of a request left was not recorded, so `request.sent` is None; without a partner to ask
    there is no request. A check-in counts as failed.
    """
    request = None
    if attempt.budget_ms is not None:
        request = RequestRecord(None, None, None, None, attempt.budget_ms, None)
    is_check_in = attempt.kind == "check_in"
    return Outcome(
        result=Result.FAILED if is_check_in else Result.UNKNOWN,
        message=(Message.NOT_CHECKED_IN if is_check_in else Message.INTERRUPTED).value,
        verdict=Verdict.NONE if request else None,
        fault=Fault.INTERRUPTED,
        request=request,
    )
