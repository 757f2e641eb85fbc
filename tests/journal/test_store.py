"""The store's writer: order, durability, disks that fail, what a restart finds."""

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from limits import NET_S
from records import recorded

from gatectl.decision.door.modes import Mode, Order
from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import RESTING, Condition, Conditions, FinishedScan
from gatectl.decision.timestamps import DAY_US, Timestamp
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.journal import statements, writer
from gatectl.journal.prune import EVERY_US, STEP, Pruning
from gatectl.journal.reader import Reader
from gatectl.journal.schema import migrations, open_store, transaction
from gatectl.journal.store import Store
from gatectl.journal.store_file import (
    APPLICATION_ID,
    NotOursError,
    StoreError,
    place_aside,
    put_aside,
    require_ours,
)

BOOT = "b" * 32


def attempt(number, **changes):
    values = {
        "id": f"id-{number}",
        "kind": "scan",
        "at_us": 1_000_000_000_000_000 + number,
        "tenant": "T",
        "studio": "S",
        "door": "main",
        "scanner": "/dev/a",
        "credential": str(number),
        "partner": "p",
        "member": str(number),
        "budget_ms": 750,
        "boot": BOOT,
        "since_boot_us": number,
    }
    return Attempt(**values | changes)


ADMITTED = Outcome(
    Result.ADMITTED, "Aggregator member checked in", Verdict.ALLOWED, 200,
    request=RequestRecord(True, 1, 2, 3.0, 750, "warm"),
)  # fmt: skip
TIMED_OUT = Outcome(
    Result.REJECTED, "m", Verdict.NONE, None, Fault.TIMEOUT,
    request=RequestRecord(True, 1, None, 750.0, 750, "new"),
)  # fmt: skip


@asynccontextmanager
async def store_at(path, entries=None, keep_days=0, **options):
    store = Store(path, keep_days, (entries if entries is not None else []).append, **options)
    store.start()
    try:
        yield store
    finally:
        await store.stop(5)


def stored(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, result, fault FROM events ORDER BY seq").fetchall()


def test_a_record_is_on_disk_when_its_future_is_done(tmp_path):
    path = tmp_path / "journal.db"

    async def write():
        async with store_at(path) as store:
            await recorded(store, attempt(1))
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("SELECT id FROM attempts").fetchall() == [("id-1",)]
                assert other.execute("SELECT * FROM outcomes").fetchall() == []
            store.finish("id-1", ADMITTED)
            await store.ask(lambda _connection: None)
            assert stored(path) == [("id-1", "admitted", None)]

    asyncio.run(write())


class CountingLoop(asyncio.SelectorEventLoop):
    woken = 0

    def call_soon_threadsafe(self, *args, **kwargs):
        self.woken += 1
        return super().call_soon_threadsafe(*args, **kwargs)


def test_an_outcome_on_disk_does_not_wake_the_event_loop(tmp_path):
    async def write():
        loop = asyncio.get_running_loop()
        async with store_at(tmp_path / "journal.db") as store:
            await asyncio.gather(store.opened, store.cards)
            before = loop.woken
            for number in range(10):
                await recorded(store, attempt(number))
                store.finish(f"id-{number}", ADMITTED)
            await store.ask(lambda _connection: None)
            assert loop.woken - before == 11, "one for each attempt, and one for the question"

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(write())
    assert len(stored(tmp_path / "journal.db")) == 10


def test_records_keep_their_order(tmp_path):
    path = tmp_path / "journal.db"

    async def write():
        async with store_at(path) as store:
            for number in range(200):
                recorded(store, attempt(number))
                store.finish(f"id-{number}", ADMITTED)

    asyncio.run(write())
    assert [row[0] for row in stored(path)] == [f"id-{number}" for number in range(200)]


def test_full_synchronous_wal(tmp_path):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)


def test_no_outcome_is_without_its_attempt(tmp_path):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        alone = "INSERT INTO outcomes (ended, seq, result, message) VALUES (1, 9, 'admitted', '')"
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute(alone)


def test_a_new_store_belongs_to_whom_its_folder_belongs(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make files for others")
    folder = tmp_path / "journal"
    folder.mkdir()
    os.chown(folder, 12345, 23456)
    with closing(open_store(folder / "journal.db")):
        owners = {(file.stat().st_uid, file.stat().st_gid) for file in folder.iterdir()}
        modes = {oct(file.stat().st_mode & 0o777) for file in folder.iterdir()}
    assert owners == {(12345, 23456)}
    assert modes == {"0o640"}


def columns(connection, table):
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


@pytest.mark.parametrize("table", ["attempts", "outcomes"])
def test_the_journal_is_append_only(tmp_path, table):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        connection.execute(*statements.attempt_statement(attempt(1)))
        connection.execute(*statements.outcome_statement("id-1", ADMITTED))
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute(f"DELETE FROM {table}")
        for column in columns(connection, table):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(f'UPDATE {table} SET "{column}" = "{column}"')


ERASABLE = {
    "attempts": {"credential", "member", "customer"},
    "outcomes": {"message", "detail", "reason_key", "reason_text", "body_sha256", "facts"},
}


@pytest.mark.parametrize("table", ERASABLE)
def test_an_erasure_changes_nothing_but_what_may_name_a_member(tmp_path, table):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        connection.execute(*statements.attempt_statement(attempt(1)))
        connection.execute(*statements.outcome_statement("id-1", ADMITTED))
        connection.execute("UPDATE marks SET value = 1 WHERE name = 'erasing'")
        changed = set()
        for column in columns(connection, table):
            with contextlib.suppress(sqlite3.IntegrityError):
                connection.execute(f'UPDATE {table} SET "{column}" = "{column}"')
                changed.add(column)
    assert changed == ERASABLE[table]


def test_a_store_has_an_identity_of_its_own(tmp_path):
    found = []
    for name in ("one.db", "other.db"):
        with closing(open_store(tmp_path / name)) as connection:
            found += connection.execute("SELECT id FROM journal").fetchall()
        with closing(open_store(tmp_path / name)) as connection:
            assert connection.execute("SELECT id FROM journal").fetchall() == found[-1:]
        assert (tmp_path / name).read_bytes()[68:72] == b"gate"
    assert all(re.fullmatch("[0-9a-f]{32}", identity) for (identity,) in found)
    assert len(set(found)) == 2


def numbers(connection):
    return [row[0] for row in connection.execute("SELECT ended FROM outcomes ORDER BY ended")]


def test_the_decisions_are_numbered_without_a_gap(tmp_path):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        for number in (1, 2, 3, 4):
            connection.execute(*statements.attempt_statement(old_attempt(number)))
        with contextlib.suppress(ZeroDivisionError), transaction(connection):
            connection.execute(*statements.outcome_statement("id-1", ADMITTED))
            raise ZeroDivisionError
        for number in (2, 1, 3):
            connection.execute(*statements.outcome_statement(f"id-{number}", ADMITTED))
        assert numbers(connection) == [1, 2, 3]
        while begun(10).step(connection, NOW):
            pass
        assert numbers(connection) == []
        connection.execute(*statements.attempt_statement(attempt(5)))
        connection.execute(*statements.outcome_statement("id-5", ADMITTED))
        assert numbers(connection) == [4]


def test_a_new_kind_of_event_needs_no_new_schema(tmp_path):
    path = tmp_path / "journal.db"
    kind = attempt(1, kind="erased", of="other", customer="77", door="", credential=None, partner=None)
    outcome = Outcome(
        Result.ADMITTED, "m", basis=Basis.MANUAL, detail="why", facts={"events": 3, "words": ["ä"]}
    )
    scans(path, Event(kind, outcome))
    with closing(open_store(path)) as connection:
        connection.execute(*statements.attempt_statement(attempt(2)))
        connection.execute("INSERT INTO outcomes (ended, seq, result, message) VALUES (2, 2, 'shut', 'm')")
    with Reader(path) as reader:
        assert reader.find("id-1") == Event(kind, outcome)


def test_a_restart_closes_what_has_no_outcome_and_nothing_else(tmp_path):
    path = tmp_path / "journal.db"

    async def two_runs():
        async with store_at(path) as store:
            assert await store.opened == []
            await recorded(store, attempt(1))
            store.finish("id-1", ADMITTED)
            await recorded(store, attempt(2))
            await recorded(store, attempt(3, budget_ms=None, partner=None, member=None))
        async with store_at(path) as store:
            return await store.opened

    closed = asyncio.run(two_runs())
    assert [event.attempt.id for event in closed] == ["id-2", "id-3"]
    assert closed[0].outcome.request == RequestRecord(None, None, None, None, 750, None)
    assert closed[1].outcome.request is None
    assert stored(path) == [
        ("id-1", "admitted", None),
        ("id-2", "unknown", "interrupted"),
        ("id-3", "unknown", "interrupted"),
    ]
    assert asyncio.run(_interrupted_at(path)) == [], "closed once"


async def _interrupted_at(path):
    async with store_at(path) as store:
        return await store.opened


def test_a_stuck_disk_loses_nothing_and_is_logged_once(tmp_path):
    path = tmp_path / "journal.db"
    entries = []

    async def write():
        async with store_at(path, entries) as store:
            await store.opened
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("PRAGMA busy_timeout = 5000")
                other.execute("BEGIN IMMEDIATE")
                first = recorded(store, attempt(1))
                store.finish("id-1", ADMITTED)
                await asyncio.sleep(0)
                assert not first.done()
                other.execute("ROLLBACK")
            await first

    asyncio.run(write())
    assert stored(path) == [("id-1", "admitted", None)]


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(path):
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass


def test_a_full_disk_loses_nothing_is_logged_once_and_so_is_its_end(small_disk):
    path = small_disk / "journal.db"
    entries = []

    async def write():
        async with store_at(path, entries) as store:
            await recorded(store, attempt(0))
            filler = small_disk / "filler"
            fill(filler)
            futures = [recorded(store, attempt(number)) for number in range(1, 300)]
            while store.health.error is None:
                await asyncio.sleep(0.001)
            assert not all(future.done() for future in futures), "the disk is full"
            filler.unlink()
            await asyncio.gather(*futures)
            assert store.health.error is None
            assert store.waiting == 0

    asyncio.run(write())
    with closing(sqlite3.connect(path)) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM attempts ORDER BY seq")]
    assert ids == [f"id-{number}" for number in range(300)]
    assert ["cannot be written" in entries[0].message, "written again" in entries[-1].message] == [True, True]
    assert len(entries) == 2


@contextlib.contextmanager
def read_only(folder):
    """As ext4 is once the kernel has made it read-only: a file that is open still takes what is written."""
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
    yield
    subprocess.run(["umount", "-l", folder], check=True)  # the store's check may just read it


def test_a_read_only_disk_is_not_believed_that_it_wrote(small_disk):
    path = small_disk / "journal.db"
    entries = []

    async def write():
        async with store_at(path, entries) as store:
            await recorded(store, attempt(1))
            with read_only(small_disk):
                late = recorded(store, attempt(2))
                while not entries:
                    await asyncio.sleep(0.001)
                assert not late.done(), "it was in memory at most"
            await late

    asyncio.run(write())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT id FROM attempts").fetchall() == [("id-1",), ("id-2",)]
    assert ["Read-only" in entries[0].message, "written again" in entries[-1].message] == [True, True]


def test_a_bug_in_a_record_ends_the_writer_loudly(tmp_path):
    async def write():
        async with store_at(tmp_path / "journal.db") as store:
            await recorded(store, attempt(1))
            recorded(store, attempt(1))  # the same ID twice: not the disk's fault
            with pytest.raises(sqlite3.IntegrityError):
                await asyncio.wait_for(asyncio.shield(store.broken), NET_S)

    asyncio.run(write())


def _newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def test_a_store_of_a_newer_gatectl_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    _newer(path)
    entries = []

    async def open_it():
        async with store_at(path, entries) as store:
            with pytest.raises(StoreError, match="newer gatectl"):
                await store.opened

    asyncio.run(open_it())
    assert entries == [], "no record was lost"


def _text(path):
    path.write_text("a year of notes\n" * 100)


def _short_text(path):
    path.write_text("notes")


def _database(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE attempts (seq)")
        other.execute("PRAGMA user_version = 1")
        other.execute("PRAGMA application_id = 252006674")


def _database_with_a_log(path):
    """As a program leaves it that was killed: some of it is in the log alone."""
    other = sqlite3.connect(path.with_name("other.db"), isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE cards (key)")
    for ending in ("", "-wal"):
        shutil.copy(path.with_name(f"other.db{ending}"), f"{path}{ending}")
    other.close()


@pytest.mark.parametrize("make", [_text, _short_text, _database, _database_with_a_log])
def test_a_file_of_somebody_else_is_refused_and_left_as_it_is(tmp_path, make):
    path = tmp_path / "place" / "journal.db"
    path.parent.mkdir()
    make(path)
    files = {file: file.read_bytes() for file in path.parent.iterdir() if not file.name.endswith("-shm")}
    entries = []

    async def open_it():
        async with store_at(path, entries) as store:
            with pytest.raises(NotOursError, match="is not a gatectl store"):
                await store.opened

    asyncio.run(open_it())
    assert entries == []
    assert {file: file.read_bytes() for file in files} == files
    assert [file for file in path.parent.iterdir() if "damaged" in file.name] == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_path_that_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / "journal.db")
    with pytest.raises(NotOursError):
        require_ours(tmp_path / "journal.db")


def test_a_new_store_whose_id_is_in_its_log_alone_is_ours(tmp_path):
    path, copy = tmp_path / "journal.db", tmp_path / "copy.db"
    with closing(open_store(path)):
        for ending in ("", "-wal"):
            shutil.copy(f"{path}{ending}", f"{copy}{ending}")
    assert copy.read_bytes()[68:72] != b"gate"
    with closing(open_store(copy)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


def test_stores_put_aside_in_one_second_get_different_names(tmp_path):
    path = tmp_path / "journal.db"
    aside = []
    for content in ("first", "second", "third"):
        path.write_text(content)
        aside.append(place_aside(path, "damaged"))
        put_aside(path, aside[-1])
    assert [file.read_text() for file in aside] == ["first", "second", "third"]


def _without_magic(path):
    _tear(path, 8192)
    content = path.read_bytes()
    path.write_bytes(bytes(16) + content[16:])


def _rubbish(path):
    path.write_bytes(b"SQLite format 3\0" + b"not a database" * 100)


def _torn_schema(path):
    _tear(path, 4096)


def _torn_rows(path):
    with closing(open_store(path)):
        schema = path.stat().st_size
    _tear(path, schema)


def _tear(path, whole):
    """Leaves so many bytes of a store with a thousand scans as they are."""
    scans(path, *(Event(attempt(number), ADMITTED) for number in range(1000)))
    content = path.read_bytes()
    assert len(content) > 2 * whole
    path.write_bytes(content[:whole] + b"\xff" * (len(content) - whole))


ENDINGS = ("-wal", "-shm")


@pytest.mark.parametrize("damage", [_rubbish, _without_magic, _torn_schema, _torn_rows])
def test_a_damaged_store_is_put_aside_and_a_new_one_begins(tmp_path, damage):
    path = tmp_path / "journal.db"
    damage(path)
    damaged = path.read_bytes()
    entries = []

    async def write():
        async with store_at(path, entries) as store:
            assert await store.opened == []
            await recorded(store, attempt(1))
            store.finish("id-1", ADMITTED)

    asyncio.run(write())
    assert stored(path) == [("id-1", "admitted", None)]
    (aside,) = (
        file for file in tmp_path.iterdir() if ".damaged-" in file.name and not file.name.endswith(ENDINGS)
    )
    assert aside.read_bytes() == damaged, "nothing is deleted"
    assert [entry.priority for entry in entries[:2]] == [3, 3]
    assert "is being repaired" in entries[0].message
    assert str(aside) in entries[1].message


def test_records_kept_out_by_a_stuck_disk_are_counted_at_the_end(tmp_path):
    entries = []

    async def write():
        store = Store(tmp_path / "journal.db", 0, entries.append)
        store.start()
        await store.opened
        with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in (1, 2):
                recorded(store, attempt(number))
            await store.stop(0.2)

    asyncio.run(write())
    assert [entry.message for entry in entries] == [
        "the journal could not be written: 2 records are lost with this end"
    ]


def test_records_beyond_those_that_memory_takes_are_lost_the_oldest_first(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LATE_MAX", 3)
    path, entries = tmp_path / "journal.db", []

    async def write():
        async with store_at(path, entries) as store:
            await store.opened
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                for number in range(1, 6):
                    recorded(store, attempt(number))
                async with asyncio.timeout(NET_S):
                    while store.health.lost < 2:
                        await asyncio.sleep(0.001)
                other.execute("ROLLBACK")
            await store.ask(lambda _connection: None)
            assert (store.health.lost, store.waiting) == (2, 0)

    asyncio.run(write())
    with closing(sqlite3.connect(path)) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM attempts ORDER BY seq")]
    assert ids == ["id-3", "id-4", "id-5"]
    assert entries[-1].message.endswith("is written again, 2 records were lost")


def scans(path, *events):
    with closing(open_store(path)) as connection, transaction(connection):
        for event in events:
            connection.execute(*statements.attempt_statement(event.attempt))
            connection.execute(*statements.outcome_statement(event.attempt.id, event.outcome))


NOT_ALLOWED = Outcome(Result.REJECTED, "m", Verdict.NOT_ALLOWED, 400)
RESTED = Outcome(Result.REJECTED, "m", Verdict.NONE, None, Fault.PARTNER, Reason(RESTING, "x"))


@pytest.mark.parametrize(
    ("outcomes", "outage"),
    [
        ([TIMED_OUT, TIMED_OUT, TIMED_OUT], True),
        ([TIMED_OUT, TIMED_OUT], False),
        ([TIMED_OUT, NOT_ALLOWED, TIMED_OUT, TIMED_OUT], False),
        ([NOT_ALLOWED, TIMED_OUT, TIMED_OUT, TIMED_OUT], True),
        ([TIMED_OUT, RESTED, TIMED_OUT, RESTED], False),
        ([], False),
    ],
)
def test_an_outage_is_read_back(tmp_path, outcomes, outage):
    path = tmp_path / "journal.db"
    scans(path, *(Event(attempt(number), outcome) for number, outcome in enumerate(outcomes)))
    with closing(open_store(path)) as connection:
        past = statements.last_scans(connection)
    assert [partner for partner, _, _ in past] == ["p"] * len(outcomes)
    conditions = Conditions(0.0)
    conditions.recall((scan, at_us / 1e6) for _, at_us, scan in past)
    assert conditions.condition is (Condition.OUTAGE if outage else Condition.HEALTHY)


def test_the_last_scans_say_all_that_a_condition_hangs_on(tmp_path):
    path = tmp_path / "journal.db"
    refused = Outcome(Result.REJECTED, "m", Verdict.NOT_FOUND, 404, None, Reason("checkin.x", "x"))
    admitted = Outcome(Result.ADMITTED, "m", Verdict.ALLOWED, 200, gate=GateRecord(1, 2.0, 3))
    nobody = Event(attempt(9, partner=None, member=None), Outcome(Result.REJECTED, "m"))
    scans(path, Event(attempt(1, member="1"), refused), nobody, Event(attempt(2, member="2"), admitted))
    with closing(open_store(path)) as connection:
        past = statements.last_scans(connection)
    assert [scan for _, _, scan in past] == [
        FinishedScan("1", Verdict.NOT_FOUND, None, 404, "checkin.x", admitted=False),
        FinishedScan("2", Verdict.ALLOWED, None, 200, None, admitted=True),
    ]


def of_member(number, at_s, **changes):
    """At this second of the wall clock, each in a boot of its own."""
    own = {"at_us": at_s * 1_000_000, "boot": f"{number:032}", "member": "7", "partner": "p"}
    return attempt(number, **own | changes)


def unanswered(path, now_s=100, settle_s=60):
    with closing(open_store(path)) as connection:
        return statements.unanswered(connection, of_member(99, now_s), settle_s * 1_000_000)


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (Event(of_member(1, 90), TIMED_OUT), True),
        (Event(of_member(1, 40), TIMED_OUT), True),
        (Event(of_member(1, 39), TIMED_OUT), False),
        (Event(of_member(1, 90, member="8"), TIMED_OUT), False),
        (Event(of_member(1, 90, partner="q"), TIMED_OUT), False),
        (Event(of_member(1, 90), NOT_ALLOWED), False),
        (Event(of_member(1, 90), RESTED), False),
        (
            Event(
                of_member(1, 90),
                Outcome(
                    Result.REJECTED, "m", Verdict.NONE, None, Fault.NETWORK,
                    request=RequestRecord(False, None, None, 3.0, 750, "new"),
                ),
            ),
            False,
        ),
        (
            Event(
                of_member(1, 90),
                Outcome(
                    Result.REJECTED, "m", Verdict.NONE, 500, Fault.PARTNER,
                    request=RequestRecord(True, 1, 2, 3.0, 750, "new"),
                ),
            ),
            False,
        ),
        (
            Event(
                of_member(1, 90),
                Outcome(
                    Result.UNKNOWN, "m", Verdict.NONE, None, Fault.INTERRUPTED,
                    request=RequestRecord(None, None, None, None, 750, None),
                ),
            ),
            True,
        ),
    ],
    ids=["timeout", "just in time", "too old", "other member", "other partner", "declined", "resting",
         "never sent", "a 5xx is an answer", "interrupted"],
)  # fmt: skip
def test_which_attempts_are_unanswered(tmp_path, event, counts):
    path = tmp_path / "journal.db"
    scans(path, event)
    assert unanswered(path) == (["id-1"] if counts else [])


@pytest.mark.parametrize(
    ("at_s", "since_boot_s", "counts"),
    [(90, 500, True), (5000, 500, True), (1, 500, True), (90, 400, False), (5000, 400, False)],
    ids=["not set", "set back", "set forward", "too old, set back", "too old, set far back"],
)
def test_a_clock_step_changes_no_age(tmp_path, at_s, since_boot_s, counts):
    path = tmp_path / "journal.db"
    scans(path, Event(of_member(1, at_s, boot=BOOT, since_boot_us=since_boot_s * 1_000_000), TIMED_OUT))
    with closing(open_store(path)) as connection:
        now = of_member(99, 100, boot=BOOT, since_boot_us=510_000_000)
        assert statements.unanswered(connection, now, 60_000_000) == (["id-1"] if counts else [])


def test_the_latest_unanswered_attempt_comes_first(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(of_member(1, 80), TIMED_OUT), Event(of_member(2, 90), TIMED_OUT))
    assert unanswered(path) == ["id-2", "id-1"]


def test_a_later_success_used_them_up(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(of_member(1, 80), TIMED_OUT), Event(of_member(2, 90), ADMITTED))
    assert unanswered(path) == []


def test_an_attempt_on_its_way_is_not_unanswered(tmp_path):
    path = tmp_path / "journal.db"
    with closing(open_store(path)) as connection:
        connection.execute(*statements.attempt_statement(of_member(1, 90)))
    assert unanswered(path) == []


def begun(keep_days, *, is_right=True):
    return Pruning(keep_days, NOW, lambda: is_right)


NOW = Timestamp(1000 * DAY_US, BOOT, 30 * DAY_US)


def later(by_us, set_by_us=0, boot=BOOT):
    """A moment, with the wall clock set meanwhile."""
    return Timestamp(NOW.at_us + by_us + set_by_us, boot, NOW.since_boot_us + by_us)


def old_attempt(number, **changes):
    """Of another boot, in 1970."""
    return attempt(number, **{"at_us": number, "boot": "a" * 32} | changes)


def left_after(path, pruning, now=NOW):
    """The events that a round of pruning leaves, step by step."""
    with closing(open_store(path)) as connection:
        while pruning.step(connection, now):
            pass
    return [row[0] for row in stored(path)]


def test_old_events_are_pruned_in_small_steps_and_young_ones_stay(tmp_path):
    path = tmp_path / "journal.db"
    with closing(open_store(path)) as connection:
        connection.execute("BEGIN")
        for number in range(STEP + 5):
            connection.execute(*statements.attempt_statement(old_attempt(number)))
            connection.execute(*statements.outcome_statement(f"id-{number}", ADMITTED))
        connection.execute(*statements.attempt_statement(old_attempt(-1, at_us=NOW.at_us - 9 * DAY_US)))
        connection.execute(*statements.outcome_statement("id--1", ADMITTED))
        connection.execute("COMMIT")
        pruning = begun(10)
        left = []
        while pruning.step(connection, NOW):
            left.append(connection.execute("SELECT count(*) FROM events").fetchone()[0])
        assert left == [6, 1]
        assert not pruning.is_due(NOW)
        assert connection.execute("SELECT id FROM events").fetchall() == [("id--1",)]
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("DELETE FROM attempts")


def test_a_lockdown_that_still_counts_is_kept(tmp_path):
    path = tmp_path / "journal.db"
    orders = ["held", "lockdown", "normal", "lockdown"]
    scans(path, *(ordered(number, mode) for number, mode in enumerate(orders, 1)))
    assert left_after(path, begun(10)) == ["id-4"]
    with closing(open_store(path)) as connection:
        assert statements.last_orders(connection) == {"main": Order(Mode.LOCKDOWN, "x")}
    scans(path, ordered(5, "normal"))
    assert left_after(path, begun(10)) == []


def ordered(number, mode):
    facts = {"mode": mode, "reason": "x", "until_us": None}
    return Event(old_attempt(number, kind="mode", door="main"), Outcome(Result(mode), "words", facts=facts))


def test_keep_days_0_keeps_all(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(old_attempt(1), ADMITTED))
    assert left_after(path, begun(0), later(9999 * DAY_US)) == ["id-1"]


def test_a_clock_that_was_set_just_now_prunes_nothing(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(old_attempt(1, at_us=NOW.at_us - DAY_US), ADMITTED))
    years = 9 * 365 * DAY_US
    pruning = begun(10)
    assert left_after(path, pruning, later(0, years)) == ["id-1"]
    assert left_after(path, pruning, later(EVERY_US - 1, years)) == ["id-1"], "not six hours later either"
    assert left_after(path, pruning, later(EVERY_US, 0)) == ["id-1"], "it was put right"
    assert left_after(path, pruning, later(3 * EVERY_US, -3_600_000_000)) == ["id-1"], "and an hour back"


def test_a_clock_that_stays_as_it_was_set_is_believed_in_the_end(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(old_attempt(1, at_us=NOW.at_us - DAY_US), ADMITTED))
    pruning, year = begun(10), 365 * DAY_US
    assert left_after(path, pruning, later(1, year)) == ["id-1"]
    assert left_after(path, pruning, later(1 + EVERY_US, year)) == []


def test_a_clock_that_has_not_reached_its_server_prunes_nothing(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, Event(old_attempt(1), ADMITTED))
    assert left_after(path, begun(10, is_right=False)) == ["id-1"]
    assert left_after(path, begun(10)) == []


def test_the_next_round_is_some_hours_later(tmp_path):
    path = tmp_path / "journal.db"
    pruning = begun(10)
    assert left_after(path, pruning) == []
    scans(path, Event(old_attempt(1), ADMITTED))
    assert left_after(path, pruning, later(EVERY_US - 1)) == ["id-1"]
    assert left_after(path, pruning, later(EVERY_US)) == []


def test_scans_before_the_first_synchronisation_are_as_old_as_the_boot_says(tmp_path):
    path = tmp_path / "journal.db"
    scans(
        path,
        Event(attempt(1, at_us=1, since_boot_us=NOW.since_boot_us - 11 * DAY_US), ADMITTED),
        Event(attempt(2, at_us=2, since_boot_us=NOW.since_boot_us - 9 * DAY_US), ADMITTED),
    )
    assert left_after(path, begun(10)) == ["id-2"]


def pruned_by_the_writer(path):
    """Runs the store until there is nothing old left; how large its log was after each step."""
    logs = []

    async def wait():
        async with store_at(path, keep_days=1, is_clock_right=lambda: True) as store:
            step, loop, pruned = store._writer._pruning.step, asyncio.get_running_loop(), asyncio.Event()

            def measured(connection, now):
                more = step(connection, now)
                logs.append(path.with_name("journal.db-wal").stat().st_size)
                if not more:
                    loop.call_soon_threadsafe(pruned.set)
                return more

            store._writer._pruning.step = measured
            await pruned.wait()

    asyncio.run(asyncio.wait_for(wait(), NET_S))
    return logs


def test_the_writer_prunes_while_it_is_quiet(tmp_path):
    path = tmp_path / "journal.db"
    scans(path, *(Event(old_attempt(number), ADMITTED) for number in range(3)))
    pruned_by_the_writer(path)
    assert stored(path) == []


def test_the_log_does_not_grow_with_what_is_pruned(tmp_path):
    """Else a scan that comes between might wait until all of it is in the file."""
    path = tmp_path / "journal.db"
    scans(path, *(Event(old_attempt(number), ADMITTED) for number in range(20 * STEP)))
    logs = pruned_by_the_writer(path)
    assert stored(path) == []
    assert len(logs) == 21
    assert max(logs) <= 2 * logs[0]


def let_in_at(number, at_us, **changes):
    outcome = Outcome(
        Result.ADMITTED, "m", Verdict.NOT_ALLOWED, 400, basis=changes.pop("basis", Basis.ALREADY_IN)
    )
    return Event(attempt(number, **{"at_us": at_us, "member": "7", "partner": "p"} | changes), outcome)


DAY_US = 86_400_000_000
NOON_US = 20_000 * DAY_US


def test_openings_on_already_in_are_those_of_the_partner_and_member_in_the_days_around(tmp_path):
    path = tmp_path / "journal.db"
    counted = [let_in_at(1, NOON_US - DAY_US), let_in_at(2, NOON_US), let_in_at(3, NOON_US + DAY_US)]
    others = [
        let_in_at(4, NOON_US, member="8"),
        let_in_at(5, NOON_US, partner="q"),
        let_in_at(6, NOON_US, basis=Basis.PARTNER),
        let_in_at(7, NOON_US, basis=Basis.SETTLED),
        let_in_at(8, NOON_US - 3 * DAY_US),
        let_in_at(9, NOON_US + 3 * DAY_US),
    ]
    with closing(open_store(path)) as connection:
        for event in (*counted, *others):
            connection.execute(*statements.attempt_statement(event.attempt))
            connection.execute(*statements.outcome_statement(event.attempt.id, event.outcome))
        now = attempt(99, at_us=NOON_US, member="7", partner="p")
        found = statements.already_in(connection, now)
        assert statements.past_of(connection, now, 0, 0) == ([], found, False)
    assert found == [(event.attempt.id, event.attempt.at_us) for event in reversed(counted)]


def test_a_passage_and_the_check_in_behind_it_are_written_together(tmp_path):
    """Between two transactions a power cut would lose the check-in alone."""
    path = tmp_path / "journal.db"
    passage = Event(attempt(1, kind="passage"), Outcome(Result.PASSED, "Passed"))

    async def story():
        store = Store(path, 0, lambda _entry: None)
        done = recorded(store, attempt(2, kind="check_in"), passage)
        assert store.waiting == 1  # one job is one transaction
        store.start()
        await done
        await store.stop(5)

    asyncio.run(story())
    with closing(sqlite3.connect(path)) as connection:
        kinds = [kind for (kind,) in connection.execute("SELECT kind FROM attempts ORDER BY seq")]
        ended = connection.execute("SELECT count(*) FROM outcomes").fetchone()[0]
    assert (kinds, ended) == (["passage", "check_in"], 1)


MINUTE_US = 60_000_000
OTHER_BOOT = {"boot": "e" * 32, "since_boot_us": 0}


@pytest.mark.parametrize(
    ("changes", "result", "is_one"),
    [
        ({}, Result.PASSED, True),
        ({"door": "side"}, Result.PASSED, True),
        ({"since_boot_us": 90 * MINUTE_US}, Result.PASSED, True),
        ({"since_boot_us": 90 * MINUTE_US - 1}, Result.PASSED, False),
        ({"at_us": NOON_US - DAY_US}, Result.PASSED, True),  # the wall clock was set in between
        (OTHER_BOOT | {"at_us": NOON_US - 30 * MINUTE_US}, Result.PASSED, True),
        (OTHER_BOOT | {"at_us": NOON_US - 30 * MINUTE_US - 1}, Result.PASSED, False),
        (OTHER_BOOT | {"at_us": NOON_US + 1}, Result.PASSED, False),  # of an unknown age
        ({"member": "8"}, Result.PASSED, False),
        ({"partner": "q"}, Result.PASSED, False),
        ({}, Result.NOT_PASSED, False),
        ({"kind": "scan"}, Result.PASSED, False),
    ],
)
def test_who_came_back_has_a_passage_that_is_recent_enough(tmp_path, changes, result, is_one):
    own = {"member": "7", "partner": "p", "kind": "passage", "since_boot_us": 119 * MINUTE_US}
    passage = attempt(1, **({"at_us": NOON_US - MINUTE_US} | own | changes))
    now = attempt(99, at_us=NOON_US, member="7", partner="p", since_boot_us=120 * MINUTE_US)
    with closing(open_store(tmp_path / "journal.db")) as connection:
        connection.execute(*statements.attempt_statement(passage))
        connection.execute(*statements.outcome_statement(passage.id, Outcome(result, "m")))
        assert statements.past_of(connection, now, 0, 30 * MINUTE_US)[2] is is_one
        assert not statements.past_of(connection, now, 0, 0)[2]


@pytest.mark.parametrize(
    ("second", "may_try"),
    [
        (None, True),
        (Outcome(Result.REJECTED, "m", fault=Fault.LOCKDOWN), True),
        (Outcome(Result.ADMITTED, "m", basis=Basis.AGAIN), False),
        (Outcome(Result.UNKNOWN, "m", fault=Fault.INTERRUPTED), False),  # it may have opened
    ],
)
def test_a_second_try_that_opened_nothing_is_still_there_after_a_restart(tmp_path, second, may_try):
    admitted = Outcome(Result.ADMITTED, "m", basis=Basis.PARTNER)
    rows = [
        (attempt(1, at_us=NOON_US), admitted),
        (attempt(2, kind="passage", of=attempt(1).id), Outcome(Result.NOT_PASSED, "m")),
        (attempt(3, of=attempt(1).id), second),
    ]
    with closing(open_store(tmp_path / "journal.db")) as connection:
        for one, outcome in rows:
            if outcome is not None:
                connection.execute(*statements.attempt_statement(one))
                connection.execute(*statements.outcome_statement(one.id, outcome))
        assert bool(statements.unused_admissions(connection, since_us=0)) is may_try


def test_an_admission_is_when_the_gate_opened_and_none_in_a_fire_alarm(tmp_path):
    with closing(open_store(tmp_path / "journal.db")) as connection:
        for number, basis in ((1, Basis.PARTNER), (2, Basis.FIRE)):
            one = attempt(number, at_us=NOON_US + number)
            gate = GateRecord(NOON_US + 1000 * number, 1.0, 3000)
            admitted = Outcome(Result.ADMITTED, "m", basis=basis, gate=gate)
            connection.execute(*statements.attempt_statement(one))
            connection.execute(*statements.outcome_statement(one.id, admitted))
        assert statements.last_admissions(connection, ["main"]) == {"main": NOON_US + 1000}
