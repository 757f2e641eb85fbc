"""Find damage in the store, and repair the redundant parts: the header and the indexes."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gatectl.journal.schema import connect_to_read, is_damage, known_version, transaction
from gatectl.journal.store_file import APPLICATION_ID

_LINES_MAX = 1_000_000
"""This many complaints may be harmless: the pages of an index that was rebuilt elsewhere."""

_MISPLACED = re.compile("free-?list|reference to page|page number", re.IGNORECASE)
_HARMLESS = re.compile(r"\*\*\* in database|ok$|Page \d+(: | is )never used", re.IGNORECASE)


def problem_of(path: Path) -> str | None:
    """The first thing that is wrong in the whole store, None where all is well. Takes seconds to minutes.

    Raises sqlite3.DatabaseError if the disk cannot be read.
    """
    try:
        # A connection of its own: the existing ones may have in memory what the disk has lost.
        with closing(connect_to_read(path)[0]) as connection:
            return next((line for line in _lines(connection, "integrity_check")), None)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)


def _lines(connection: sqlite3.Connection, check: str) -> Iterator[str]:
    """Each line of a check that reports harm."""
    for (text,) in connection.execute(f"PRAGMA {check}({_LINES_MAX})"):
        yield from (line for line in text.splitlines() if not _HARMLESS.match(line))


def header_problem_of(path: Path) -> str | None:
    """The damage of the header and the schema on the disk, None where they are as they were made.

    Raises sqlite3.DatabaseError where the disk does not say.
    """
    try:
        with closing(connect_to_read(path)[0]) as connection:
            application: int = connection.execute("PRAGMA application_id").fetchone()[0]
            tables: int = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    return None if application == APPLICATION_ID and tables else "the first page is damaged"


def repair(connection: sqlite3.Connection, path: Path) -> str | None:
    """Rewrites the header and rebuilds the indexes; returns the remaining damage, None where all is well.

    A store with damaged tables is left as it is. Raises sqlite3.DatabaseError for what the disk says.
    """
    try:
        if header_problem_of(path) is not None:
            # If the connection has the first page in memory, it is written from there.
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            connection.execute(f"PRAGMA user_version = {known_version()}")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        beyond = _beyond_the_indexes(path)
        if beyond is not None:
            return beyond
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, sql in indexes:
            _rebuild(connection, name, sql)
    except sqlite3.DatabaseError as error:
        if not is_damage(error) and error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CONSTRAINT:
            raise
        return str(error)
    return problem_of(path)


def _beyond_the_indexes(path: Path) -> str | None:
    """The damage of tables or free pages, where a write might cost rows. Raises damage."""
    with closing(connect_to_read(path)[0]) as connection:
        # It reads all rows of the tables, and none by an index.
        lines = _lines(connection, "quick_check")
        return next((line for line in lines if _MISPLACED.search(line)), None)


def _rebuild(connection: sqlite3.Connection, name: str, sql: str) -> None:
    try:
        connection.execute(f'REINDEX "{name}"')
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        # Its pages cannot even be freed: drop it from the schema, and rebuild it in other pages.
        connection.execute("PRAGMA writable_schema = ON")
        try:
            with transaction(connection):
                connection.execute("DELETE FROM sqlite_schema WHERE type = 'index' AND name = ?", (name,))
                version: int = connection.execute("PRAGMA schema_version").fetchone()[0]
                connection.execute(f"PRAGMA schema_version = {version + 1}")
        finally:
            connection.execute("PRAGMA writable_schema = RESET")
        connection.execute(sql)
