"""The store's one writer: a thread that commits, and tells the event loop when a record is on disk.

A disk that is full, read-only or stuck stops nobody: records wait here, in order, and follow when it
can take them again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gatectl.decision.cards import Card
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.journal import clocks, rows
from gatectl.journal.place import StoreError, put_aside, require_ours
from gatectl.journal.prune import Pruning
from gatectl.journal.reader import UnreadableError, enrolled
from gatectl.journal.schema import DamagedError, is_damage, open_ours
from gatectl.journal.transaction import transaction

T = TypeVar("T")

RETRY_S = 0.05
"""A disk that failed is tried again this soon, then ever more slowly: the next scan's patience is 100 ms."""
RETRY_MAX_S = 1.0

LATE_MAX = 20_000
"""Records kept in memory while the disk takes none: 10,000 scans, about 20 MB, days at a door."""

QUIET_S = 0.5
"""After so long without a scan there is time for the store's housekeeping."""
CHECKPOINT_EVERY = 100
"""Commits between two quiet checkpoints: few enough that each takes less than a scan's patience."""


@dataclass(slots=True)
class _Write:
    statement: rows.Statement
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Question:
    ask: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


@dataclass(slots=True)
class Health:
    """How the store is doing, for `status`."""

    lost: int = 0
    """Records that found no room any more."""
    error: str | None = None


class Store:
    """Records in the order in which they come; each future is done when its record is on disk."""

    def __init__(self, path: Path, keep_days: int, tell: Tell) -> None:
        self._path = path
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Write | _Question | None] = queue.SimpleQueue()
        self._unwritten: deque[_Write] = deque()
        self._retry_s = RETRY_S
        self._pruning = Pruning(keep_days, clocks.moment())
        self._commits = 0
        self._give_up_at: float | None = None
        self._stopping = threading.Event()
        self._is_ours = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal writer", daemon=True)
        self.health = Health()
        self.opened: asyncio.Future[list[Event]] = self._loop.create_future()
        """Done when the store was opened, with the interrupted scans of the last run, which are closed now;
        StoreError if it never can be."""
        self.upgrading: asyncio.Future[None] = self._loop.create_future()
        """Done where the store is being brought up to date, which may take minutes."""
        self.cards: asyncio.Future[dict[str, Card]] = self._loop.create_future()
        """Done as soon as the enrolled cards can be read, for which nobody has to wait for the writer."""
        self.slow: asyncio.Future[None] = self._loop.create_future()
        """Done where the first attempt to open the store failed; further ones follow."""
        self.broken: asyncio.Future[None] = self._loop.create_future()
        """Carries the error that ended the writer: a bug, which must end the daemon too."""

    def start(self) -> None:
        self._thread.start()
        threading.Thread(target=self._read_cards, name="cards reader", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Records and questions that wait for the disk."""
        return len(self._unwritten) + self._jobs.qsize()

    def record(self, attempt: Attempt) -> asyncio.Future[None]:
        """Writes the first half of an event."""
        return self._write(rows.attempt_statement(attempt))

    def finish(self, attempt_id: str, outcome: Outcome) -> asyncio.Future[None]:
        """Writes the second half."""
        return self._write(rows.outcome_statement(attempt_id, outcome))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Runs a question after all records before it; the future may carry sqlite3.Error."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Question(question, done))
        return done

    def _write(self, statement: rows.Statement) -> asyncio.Future[None]:
        done: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put(_Write(statement, done))
        return done

    async def stop(self, patience_s: float) -> None:
        """Writes what waits, for so long at most, and says what could not be kept."""
        self._give_up_at = time.monotonic() + patience_s
        self._stopping.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, patience_s)
        lost = len(self._unwritten) + sum(isinstance(job, _Write) for job in self._arrived())
        if lost:
            self._tell(
                Notice(
                    Priority.ERROR,
                    f"the journal could not be written: {lost} records are lost with this end",
                )
            )

    def _arrived(self) -> list[_Write | _Question | None]:
        """What has come by now, taken out of the queue."""
        jobs = []
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        return jobs

    def _read_cards(self) -> None:
        """In a thread of its own: a reader of a WAL needs no lock, and has them while the writer waits."""
        try:
            while not self._stopping.is_set():
                if not self._is_ours.wait(RETRY_MAX_S):
                    continue
                with contextlib.suppress(UnreadableError):
                    self._hand_over([(self.cards, enrolled(self._path))])
                    return
                self._stopping.wait(RETRY_MAX_S)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._hand_over([(self.broken, error)])

    # The rest runs in the writer's thread.

    def _run(self) -> None:
        try:
            connection = self._open()
            if connection is not None:
                with contextlib.closing(connection):
                    while not self._is_over():
                        self._turn(connection)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._hand_over([(self.broken, error)])

    def _is_over(self) -> bool:
        if self._give_up_at is None:
            return False
        done = not self._unwritten and self._jobs.empty()
        return done or time.monotonic() >= self._give_up_at

    def _open(self) -> sqlite3.Connection | None:
        retry_s = RETRY_S
        while True:
            try:
                if not self._is_ours.is_set():
                    # Once, and before anybody has the file open: to close it takes SQLite's locks away.
                    require_ours(self._path)
                    self._is_ours.set()
                connection, interrupted = self._open_once()
            except DamagedError as error:
                self._set_aside(error)
            except StoreError as error:
                self._hand_over([(self.opened, error)])
                return None
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
                self._hand_over([(self.slow, None)])
                if self._give_up_at is not None:
                    return None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self._recovered()
                self._hand_over([(self.opened, interrupted)])
                return connection

    def _open_once(self) -> tuple[sqlite3.Connection, list[Event]]:
        connection = open_ours(self._path, lambda: self._hand_over([(self.upgrading, None)]))
        try:
            return connection, rows.close_interrupted(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if is_damage(error):
                raise DamagedError(f"{self._path}: the journal is damaged ({error})") from error
            raise
        except BaseException:
            # SQLite shares what it knows of a file, "read-only" included, among a process's connections.
            connection.close()
            raise

    def _set_aside(self, damaged: DamagedError) -> None:
        """A store that cannot be read any more makes room for a new one; nothing is deleted."""
        try:
            aside = put_aside(self._path, "damaged")
        except OSError as error:
            self._failed(error)
            time.sleep(RETRY_MAX_S)
            return
        self._tell(
            Notice(
                Priority.ERROR,
                f"{damaged.message}: it was put aside as {aside}, and a new one begins; enrol the cards anew",
            )
        )

    def _turn(self, connection: sqlite3.Connection) -> None:
        """One round: what has come is written, or tried again."""
        jobs = self._next_jobs(connection)
        for job in jobs:
            if isinstance(job, _Write):
                self._unwritten.append(job)
        if self._unwritten:
            self._commit(connection)
        self._answer(connection, [job for job in jobs if isinstance(job, _Question)])

    def _next_jobs(self, connection: sqlite3.Connection) -> list[_Write | _Question]:
        try:
            first = self._jobs.get(timeout=self._pause())
        except queue.Empty:
            if not self._unwritten:
                self._keep_house(connection)
            return []
        return [job for job in (first, *self._arrived()) if job is not None]

    def _pause(self) -> float | None:
        if self._unwritten:
            return self._retry_s
        return QUIET_S if self._commits >= CHECKPOINT_EVERY or self._pruning.is_due(clocks.moment()) else None

    def _require_writable(self) -> None:
        """Raises OSError for a file system that has become read-only.

        ext4 that the kernel has made so, after an error of the card, still takes writes into memory, and says
        of every fsync that it was done.
        """
        if os.statvfs(self._path.parent).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def _commit(self, connection: sqlite3.Connection) -> None:
        try:
            self._require_writable()
            with transaction(connection):
                for write in self._unwritten:
                    connection.execute(*write.statement)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise  # not the disk: a record that never fits would hold up all others for ever
        except (sqlite3.DatabaseError, OSError) as error:
            self._failed(error)
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
            self._drop_excess()
        else:
            self._commits += 1
            written = [(write.done, None) for write in self._unwritten]
            self._unwritten.clear()
            self._recovered()
            self._hand_over(written)

    def _drop_excess(self) -> None:
        while len(self._unwritten) > LATE_MAX:
            self._unwritten.popleft()
            self.health.lost += 1

    def _answer(self, connection: sqlite3.Connection, questions: Iterable[_Question]) -> None:
        for question in questions:
            try:
                answer = question.ask(connection)
            except sqlite3.Error as error:
                answer = error
            self._hand_over([(question.done, answer)])

    def _keep_house(self, connection: sqlite3.Connection) -> None:
        try:
            self._require_writable()
            if self._commits >= CHECKPOINT_EVERY:
                self._commits = 0
                _checkpoint(connection)
            # In small steps: a scan that comes between waits for one of them at most. What a step has changed
            # goes into the file at once: SQLite would let a thousand pages gather, and then write them all.
            while self._jobs.empty() and self._pruning.step(connection, clocks.moment()):
                _checkpoint(connection)
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        if self.health.error is None:
            self._tell(
                Notice(
                    Priority.ERROR,
                    f"the journal {self._path} cannot be written ({error}):"
                    " scans go on, their records follow",
                )
            )
        self.health.error = str(error)

    def _recovered(self) -> None:
        if self.health.error is not None:
            lost = f", {self.health.lost} records were lost" if self.health.lost else ""
            self._tell(Notice(Priority.NOTICE, f"the journal {self._path} is written again{lost}"))
        self._retry_s = RETRY_S
        self.health.error = None

    def _hand_over(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, results)
        except RuntimeError:
            if not self._loop.is_closed():
                raise


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _resolve(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
