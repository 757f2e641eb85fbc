"""The store's one writer: a thread that commits, and notifies the event loop when a record is on disk.

A disk that is full, read-only or stuck stops no door: records wait here, in order, and are written when it
works again. A damaged store is repaired, or another one takes its place, while scans go on.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gatectl import clock
from gatectl.decision.event import Event
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.journal import salvage, statements
from gatectl.journal.prune import Pruning
from gatectl.journal.repair import RETRY_MAX_S, RETRY_S, Recovery, StoreHealth
from gatectl.journal.schema import DamagedError, connect_damaged, is_damage, open_ours, transaction
from gatectl.journal.store_file import StoreError, held_alone, require_ours

T = TypeVar("T")

LATE_MAX = 20_000
"""Records kept in memory while the disk takes none: 10,000 scans, about 20 MB, days at a door."""

QUIET_S = 0.5
"""The store's housekeeping begins after this long without a scan."""
CHECKPOINT_EVERY = 100
"""Commits between two quiet checkpoints: few enough that each takes less time than a scan waits for its
record."""


class Write(NamedTuple):
    """One half of an event, as a statement; `is_end` for its outcome."""

    attempt_id: str
    statement: statements.Statement
    is_end: bool
    on_disk: Callable[[], None] | None
    """Called in the event loop; None where nothing waits for it, and the event loop is not woken."""


class Together(NamedTuple):
    """Writes that are committed in one transaction."""

    writes: tuple[Write, ...]
    """Of one transaction."""


class Question(NamedTuple):
    """A question to the store; `done` gets its answer, or sqlite3.Error."""

    ask: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class DamageFound(NamedTuple):
    """Damage that the check of the file has found, in SQLite's words."""

    what: str


Job = Write | Together | Question | DamageFound


def _writes(job: Job | None) -> tuple[Write, ...]:
    match job:
        case Write():
            return (job,)
        case Together():
            return job.writes
        case _:
            return ()


class Writer:
    """Writes the jobs of one store, in the order in which they come. `run` is the body of its thread."""

    def __init__(
        self,
        path: Path,
        keep_days: int,
        log: Log,
        is_clock_right: Callable[[], bool],
        health: StoreHealth,
        recovery: Recovery,
    ) -> None:
        self._path = path
        self._log = log
        self._health = health
        self._recovery = recovery
        self._loop = asyncio.get_running_loop()
        self.jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        """None wakes a writer that is to end."""
        self._unwritten: deque[Write] = deque()
        self._unanswered: deque[Question] = deque()
        self._under_way: dict[str, statements.Statement] = {}
        """Attempts on disk whose outcomes are not: a replacement of this store needs them."""
        self._retry_s = RETRY_S
        self._pruning = Pruning(keep_days, clock.timestamp_now(), is_clock_right)
        self._commits = 0
        self._lock: int | None = None
        self.give_up_at: float | None = None
        """When to end with records unwritten, on the monotonic clock; None while the daemon runs."""
        self.is_ours = threading.Event()
        """The file at the path is a store of gatectl's, or none yet."""
        self.opened: asyncio.Future[list[Event]] = self._loop.create_future()
        """Done when the store was opened, with the interrupted scans of the last run, which are closed now;
        StoreError if it never can be."""
        self.upgrading: asyncio.Future[None] = self._loop.create_future()
        """Done where the store is being brought up to date, which may take minutes."""
        self.slow: asyncio.Future[None] = self._loop.create_future()
        """Done where the first attempt to open the store failed; further ones follow."""
        self.broken: asyncio.Future[None] = self._loop.create_future()
        """Carries the error that ended the writer: a bug, which must end the daemon too."""

    @property
    def waiting(self) -> int:
        """Records and questions that wait for the disk."""
        return len(self._unwritten) + self.jobs.qsize()

    def count_lost(self) -> int:
        """Return how many records are lost; for a thread that has ended, or hangs."""
        return len(self._unwritten) + sum(len(_writes(job)) for job in self._arrived())

    def deliver(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        """Give futures their results in the event loop; from any thread."""
        self.run_in_loop(_resolve, results)

    def run_in_loop(self, run: Callable[[T], None], argument: T) -> None:
        """Call a function in the event loop; from any thread, also as the loop ends."""
        try:
            self._loop.call_soon_threadsafe(run, argument)
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    # --- In the writer's thread ------------------------------------------------------------------

    def run(self) -> None:
        """Write until the daemon stops."""
        connection = None
        try:
            connection = self._open()
            while connection is not None and not self._is_over():
                try:
                    self._turn(connection)
                except DamagedError as damaged:
                    connection = self._recover(connection, damaged)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self.deliver([(self.broken, error)])
        finally:
            if connection is not None:
                connection.close()
            if self._lock is not None:
                os.close(self._lock)

    def _is_over(self) -> bool:
        if self.give_up_at is None:
            return False
        done = not self._unwritten and self.jobs.empty()
        return done or time.monotonic() >= self.give_up_at

    def _open(self) -> sqlite3.Connection | None:
        retry_s = RETRY_S
        while True:
            try:
                salvage.finish_taking_place(self._path)
                if not self.is_ours.is_set():
                    # Once, and before the file is open: closing it would take SQLite's locks away.
                    require_ours(self._path)
                    self._lock = held_alone(self._path)
                    self.is_ours.set()
                connection, interrupted = self._open_once()
            except DamagedError as damaged:
                repaired = self._recover(connect_damaged(self._path), damaged)
                if repaired is None:
                    return None
                repaired.close()
            except StoreError as error:
                self.deliver([(self.opened, error)])
                return None
            except (sqlite3.Error, OSError) as error:
                self._note_failure(error)
                self.deliver([(self.slow, None)])
                if self.give_up_at is not None:
                    return None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self._note_success()
                self._recovery.take_up(connection)
                self.deliver([(self.opened, interrupted)])
                return connection

    def _recover(self, connection: sqlite3.Connection, damaged: DamagedError) -> sqlite3.Connection | None:
        return self._recovery.recover(connection, damaged, self._under_way, self._is_over)

    def _open_once(self) -> tuple[sqlite3.Connection, list[Event]]:
        connection = open_ours(self._path, lambda: self.deliver([(self.upgrading, None)]))
        try:
            return connection, statements.close_interrupted(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if is_damage(error):
                raise DamagedError(f"{self._path}: the journal is damaged ({error})") from error
            raise
        except BaseException:
            # SQLite shares its state of a file, "read-only" included, among a process's connections.
            connection.close()
            raise

    def _turn(self, connection: sqlite3.Connection) -> None:
        """One round: write the new records, or try the failed ones again. Raises DamagedError."""
        damage = None
        for job in self._next_jobs(connection):
            match job:
                case Write() | Together():
                    self._unwritten.extend(_writes(job))
                case Question():
                    self._unanswered.append(job)
                case DamageFound():
                    damage = job
        if damage is not None:
            raise self._damaged(damage.what)
        if self._unwritten:
            self._commit(connection)
        self._answer(connection)

    def _damaged(self, what: object) -> DamagedError:
        return DamagedError(f"the journal {self._path} is damaged ({what})")

    def _next_jobs(self, connection: sqlite3.Connection) -> list[Job]:
        try:
            first = self.jobs.get(timeout=self._pause())
        except queue.Empty:
            if not self._unwritten:
                self._do_housekeeping(connection)
            return []
        return [job for job in (first, *self._arrived()) if job is not None]

    def _pause(self) -> float | None:
        if self._unwritten:
            return self._retry_s
        if self._unanswered or self._recovery.is_carrying:
            return 0
        return (
            QUIET_S
            if self._commits >= CHECKPOINT_EVERY or self._pruning.is_due(clock.timestamp_now())
            else None
        )

    def _require_writable(self) -> None:
        """Raise OSError for a file system that has become read-only.

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
            raise  # not a failure of the disk: a record that can never be written would hold up all others
        except (sqlite3.DatabaseError, OSError) as error:
            self._drop_excess()
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise self._damaged(error) from error
            self._note_failure(error)
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        else:
            self._commits += 1
            self._note_under_way()
            on_disk = [write.on_disk for write in self._unwritten if write.on_disk is not None]
            self._unwritten.clear()
            self._note_success()
            if on_disk:
                self.run_in_loop(_call_each, on_disk)

    def _drop_excess(self) -> None:
        while len(self._unwritten) > LATE_MAX:
            self._unwritten.popleft()
            self._health.lost += 1

    def _note_under_way(self) -> None:
        for write in self._unwritten:
            if write.is_end:
                self._under_way.pop(write.attempt_id, None)
            else:
                self._under_way[write.attempt_id] = write.statement

    def _answer(self, connection: sqlite3.Connection) -> None:
        while self._unanswered:
            question = self._unanswered[0]
            try:
                answer = question.ask(connection)
            except sqlite3.Error as error:
                if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                    raise self._damaged(error) from error  # and it is asked again
                answer = error
            self._unanswered.popleft()
            self.deliver([(question.done, answer)])

    def _do_housekeeping(self, connection: sqlite3.Connection) -> None:
        try:
            self._require_writable()
            if self._commits >= CHECKPOINT_EVERY:
                self._commits = 0
                _checkpoint(connection)
            # In small steps: a scan that comes meanwhile waits for one step at most. The changes of a step go
            # into the file at once: SQLite would let a thousand pages gather, and then write them all.
            while self.jobs.empty() and self._small_step(connection):
                _checkpoint(connection)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise self._damaged(error) from error
            self._note_failure(error)

    def _small_step(self, connection: sqlite3.Connection) -> bool:
        if self._recovery.is_carrying:
            return self._recovery.carry(connection)
        return self._pruning.step(connection, clock.timestamp_now())

    def _note_failure(self, error: Exception) -> None:
        if self._health.error is None:
            self._log(
                LogEntry(
                    Priority.ERROR,
                    f"the journal {self._path} cannot be written ({error}):"
                    " scans go on, their records follow",
                )
            )
        self._health.error = str(error)

    def _note_success(self) -> None:
        if self._health.error is not None:
            lost = f", {self._health.lost} records were lost" if self._health.lost else ""
            self._log(LogEntry(Priority.NOTICE, f"the journal {self._path} is written again{lost}"))
        self._retry_s = RETRY_S
        self._health.error = None

    def _arrived(self) -> list[Job | None]:
        """Take the jobs that have come by now out of the queue."""
        jobs = []
        with contextlib.suppress(queue.Empty):
            while True:
                jobs.append(self.jobs.get_nowait())
        return jobs


def _checkpoint(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _call_each(callbacks: list[Callable[[], None]]) -> None:
    for callback in callbacks:
        callback()


def _resolve(results: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
