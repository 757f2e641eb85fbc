"""Read the journal by the numbers of its finished events, in one thread, also if its file is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from gatectl.decision.event import Event
from gatectl.journal.reader import Reader, UnreadableError, event_of
from gatectl.journal.store_file import file_of

T = TypeVar("T")


class JournalEnd(NamedTuple):
    """The journal's identity, and the number of its last event, those that were pruned included."""

    identity: str
    last: int


class NumberedReader(Reader):
    """A reader that goes by the number `ended`, which has no gaps and is never used twice."""

    def end(self) -> JournalEnd | None:
        """Return the journal's end; None as long as events of a damaged store are still to come into it.

        Those have numbers below the end, and would be taken to have been pruned.
        """
        statement = (
            "SELECT id, carrying, max((SELECT coalesce(max(ended), 0) FROM outcomes),"
            " (SELECT value FROM marks WHERE name = 'pruned_to')) FROM journal"
        )
        with self._errors_for_user():
            identity, carrying, last = self._connection.execute(statement).fetchone()
        return None if carrying is not None else JournalEnd(identity, last)

    def id_at(self, number: int) -> str | None:
        """Return the ID of the event with this number; None if there is none, or not any more."""
        with self._errors_for_user():
            found: tuple[str] | None = self._connection.execute(
                "SELECT id FROM outcomes JOIN attempts USING (seq) WHERE ended = ?", (number,)
            ).fetchone()
        return found and found[0]

    def after(self, number: int, most: int) -> list[tuple[int, Event]]:
        """Return the first events with greater numbers, in order, each with its number."""
        span: dict[str, object] = {"after": number, "most": most}
        rows = self._rows("ended > :after ORDER BY ended LIMIT :most", span)
        return [(row["ended"], event_of(row)) for row in rows]


class JournalSource:
    """Answers one question after the other, from the file that is now the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "journal reader")
        self._reader: NumberedReader | None = None
        self._file: tuple[int, int] | None = None
        self._touched: list[tuple[int, int, int] | None] = []

    def is_touched(self) -> bool:
        """Return whether the store's files changed since the last call. Wakes no thread and reads no disk."""
        now = [_touch(self._path), _touch(self._path.with_name(f"{self._path.name}-wal"))]
        before, self._touched = self._touched, now
        return now != before

    async def ask(self, question: Callable[[NumberedReader], T]) -> T:
        """Return the answer. Raises UnreadableError if there is no readable journal."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    def close(self) -> None:
        """Close the journal, and end the thread."""
        self._thread.submit(self._let_go)
        self._thread.shutdown()

    def _answer(self, question: Callable[[NumberedReader], T]) -> T:
        file = file_of(self._path)
        # A store at rest was opened as unchanging: open it again each time.
        if self._reader is None or file != self._file or self._reader.at_rest:
            self._let_go()
            self._reader, self._file = NumberedReader(self._path), file
        try:
            return question(self._reader)
        except UnreadableError:
            self._let_go()
            raise

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None


def _touch(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
