"""A store with events and cards, and damage to it page by page."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from gatectl.decision.cards import Card
from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord, uuid7
from gatectl.decision.verdict import Basis, Result, Verdict
from gatectl.journal import cards, statements
from gatectl.journal.schema import open_store, transaction

PAGE = 4096
BOOT = "0123456789abcdef" * 2
AT_US = 1_763_840_101_000_042


def event(number, chance=random, **changes):
    """The event of a scan, all of whose fields differ from those of others."""
    at_us = AT_US + number
    values = {
        "id": uuid7(at_us, chance.getrandbits(62)), "kind": "scan", "at_us": at_us, "tenant": "T",
        "studio": "S", "door": "main", "scanner": "/dev/a", "credential": f"code {number}", "partner": "p",
        "member": str(number % 50), "budget_ms": 750, "boot": BOOT, "since_boot_us": number,
    }  # fmt: skip
    outcome = Outcome(
        Result.ADMITTED, "Aggregator member checked in", Verdict.ALLOWED, 200, basis=Basis.PARTNER,
        request=RequestRecord(True, at_us + 1, at_us + 2, float(number), 750, "warm"),
        gate=GateRecord(at_us + 3, 2.5, 3000),
    )  # fmt: skip
    return Event(Attempt(**values | changes), outcome)


def card(number):
    return Card(f"card {number}", "p", str(number), f"7{number}" if number % 2 else None)


def write(path, events=1000, enrolled=300, **changes):
    """Makes the store; its events and its cards."""
    chance = random.Random(7)
    written = [event(number, chance, **changes) for number in range(events)]
    with closing(open_store(path)) as connection, transaction(connection):
        for one in written:
            connection.execute(*statements.attempt_statement(one.attempt))
            connection.execute(*statements.outcome_statement(one.attempt.id, one.outcome))
        cards.put(connection, map(card, range(enrolled)))
    return written, [card(number) for number in range(enrolled)]


def roots(path):
    """The root page of each table and index."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage"))


def pages_of(path):
    return path.stat().st_size // PAGE


def overwrite(path, number, content=bytes(PAGE)):
    """As `dd conv=notrunc` does."""
    with path.open("r+b", buffering=0) as file:
        file.seek((number - 1) * PAGE)
        file.write(content)


def copied(source, folder):
    """A copy with its log, as a power cut would leave it."""
    folder.mkdir()
    target = folder / source.name
    for ending in ("", "-wal"):
        if Path(f"{source}{ending}").exists():
            shutil.copy(f"{source}{ending}", f"{target}{ending}")
    return target
