"""Events in a real store, as the daemon leaves them there."""

import asyncio

from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Reason, Result, Verdict
from gatectl.journal.statements import attempt_statement, outcome_statement
from gatectl.journal.store import Store

START_US = 1_763_840_101_000_042
"""2025-11-22T19:35:01.000042Z"""
MINUTE_US = 60_000_000
BOOT = "0123456789abcdef0123456789abcdef"

_REQUEST = RequestRecord(True, START_US + 2_000, START_US + 182_000, 182.4, 2000, "warm")

ADMITTED = Outcome(
    Result.ADMITTED,
    Message.CHECKED_IN,
    Verdict.ALLOWED,
    200,
    request=_REQUEST,
    gate=GateRecord(START_US + 183_500, 183.5, 3000),
)
NOT_FOUND = Outcome(
    Result.REJECTED,
    Message.NOT_FOUND,
    Verdict.NOT_FOUND,
    404,
    reason=Reason("checkin.validation.notfound", "no pending check-in"),
    request=_REQUEST,
)
NOT_ALLOWED = Outcome(Result.REJECTED, Message.NOT_ALLOWED, Verdict.NOT_ALLOWED, 403, request=_REQUEST)
TIMEOUT = Outcome(
    Result.REJECTED,
    Message.NO_VERDICT,
    Verdict.NONE,
    fault=Fault.TIMEOUT,
    request=RequestRecord(True, START_US + 2_000, None, 2000.7, 2000, "new"),
)
UNRECOGNISED = Outcome(Result.REJECTED, Message.NOT_RECOGNISED, fault=Fault.UNRECOGNISED)


def scan(number, outcome=ADMITTED, **changes):
    """The event of the scan with this number, a minute after the one before; fields of either half."""
    attempt = Attempt(
        id=f"0199f0c6-0000-7000-8000-{number:012d}",
        kind="scan",
        at_us=START_US + number * MINUTE_US,
        tenant="FitCo GmbH",
        studio="Berlin Mitte",
        door="main",
        scanner="/dev/serial/by-id/usb-1",
        credential="1234567890123",
        partner="wellhub",
        member="1234567890123",
        budget_ms=2000,
        boot=BOOT,
        since_boot_us=number * MINUTE_US,
    )
    halves = [half._replace(**_of(half, changes)) for half in (attempt, outcome)]
    return Event(*halves)


def _of(half, changes):
    return {name: changes[name] for name in half._fields if name in changes}


def record(store, number, outcome=ADMITTED, **changes):
    """Writes that event; with `outcome=None` only its attempt, whose event is returned all the same."""
    event = scan(number, outcome or ADMITTED, **changes)
    store.execute(*attempt_statement(event.attempt))
    if outcome is not None:
        store.execute(*outcome_statement(event.attempt.id, event.outcome))
    return event


def finish(store, event):
    """Writes the outcome of an attempt that is there."""
    store.execute(*outcome_statement(event.attempt.id, event.outcome))


def recorded(store: Store, attempt: Attempt, after: Event | None = None) -> asyncio.Future[None]:
    """Record an attempt; done when it is on disk."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    store.record(attempt, lambda: done.set_result(None), after)
    return done
