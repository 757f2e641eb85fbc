"""A journal full of a gym's past: made quickly, as the store itself would have made it."""

from __future__ import annotations

import random
import time
from pathlib import Path

from gatectl.decision.event import ID_RANDOM_BITS, Attempt, GateRecord, Outcome, RequestRecord, uuid7
from gatectl.decision.outcomes import Fault, outcome_row
from gatectl.decision.timestamps import BootUs, WallUs
from gatectl.decision.verdict import Reason, Result, Verdict
from gatectl.journal.schema import open_store, transaction
from gatectl.journal.statements import attempt_statement, outcome_statement
from speed.rig import member

MEMBERS = 5_000
"""A large gym's."""

YEAR_US = 365 * 86_400_000_000
"""The past is a year, however many events it has: a million are one every 32 s, day and night."""

BATCH = 2_000


def fill(path: Path, events: int) -> None:
    """A journal with so many finished events up to now, but for their times the same ones each time."""
    last_us = time.time_ns() // 1000
    connection = open_store(path)
    # The result can be made again.
    connection.execute("PRAGMA synchronous = OFF")
    try:
        chance = random.Random(1)
        for first in range(0, events, BATCH):
            with transaction(connection):
                for number in range(first, min(first + BATCH, events)):
                    attempt, outcome = event(chance, last_us - (events - number) * YEAR_US // events)
                    connection.execute(*attempt_statement(attempt))
                    connection.execute(*outcome_statement(attempt.id, outcome))
        connection.execute(
            "UPDATE marks SET value = (SELECT coalesce(max(seq), 0) FROM attempts)"
            " WHERE name = 'closed_to_seq'"
        )
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.close()


def event(chance: random.Random, at_us: int) -> tuple[Attempt, Outcome]:
    """A scan as gyms have them: nine in ten are admitted."""
    who = member(chance.randrange(MEMBERS))
    attempt = Attempt(
        id=uuid7(at_us, chance.getrandbits(ID_RANDOM_BITS)),
        kind="scan",
        at_us=WallUs(at_us),
        tenant="FitCo GmbH",
        studio="Speed",
        door="door0",
        scanner="/dev/serial/by-id/usb-Newland_NLS-FM430-if00",
        credential=who,
        partner="p0",
        member=who,
        budget_ms=2000,
        boot="b" * 32,
        since_boot_us=BootUs(at_us),
    )
    lot = chance.random()
    request = RequestRecord(
        sent=True,
        sent_us=WallUs(at_us + 1500),
        answered_us=None if lot > 0.98 else WallUs(at_us + 180_000),
        elapsed_ms=180.0,
        budget_ms=2000,
        connection="warm",
    )
    if lot < 0.9:
        gate = GateRecord(WallUs(at_us + 181_000), 181.0, 3000)
        verdict, status, fault, reason, result = Verdict.ALLOWED, 200, None, None, Result.ADMITTED
    elif lot < 0.98:
        gate, result = None, Result.REJECTED
        verdict, status, fault = Verdict.NOT_FOUND, 404, None
        reason = Reason("checkin.validation.notfound", "Check-In not found in database")
    else:
        gate, result = None, Result.REJECTED
        verdict, status, fault, reason = Verdict.NONE, None, Fault.TIMEOUT, None
    return attempt, Outcome(
        result=result,
        message=outcome_row(result, verdict, fault).message.value,
        verdict=verdict,
        status=status,
        fault=fault,
        reason=reason,
        request=request,
        gate=gate,
    )
