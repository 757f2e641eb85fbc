"""The store's guarantees after an erasure."""

import os
from contextlib import closing
from pathlib import Path

from gatectl.journal.erase import purge
from gatectl.journal.schema import open_store


def locks_on(path):
    """The POSIX locks that this process holds on a file: proc_locks(5)."""
    rows = [line.split() for line in Path("/proc/locks").read_text("ascii").splitlines()]
    at = path.stat()
    where = f"{os.major(at.st_dev):02x}:{os.minor(at.st_dev):02x}:{at.st_ino}"
    return [row[3] for row in rows if row[1] == "POSIX" and row[4:6] == [str(os.getpid()), where]]


def test_the_look_for_remains_keeps_sqlites_locks(tmp_path):
    path = tmp_path / "journal.db"
    open_store(path).close()
    with path.open("rb") as file, closing(open_store(path)) as connection:
        connection.execute("SELECT count(*) FROM attempts").fetchall()
        held = locks_on(path)
        assert held, "a reader in WAL holds a shared lock on the file"
        assert purge(connection, file, frozenset({"nowhere in it"}))
        assert locks_on(path) == held
