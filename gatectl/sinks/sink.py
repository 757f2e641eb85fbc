"""Sinks follow the doors: every concluded event, screen and log entry goes to the sinks that take its kind.

No sink holds up a door or another sink. One that may block runs in a thread of its own, behind a bounded
queue. One that fails or does not keep up loses items: they are counted, the first loss is logged, and so is
the end of the losses. The journal's store, which must lose nothing, is no sink.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Protocol

from gatectl.decision.event import Event
from gatectl.decision.indication import View
from gatectl.decision.log import Log, LogEntry, Priority

Item = Event | View | LogEntry

QUEUE_MAX = 10_000
"""Items that wait for a sink that hangs: some MB, and more scans than a gym sees in a day."""

FLUSH_S = 2.0
"""How long the daemon's end waits for sinks that have not taken their last items."""


class Sink(Protocol):
    """One follower."""

    @property
    def name(self) -> str:
        """Its name in log entries and in the status."""

    @property
    def kinds(self) -> tuple[type, ...]:
        """The kinds of items that it takes."""

    @property
    def blocks(self) -> bool:
        """Whether `take` may block.

        If not, it is called where the item comes up: events and views on the event loop, log entries in any
        thread.
        """

    def take(self, item: Any) -> None:
        """Take an item of one of its kinds. May raise."""


class Outlet:
    """Passes items to one sink, and counts those that it loses."""

    def __init__(self, sink: Sink, log: Log) -> None:
        self.sink = sink
        self.lost = 0
        """Items lost since the start."""
        self.trouble: str | None = None
        """Why the sink loses items now; None while it works."""
        self._log = log
        self._lost_before = 0
        self._lock = threading.Lock()

    def take(self, item: Item) -> None:
        """Pass the item on; never raises."""
        try:
            self.sink.take(item)
        except Exception as error:  # noqa: BLE001 - counted and logged: no sink may end the doors
            self._lose(f"{type(error).__name__}: {error}")
        else:
            if self.trouble is not None and self._has_caught_up():
                self._recover()

    def _has_caught_up(self) -> bool:
        return True

    def _lose(self, trouble: str) -> None:
        with self._lock:
            is_first = self.trouble is None
            if is_first:
                self._lost_before = self.lost
            self.trouble = trouble
            self.lost += 1
        if is_first:
            self._log(LogEntry(Priority.ERROR, f"{self.sink.name}: entries are lost ({trouble})"))

    def _recover(self) -> None:
        with self._lock:
            self.trouble = None
            lost = self.lost - self._lost_before
        self._log(LogEntry(Priority.NOTICE, f"{self.sink.name}: works again, {lost} entries were lost"))

    def status(self) -> dict[str, Any]:
        """For `gatectl status --json`."""
        return {"lost": self.lost, "trouble": self.trouble}


class QueuedOutlet(Outlet):
    """Passes items to a sink that may block, in a thread of its own."""

    def __init__(self, sink: Sink, log: Log, queue_max: int = QUEUE_MAX) -> None:
        super().__init__(sink, log)
        self._items: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._queue_max = queue_max
        self.broken: Future[None] = Future()
        """Carries the error that ended the thread: a bug of this class, which must end the daemon too."""
        # A daemon thread: a sink that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=sink.name, daemon=True)
        self._thread.start()

    def take(self, item: Item) -> None:
        """Queue the item; never blocks, never raises."""
        if self._items.qsize() < self._queue_max:
            self._items.put(item)
        else:
            self._lose("it does not keep up")

    def _run(self) -> None:
        try:
            while (item := self._items.get()) is not None:
                super().take(item)
        except BaseException as error:  # noqa: BLE001 - not hidden: it ends the daemon
            self.broken.set_exception(RuntimeError(f"the thread of {self.sink.name} failed: {error!r}"))

    def _has_caught_up(self) -> bool:
        return self._items.empty()

    def close(self, until_s: float) -> None:
        """Wait for the sink to take the queued items, until that moment of the monotonic clock at most."""
        self._items.put(None)
        self._thread.join(max(until_s - time.monotonic(), 0.0))


class Sinks:
    """All sinks of a process."""

    def __init__(self, *sinks: Sink, queue_max: int = QUEUE_MAX) -> None:
        self._queued = [QueuedOutlet(sink, self.take, queue_max) for sink in sinks if sink.blocks]
        direct = [Outlet(sink, self.take) for sink in sinks if not sink.blocks]
        self._outlets = [*direct, *self._queued]
        self._by_kind = {kind: self._takers(kind) for kind in (Event, View, LogEntry)}

    def _takers(self, kind: type) -> list[Callable[[Item], None]]:
        return [outlet.take for outlet in self._outlets if kind in outlet.sink.kinds]

    def take(self, item: Item) -> None:
        """Pass the item to the sinks that take its kind; never blocks, never raises."""
        for take in self._by_kind[type(item)]:
            take(item)

    @property
    def broken(self) -> Iterable[Future[None]]:
        """For each thread, the error that ended it."""
        return [outlet.broken for outlet in self._queued]

    def status(self) -> dict[str, Any]:
        """For `gatectl status --json`: the losses of each sink."""
        return {outlet.sink.name: outlet.status() for outlet in self._outlets}

    def close(self) -> None:
        """Wait for queued items to be taken, for a limited time."""
        until_s = time.monotonic() + FLUSH_S
        for outlet in self._queued:
            outlet.close(until_s)
