"""Find damage in the store, repair its redundant parts (the header and the indexes), or replace it.

A replacement has all cards at once, and the events follow: see `salvage`.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gatectl.decision.cards import Card
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.journal import salvage
from gatectl.journal.cards import load_all
from gatectl.journal.schema import (
    DamagedError,
    connect_damaged,
    connect_to_read,
    is_damage,
    known_version,
    open_ours,
    transaction,
)
from gatectl.journal.statements import Statement
from gatectl.journal.store_file import APPLICATION_ID, file_of

RETRY_S = 0.05
"""The first pause before a failed disk is tried again; later ones are longer. The next scan waits 100 ms for
its record."""
RETRY_MAX_S = 1.0
"""A disk that works again is in use within a second."""

REPAIRED_RECENTLY_S = 600.0
"""Damage so soon after a repair cannot be repaired in place."""

_LINES_MAX = 1_000_000
"""This many complaints may be harmless: the pages of an index that was rebuilt elsewhere."""

_MISPLACED = re.compile("free-?list|reference to page|page number", re.IGNORECASE)
_HARMLESS = re.compile(r"\*\*\* in database|ok$|Page \d+(: | is )never used", re.IGNORECASE)


class Damage(NamedTuple):
    """A store before this one was damaged: when (µs), and how many cards and events came over from it."""

    since_us: int
    cards: int
    events: int


@dataclass(slots=True)
class StoreHealth:
    """The store's health, for `status`."""

    lost: int = 0
    """Records that were dropped because the queue was full."""
    error: str | None = None
    damage: Damage | None = None
    """Set until a person has acknowledged it."""


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
    """Rewrite the header and rebuild the indexes; return the remaining damage, None where all is well.

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


class Recovery:
    """Repairs or replaces a damaged store under its writer, in whose thread its methods run."""

    def __init__(self, path: Path, log: Log, health: StoreHealth) -> None:
        self._path = path
        self._log = log
        self._health = health
        self._repaired_at: float | None = None
        self._file: tuple[int, int] | None = None
        """The identity of the file that the writer has open, once that is known."""
        self._is_copy = False
        """The file at the path is a copy that was just made, and is not open yet."""
        self._aside: Path | None = None
        """The damaged store, until the one in its place is open."""
        self._carrying: salvage.Carrying | None = None
        self.is_whole = threading.Event()
        """The store is open, and no damage to it is being repaired."""
        self.known_cards: Callable[[], Mapping[str, Card]] = dict
        """Returns the cards that are in memory: they are not lost with the store."""
        self.take_cards: Callable[[dict[str, Card]], None] = lambda _cards: None
        """Called with the cards of a store that took the place of a damaged one."""

    @property
    def is_carrying(self) -> bool:
        """Whether events of a damaged store are still to be carried over."""
        return self._carrying is not None

    def take_up(self, connection: sqlite3.Connection) -> None:
        """Take over the store's notes about a damaged one before it."""
        self._carrying = salvage.carrying_of(connection, self._path)
        self._note_damage(connection)
        self._file = file_of(self._path)
        self.is_whole.set()
        if self._health.damage is not None and self._repaired_at is None:
            text = "the journal was damaged, and the damage is not acknowledged: gatectl status"
            self._log(LogEntry(Priority.WARNING, text))

    def displaced(self) -> str | None:
        """Return how the open file was taken from the path, None where it is still there. Raises OSError.

        Its events would go into a file that nobody finds.
        """
        if self._file is None:
            return None
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return "its file was deleted or moved away"
        return None if (found.st_dev, found.st_ino) == self._file else "another file is in its place"

    def _note_damage(self, connection: sqlite3.Connection) -> None:
        found = salvage.damage_of(connection)
        self._health.damage = None if found is None else Damage(*found)

    def recover(
        self,
        connection: sqlite3.Connection,
        damaged: DamagedError,
        under_way: Mapping[str, Statement],
        is_over: Callable[[], bool],
    ) -> sqlite3.Connection | None:
        """Repair the store, or replace it; return None if `is_over` does first. Scans go on meanwhile.

        `under_way` are the attempts on disk whose outcomes are not: a replacement needs them.
        """
        self.is_whole.clear()
        self._health.error = f"{damaged.message}; it is being repaired"
        self._log(LogEntry(Priority.ERROR, f"{damaged.message}: it is being repaired, and scans go on"))
        retry_s = RETRY_S
        while True:
            try:
                if self.displaced() is not None:
                    connection = self._save_again(connection)
                repaired = (
                    self._open_copy(connection)
                    or self._repair_in_place(connection)
                    or self._replace(connection, under_way)
                )
            except (sqlite3.Error, OSError) as error:
                self._health.error = f"{damaged.message}, and cannot be repaired yet ({error})"
                if is_over():
                    return None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self._health.error = None
                self._file = file_of(self._path)
                self.is_whole.set()
                return repaired

    def _save_again(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Copy the store back to its path, and close its own file; return a connection to the copy."""
        try:
            salvage.note_saved(connection, time.time_ns() // 1000)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
        aside = salvage.save_again(connection, self._path)
        connection.close()
        self._file, self._is_copy = file_of(self._path), True
        kept = f"; the file that was in its place is {aside} now" if aside else ""
        text = f"the journal {self._path} was saved again, with its cards and events{kept}"
        self._log(LogEntry(Priority.ERROR, f"{text}: gatectl status --acknowledge"))
        return connect_damaged(self._path)

    def _open_copy(self, connection: sqlite3.Connection) -> sqlite3.Connection | None:
        """Open a store that was saved again; None where that is not so, or where the copy is damaged."""
        if not self._is_copy:
            return None
        try:
            saved = open_ours(self._path)
            self._carrying = salvage.carrying_of(saved, self._path)
            self._note_damage(saved)
        except (DamagedError, sqlite3.DatabaseError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                raise
            self._is_copy, self._repaired_at = False, time.monotonic()
            return None
        connection.close()
        self._is_copy = False
        return saved

    def _repair_in_place(self, connection: sqlite3.Connection) -> sqlite3.Connection | None:
        """The connection to the repaired store; None where it has to be replaced."""
        now = time.monotonic()
        if self._repaired_at is not None and now < self._repaired_at + REPAIRED_RECENTLY_S:
            return None
        left = repair(connection, self._path)
        self._repaired_at = now
        if left is not None:
            return None
        text = f"the journal {self._path} is repaired: its indexes were rebuilt, and nothing is lost"
        self._log(LogEntry(Priority.NOTICE, text))
        return connection

    def _replace(
        self, connection: sqlite3.Connection, under_way: Mapping[str, Statement]
    ) -> sqlite3.Connection:
        """Replace the store by one with its cards; its events follow in small steps."""
        connection.close()
        self._file = None
        if self._aside is None:
            now_us = time.time_ns() // 1000
            self._aside = salvage.take_place(self._path, self.known_cards(), under_way.values(), now_us)
        successor = open_ours(self._path)
        aside, self._aside = self._aside, None
        self._carrying = salvage.carrying_of(successor, self._path)
        self._note_damage(successor)
        enrolled = load_all(successor)
        self.take_cards(enrolled)
        self._log(
            LogEntry(
                Priority.ERROR,
                f"the journal {self._path} was put aside as {aside}, and a new one took its place:"
                f" {len(enrolled)} cards were carried over, and the events follow. Cards that no page"
                " holds any more are lost: compare gatectl cards list, then gatectl status --acknowledge",
            )
        )
        return successor

    def carry(self, connection: sqlite3.Connection) -> bool:
        """Carry some events over; return False if none is left. Raises sqlite3.DatabaseError for damage."""
        try:
            if self._carrying is not None and self._carrying.step():
                return True
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise
            text = f"events of the damaged journal are not carried over yet ({error}): the next start goes on"
            self._log(LogEntry(Priority.WARNING, text))
        self._carrying = None
        self._note_damage(connection)
        if self._health.damage is not None:
            text = f"{self._health.damage.events} events of the damaged journal were carried over"
            self._log(LogEntry(Priority.NOTICE, text))
        return False
