"""A store with many events: a gym's year, made in seconds.

By hand:  .venv/bin/python tests/monitor/many.py journal.db 100000
"""

import random
import sys
import time
from pathlib import Path

from gatectl.decision.event import Attempt, GateRecord, Outcome, RequestRecord
from gatectl.decision.identity import uuid7
from gatectl.decision.verdict import Fault, Message, Reason, Result, Verdict
from gatectl.journal.rows import attempt_statement, outcome_statement
from gatectl.journal.schema import open_store
from gatectl.journal.transaction import transaction

GAP_US = 60_000_000
"""A scan a minute: 1440 a day."""

DOORS = ("main", "main", "main", "side")
PARTNERS = ("wellhub", "wellhub", "perfectgym", "capitan")
OUTCOMES = (
    (80, Result.ADMITTED, Message.CHECKED_IN, Verdict.ALLOWED, 200, None),
    (10, Result.REJECTED, Message.NOT_ALLOWED, Verdict.NOT_ALLOWED, 403, None),
    (5, Result.REJECTED, Message.NOT_FOUND, Verdict.NOT_FOUND, 404, None),
    (5, Result.REJECTED, Message.NO_VERDICT, Verdict.NONE, None, Fault.TIMEOUT),
)
RARE = ((0, "staff", "perfectgym", "42"), (1, "main", "capitan", "RARE"))
"""Of the oldest two events: a door, a partner's member that nothing else has. The first is interrupted."""


def fill(path, count, newest_us=None, seed=5):
    """Writes so many finished events, the last one at `newest_us` (now, if None)."""
    newest_us = time.time_ns() // 1000 if newest_us is None else newest_us
    chance = random.Random(seed)
    weights = [row[0] for row in OUTCOMES]
    rare = {number: fields for number, *fields in RARE}
    connection = open_store(path)
    connection.execute("PRAGMA synchronous = OFF")
    with transaction(connection):
        for number in range(count):
            at_us = newest_us - (count - 1 - number) * GAP_US
            door, partner = chance.choice(DOORS), chance.choice(PARTNERS)
            member = f"{chance.randrange(2000):013}"
            if number in rare:
                door, partner, member = rare[number]
            _, result, message, verdict, status, fault = chance.choices(OUTCOMES, weights)[0]
            if number == 0:
                result, message = Result.UNKNOWN, Message.INTERRUPTED
                verdict, status, fault = Verdict.NONE, None, Fault.INTERRUPTED
            elapsed = chance.lognormvariate(5, 0.4)
            answered = None if status is None else at_us + int(elapsed * 1000)
            attempt = Attempt(
                uuid7(at_us, chance.getrandbits(74)),
                "scan",
                at_us,
                "FitCo GmbH",
                "Berlin Mitte",
                door,
                "/dev/serial/by-id/usb-Reader_1",
                member,
                partner,
                member,
                2000,
                "0" * 32,
                at_us,
            )
            admitted = result is Result.ADMITTED
            outcome = Outcome(
                result,
                message,
                verdict,
                status,
                fault,
                None if admitted else Reason("some.key", "the partner's own words"),
                request=RequestRecord(True, at_us + 2000, answered, elapsed, 2000, "warm"),
                gate=GateRecord(at_us + int(elapsed * 1000), elapsed + 0.5, 3000) if admitted else None,
            )
            connection.execute(*attempt_statement(attempt))
            connection.execute(*outcome_statement(attempt.id, outcome))
    connection.close()


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
