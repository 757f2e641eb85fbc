"""Opening the store, and bringing an older one up to date.

The schema stands in `schemas/N.sql`; `PRAGMA user_version` says how many of them a store has seen.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from gatectl.journal.place import StoreError, require_ours
from gatectl.journal.transaction import transaction

BUSY_TIMEOUT_MS = 5000
"""How long one writer waits for another process (an enrolment, an upgrade) to finish its transaction."""


class DamagedError(StoreError):
    """The store cannot be read any more."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Does SQLite say that the file itself is at fault?"""
    # The low byte is the kind of the error; the others say where it was seen.
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def migrations() -> list[str]:
    """The SQL scripts in order; the first makes version 1."""
    folder = Path(__file__).with_name("schemas")
    numbers = sorted(int(entry.stem) for entry in folder.glob("*.sql"))
    return [(folder / f"{number}.sql").read_text("utf-8") for number in numbers]


def open_store(path: Path) -> sqlite3.Connection:
    """A connection that may write, with the newest schema, in autocommit mode.

    WAL with `synchronous=FULL`: a commit is on disk when it returns; NORMAL may lose the last ones in a
    power cut. Raises StoreError for a newer store, NotOursError for a file that is none, `sqlite3.Error`
    and OSError for what the disk says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _create(path)
    require_ours(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _migrate(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error):
            raise DamagedError(
                f"{path}: the journal is damaged ({error})",
                "gatectl run puts it aside, and makes a new one of what can be read",
            ) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """A new file that its group may read, and that belongs to whom the folder belongs.

    Else a card that root enrols before the first start would leave the daemon a store it cannot write.
    """
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        return
    try:
        if os.geteuid() == 0:
            folder = path.parent.stat()
            os.fchown(file, folder.st_uid, folder.st_gid)
    finally:
        os.close(file)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    scripts = migrations()
    version = _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer gatectl (schema {version}, this one knows {len(scripts)})",
            "upgrade gatectl, or name another file at journal.path",
        )
    if version == len(scripts):
        return
    with transaction(connection):
        # Another process may have migrated while this one waited for the lock.
        for number in range(_version(connection), len(scripts)):
            for statement in _statements(scripts[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _statements(script: str) -> list[str]:
    # `executescript` would commit the surrounding transaction, and half a schema must never stay.
    statements, lines = [], ""
    for line in script.splitlines(keepends=True):
        lines += line
        if sqlite3.complete_statement(lines):
            statements.append(lines)
            lines = ""
    return statements
