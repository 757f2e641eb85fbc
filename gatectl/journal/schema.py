"""Opening the store, and bringing an older one up to date.

`schemas/` holds a numbered file for each version of the schema; `PRAGMA user_version` says how many of them a
store has seen.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from gatectl.journal.store_file import StoreError, require_ours

BUSY_TIMEOUT_MS = 5000
"""How long a writer waits for another process's transaction (an enrolment, an upgrade)."""


class DamagedError(StoreError):
    """The store cannot be read any more."""


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether SQLite reports damage of the file itself."""
    # The low byte is the kind of the error; the others say where it was seen.
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def remedy(error: sqlite3.DatabaseError, who_may: str) -> str:
    """The hint that fits SQLite's error; `who_may` if the user may not read or write the file."""
    if is_damage(error):
        return "the file is damaged: gatectl run repairs it as far as possible"
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return "another program holds it (`sudo fuser -v FILE` names it): try again when it has ended"
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return "is the disk full or failing? df -h, journalctl -k"
        case _:
            return who_may


def migrations() -> list[str]:
    """The SQL scripts in order; the first makes version 1."""
    folder = Path(__file__).with_name("schemas")
    numbers = sorted(int(entry.stem) for entry in folder.glob("*.sql"))
    return [(folder / f"{number}.sql").read_text("utf-8") for number in numbers]


def known_version() -> int:
    """The version of the schema that this gatectl makes and reads."""
    return len(migrations())


def version_of(path: Path) -> int:
    """A store's version, 0 for a database that is none. Raises sqlite3.DatabaseError."""
    with closing(connect_to_read(path)[0]) as connection:
        return _version(connection)


def copy_before_upgrade_to(path: Path, version: int) -> Path:
    """The path of the store's copy from before it was brought up to that version."""
    return path.with_name(f"{path.name}.before-version-{version}")


def connect_to_read(path: Path) -> tuple[sqlite3.Connection, bool]:
    """A connection that only reads, and whether it reads a store at rest. Raises sqlite3.DatabaseError.

    Without a writer there is no index of the log, and a user who may not write in the folder cannot make one.
    If there is no log either, the file alone is the whole journal.
    """
    location = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        return _first_read(location), False
    except sqlite3.OperationalError as error:
        refused = error.sqlite_errorname in {"SQLITE_READONLY_DIRECTORY", "SQLITE_CANTOPEN"}
        if not refused or path.with_name(f"{path.name}-wal").exists():
            raise
    return _first_read(f"{location}&immutable=1"), True


def _first_read(location: str) -> sqlite3.Connection:
    connection = sqlite3.connect(location, uri=True, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA schema_version").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def open_store(path: Path) -> sqlite3.Connection:
    """As `open_ours`; raises NotOursError for a file that is no store. This process must not have it open."""
    require_ours(path)
    return open_ours(path)


def open_ours(path: Path, on_upgrade: Callable[[], None] = lambda: None) -> sqlite3.Connection:
    """A connection that may write, with the newest schema, in autocommit mode.

    A store of an older version is copied and brought up to date; `on_upgrade` is called before, as that may
    take minutes.

    WAL with `synchronous=FULL`: a commit is on disk when it returns; NORMAL may lose the last ones in a
    power cut. Raises StoreError for a newer store, DamagedError for one that cannot be read, `sqlite3.Error`
    and OSError for what the disk says.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _create(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Overwrite deleted rows: else a damaged file, read page by page, would bring them back.
        connection.execute("PRAGMA secure_delete = ON").fetchall()
        _migrate(connection, path, on_upgrade)
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


def connect_damaged(path: Path) -> sqlite3.Connection:
    """A connection that may write, to a store that may be damaged."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
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


def _migrate(connection: sqlite3.Connection, path: Path, on_upgrade: Callable[[], None]) -> None:
    scripts = migrations()
    version = _version(connection)
    if version > len(scripts):
        raise StoreError(
            f"{path}: written by a newer gatectl (schema {version}, this one knows {len(scripts)})",
            "upgrade gatectl, or go back to the copy from before its upgrade: gatectl restore --undo-upgrade",
        )
    if version == len(scripts):
        return
    if version:
        on_upgrade()
    with transaction(connection):
        # Another process may have migrated while this one waited for the lock.
        version = _version(connection)
        if 0 < version < len(scripts):
            _keep_copy(path, len(scripts))
        for number in range(version, len(scripts)):
            _apply(connection, scripts[number], path)
            connection.execute(f"PRAGMA user_version = {number + 1}")


def _apply(connection: sqlite3.Connection, script: str, path: Path) -> None:
    try:
        for statement in _statements(script):
            connection.execute(statement)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT):
            # Not a failure of the disk: trying again would change nothing.
            raise StoreError(f"{path}: the journal could not be brought up to date: {error}") from error
        raise


def _keep_copy(path: Path, version: int) -> None:
    """Copy the store as it is, so that the upgrade can be taken back. No process may write it meanwhile.

    Raises StoreError if it cannot be copied: an upgrade that could not be undone is not begun.
    """
    try:
        # The writer's own connection is in a transaction, from which SQLite copies nothing.
        with closing(sqlite3.connect(path)) as source:
            copy_whole(source, copy_before_upgrade_to(path, version))
    except (sqlite3.Error, OSError) as error:
        size = path.stat().st_size / 1e6
        raise StoreError(
            f"{path}: no copy could be made before the upgrade, which could then not be taken back: {error}",
            f"the copy needs {size:.0f} MB next to the journal",
        ) from error


def copy_whole(source: sqlite3.Connection, copy: Path) -> None:
    """Copy an open store into a file, which is there only when it is whole.

    Raises OSError and sqlite3.Error.
    """
    unfinished = copy.with_name(f"{copy.name}.unfinished")
    try:
        unfinished.unlink(missing_ok=True)
        _create(unfinished)
        with closing(sqlite3.connect(unfinished)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        unfinished.replace(copy)
    except (sqlite3.Error, OSError):
        unfinished.unlink(missing_ok=True)
        raise


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


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit at the end of the block; roll back if it ends early, and raise its error.

    The connection is one of `open_store`, in autocommit mode.
    """
    # IMMEDIATE: what is read inside must still be true when it is written.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite rolls back by itself where the disk is full or fails
            connection.execute("ROLLBACK")
        raise
