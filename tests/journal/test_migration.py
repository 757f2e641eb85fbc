"""Stores of older versions, with what those wrote: nothing of it is lost, and they take what is new."""

import sqlite3
from contextlib import closing

import pytest

from gatectl.decision.event import Attempt, BodyRecord, DialRecord, Evidence, Outcome, RequestRecord
from gatectl.decision.verdict import Fault, Result, Verdict
from gatectl.journal.browser import Browser, Search
from gatectl.journal.reader import Filters, Reader
from gatectl.journal.rows import attempt_statement, close_interrupted, outcome_statement
from gatectl.journal.schema import migrations, open_store

OLDER = range(1, len(migrations()))

ATTEMPTS = (
    "INSERT INTO attempts (id, kind, at_us, tenant, studio, door, scanner, credential, partner, member,"
    " budget_ms, boot, since_boot_us) VALUES"
    " (?, 'scan', 1000, 'T', 'S', 'main', '/dev/a', '7', 'p', '7', 750, 'b', 42)"
)
"""Versions 1 and 2 have the same columns."""
OUTCOMES = (
    "INSERT INTO outcomes (seq, result, message, verdict, status, fault, outage, asked, sent, sent_us,"
    " answered_us, elapsed_ms, connection) VALUES (?, ?, 'm', ?, ?, ?, 0, 1, 1, 1100, ?, 3.5, 'warm')"
)


def attempt(name):
    return Attempt(name, "scan", 1000, "T", "S", "main", "/dev/a", "7", "p", "7", 750, "b", 42)


@pytest.fixture(params=OLDER)
def path(request, tmp_path):
    """A store of that version with an admission, a timeout, and a scan that was interrupted."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for script in migrations()[: request.param]:
            connection.executescript(script)
        connection.execute(f"PRAGMA user_version = {request.param}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executemany(ATTEMPTS, [("first",), ("second",), ("third",)])
        connection.execute(OUTCOMES, (1, "admitted", "allowed", 200, None, 1200))
        connection.execute(OUTCOMES, (2, "rejected", "none", None, "timeout", None))
        connection.execute("INSERT INTO cards VALUES ('A1', 'a1', 'p', '7')")
    return path


WRITTEN = [
    Outcome(
        Result.ADMITTED, "m", Verdict.ALLOWED, 200,
        request=RequestRecord(True, 1100, 1200, 3.5, 750, "warm", None),
    ),
    Outcome(
        Result.REJECTED, "m", Verdict.NONE, None, Fault.TIMEOUT,
        request=RequestRecord(True, 1100, None, 3.5, 750, "warm", None),
    ),
]  # fmt: skip
EVIDENCE = Evidence(DialRecord(900, 1.5, stale=False, connect_ms=2.5, tls_ms=3.5), BodyRecord(2, bytes(32)))


def test_all_that_was_written_is_read_and_no_evidence_is_made_up(path):
    with closing(open_store(path)) as store, Reader(path) as reader:
        assert [event.outcome for event in reader.query(Filters())] == WRITTEN
        assert reader.cards().keys() == {"A1"}
        assert store.execute("PRAGMA user_version").fetchone() == (len(migrations()),)
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_the_older_one_left_open_is_closed_and_the_new_stands_beside_it(path):
    with closing(open_store(path)) as store:
        (closed,) = close_interrupted(store)
        assert closed.attempt == attempt("third")
        outcome = Outcome(
            Result.ADMITTED,
            "m",
            Verdict.ALLOWED,
            200,
            request=RequestRecord(True, 1100, 1200, 3.5, 750, "new", EVIDENCE),
        )
        store.execute(*attempt_statement(attempt("fourth")))
        store.execute(*outcome_statement("fourth", outcome))
    with closing(open_store(path)), Browser(path) as browser:
        events = [listed.event for listed in browser.page(Search(), 10, browser.mark()).events]
    assert [event.attempt.id for event in events] == ["fourth", "third", "second", "first"]
    assert events[0].outcome == outcome
    assert events[1].outcome == closed.outcome
    assert closed.outcome.request.evidence is None
    assert [event.outcome for event in reversed(events[2:])] == WRITTEN


def test_it_stays_append_only(path):
    with closing(open_store(path)) as store:
        for change in ("UPDATE outcomes SET evident = 1", "DELETE FROM outcomes"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                store.execute(change)
