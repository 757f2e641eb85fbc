"""Take one member's data out of the store, which otherwise never changes an event.

The triggers allow this only while the mark `erasing` is set, inside one transaction, where no other process
sees it. The events stay, without the data that leads to the member.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from gatectl.decision.cards import key_of
from gatectl.decision.event import Event
from gatectl.journal import statements
from gatectl.journal.schema import transaction

STEP = 50
"""Events per transaction: a scan that comes meanwhile waits for one transaction at most."""

WHOLE_CHARS = 8
"""Numbers of at least this length are also searched for inside longer ones, where shorter ones occur by
chance."""

WORD_CHARS = 4
"""Numbers of at least this length are searched for in sentences, where a shorter one may be a count."""

ERASED = "[erased]"

_CHUNK = 1 << 20

_WHOSE = "member = :member AND (:partner IS NULL OR partner = :partner)"
_Whose = dict[str, str | None]

_TEXTS = ("message", "detail", "reason_key", "reason_text", "facts")


@dataclass(frozen=True, slots=True)
class Erased:
    """The numbers of events and cards that were found."""

    events: int
    cards: int
    texts: frozenset[str] = field(default=frozenset(), repr=False)
    """Texts that no file of the store may hold any more."""


@dataclass(slots=True)
class _Traces:
    """The data that leads to the member: numbers, and the keys of codes."""

    numbers: set[str]
    keys: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)

    def add(self, code: str | None, customer: str | None) -> None:
        if code is not None:
            self.keys.add(key_of(code))
            self.codes.add(code)
        if customer is not None:
            self.numbers.add(customer)

    def in_code(self, code: str, *, without_member: bool) -> bool:
        """A short number in a code of another member is part of that member's number."""
        numbers = self.numbers if without_member else self.numbers & self.in_sentences
        return key_of(code) in self.keys or any(_pattern(number).search(code) for number in numbers)

    def out_of(self, text: str) -> str:
        """A sentence without the numbers, the longest first: one may be a part of another."""
        for number in sorted(self.in_sentences, key=len, reverse=True):
            text = _pattern(number).sub(ERASED, text)
        return text

    @property
    def in_sentences(self) -> set[str]:
        """Those that cannot be a word or a count of something."""
        return {one for one in self.texts if len(one) >= WORD_CHARS and any(map(str.isdigit, one))}

    @property
    def texts(self) -> frozenset[str]:
        return frozenset(self.numbers | self.codes | self.keys)


def _pattern(number: str) -> re.Pattern[str]:
    text = re.escape(number)
    return re.compile(text if len(number) >= WHOLE_CHARS else rf"(?<![^\W_]){text}(?![^\W_])")


def erase(connection: sqlite3.Connection, member: str, partner: str | None, record: Event) -> Erased:
    """Take the member's numbers out of all events, remove the cards, and write `record`, which says so.

    Without `partner`, at every partner. If nothing is found, nothing is written. Events are changed a few at
    a time, those that lead to others last, so that an interrupted erasure can be repeated. `connection` is
    one of `schema.open_store`; `purge` has to follow.
    """
    # Overwrite deleted rows, and former values of cells, with zeros.
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    whose = {"member": member, "partner": partner}
    traces, was_due = _traces(connection, whose), is_purge_due(connection)
    without_member, of_others = _scans(connection, traces, whose)
    found: set[int] = set()
    for seqs, change in (
        (without_member, _take_out),
        (of_others, _hide_code),
        (_in_sentences(connection, traces, whose), _clean),
        (_own(connection, whose), _take_out),
    ):
        found.update(seqs)
        for begin in range(0, len(seqs), STEP):
            with _erasing(connection):
                change(connection, seqs[begin : begin + STEP], traces)
    with _erasing(connection):
        late = _own(connection, whose)  # events that came since
        found.update(late)
        _take_out(connection, late, traces)
        cards = connection.execute(f"DELETE FROM cards WHERE {_WHOSE}", whose).rowcount  # noqa: S608 ours
        is_done = bool(found or cards or was_due)
        connection.execute("UPDATE marks SET value = ? WHERE name = 'purge_due'", (is_done,))
        if is_done:
            connection.execute(*statements.attempt_statement(record.attempt))
            connection.execute(*statements.outcome_statement(record.attempt.id, record.outcome))
    return Erased(len(found), cards, traces.texts)


def is_purge_due(connection: sqlite3.Connection) -> bool:
    """Return whether an erasure was interrupted: then unused parts of the file may still hold numbers."""
    due: int = connection.execute("SELECT value FROM marks WHERE name = 'purge_due'").fetchone()[0]
    return bool(due)


def purge(connection: sqlite3.Connection, file: BinaryIO, texts: frozenset[str] | None) -> bool:
    """Empty the write-ahead log, and rebuild the file if any of the texts is still in its unused parts.

    None for the texts rebuilds it in any case. `file` is the store, open for reading since before the
    connection and until after it: a process that closes any descriptor of a database loses SQLite's locks on
    it (https://www.sqlite.org/howtocorrupt.html, section 2.2). False where others read the store all the
    time, so that the log could not be emptied.
    """
    is_gone = _empty_log(connection)
    if is_gone and (texts is None or _holds(file, texts)):
        connection.execute("VACUUM")
        is_gone = _empty_log(connection)
    if is_gone:
        connection.execute("UPDATE marks SET value = 0 WHERE name = 'purge_due'")
    return is_gone


@contextmanager
def _erasing(connection: sqlite3.Connection) -> Iterator[None]:
    with transaction(connection):
        connection.execute("UPDATE marks SET value = 1 WHERE name IN ('erasing', 'purge_due')")
        yield
        connection.execute("UPDATE marks SET value = 0 WHERE name = 'erasing'")


def _traces(connection: sqlite3.Connection, whose: _Whose) -> _Traces:
    traces = _Traces({whose["member"] or ""})
    for code, customer in connection.execute(
        f"SELECT code, customer FROM cards WHERE {_WHOSE} UNION"  # noqa: S608 made of this module's own words
        f" SELECT credential, customer FROM attempts WHERE {_WHOSE}",
        whose,
    ):
        traces.add(code, customer)
    return traces


def _own(connection: sqlite3.Connection, whose: _Whose) -> list[int]:
    return [seq for (seq,) in connection.execute(f"SELECT seq FROM attempts WHERE {_WHOSE}", whose)]  # noqa: S608 ours


def _scans(connection: sqlite3.Connection, traces: _Traces, whose: _Whose) -> tuple[list[int], list[int]]:
    """Further scans of the member's cards, or of codes that hold a number, without this member."""
    without_member: list[int] = []
    of_others: list[int] = []
    for seq, code, member in connection.execute(
        "SELECT seq, credential, member FROM attempts WHERE credential IS NOT NULL"
        " AND member IS NOT :member AND (partner IS NULL OR :partner IS NULL OR partner = :partner)",
        whose,
    ):
        if traces.in_code(code, without_member=member is None):
            (without_member if member is None else of_others).append(seq)
    return without_member, of_others


def _in_sentences(connection: sqlite3.Connection, traces: _Traces, whose: _Whose) -> list[int]:
    """Events of others whose texts hold one of the numbers, as the reason for an opening by hand does."""
    found: set[int] = set()
    for number in traces.in_sentences:
        hits = " OR ".join(f"instr({column}, :number)" for column in _TEXTS)
        found.update(
            seq
            for (seq,) in connection.execute(
                f"SELECT seq FROM outcomes JOIN attempts USING (seq) WHERE ({hits})"  # noqa: S608 as above
                " AND (partner IS NULL OR :partner IS NULL OR partner = :partner)",
                {**whose, "number": number},
            )
        )
    return sorted(found)


def _take_out(connection: sqlite3.Connection, seqs: Iterable[int], traces: _Traces) -> None:
    """Remove from the event the member and the partner's words about the member."""
    _clean(connection, seqs, traces)
    which = [(seq,) for seq in seqs]
    connection.executemany(
        "UPDATE attempts SET credential = NULL, member = NULL, customer = NULL WHERE seq = ?", which
    )
    connection.executemany(
        "UPDATE outcomes SET reason_key = NULL, reason_text = NULL, body_sha256 = NULL WHERE seq = ?", which
    )


def _hide_code(connection: sqlite3.Connection, seqs: Iterable[int], _traces: _Traces) -> None:
    """Remove the code; the event remains another member's."""
    connection.executemany("UPDATE attempts SET credential = NULL WHERE seq = ?", [(seq,) for seq in seqs])


def _clean(connection: sqlite3.Connection, seqs: Iterable[int], traces: _Traces) -> None:
    """Remove the numbers from the event's texts."""
    for seq in seqs:
        row = connection.execute(f"SELECT {', '.join(_TEXTS)} FROM outcomes WHERE seq = ?", (seq,)).fetchone()  # noqa: S608 ours
        for column, text in zip(_TEXTS, row or (), strict=False):
            cleaned = text and traces.out_of(text)
            if cleaned != text:
                # A JSON object may become invalid when its text is changed.
                cleaned = None if column == "facts" else cleaned
                connection.execute(f"UPDATE outcomes SET {column} = ? WHERE seq = ?", (cleaned, seq))  # noqa: S608 ours


def _empty_log(connection: sqlite3.Connection) -> bool:
    # It waits for readers as long as the connection's busy timeout; none of ours reads for so long.
    is_busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    return not is_busy


def _holds(file: BinaryIO, texts: Iterable[str]) -> bool:
    needles = [text.encode() for text in texts]
    overlap = max(map(len, needles), default=0)
    tail = b""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        seen = tail + chunk
        if any(needle in seen for needle in needles):
            return True
        tail = seen[-overlap:]
    return False
