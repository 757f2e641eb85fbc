"""The thread that looks after all pins, and its spare where a driver hangs.

One thread does all the work: an idle door then wakes its machine once a second. A driver that does not
return keeps the thread that called it. The spare, which edges wake too, goes on with all other pins.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from gatectl import clock
from gatectl.decision.timestamps import LONG_AGO, LoopTime

RELIEVE_S = 0.02
"""A call takes microseconds. A thread that needs longer gets a successor; if the machine was only busy, the
surplus thread ends by itself."""

HANG_S = 1.0
"""After this time a call is reported to hang."""

STOP_S = 1.0
"""How long a stop waits for a driver that hangs."""


class PinTask(Protocol):
    """Work at one pin, or at several that one lock protects."""

    @property
    def name(self) -> str:
        """For the error of a bug."""

    @property
    def wants_spare(self) -> bool:
        """Whether another task's driver that hangs must not hold this one up."""

    @property
    def spare_looks(self) -> bool:
        """Whether the spare has to look by itself: no edge would wake it."""

    def due_s(self, now_s: LoopTime) -> LoopTime:
        """When it is to run again."""

    def run(self, now_s: LoopTime) -> None:
        """Do what is due. The driver may hang."""

    def hangs(self) -> None:
        """Note that its call has not returned for `HANG_S`; called once, in another thread."""


def next_second(now_s: LoopTime) -> LoopTime:
    """The moment at which everything that is looked at once a second is due, all in one wake-up."""
    return LoopTime(math.floor(now_s) + 1.0)


@dataclass(eq=False, slots=True)
class _Worker:
    """One thread. `task` is what it runs since `since_s`."""

    task: PinTask | None = None
    since_s: LoopTime = LONG_AGO
    is_reported: bool = False

    def has_run_for(self, limit_s: float, now_s: LoopTime) -> bool:
        return self.task is not None and now_s - self.since_s >= limit_s


class PinThreads:
    """Runs every task when it is due, in one thread as long as no driver hangs."""

    def __init__(self, name: str = "pins") -> None:
        self.broken: Future[None] = Future()
        """The error that ended a thread: a bug, which must end the daemon too."""
        self._name = name
        self._tasks: Sequence[PinTask] = ()
        self._lock = threading.Lock()
        self._workers: dict[_Worker, threading.Thread] = {}
        self._calls = 0
        self._called = threading.Condition()
        self._sleeps_until = math.inf
        """When a thread wakes by itself; infinite while one is awake."""
        self._is_running = False

    def add(self, *tasks: PinTask) -> None:
        """Run these too."""
        with self._lock:
            self._tasks = (*self._tasks, *tasks)
        self.wake()

    def remove(self, *tasks: PinTask) -> None:
        """Run these no longer."""
        with self._lock:
            self._tasks = tuple(one for one in self._tasks if one not in tasks)

    def start(self) -> None:
        """Begin to run them."""
        self._is_running = True
        self.look()

    def stop(self) -> None:
        """End the threads; one that hangs is left to the end of the process."""
        self._is_running = False
        self.wake()
        ending = list(self._workers.items())
        until_s = clock.monotonic() + STOP_S
        for worker, thread in ending:
            if not worker.has_run_for(HANG_S, clock.monotonic()):
                thread.join(max(until_s - clock.monotonic(), 0.0))

    def wake(self, due_s: float = -math.inf) -> None:
        """Look at the tasks earlier than planned: one is due then. Never blocks."""
        # A task has its new time already. If a thread did not see that, it was not asleep yet.
        if due_s < self._sleeps_until:
            with self._called:
                self._calls += 1
                self._called.notify_all()

    def look(self) -> None:
        """Replace threads that hang, and report their tasks. Called by whoever is awake."""
        with self._lock:
            if not self._is_running:
                return
            now_s = clock.monotonic()
            free = [worker for worker in self._workers if not worker.has_run_for(RELIEVE_S, now_s)]
            for _ in range(self._wanted - len(free)):
                self._start_one()
            for worker in self._workers:
                if worker.task and worker.has_run_for(HANG_S, now_s) and not worker.is_reported:
                    worker.is_reported = True
                    worker.task.hangs()
        if len(free) < self._wanted:
            self.wake()  # the spare is the first now

    @property
    def _wanted(self) -> int:
        return 2 if any(task.wants_spare for task in self._tasks) else 1

    def _start_one(self) -> None:
        worker = _Worker()
        self._workers[worker] = threading.Thread(
            target=self._work, args=(worker,), name=self._name, daemon=True
        )
        self._workers[worker].start()

    # The methods from here on run in a worker's thread.

    def _work(self, me: _Worker) -> None:
        try:
            while self._is_needed(me):
                calls = self._calls  # each thread has its own look at what it was called for
                self.look()
                has_run = [self._run(task, me) for task in self._due()]
                self._sleep(me, calls, has_run=any(has_run))
        except BaseException as error:  # noqa: BLE001 - passed on: it ends the daemon
            what = me.task.name if me.task else "pins' thread"
            if not self.broken.done():
                self.broken.set_exception(RuntimeError(f"the {what} failed: {error!r}"))

    def _is_needed(self, me: _Worker) -> bool:
        with self._lock:
            idle = sum(worker.task is None for worker in self._workers)
            is_needed = self._is_running and idle <= self._wanted
            if not is_needed:
                del self._workers[me]
            return is_needed

    def _due(self) -> list[PinTask]:
        now_s = clock.monotonic()
        return [task for task in self._tasks if task.due_s(now_s) <= now_s]

    def _run(self, task: PinTask, me: _Worker) -> bool:
        """Run a task that is still due; whether this thread did."""
        with self._lock:
            now_s = clock.monotonic()
            is_taken = any(worker.task is task for worker in self._workers)
            if is_taken or task not in self._tasks or task.due_s(now_s) > now_s:
                return False
            me.task, me.since_s = task, now_s
        task.run(now_s)
        with self._lock:
            me.task, me.is_reported = None, False
        return True

    def _sleep(self, me: _Worker, calls: int, *, has_run: bool) -> None:
        """Sleep until a task is due; the spare until it is woken, or a little longer than the first.

        Not at all if there was a call after those `calls`.
        """
        due_s = self._next_due_s()
        pause_s: float | None = max(due_s - clock.monotonic(), 0.0)
        if is_spare := self._is_spare(me):
            if has_run:
                self.wake(due_s)  # the first thread has planned its sleep without the task that ran here
            looks = any(task.spare_looks for task in self._tasks)
            pause_s = pause_s + RELIEVE_S if looks and pause_s is not None else None
        else:
            self._sleeps_until = due_s
        with self._called:
            self._called.wait_for(lambda: self._calls != calls, pause_s)
        if not is_spare:
            self._sleeps_until = math.inf

    def _is_spare(self, me: _Worker) -> bool:
        with self._lock:
            now_s = clock.monotonic()
            for worker in self._workers:
                if worker is me:
                    return False
                if not worker.has_run_for(RELIEVE_S, now_s):
                    return True
            return False

    def _next_due_s(self) -> LoopTime:
        now_s = clock.monotonic()
        running = {worker.task for worker in self._workers}
        due = [task.due_s(now_s) for task in self._tasks if task not in running]
        return min(due, default=LoopTime(now_s + HANG_S))
