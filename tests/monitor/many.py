"""A store with many events: a gym's year, made in seconds.

By hand:  .venv/bin/python tests/monitor/many.py journal.db 100000
"""

import random
import sys
import time
from pathlib import Path

from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord, uuid7
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Reason, Result, Verdict
from gatectl.journal.schema import open_store, transaction
from gatectl.journal.statements import attempt_statement, outcome_statement

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


def write(path, *events):
    """Adds finished events as they are."""
    connection = open_store(path)
    with transaction(connection):
        for event in events:
            connection.execute(*attempt_statement(event.attempt))
            connection.execute(*outcome_statement(event.attempt.id, event.outcome))
    connection.close()


def event_of(number=1, *, at_us=None, result=Result.REJECTED, message=Message.NOT_ALLOWED, **fields):
    """An event of a scan; `fields` are of its two halves."""
    at_us = time.time_ns() // 1000 if at_us is None else at_us
    attempt = Attempt(
        uuid7(at_us, number), "scan", at_us, "FitCo GmbH", "Berlin Mitte", "main", "/dev/scanner",
        "1000000000453", "wellhub", "1000000000453", 2000, "0" * 32, at_us,
    )  # fmt: skip
    halves = {name: {key: value for key, value in fields.items() if key in half._fields}
              for name, half in (("attempt", Attempt), ("outcome", Outcome))}  # fmt: skip
    return Event(attempt._replace(**halves["attempt"]), Outcome(result, message, **halves["outcome"]))


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]))
