"""Carry over the content of a damaged store: the cards at once, then the events in small steps.

Rows keep their numbers, and the new store continues after them, so that others' positions in the journal stay
valid. A row is recognised by its form alone, since the schema and the trees may be what is damaged.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from gatectl.decision.cards import Card, key_of
from gatectl.decision.event import Attempt, Event, interrupted
from gatectl.journal import cards, statements
from gatectl.journal.schema import copy_whole, open_ours, transaction
from gatectl.journal.store_file import SQLITE_SUFFIXES, place_aside, put_aside

if TYPE_CHECKING:
    from gatectl.journal.pages import LeafRecord, Value

STEP = 50
"""Interrupted scans closed in a transaction; a page of the damaged store has fewer rows."""

UNDECIDED_MAX = 1000
"""At most this many scans are undecided at once, so an outcome's position differs from its attempt's by at
most this."""

SEARCHED_PAGES_MAX = 100_000
"""Pages in which a file without a header is searched for a row of ours: 400 MB."""

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HEX_32 = re.compile(r"[0-9a-f]{32}")
_LARGEST = 1 << 40
"""The largest plausible row number: a larger one is damaged."""
_TRUE_MARKS = frozenset({"kept_from_us", "pruned_to", "purge_due"})
"""The marks that stay true in the new store."""
_MARKS = _TRUE_MARKS | {
    "closed_to_seq",
    "erasing",
    "damaged_us",
    "damaged_cards",
    "damaged_events",
    "carried_to",
}


@dataclass(slots=True)
class Salvage:
    """The content of a damaged store, apart from its events."""

    cards: dict[str, Card] = field(default_factory=dict)
    identity: str | None = None
    marks: dict[str, int] = field(default_factory=dict)
    last_attempt: int = 0
    last_decision: int = 0


def looks_like_ours(path: Path) -> bool:
    """Whether a file without a header has a row of a gatectl store."""
    from gatectl.journal.pages import Pages  # noqa: PLC0415 - only where a store is damaged

    with Pages(path) as file:
        numbers = range(1, min(file.count, SEARCHED_PAGES_MAX) + 1)
        return any(_is_attempt(row) or _card(row) for number in numbers for row in file.rows(number))


def salvageable(path: Path) -> Salvage:
    """Look at each page once. Raises OSError."""
    from gatectl.journal.pages import each_page  # noqa: PLC0415 - only where a store is damaged

    found = Salvage()
    for page in each_page(path):
        for first in islice(page, 1):  # the page's type: most pages need no further look
            if _is_attempt(first):
                found.last_attempt = max(found.last_attempt, first.rowid or 0)
            elif _is_outcome(first):
                found.last_decision = max(found.last_decision, first.rowid or 0)
                # The attempt may be lost: its number must not lead another scan to this outcome.
                found.last_attempt = max(found.last_attempt, _attempt_of(first) + UNDECIDED_MAX)
            elif first.rowid is not None and len(first.values) == 2 and _is_hex(first.values[0]):
                found.identity = str(first.values[0])
            elif _card(first) or _mark(first):
                for row in chain([first], page):
                    _take(row, found)
    return found


def _take(row: LeafRecord, found: Salvage) -> None:
    card, mark = _card(row), _mark(row)
    if card is not None:
        found.cards[key_of(card.code)] = card
    elif mark is not None:
        found.marks[mark[0]] = mark[1]


def take_place(
    path: Path, known: Mapping[str, Card], under_way: Iterable[statements.Statement], since_us: int
) -> Path:
    """Put a damaged store aside and a new one with its cards in its place; return the damaged one's path.

    This process must not have it open. Raises OSError and sqlite3.Error, and can then be tried again.
    """
    found = salvageable(path)
    successor = _new_successor_of(path)
    aside = place_aside(path, "damaged")
    try:
        with closing(open_ours(successor)) as connection:
            begin(connection, found, known, under_way, aside, since_us)
        put_aside(path, aside)
    except BaseException:
        if not aside.stat().st_size:
            aside.unlink()
        raise
    # After a power failure here, the next start does this.
    successor.rename(path)
    return aside


def successor_of(path: Path) -> Path:
    """The path at which a new store is made before it takes the place of a damaged one."""
    return path.with_name(f"{path.name}.successor")


def _new_successor_of(path: Path) -> Path:
    """The path for a new store, without the files of an attempt that failed."""
    successor = successor_of(path)
    for ending in ("", *SQLITE_SUFFIXES):
        Path(f"{successor}{ending}").unlink(missing_ok=True)
    return successor


def save_again(connection: sqlite3.Connection, path: Path) -> Path | None:
    """Copy a store whose file was taken from its path back to it, from the connection that has it open.

    Returns the new path of the file that was in its place, if there was one. Raises OSError and
    sqlite3.Error, and can then be tried again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    successor = _new_successor_of(path)
    copy_whole(connection, successor)
    aside = place_aside(path, "replaced") if path.exists() else None
    if aside is not None:
        put_aside(path, aside)
    for suffix in SQLITE_SUFFIXES:  # the log of the deleted file would be taken for the copy's
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    successor.rename(path)
    return aside


def note_saved(connection: sqlite3.Connection, since_us: int) -> None:
    """Note for `damage_of` that all of this store was saved again."""
    with transaction(connection):
        connection.execute("UPDATE marks SET value = ? WHERE name = 'damaged_us'", (since_us,))
        for mark, table in (("damaged_cards", "cards"), ("damaged_events", "outcomes")):
            counted = f"(SELECT count(*) FROM {table})"  # noqa: S608 our own names
            connection.execute(f"UPDATE marks SET value = {counted} WHERE name = ?", (mark,))  # noqa: S608


def finish_taking_place(path: Path) -> None:
    """Finish a replacement that a power cut interrupted."""
    if not path.exists() and successor_of(path).exists():
        successor_of(path).rename(path)


def begin(
    connection: sqlite3.Connection,
    found: Salvage,
    known: Mapping[str, Card],
    under_way: Iterable[statements.Statement],
    aside: Path,
    since_us: int,
) -> None:
    """Give a new store the cards, those that are `known` included, and what `Carrying` needs.

    `under_way` are the attempts whose outcomes are still to come.
    """
    everything = {**known, **found.cards}
    marks = {
        **{name: value for name, value in found.marks.items() if name in _TRUE_MARKS},
        "pruned_to": max(found.marks.get("pruned_to", 0), found.last_decision),
        "carried_to": found.last_decision,
        "closed_to_seq": found.last_attempt,
        "damaged_us": since_us,
        "damaged_cards": len(everything),
    }
    with transaction(connection):
        cards.put(connection, everything.values())
        connection.executemany(
            "UPDATE marks SET value = ? WHERE name = ?", [(v, k) for k, v in marks.items()]
        )
        connection.execute(
            "UPDATE journal SET id = coalesce(?, id), carrying = ?", (found.identity, aside.name)
        )
        connection.execute("INSERT INTO sqlite_sequence VALUES ('attempts', ?)", (found.last_attempt,))
        for statement in under_way:
            connection.execute(*statement)


class Carrying:
    """Carries the events of a damaged store over into its replacement; repeating it does no harm."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._steps = self._work()

    def step(self) -> bool:
        """One page, in one transaction; False where nothing is left. Raises OSError and sqlite3.Error."""
        return next(self._steps, None) is not None

    def _work(self) -> Iterator[bool]:
        from gatectl.journal.pages import each_page  # noqa: PLC0415 - only where a store is damaged

        for table, is_row in (("attempts", _is_attempt), ("outcomes", _is_outcome)):
            names = [row[1] for row in self._connection.execute(f"PRAGMA table_info({table})")]
            for page in each_page(self._path):
                first = next(page, None)
                if first is not None and is_row(first):
                    with transaction(self._connection):
                        taken = sum(
                            self._put(table, names, row) for row in chain([first], page) if is_row(row)
                        )
                        self._count(taken if table == "outcomes" else 0)
                yield True
        yield from self._close()
        self._connection.execute("UPDATE journal SET carrying = NULL")

    def _put(self, table: str, names: list[str], row: LeafRecord) -> int:
        values: tuple[Value, ...] = (row.rowid, *row.values[1:])[: len(names)]
        columns = ", ".join(f'"{name}"' for name in names[: len(values)])
        marks = ", ".join("?" * len(values))
        statement = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 our own names
        try:
            return self._connection.execute(statement, values).rowcount
        except sqlite3.IntegrityError:
            return 0  # its attempt is lost, or a value is not what the column takes

    def _count(self, events: int) -> None:
        self._connection.execute(
            "UPDATE marks SET value = value + ? WHERE name = 'damaged_events'", (events,)
        )

    def _close(self) -> Iterator[bool]:
        """Close attempts whose outcome is lost, as interrupted ones."""
        while True:
            found = self._connection.execute(
                f"SELECT {statements.ATTEMPT_COLUMNS} FROM attempts AS a"  # noqa: S608 ours
                " LEFT JOIN outcomes AS o ON o.seq = a.seq"
                " WHERE a.seq <= (SELECT value FROM marks WHERE name = 'closed_to_seq') AND o.seq IS NULL"
                " ORDER BY a.seq LIMIT ?",
                (STEP,),
            ).fetchall()
            if not found:
                return
            with transaction(self._connection):
                for values in found:
                    event = Event(Attempt(*values), interrupted(Attempt(*values)))
                    self._connection.execute(*statements.outcome_statement(event.attempt.id, event.outcome))
                self._count(len(found))
            yield True


def carrying_of(connection: sqlite3.Connection, path: Path) -> Carrying | None:
    """The events that are still to be carried over into the store at `path`, if any."""
    (name,) = connection.execute("SELECT carrying FROM journal").fetchone()
    if name is None:
        return None
    aside = path.with_name(name)
    if aside.exists():
        return Carrying(connection, aside)
    connection.execute("UPDATE journal SET carrying = NULL")
    return None


def damage_of(connection: sqlite3.Connection) -> tuple[int, int, int] | None:
    """When the store before was damaged (µs), and how many cards and events came over; None once known."""
    marks: dict[str, int] = dict(
        connection.execute("SELECT name, value FROM marks WHERE name GLOB 'damaged_*'")
    )
    if not marks["damaged_us"]:
        return None
    return marks["damaged_us"], marks["damaged_cards"], marks["damaged_events"]


def acknowledge(connection: sqlite3.Connection) -> None:
    """Record that a person has acknowledged the damage."""
    connection.execute("UPDATE marks SET value = 0 WHERE name = 'damaged_us'")


def _attempt_of(outcome: LeafRecord) -> int:
    seq = outcome.values[1]
    return seq if isinstance(seq, int) else 0


def _is_hex(value: Value) -> bool:
    return isinstance(value, str) and _HEX_32.fullmatch(value) is not None


def _mark(row: LeafRecord) -> tuple[str, int] | None:
    if row.rowid is not None or len(row.values) != 2:
        return None
    name, value = row.values
    return (name, value) if isinstance(name, str) and name in _MARKS and isinstance(value, int) else None


def _card(row: LeafRecord) -> Card | None:
    if row.rowid is None or len(row.values) != 5:
        return None
    key, code, partner, member, customer = row.values
    if not (isinstance(code, str) and isinstance(partner, str) and isinstance(member, str)):
        return None
    if key != key_of(code) or not isinstance(customer, str | None):
        return None
    return Card(code, partner, member, customer)


def _is_attempt(row: LeafRecord) -> bool:
    values = row.values
    return (
        row.rowid is not None
        and 0 < row.rowid < _LARGEST
        and len(values) >= 16
        and values[0] is None  # the column that is the row's ID
        and isinstance(values[1], str)
        and _ID.fullmatch(values[1]) is not None
        and isinstance(values[2], str)
        and isinstance(values[3], int)
        and _is_hex(values[14])
        and isinstance(values[15], int)
    )


def _is_outcome(row: LeafRecord) -> bool:
    values = row.values
    return (
        row.rowid is not None
        and 0 < row.rowid < _LARGEST
        and len(values) >= 30
        and values[0] is None
        and isinstance(values[1], int)
        and 0 < values[1] < _LARGEST
        and isinstance(values[2], str)
        and isinstance(values[4], str)
    )
