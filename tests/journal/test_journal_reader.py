import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import (
    ADMITTED,
    MINUTE_US,
    NOT_ALLOWED,
    NOT_FOUND,
    START_US,
    TIMEOUT,
    UNRECOGNISED,
    finish,
    record,
)

from gatectl.decision.cards import key_of
from gatectl.decision.event import BodyRecord, DialRecord, Evidence, RequestRecord
from gatectl.decision.verdict import Basis, Result
from gatectl.journal import reader as module
from gatectl.journal.filters import Filters
from gatectl.journal.reader import PAGE, ForeignFileError, Reader, UnreadableError, enrolled
from gatectl.journal.schema import open_store, remedy

EVERYTHING = Filters()


def test_gives_back_what_was_written(path, write):
    written = [
        write(1),
        write(2, NOT_FOUND),
        write(3, TIMEOUT, outage=True),
        write(4, UNRECOGNISED, partner=None, member=None, budget_ms=None),
        write(5, TIMEOUT, request=RequestRecord(None, None, None, None, 2000, None)),
        write(6, kind="manual", scanner=None, credential=None, partner=None, request=None, verdict=None),
    ]
    with Reader(path) as reader:
        assert list(reader.query(EVERYTHING)) == written


@pytest.mark.parametrize(
    "evidence",
    [
        None,
        Evidence(None, None),
        Evidence(DialRecord(START_US, None, None, None, None), None),
        Evidence(DialRecord(START_US, 12.345, stale=True, connect_ms=None, tls_ms=None), None),
        Evidence(DialRecord(START_US, 0.0, stale=False, connect_ms=1.5, tls_ms=None), BodyRecord(0, None)),
        Evidence(DialRecord(-1, 0.25, stale=False, connect_ms=1.5, tls_ms=2.75), BodyRecord(7, bytes(32))),
    ],
)
def test_gives_back_the_evidence(path, write, evidence):
    written = write(1, request=RequestRecord(True, START_US, None, 2.5, 2000, "new", evidence))
    with Reader(path) as reader:
        assert reader.find(written.attempt.id) == written


def test_the_newest_come_oldest_first(path, write):
    written = [write(number) for number in range(10)]
    with Reader(path) as reader:
        assert list(reader.query(EVERYTHING, 3)) == written[-3:]
        assert list(reader.query(EVERYTHING, 0)) == []
        assert list(reader.query(EVERYTHING, 10**30)) == written


def test_the_order_is_that_of_the_scans_after_any_clock_step(path, write, store):
    first = write(50, outcome=None)
    second = write(10)
    finish(store, first)
    with Reader(path) as reader:
        assert list(reader.query(EVERYTHING)) == [first, second]
        assert list(reader.query(Filters(since_us=0))) == [first, second]


def test_an_attempt_without_outcome_is_no_event(path, write):
    write(1, outcome=None)
    with Reader(path) as reader:
        assert list(reader.query(EVERYTHING)) == []
        assert reader.mark() == 0


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(door="side"), [2]),
        (Filters(partner="wellpass"), [3]),
        (Filters(member="7"), [3, 4]),
        (Filters(member="7", partner="wellhub"), [4]),
        (Filters(result=Result.REJECTED), [2, 4]),
        (Filters(since_us=START_US + 3 * MINUTE_US), [3, 4]),
        (Filters(since_us=START_US + 3 * MINUTE_US, result=Result.REJECTED), [4]),
        (Filters(since_us=START_US + 9 * MINUTE_US), []),
        (Filters(door="' OR 1 --"), []),
        (Filters(until_us=START_US + 2 * MINUTE_US), [1, 2]),
        (Filters(kind="manual"), []),
    ],
)
@pytest.mark.parametrize("newest", [None, 100])
def test_filters(path, write, filters, expected, newest):
    written = {
        1: write(1),
        2: write(2, NOT_FOUND, door="side"),
        3: write(3, partner="wellpass", member="7"),
        4: write(4, NOT_ALLOWED, member="7"),
    }
    with Reader(path) as reader:
        assert list(reader.query(filters, newest)) == [written[number] for number in expected]


def test_the_newest_of_those_that_match(path, write):
    written = [write(number, door="side" if number % 2 else "main") for number in range(8)]
    with Reader(path) as reader:
        assert list(reader.query(Filters(door="side"), 2)) == [written[5], written[7]]


def test_many_events_come_in_pages_and_no_transaction_stays_open(path, write, store, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    written = [write(number) for number in range(7)]
    with Reader(path) as reader:
        events = reader.query(EVERYTHING)
        assert next(events) == written[0]
        busy, _, _ = store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert not busy, "the reader holds the log while nobody takes its events"
        write(99)
        assert list(events) == written[1:], "what comes later is not part of the answer"


def test_follow_gives_what_is_decided_after_the_mark_in_the_order_of_the_decisions(path, write, store):
    first, second, third = (write(number, outcome=None) for number in (1, 2, 3))
    write(4)
    with Reader(path) as reader:
        steps = iter(
            [
                lambda: (finish(store, second), finish(store, first)),
                lambda: None,
                lambda: (finish(store, third), write(5, outcome=None), write(6, door="side")),
                lambda: write(7, NOT_FOUND),
            ]
        )

        def wait():
            next(steps)()

        following = reader.follow(Filters(door="main"), reader.mark(), wait=wait)
        assert [event.attempt.id[-1] for event in islice(following, 4)] == ["2", "1", "3", "7"]


def test_follow_misses_nothing_between_the_mark_and_its_start(path, write):
    with Reader(path) as reader:
        mark = reader.mark()
        late = write(1)
        assert next(reader.follow(EVERYTHING, mark, wait=pytest.fail)) == late


def test_follow_waits_without_asking_for_events_while_nothing_changes(path, write):
    write(1)
    looks = []

    class EnoughError(Exception):
        pass

    def wait():
        looks.append(None)
        if len(looks) == 5:
            raise EnoughError

    with Reader(path) as reader:
        statements = []
        reader._connection.set_trace_callback(statements.append)
        with pytest.raises(EnoughError):
            next(reader.follow(EVERYTHING, reader.mark(), wait=wait))
    events = [statement for statement in statements if "FROM events" in statement]
    assert events == []
    assert statements.count("PRAGMA data_version") == 1 + len(looks)


def taken(steps):
    steps.pop(0)()


def replaced(path, *numbers, carried_to=0):
    """Puts the store aside and another into its place, which has these events."""
    path.rename(path.with_name("aside.db"))
    with closing(open_store(path)) as successor:
        for number in numbers:
            record(successor, number)
        successor.execute("UPDATE marks SET value = ? WHERE name = 'carried_to'", (carried_to,))


@pytest.mark.parametrize(
    ("carried", "new"),
    [((1, 2), (3,)), ((2,), (3,)), ((), (3,)), ((1,), (3,))],
    ids=["all", "the last", "nothing", "not the last"],
)
def test_follow_goes_on_in_the_store_that_takes_the_place(path, write, carried, new):
    for number in (1, 2):
        write(number)
    waits = [lambda: replaced(path, *carried, *new, carried_to=len(carried))]
    with Reader(path) as reader:
        following = reader.follow(EVERYTHING, 0, wait=partial(taken, waits))
        given = [next(following).attempt.id[-1] for _ in range(3)]
    assert given == ["1", "2", "3"]


def test_follow_waits_for_a_store_that_is_being_made(path, write):
    write(1)
    steps = [
        lambda: (path.rename(path.with_name("aside.db")), path.touch()),
        lambda: None,
        lambda: (path.unlink(), replaced_by_nothing(path)),
    ]

    def replaced_by_nothing(path):
        with closing(open_store(path)) as successor:
            record(successor, 2)

    with Reader(path) as reader:
        following = reader.follow(EVERYTHING, reader.mark(), wait=partial(taken, steps))
        assert next(following).attempt.id[-1] == "2"


def test_follow_asks_for_a_bounded_number_of_events_at_once(path, write):
    count = PAGE + 3
    for number in range(count):
        write(number)
    with Reader(path) as reader:
        statements = []
        reader._connection.set_trace_callback(statements.append)
        given = list(islice(reader.follow(EVERYTHING, 0, wait=pytest.fail), count))
    assert [int(event.attempt.id[-4:]) for event in given] == list(range(count))
    asked = [statement for statement in statements if "SELECT * FROM events" in statement]
    assert len(asked) == 2
    assert all(statement.endswith(f"LIMIT {PAGE}") for statement in asked)


def test_find(path, write):
    write(1)
    wanted = write(2)
    with Reader(path) as reader:
        assert reader.find(wanted.attempt.id) == wanted
        assert reader.find("nope") is None


def plan(reader, sql, values):
    rows = reader._connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)
    return " / ".join(row["detail"] for row in rows)


def statements_of(reader, filters, newest):
    """Every statement that a query sends, with its values filled in."""
    seen = []
    reader._connection.set_trace_callback(seen.append)
    list(reader.query(filters, newest))
    reader._connection.set_trace_callback(None)
    return [sql for sql in seen if "FROM events" in sql or "FROM attempts" in sql]


@pytest.mark.parametrize("newest", [None, 20])
def test_a_members_scans_are_found_by_index(path, write, newest):
    write(1, member="7")
    with Reader(path) as reader:
        plans = [plan(reader, sql, ()) for sql in statements_of(reader, Filters(member="7"), newest)]
    assert plans
    assert all("attempts_by_member (member=?" in each for each in plans)
    assert not any("SCAN" in each for each in plans)


def test_the_last_ones_are_found_without_sorting(path, write):
    write(1)
    with Reader(path) as reader:
        plans = [plan(reader, sql, ()) for sql in statements_of(reader, EVERYTHING, 20)]
    assert plans
    assert not any("TEMP B-TREE" in each for each in plans)


def test_since_begins_at_the_index_by_time_and_pages_in_order(path, write):
    write(1)
    with Reader(path) as reader:
        first, page = (plan(reader, sql, ()) for sql in statements_of(reader, Filters(since_us=0), None))
    assert "attempts_by_time (at_us>?" in first
    assert "INTEGER PRIMARY KEY (rowid>?" in page
    assert "TEMP B-TREE" not in page


def test_no_journal_yet(tmp_path):
    with pytest.raises(UnreadableError, match="there is no journal yet") as caught:
        Reader(tmp_path / "none.db")
    assert caught.value.hints
    assert not (tmp_path / "none.db").exists()


def test_a_file_in_which_no_store_was_made_yet(path):
    path.write_bytes(b"")
    with pytest.raises(UnreadableError, match="there is no journal yet"):
        Reader(path)
    assert enrolled(path) == {}


def test_a_file_that_is_no_journal(path):
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ForeignFileError, match="is not a gatectl store"):
        Reader(path)
    with pytest.raises(ForeignFileError, match="is not a gatectl store"):
        enrolled(path)


def test_somebody_elses_database(path):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE attempts (seq)")
    other.execute("PRAGMA user_version = 1")
    other.close()
    with pytest.raises(ForeignFileError, match="is not a gatectl store"):
        Reader(path)


@pytest.mark.parametrize(("step", "word"), [(1, "newer"), (-1, "older")])
def test_another_version_of_the_schema(path, store, step, word):
    version = store.execute("PRAGMA user_version").fetchone()[0]
    store.execute(f"PRAGMA user_version = {version + step}")
    with pytest.raises(UnreadableError, match=f"written by an? {word} gatectl"):
        Reader(path)


def test_it_cannot_write(path, write):
    write(1)
    with Reader(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM cards")


@pytest.fixture
def somebody_else():
    """A folder that who reads may not write in."""
    folder = Path(tempfile.mkdtemp())
    me = os.geteuid()
    yield folder
    os.seteuid(me)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def become_nobody(folder):
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_a_user_who_may_only_read_reads_a_journal_at_rest(somebody_else):
    store = open_store(somebody_else / "journal.db")
    written = record(store, 1)
    store.close()
    become_nobody(somebody_else)
    with Reader(somebody_else / "journal.db") as reader:
        assert list(reader.query(EVERYTHING)) == [written]
        with pytest.raises(UnreadableError, match="gatectl is not running") as caught:
            next(reader.follow(EVERYTHING, 0, wait=pytest.fail))
        assert caught.value.hints == ("start it: systemctl start gatectl",)


def test_a_user_who_may_only_read_reads_along_with_the_daemon(somebody_else):
    with closing(open_store(somebody_else / "journal.db")) as store:
        written = record(store, 1)
        become_nobody(somebody_else)
        with Reader(somebody_else / "journal.db") as reader:
            assert list(reader.query(EVERYTHING)) == [written]
            assert next(reader.follow(EVERYTHING, 0, wait=pytest.fail)) == written


def test_a_damaged_journal_is_reported(path, store, write):
    for number in range(200):
        write(number)
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size // 2))
    with Reader(path) as reader, pytest.raises(UnreadableError, match="cannot be read"):
        list(reader.query(EVERYTHING))


def test_values_of_the_outcome_survive(path, write):
    write(1, ADMITTED)
    with Reader(path) as reader:
        (event,) = reader.query(EVERYTHING)
    assert event.to_json()["gate"] == {
        "opened_at": "2025-11-22T19:35:01.183542Z",
        "after_ms": 183.5,
        "open_ms": 3000,
    }
    assert event.to_json()["request"]["sent"] is True


def test_the_events_near_one_on_each_side_in_their_order(path, write):
    events = [write(number) for number in range(10)]
    write(10, None)  # an attempt alone
    with Reader(path) as reader:
        assert reader.neighbours(events[5].attempt.id, 3) == (events[2:5], events[6:9])
        assert reader.neighbours(events[1].attempt.id, 20) == (events[:1], events[2:])
        assert reader.neighbours("no such", 3) == ([], [])


hex_notations = st.text("04AaBb:- ", max_size=14)
cards = st.sampled_from(["04:a3:b2", "04A3B2", "04-A3 b2", "04::A3B2", "b2a304", "163,41906"])
one_card = st.sampled_from(
    ["010063e9ae", "01:00:63:E9:AE", "0006547886", "99,59822", "AEE9630001", "0063E9AE\ufb00"]
)


@given(st.lists(hex_notations | cards | one_card | st.text("0123456789,", max_size=13), min_size=1))
def test_a_code_is_found_in_every_notation_that_is_the_same(codes):
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "journal.db")
        store = stack.enter_context(closing(open_store(path)))
        for number, code in enumerate(codes):
            record(store, number, credential=code)
        reader = stack.enter_context(closing(Reader(path)))
        events = list(reader.query(Filters()))
        for code in codes:
            found = list(reader.query(Filters(code=code)))
            assert found == [event for event in events if Filters(code=code).fits(event)]
            same = [event for event in events if key_of(event.attempt.credential) == key_of(code)]
            assert [event for event in found if event in same] == same


@pytest.mark.parametrize("searched", ["0006547886", "099,59822", "AE:E9:63:00:01", "6547886"])
def test_a_card_is_found_by_what_is_printed_on_it(write, path, searched):
    write(1, credential="010063E9AE")
    write(2, credential="010063E9AF")
    write(3, credential="1234567890123")
    with closing(Reader(path)) as reader:
        found = [event.attempt.credential for event in reader.query(Filters(code=searched))]
    assert found == ["010063E9AE"]


@pytest.mark.parametrize(
    "filters",
    [
        Filters(since_us=START_US + 2 * MINUTE_US),
        Filters(until_us=START_US + 2 * MINUTE_US),
        Filters(door="side"),
        Filters(partner="wellpass"),
        Filters(member="7"),
        Filters(code="04:a3:b2:c1"),
        Filters(code="0077836993"),
        Filters(result=Result.REJECTED),
        Filters(kind="manual"),
        Filters(door="side", member="7"),
    ],
    ids=str,
)
def test_an_event_at_hand_fits_where_the_store_finds_it(write, path, filters):
    events = [
        write(1),
        write(2, door="side", member="7"),
        write(3, NOT_ALLOWED, partner="wellpass", credential="04A3B2C1"),
        write(4, kind="manual", credential=None, member=None, partner=None),
        write(5, UNRECOGNISED, credential="04-a3-b2-c1", member=None, partner=None),
    ]
    with closing(Reader(path)) as reader:
        found = list(reader.query(filters))
    assert found
    assert found == [event for event in events if filters.fits(event)]


def test_the_names_that_events_have(write, path):
    for number, (door, partner) in enumerate([("b", "y"), ("a", None), ("b", "x"), ("a", "y")]):
        write(number, door=door, partner=partner)
    with closing(Reader(path)) as reader:
        assert (reader.names("door"), reader.names("partner"), reader.names("kind")) == (
            ["a", "b"],
            ["x", "y"],
            ["scan"],
        )


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (sqlite3.SQLITE_BUSY, "another program holds it"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "another program holds it"),
        (sqlite3.SQLITE_FULL, "is the disk full"),
        (sqlite3.SQLITE_IOERR_WRITE, "is the disk full"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "the file is damaged"),
        (sqlite3.SQLITE_READONLY, "sudo"),
        (sqlite3.SQLITE_CANTOPEN, "sudo"),
    ],
)
def test_the_hint_fits_what_sqlite_says(code, hint):
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = code
    assert hint in remedy(error, "put sudo in front of the command")
    assert ("put sudo" in remedy(error, "put sudo in front of the command")) is (hint == "sudo")


def test_visits_of_an_outage_are_found_without_reading_the_other_events(store):
    where, values = Filters(basis=Basis.GRACE).conditions()
    plan = store.execute(f"EXPLAIN QUERY PLAN SELECT seq FROM outcomes WHERE {where}", values).fetchall()
    assert "outcomes_of_grace" in plan[0][3]
