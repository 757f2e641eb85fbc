"""The store as the daemon has it: it takes records and questions, in the order in which they come."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TypeVar

from gatectl import clock
from gatectl.decision.cards import Card
from gatectl.decision.door.modes import Order
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.journal import salvage, statements
from gatectl.journal.cards import load_all
from gatectl.journal.reader import UnreadableError, read_once
from gatectl.journal.repair import RETRY_MAX_S, Recovery, StoreHealth, header_problem_of, problem_of
from gatectl.journal.writer import DamageFound, Question, Together, Write, Writer

T = TypeVar("T")

CHECK_AFTER_S = 2.0
"""How long after its opening the whole store is checked, so that the start has the disk for itself."""
HEADER_S = 3.0
"""Between two checks of the header."""

_NICE = 19
"""The check of the whole store runs at the lowest priority."""


class Store:
    """The writer with its thread, and two more threads that read. Its methods are for the event loop."""

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
        self.health = StoreHealth()
        self._recovery = Recovery(path, log, self.health)
        self._writer = Writer(path, keep_days, log, is_clock_right, self.health, self._recovery)
        self._jobs = self._writer.jobs
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._writer.run, name="journal writer", daemon=True)
        self.opened = self._writer.opened
        self.upgrading = self._writer.upgrading
        self.slow = self._writer.slow
        self.broken = self._writer.broken
        self.cards: asyncio.Future[dict[str, Card]] = self._loop.create_future()
        """Done as soon as the enrolled cards can be read, which is before the writer is ready."""
        self.orders: asyncio.Future[dict[str, Order]] = self._loop.create_future()
        """Done before them: no code is read as long as a lockdown of before this start is not known."""

    def start(self) -> None:
        """Begin to open the store; `opened` and the other futures say how far it is."""
        self._thread.start()
        threading.Thread(target=self._read_cards, name="cards reader", daemon=True).start()
        threading.Thread(target=self._look_for_damage, name="journal check", daemon=True).start()

    def share_cards(
        self, known: Callable[[], Mapping[str, Card]], take: Callable[[dict[str, Card]], None]
    ) -> None:
        """Keep the cards over a replacement of a damaged store.

        `known` returns those that are in memory, from any thread: they are not lost with the store. `take` is
        called in the event loop with the cards of the store that took its place.
        """
        self._recovery.known_cards = known
        self._recovery.take_cards = partial(self._writer.run_in_loop, take)

    @property
    def waiting(self) -> int:
        """Records and questions that wait for the disk."""
        return self._writer.waiting

    def record(self, attempt: Attempt, on_disk: Callable[[], None], after: Event | None = None) -> None:
        """Write the first half of an event; call `on_disk` in the event loop when it is on disk.

        `after` is a whole event that is written before it, in one transaction.
        """
        write = _begun(attempt, on_disk)
        self._jobs.put(write if after is None else Together((*_whole(after), write)))

    def finish(self, attempt_id: str, outcome: Outcome) -> None:
        """Write the second half. Nothing waits for it, so the event loop is not woken when it is on disk."""
        self._jobs.put(_ended(attempt_id, outcome))

    def note(self, event: Event) -> None:
        """Write both halves of an event, without a future to wait for."""
        self._jobs.put(Together(_whole(event)))

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Run a question after all records before it; the future may carry sqlite3.Error."""
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Question(question, done))
        return done

    def acknowledge(self) -> asyncio.Future[None]:
        """Record that a person has acknowledged the damage."""
        self.health.damage = None
        return self.ask(salvage.acknowledge)

    async def stop(self, patience_s: float) -> None:
        """Write the waiting records, for this long at most, and log how many were lost."""
        self._writer.give_up_at = time.monotonic() + patience_s
        self._stopping.set()
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, patience_s)
        self._recovery.is_whole.set()  # the check may wait for that, and would never end
        lost = self._writer.count_lost()
        if lost:
            self._log(
                LogEntry(
                    Priority.ERROR,
                    f"the journal could not be written: {lost} records are lost with this end",
                )
            )

    def _read_cards(self) -> None:
        """In a thread of its own: a reader of a WAL needs no lock, and has them while the writer waits."""
        try:
            while not self._stopping.is_set():
                if not self._writer.is_ours.wait(RETRY_MAX_S):
                    continue
                with contextlib.suppress(UnreadableError):
                    orders, cards = read_once(self._path, _orders_and_cards) or ({}, {})
                    self._writer.deliver([(self.orders, orders), (self.cards, cards)])
                    return
                self._stopping.wait(RETRY_MAX_S)
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._writer.deliver([(self.broken, error)])

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
                self._recovery.is_whole.wait()
                if self._stopping.wait(pause_s):
                    return
                with contextlib.suppress(sqlite3.Error, OSError):  # the writer meets the disk's errors too
                    problem = self._recovery.displaced() or look()
                    if problem is not None and self._recovery.is_whole.is_set():
                        self._recovery.is_whole.clear()
                        self._jobs.put(DamageFound(problem))
        except Exception as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self._writer.deliver([(self.broken, error)])


def _begun(attempt: Attempt, on_disk: Callable[[], None] | None) -> Write:
    return Write(attempt.id, statements.attempt_statement(attempt), is_end=False, on_disk=on_disk)


def _ended(attempt_id: str, outcome: Outcome) -> Write:
    return Write(attempt_id, statements.outcome_statement(attempt_id, outcome), is_end=True, on_disk=None)


def _whole(event: Event) -> tuple[Write, ...]:
    return _begun(event.attempt, None), _ended(event.attempt.id, event.outcome)


def _orders_and_cards(connection: sqlite3.Connection) -> tuple[dict[str, Order], dict[str, Card]]:
    return statements.last_orders(connection), load_all(connection)
