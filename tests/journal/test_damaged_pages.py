"""The rows of a damaged file: SQLite's own answers are the measure for what is read page by page."""

import random
import sqlite3
from contextlib import closing

import pytest
from damage import PAGE, copied, overwrite, pages_of, write
from hypothesis import given
from hypothesis import strategies as st

from gatectl.journal.pages import Pages, each_page

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    st.binary(max_size=50),
    st.text("ä", min_size=1000, max_size=9000),
)


def read(path):
    return [row for page in each_page(path) for row in page]


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=40), st.sampled_from([512, 4096, 65536]))
def test_every_row_is_read_as_sqlite_wrote_it(tmp_path_factory, written, size):
    path = tmp_path_factory.mktemp("pages") / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {size}")
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", written)
        expected = {row[0]: row[1:] for row in connection.execute("SELECT rowid, * FROM t")}
    found = {row.rowid: row.values for row in read(path) if row.rowid is not None and len(row.values) == 3}
    assert found == expected


@pytest.mark.parametrize("emptied", [False, True], ids=["in the log", "in the file"])
def test_committed_rows_are_read_and_no_others(tmp_path, emptied):
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a, b, c)")
        connection.execute("INSERT INTO t VALUES (1, 2, 'old')")
        if emptied:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE t SET c = 'new'")
        connection.execute("BEGIN")
        connection.execute("PRAGMA cache_size = 1")
        connection.executemany("INSERT INTO t VALUES (3, 4, ?)", [("x" * 3000,)] * 50)
        copy = copied(path, tmp_path / "copy")
        connection.execute("ROLLBACK")
    assert [row.values for row in read(copy) if len(row.values) == 3] == [(1, 2, "new")]


def test_a_log_that_is_torn_counts_up_to_its_last_whole_commit(tmp_path):
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a, b, c)")
        for number in range(5):
            connection.execute("INSERT OR REPLACE INTO t (rowid, a, b, c) VALUES (1, ?, 2, 3)", (number,))
        copy = copied(path, tmp_path / "copy")
    log = copy.with_name("some.db-wal")
    content = log.read_bytes()
    log.write_bytes(content[:-100] + bytes(100))
    assert [row.values for row in read(copy) if len(row.values) == 3] == [(3, 2, 3)]


@pytest.mark.parametrize("seed", range(30))
def test_random_damage_never_makes_a_row_up_nor_raises(tmp_path, seed):
    chance = random.Random(seed)
    path = tmp_path / "journal.db"
    write(path, events=200, enrolled=50)
    before = set(read(path))
    for _ in range(chance.randrange(1, 8)):
        number, content = chance.randrange(1, pages_of(path) + 1), chance.randbytes(PAGE)
        overwrite(path, number, content if chance.random() < 0.5 else content[: PAGE // 2])
    long = [row for row in read(path) if len(row.values) >= 5]
    assert set(long) <= before


def test_a_file_that_is_cut_is_read_up_to_there(tmp_path):
    path = tmp_path / "journal.db"
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 100])
    with Pages(path) as pages:
        assert pages.count == len(content) // 2 // PAGE + 1
    assert read(path)
