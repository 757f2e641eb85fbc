"""Read the store while the daemon writes it: the finished events, oldest first, and those to come.

Everything is read in short transactions, so that a reader who pauses (a pager left open over night)
never keeps the write-ahead log from being emptied.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from gatectl.decision.cards import Card
from gatectl.decision.event import (
    Attempt,
    BodyRecord,
    DialRecord,
    Event,
    Evidence,
    GateRecord,
    Outcome,
    RequestRecord,
)
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.errors import SUDO_OR_GROUP, GatectlError
from gatectl.journal.cards import load_all
from gatectl.journal.schema import connect_to_read, migrations, remedy
from gatectl.journal.store_file import APPLICATION_ID, NotOursError, file_of, require_ours

if TYPE_CHECKING:
    from gatectl.journal.filters import Filters

T = TypeVar("T")

POLL_S = 0.1
"""SQLite does not notify of another process's commits, so -f polls. `PRAGMA data_version` reads shared memory
alone, not the disk, and a person does not notice a tenth of a second."""

PAGE = 500
"""Events per transaction, which takes some milliseconds."""

_MOST = 2**63 - 1
"""The largest integer that SQLite takes."""

_NEW_JOURNAL = "gatectl run makes it at its first start; journal.path says where"
Named = Literal["door", "partner", "kind"]
"""The fields of an event that hold one of a few names."""


class UnreadableError(GatectlError):
    """The store cannot be read."""


class ForeignFileError(UnreadableError, NotOursError):
    """The file at the store's path belongs to another program."""


class _NotADatabaseError(UnreadableError):
    """The file's header is not SQLite's: a damaged store, or a foreign file."""


class Reader:
    """An open store. It may be used by one thread, and raises UnreadableError for every failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not _is_there(path):
            raise _no_journal_yet(path)
        self._open()

    def _open(self) -> None:
        with _foreign_file_refused(self._path), _errors_for_user(self._path):
            self._file = file_of(self._path)
            self._connection, self._at_rest = connect_to_read(self._path)
        self._connection.row_factory = sqlite3.Row
        try:
            with self._errors_for_user():
                self._require_journal()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store."""
        self._connection.close()

    @property
    def at_rest(self) -> bool:
        """Whether the store is at rest: no process writes it, and reading gives its state at opening."""
        return self._at_rest

    def mark(self) -> int:
        """The journal's position: the number of the last decision so far, 0 for none."""
        with self._errors_for_user():
            last: int | None = self._connection.execute("SELECT max(ended) FROM outcomes").fetchone()[0]
        return last or 0

    def query(
        self, filters: Filters, newest: int | None = None, *, until: int | None = None
    ) -> Iterator[Event]:
        """The events in the order of their scans; only the newest so many where that is given.

        Events after the mark `until` (now, if None) are not among them.
        """
        where, values = filters.conditions()
        values["until"] = self.mark() if until is None else until
        where += " AND ended <= :until"
        seq = self._first(where, values, filters, newest)
        while seq is not None:
            rows = self._rows(f"{where} AND seq >= :seq ORDER BY seq LIMIT {PAGE}", {**values, "seq": seq})
            yield from map(event_of, rows)
            seq = rows[-1]["seq"] + 1 if len(rows) == PAGE else None

    def follow(
        self, filters: Filters, after: int, wait: Callable[[], object] = lambda: time.sleep(POLL_S)
    ) -> Iterator[Event]:
        """The events decided after the mark, as they come, in the order of the decisions. Endless.

        Where another store takes the place of this one, it is followed from there on.
        """
        if self._at_rest:
            what = f"{self._path}: gatectl is not running, so nothing will come"
            raise UnreadableError(what, "start it: systemctl start gatectl")
        where, values = filters.conditions()
        seen = None
        while True:
            if file_of(self._path) not in {self._file, None}:
                moved = self._move_on(after)
                if moved is None:
                    wait()
                    continue
                after, seen = moved, None
            with self._errors_for_user():
                version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            if version == seen:
                wait()
                continue
            seen, until = version, self.mark()
            while after < until:
                span = {"after": after, "until": until}
                rows = self._rows(
                    f"{where} AND ended > :after AND ended <= :until ORDER BY ended LIMIT {PAGE}",
                    values | span,
                )
                yield from map(event_of, rows)
                after = rows[-1]["ended"] if len(rows) == PAGE else until

    def _move_on(self, after: int) -> int | None:
        """Open the store that took this one's place; return where to go on in it, None while it is made.

        It has the decision `after` under another number. Where it has lost that, its own decisions follow.
        """
        try:
            successor = Reader(self._path)
        except UnreadableError:
            return None
        last = None
        with suppress(UnreadableError), self._errors_for_user():  # a damaged one need not know
            last = self._connection.execute("SELECT id FROM events WHERE ended = ?", (after,)).fetchone()
        self._connection.close()
        self._connection, self._at_rest, self._file = (
            successor._connection,
            successor._at_rest,
            successor._file,
        )
        with self._errors_for_user():
            found: tuple[int | None] = self._connection.execute(
                "SELECT coalesce((SELECT ended FROM outcomes JOIN attempts USING (seq) WHERE id = ?),"
                " (SELECT value FROM marks WHERE name = 'carried_to'))",
                last or (None,),
            ).fetchone()
        return 0 if after == 0 else found[0] or 0

    def find(self, event_id: str) -> Event | None:
        """The finished event with this ID."""
        rows = self._rows("id = :id", {"id": event_id})
        return event_of(rows[0]) if rows else None

    def neighbours(self, event_id: str, count: int) -> tuple[list[Event], list[Event]]:
        """The events next to this one in the order of the scans: at most so many before it, and after it."""
        values: dict[str, object] = {"id": event_id, "count": count}
        here = "(SELECT seq FROM attempts WHERE id = :id)"
        before = self._rows(f"seq < {here} ORDER BY seq DESC LIMIT :count", values)
        after = self._rows(f"seq > {here} ORDER BY seq LIMIT :count", values)
        return [event_of(row) for row in reversed(before)], [event_of(row) for row in after]

    def before(self, event_id: str, count: int, after_id: str | None = None) -> list[Event]:
        """The events before this one in the order of the scans, at most so many; none up to `after_id`."""
        seq = "(SELECT seq FROM attempts WHERE id = :{})".format
        rows = self._rows(
            f"seq < {seq('id')} AND seq > coalesce({seq('after')}, 0) ORDER BY seq DESC LIMIT :count",
            {"id": event_id, "after": after_id, "count": count},
        )
        return [event_of(row) for row in reversed(rows)]

    def names(self, column: Named) -> list[str]:
        """The doors, partners or kinds that events have."""
        # Jump from name to name in the index by door and by partner: the time does not depend on the number
        # of events.
        statement = (
            f"WITH RECURSIVE found(name) AS (SELECT min({column}) FROM attempts UNION ALL"  # noqa: S608 our words
            f" SELECT (SELECT min({column}) FROM attempts WHERE {column} > name) FROM found"
            " WHERE name IS NOT NULL)"
            " SELECT name FROM found WHERE name <> ''"
        )
        with self._errors_for_user():
            return [name for (name,) in self._connection.execute(statement)]

    def _first(
        self, where: str, values: dict[str, object], filters: Filters, newest: int | None
    ) -> int | None:
        """The `seq` of the first event to give, or of one before it; None if there is none."""
        first: int | None = 0
        with self._errors_for_user():
            if filters.since_us is not None:
                # The plus makes SQLite use the index by time instead of walking up to the first match.
                statement = "SELECT min(+seq) FROM attempts WHERE at_us >= :since"
                (first,) = self._connection.execute(statement, values).fetchone()
            if newest is not None and first is not None:
                chosen = f"{where} AND seq >= :first ORDER BY seq DESC LIMIT :newest"
                statement = f"SELECT min(seq) FROM (SELECT seq FROM events WHERE {chosen})"  # noqa: S608 ours
                given = {**values, "first": first, "newest": min(newest, _MOST)}
                (first,) = self._connection.execute(statement, given).fetchone()
        return first

    def _rows(self, where: str, values: dict[str, object]) -> list[sqlite3.Row]:
        with self._errors_for_user():
            statement = f"SELECT * FROM events WHERE {where}"  # noqa: S608 made of this module's own words
            return self._connection.execute(statement, values).fetchall()

    def _require_journal(self) -> None:
        made_for: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        application: int = self._connection.execute("PRAGMA application_id").fetchone()[0]
        known = len(migrations())
        if application != APPLICATION_ID:
            raise _no_journal_yet(self._path) if _is_new(self._connection) else ForeignFileError(self._path)
        if made_for > known:
            raise UnreadableError(
                f"{self._path}: written by a newer gatectl (schema {made_for}, this one knows {known})",
                "upgrade gatectl",
            )
        if made_for < known:
            raise UnreadableError(
                f"{self._path}: written by an older gatectl (schema {made_for}, this one reads {known})",
                "gatectl run brings it up to date at its start",
            )

    def _errors_for_user(self) -> AbstractContextManager[None]:
        return _errors_for_user(self._path)


def enrolled(path: Path) -> dict[str, Card]:
    """The enrolled cards, by the key that codes are compared by; none where no store was made yet.

    A store of another version will do, if its cards are as they are now. Raises UnreadableError.
    """
    with _foreign_file_refused(path):
        return read_once(path, load_all) or {}


def read_once(path: Path, question: Callable[[sqlite3.Connection], T]) -> T | None:
    """The answer of a store of any version; None where no store was made yet. Raises UnreadableError."""
    if not _is_there(path):
        return None
    with _errors_for_user(path), closing(connect_to_read(path)[0]) as connection:
        if _is_new(connection):
            return None
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            raise ForeignFileError(path)
        return question(connection)


def _is_there(path: Path) -> bool:
    try:
        if path.exists() and not path.is_file():
            raise ForeignFileError(path)
        return path.exists()
    except OSError as error:
        what = f"{path}: the journal cannot be read: {error.strerror}"
        raise UnreadableError(what, SUDO_OR_GROUP) from error


@contextmanager
def _errors_for_user(path: Path) -> Iterator[None]:
    """Convert SQLite's errors into an error for the user."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # an error of ours, not of the disk
    except sqlite3.DatabaseError as error:
        kind = _NotADatabaseError if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB else UnreadableError
        raise kind(f"{path}: the journal cannot be read: {error}", remedy(error, SUDO_OR_GROUP)) from error


@contextmanager
def _foreign_file_refused(path: Path) -> Iterator[None]:
    """Convert the error about a file that is no database where it is not a damaged store."""
    try:
        yield
    except _NotADatabaseError:
        try:
            require_ours(path)
        except NotOursError as error:
            raise ForeignFileError(path) from error
        raise


def _no_journal_yet(path: Path) -> UnreadableError:
    return UnreadableError(f"{path}: there is no journal yet", _NEW_JOURNAL)


def _is_new(connection: sqlite3.Connection) -> bool:
    """Return whether no store was made in the file yet."""
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None


def event_of(row: sqlite3.Row) -> Event:
    """A row of the view `events`."""
    attempt = Attempt(
        row["id"],
        row["kind"],
        row["at_us"],
        row["tenant"],
        row["studio"],
        row["door"],
        row["scanner"],
        row["credential"],
        row["partner"],
        row["member"],
        row["budget_ms"],
        row["boot"],
        row["since_boot_us"],
        row["of"],
        row["customer"],
    )
    key, text = row["reason_key"], row["reason_text"]
    outcome = Outcome(
        result=Result(row["result"]),
        message=row["message"],
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        status=row["status"],
        fault=Fault(row["fault"]) if row["fault"] else None,
        basis=Basis(row["basis"]) if row["basis"] else None,
        detail=row["detail"],
        reason=None if key is None and text is None else Reason(key, text),
        outage=bool(row["outage"]),
        request=_request(row),
        gate=_gate(row),
        facts=None if row["facts"] is None else json.loads(row["facts"]),
    )
    return Event(attempt, outcome)


def _request(row: sqlite3.Row) -> RequestRecord | None:
    if not row["asked"]:
        return None
    return RequestRecord(
        None if row["sent"] is None else bool(row["sent"]),
        row["sent_us"],
        row["answered_us"],
        row["elapsed_ms"],
        row["budget_ms"],
        row["connection"],
        _evidence(row) if row["evident"] else None,
    )


def _evidence(row: sqlite3.Row) -> Evidence:
    dial = body = None
    if row["dialled_us"] is not None:
        dial = DialRecord(
            row["dialled_us"],
            row["look_up_ms"],
            None if row["stale"] is None else bool(row["stale"]),
            row["connect_ms"],
            row["tls_ms"],
        )
    if row["body_bytes"] is not None:
        body = BodyRecord(row["body_bytes"], row["body_sha256"])
    return Evidence(dial, body)


def _gate(row: sqlite3.Row) -> GateRecord | None:
    if row["opened_us"] is None:
        return None
    return GateRecord(row["opened_us"], row["after_ms"], row["open_ms"])
