"""The store's one writer: a thread that commits, and notifies the event loop when a record is on disk.

A disk that is full, read-only or stuck stops no door: records wait here, in order, and are written when it
works again.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gatectl import clock
from gatectl.decision.cards import Card
from gatectl.decision.door.modes import Order
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.journal import salvage, statements
from gatectl.journal.cards import load_all
from gatectl.journal.prune import Pruning
from gatectl.journal.reader import UnreadableError, read_once
from gatectl.journal.repair import header_problem_of, problem_of, repair
from gatectl.journal.schema import DamagedError, connect_damaged, is_damage, open_ours, transaction
from gatectl.journal.store_file import StoreError, require_ours

T = TypeVar("T")

RETRY_S = 0.05
"""The first pause before a failed disk is tried again; later ones are longer. The next scan waits 100 ms for
its record."""
RETRY_MAX_S = 1.0

LATE_MAX = 20_000
"""Records kept in memory while the disk takes none: 10,000 scans, about 20 MB, days at a door."""

QUIET_S = 0.5
"""The store's housekeeping begins after this long without a scan."""
CHECKPOINT_EVERY = 100
"""Commits between two quiet checkpoints: few enough that each takes less time than a scan waits for its
record."""


CHECK_AFTER_S = 2.0
"""How long after its opening the whole store is checked, so that the start has the disk for itself."""
HEADER_S = 3.0
"""Between two checks of the header."""
REPAIRED_RECENTLY_S = 600.0
"""Damage so soon after a repair cannot be repaired in place."""

_NICE = 19
"""The check of the whole store runs at the lowest priority."""


class _Write(NamedTuple):
    attempt_id: str
    statement: statements.Statement
    is_end: bool
    on_disk: Callable[[], None] | None
    """Called in the event loop; None where nothing waits for it, and the event loop is not woken."""


class _Together(NamedTuple):
    writes: tuple[_Write, ...]
    """Of one transaction."""


class _Question(NamedTuple):
    ask: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class _Damage(NamedTuple):
    what: str


_Job = _Write | _Together | _Question | _Damage


def _begun(attempt: Attempt, on_disk: Callable[[], None] | None) -> _Write:
    return _Write(attempt.id, statements.attempt_statement(attempt), is_end=False, on_disk=on_disk)


def _ended(attempt_id: str, outcome: Outcome) -> _Write:
    return _Write(attempt_id, statements.outcome_statement(attempt_id, outcome), is_end=True, on_disk=None)


def _whole(event: Event) -> tuple[_Write, ...]:
    return _begun(event.attempt, None), _ended(event.attempt.id, event.outcome)


def _writes(job: _Job | None) -> tuple[_Write, ...]:
    match job:
        case _Write():
            return (job,)
        case _Together():
            return job.writes
        case _:
            return ()


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


class Store:
    """Records in the order in which they come."""

    def __init__(
        self,
        path: Path,
        keep_days: int,
        log: Log,
        is_clock_right: Callable[[], bool] = clock.is_synchronised,
    ) -> None:
        self._path = path
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unwritten: deque[_Write] = deque()
        self._unanswered: deque[_Question] = deque()
        self._under_way: dict[str, statements.Statement] = {}
        """Attempts on disk whose outcomes are not: a replacement of this store needs them."""
        self._retry_s = RETRY_S
        self._pruning = Pruning(keep_days, clock.timestamp_now(), is_clock_right)
        self._commits = 0
        self._give_up_at: float | None = None
        self._repaired_at: float | None = None
        self._aside: Path | None = None
        """The damaged store, until the one in its place is open."""
        self._carrying: salvage.Carrying | None = None
        self._is_whole = threading.Event()
        """The store is open, and no damage to it is being repaired."""
        self._stopping = threading.Event()
        self._is_ours = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal writer", daemon=True)
        self.health = StoreHealth()
        self.known_cards: Callable[[], Mapping[str, Card]] = dict
        """The cards that are in memory: they are not lost with the store."""
        self.take_cards: Callable[[dict[str, Card]], None] = lambda _cards: None
        """Called in the event loop with the cards of a store that took the place of a damaged one."""
        self.opened: asyncio.Future[list[Event]] = self._loop.create_future()
        """Done when the store was opened, with the interrupted scans of the last run, which are closed now;
        StoreError if it never can be."""
        self.upgrading: asyncio.Future[None] = self._loop.create_future()
        """Done where the store is being brought up to date, which may take minutes."""
        self.cards: asyncio.Future[dict[str, Card]] = self._loop.create_future()
        """Done as soon as the enrolled cards can be read, which is before the writer is ready."""
        self.orders: asyncio.Future[dict[str, Order]] = self._loop.create_future()
        """Done before them: no code is read as long as a lockdown of before this start is not known."""
        self.slow: asyncio.Future[None] = self._loop.create_future()
        """Done where the first attempt to open the store failed; further ones follow."""
        self.broken: asyncio.Future[None] = self._loop.create_future()
        """Carries the error that ended the writer: a bug, which must end the daemon too."""

    def start(self) -> None:
        self._thread.start()
        threading.Thread(target=self._read_cards, name="cards reader", daemon=True).start()
        threading.Thread(target=self._look_for_damage, name="journal check", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Records and questions that wait for the disk."""
        return len(self._unwritten) + self._jobs.qsize()

    def record(self, attempt: Attempt, on_disk: Callable[[], None], after: Event | None = None) -> None:
        """Writes the first half of an event; calls `on_disk` in the event loop when it is on disk.

        `after` is a whole event that is written before it, in one transaction.
        """
        write = _begun(attempt, on_disk)
        self._jobs.put(write if after is None else _Together((*_whole(after), write)))

    def finish(self, attempt_id: str, outcome: Outcome) -> None:
        """Writes the second half. Nothing waits for it, so the event loop is not woken when it is on disk."""
        self._jobs.put(_ended(attempt_id, outcome))

    def note(self, event: Event) -> None:
        """Write both halves of an event, without a future to wait for."""
        self._jobs.put(_Together(_whole(event)))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Runs a question after all records before it; the future may carry sqlite3.Error."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Question(question, done))
        return done

    def acknowledge(self) -> asyncio.Future[None]:
        """Record that a person has acknowledged the damage."""
        self.health.damage = None
        return self.ask(salvage.acknowledge)

    async def stop(self, patience_s: float) -> None:
        """Write the waiting records, for this long at most, and log how many were lost."""
        self._give_up_at = time.monotonic() + patience_s
        self._stopping.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, patience_s)
        lost = len(self._unwritten) + sum(len(_writes(job)) for job in self._arrived())
        if lost:
            self._log(
                LogEntry(
                    Priority.ERROR,
                    f"the journal could not be written: {lost} records are lost with this end",
                )
            )

    def _arrived(self) -> list[_Job | None]:
        """Takes the jobs that have come by now out of the queue."""
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
                    orders, cards = read_once(self._path, _orders_and_cards) or ({}, {})
                    self._deliver_results([(self.orders, orders), (self.cards, cards)])
                    return
                self._stopping.wait(RETRY_MAX_S)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._deliver_results([(self.broken, error)])

    def _look_for_damage(self) -> None:
        """In a thread of its own: the whole store once, then its header again and again."""
        with contextlib.suppress(OSError):  # without permission it checks at full speed
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        try:
            looks: Iterator[Callable[[], str | None]] = chain(
                [partial(problem_of, self._path)], repeat(partial(header_problem_of, self._path))
            )
            pauses = chain([CHECK_AFTER_S], repeat(HEADER_S))
            for look, pause_s in zip(looks, pauses, strict=True):
                self._is_whole.wait()
                if self._stopping.wait(pause_s):
                    return
                with contextlib.suppress(sqlite3.Error, OSError):  # the writer meets the disk's errors too
                    problem = look()
                    if problem is not None and self._is_whole.is_set():
                        self._is_whole.clear()
                        self._jobs.put(_Damage(problem))
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._deliver_results([(self.broken, error)])

    # The methods from here on run in the writer's thread.

    def _run(self) -> None:
        connection = None
        try:
            connection = self._open()
            while connection is not None and not self._is_over():
                try:
                    self._turn(connection)
                except DamagedError as damaged:
                    connection = self._repair(connection, damaged)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._deliver_results([(self.broken, error)])
        finally:
            if connection is not None:
                connection.close()

    def _is_over(self) -> bool:
        if self._give_up_at is None:
            return False
        done = not self._unwritten and self._jobs.empty()
        return done or time.monotonic() >= self._give_up_at

    def _open(self) -> sqlite3.Connection | None:
        retry_s = RETRY_S
        while True:
            try:
                salvage.finish_taking_place(self._path)
                if not self._is_ours.is_set():
                    # Once, and before the file is open: closing it would take SQLite's locks away.
                    require_ours(self._path)
                    self._is_ours.set()
                connection, interrupted = self._open_once()
            except DamagedError as damaged:
                repaired = self._repair(connect_damaged(self._path), damaged)
                if repaired is None:
                    return None
                repaired.close()
            except StoreError as error:
                self._deliver_results([(self.opened, error)])
                return None
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
                self._deliver_results([(self.slow, None)])
                if self._give_up_at is not None:
                    return None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self._recovered()
                self._take_up(connection)
                self._deliver_results([(self.opened, interrupted)])
                return connection

    def _open_once(self) -> tuple[sqlite3.Connection, list[Event]]:
        connection = open_ours(self._path, lambda: self._deliver_results([(self.upgrading, None)]))
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

    def _take_up(self, connection: sqlite3.Connection) -> None:
        """Takes over the store's notes about a damaged one before it."""
        self._carrying = salvage.carrying_of(connection, self._path)
        self._note_damage(connection)
        self._is_whole.set()
        if self.health.damage is not None and self._repaired_at is None:
            text = "the journal was damaged, and the damage is not acknowledged: gatectl status"
            self._log(LogEntry(Priority.WARNING, text))

    def _note_damage(self, connection: sqlite3.Connection) -> None:
        found = salvage.damage_of(connection)
        self.health.damage = None if found is None else Damage(*found)

    def _repair(self, connection: sqlite3.Connection, damaged: DamagedError) -> sqlite3.Connection | None:
        """Repair the store, or replace it; return None if the daemon stops first. Scans go on meanwhile."""
        self._is_whole.clear()
        self.health.error = f"{damaged.message}; it is being repaired"
        self._log(LogEntry(Priority.ERROR, f"{damaged.message}: it is being repaired, and scans go on"))
        retry_s = RETRY_S
        while True:
            try:
                repaired = self._repair_in_place(connection) or self._replace(connection)
            except (sqlite3.Error, OSError) as error:
                self.health.error = f"{damaged.message}, and cannot be repaired yet ({error})"
                if self._is_over():
                    return None
                time.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MAX_S)
            else:
                self.health.error = None
                self._is_whole.set()
                return repaired

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

    def _replace(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Replace the store by one with its cards; its events follow in small steps."""
        connection.close()
        if self._aside is None:
            under_way = list(self._under_way.values())
            now_us = time.time_ns() // 1000
            self._aside = salvage.take_place(self._path, self.known_cards(), under_way, now_us)
        successor = open_ours(self._path)
        aside, self._aside = self._aside, None
        self._carrying = salvage.carrying_of(successor, self._path)
        self._note_damage(successor)
        enrolled = load_all(successor)
        self._loop.call_soon_threadsafe(self.take_cards, enrolled)
        self._log(
            LogEntry(
                Priority.ERROR,
                f"the journal {self._path} was put aside as {aside}, and a new one took its place:"
                f" {len(enrolled)} cards were carried over, and the events follow. Cards that no page"
                " holds any more are lost: compare gatectl cards list, then gatectl status --acknowledge",
            )
        )
        return successor

    def _carry(self, connection: sqlite3.Connection, carrying: salvage.Carrying) -> bool:
        """Carry some events over; return False if none is left."""
        try:
            if carrying.step():
                return True
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise
            text = f"events of the damaged journal are not carried over yet ({error}): the next start goes on"
            self._log(LogEntry(Priority.WARNING, text))
        self._carrying = None
        self._note_damage(connection)
        if self.health.damage is not None:
            text = f"{self.health.damage.events} events of the damaged journal were carried over"
            self._log(LogEntry(Priority.NOTICE, text))
        return False

    def _turn(self, connection: sqlite3.Connection) -> None:
        """One round: write the new records, or try the failed ones again. Raises DamagedError."""
        damage = None
        for job in self._next_jobs(connection):
            match job:
                case _Write() | _Together():
                    self._unwritten.extend(_writes(job))
                case _Question():
                    self._unanswered.append(job)
                case _Damage():
                    damage = job
        if damage is not None:
            raise self._damaged(damage.what)
        if self._unwritten:
            self._commit(connection)
        self._answer(connection)

    def _damaged(self, what: object) -> DamagedError:
        return DamagedError(f"the journal {self._path} is damaged ({what})")

    def _next_jobs(self, connection: sqlite3.Connection) -> list[_Job]:
        try:
            first = self._jobs.get(timeout=self._pause())
        except queue.Empty:
            if not self._unwritten:
                self._do_housekeeping(connection)
            return []
        return [job for job in (first, *self._arrived()) if job is not None]

    def _pause(self) -> float | None:
        if self._unwritten:
            return self._retry_s
        if self._unanswered or self._carrying is not None:
            return 0
        return (
            QUIET_S
            if self._commits >= CHECKPOINT_EVERY or self._pruning.is_due(clock.timestamp_now())
            else None
        )

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
            raise  # not a failure of the disk: a record that can never be written would hold up all others
        except (sqlite3.DatabaseError, OSError) as error:
            self._drop_excess()
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise self._damaged(error) from error
            self._failed(error)
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        else:
            self._commits += 1
            self._note_under_way()
            on_disk = [write.on_disk for write in self._unwritten if write.on_disk is not None]
            self._unwritten.clear()
            self._recovered()
            if on_disk:
                self._run_in_loop(_call_each, on_disk)

    def _drop_excess(self) -> None:
        while len(self._unwritten) > LATE_MAX:
            self._unwritten.popleft()
            self.health.lost += 1

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
            self._deliver_results([(question.done, answer)])

    def _do_housekeeping(self, connection: sqlite3.Connection) -> None:
        try:
            self._require_writable()
            if self._commits >= CHECKPOINT_EVERY:
                self._commits = 0
                _checkpoint(connection)
            # In small steps: a scan that comes meanwhile waits for one step at most. The changes of a step go
            # into the file at once: SQLite would let a thousand pages gather, and then write them all.
            while self._jobs.empty() and self._small_step(connection):
                _checkpoint(connection)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                raise self._damaged(error) from error
            self._failed(error)

    def _small_step(self, connection: sqlite3.Connection) -> bool:
        if self._carrying is not None:
            return self._carry(connection, self._carrying)
        return self._pruning.step(connection, clock.timestamp_now())

    def _failed(self, error: Exception) -> None:
        if self.health.error is None:
            self._log(
                LogEntry(
                    Priority.ERROR,
                    f"the journal {self._path} cannot be written ({error}):"
                    " scans go on, their records follow",
                )
            )
        self.health.error = str(error)

    def _recovered(self) -> None:
        if self.health.error is not None:
            lost = f", {self.health.lost} records were lost" if self.health.lost else ""
            self._log(LogEntry(Priority.NOTICE, f"the journal {self._path} is written again{lost}"))
        self._retry_s = RETRY_S
        self.health.error = None

    def _deliver_results(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        self._run_in_loop(_resolve, results)

    def _run_in_loop(self, run: Callable[[T], None], argument: T) -> None:
        try:
            self._loop.call_soon_threadsafe(run, argument)
        except RuntimeError:
            if not self._loop.is_closed():
                raise


def _orders_and_cards(connection: sqlite3.Connection) -> tuple[dict[str, Order], dict[str, Card]]:
    return statements.last_orders(connection), load_all(connection)


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
