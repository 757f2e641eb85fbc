"""Supervise one scanner: open it by its stable path, read and time its codes, wait for it when it is gone.

Only reading runs on the event loop, since it never blocks. Every other call to the device runs in the
device's own thread.
"""

from __future__ import annotations

import asyncio
import math
import select
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, Never

from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.reader.reading import INCOMPLETE_S, UNREADABLE, Code, Dropped, DropReason, Reading
from gatectl.devices.reader.port import DeviceLost, LossCause, ReaderConnection
from gatectl.devices.thread import DeviceThread

RETRY_S = 0.5
"""Between two attempts to open a missing device. USB enumeration takes about 0.5 s; a device must be in use
within a second of its return, and a failed open costs microseconds."""

STEADY_S = 5.0
"""A connection that has lasted this long, or has given a code, works. A loose plug or a failing device is
lost again much sooner."""

QUICK_LOSSES = 5
"""After so many short connections in a row, the next return is logged only once it lasts."""

OPEN_S = 1.0
"""A working adapter opens within some milliseconds; one that does not answer takes 5 s per control
transfer."""

LOOK_S = 120.0
"""Between two looks for other programs at the device: a look reads all of /proc (10 ms of a Pi's time), and
wakes the event loop some four times."""

FIRST_LOOK_S = 1.0
"""From the opening to the first look: not sooner, to keep a start, or a loose plug's return, quick."""

PAUSE_S = 1.0
"""A character so long after the last one begins another code: longer than a person's pause between the keys
of a PIN, shorter than the next person needs to step up."""

OnCode = Callable[[str, float], None]
"""A complete code, and the loop's time at which it was complete. Called from the reader's callback."""

State = Literal["ready", "lost", "absent"]


class ScannerStatus(NamedTuple):
    """A scanner as `gatectl status` shows it."""

    path: str
    type: str
    state: State
    """`absent`: never seen since the start; `lost`: seen, and gone."""
    since: float
    """When this state began; seconds on the monotonic clock."""
    cause: str | None
    """None if it is ready, or was not tried yet."""
    held_by: tuple[str, ...] = ()
    """Other programs that have the device open, as `name (process)`, as far as they can be seen."""
    codes: int = 0
    dropped: Mapping[DropReason, int] = MappingProxyType({})
    last_dropped: tuple[Dropped, float] | None = None
    """The last dropped reading, and when; seconds on the monotonic clock."""


class Scanner:
    """Keeps one device open and passes on its codes for as long as `run` runs.

    `connect` opens the device by its path only, so that another device is not taken for it.
    `holders` finds the other programs that have it open; they get no input of an `is_exclusive` device. Both
    may block: they run in the device's own thread, as the connection's `close` does. `idle_s` of silence
    ends a code; 0 for never. `on_unreadable` is called for a complete reading that is not a code.
    """

    def __init__(
        self,
        path: str,
        kind: str,
        connect: Callable[[], ReaderConnection],
        idle_s: float,
        on_code: OnCode,
        log: Log,
        *,
        is_exclusive: bool = False,
        holders: Callable[[], tuple[str, ...]] = tuple,
        on_unreadable: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        self._idle_s = idle_s
        self._on_code = on_code
        self._log = log
        self._is_exclusive = is_exclusive
        self._holders = holders
        self._on_unreadable = on_unreadable
        self._status = ScannerStatus(path, kind, "absent", time.monotonic(), None)
        self._codes = 0
        self._dropped: Counter[DropReason] = Counter()
        self._last_dropped: tuple[Dropped, float] | None = None
        self._logged_errors: set[str] = set()
        self._loss_is_logged = False  # and its return is not yet
        self._quick_losses = 0
        self._next_look = -math.inf  # for other programs, on the loop's clock
        self.tried = asyncio.Event()
        """Set once the device was opened, or could not be opened in time."""

    @property
    def status(self) -> ScannerStatus:
        """Return the present state, as an immutable value."""
        return self._status._replace(
            codes=self._codes, dropped=dict(self._dropped), last_dropped=self._last_dropped
        )

    async def run(self) -> Never:
        """Read until cancelled. After any loss, wait for the device to return."""
        thread = DeviceThread(self._status.path)
        while True:
            try:
                connection = await self._open(thread)
                self.tried.set()
                cause = await self._serve(connection, thread)
            except DeviceLost as lost:
                cause = lost.cause
            self._lose(cause)
            self.tried.set()
            if cause == LossCause.HELD:
                await self._look_for_others(thread)
            await asyncio.sleep(RETRY_S)

    async def _open(self, thread: DeviceThread) -> ReaderConnection:
        opening = thread.submit(self._connect, lambda connection: connection.close())
        try:
            done, _ = await asyncio.wait([opening], timeout=OPEN_S)
            if not done:
                self._lose(LossCause.SLOW)
                self.tried.set()
            return await opening
        except Exception as error:
            raise self._lost_by(error) from error
        finally:
            opening.cancel()

    async def _serve(self, connection: ReaderConnection, thread: DeviceThread) -> str:
        """Read one connection to its end, and return the cause of its end."""
        try:
            session = _Session(connection, self._idle_s, self._take, self._lost_by)
        except Exception as error:
            thread.submit(connection.close)
            raise self._lost_by(error) from error
        self._enter("ready", None)
        if self._quick_losses < QUICK_LOSSES:
            self._log_return()
        self._quick_losses += 1  # reset once the connection has lasted
        loop = asyncio.get_running_loop()
        steady = loop.call_later(STEADY_S, self._proves_steady)
        self._next_look = loop.time()  # the program that held it may be gone
        looking = loop.create_task(self._keep_looking(thread))
        try:
            return await session.over
        finally:
            looking.cancel()
            steady.cancel()
            session.end()
            thread.submit(connection.close)

    def _lost_by(self, error: Exception) -> DeviceLost:
        """Turn an error at this device into its loss. A bug stops this device only, and is logged as one."""
        if isinstance(error, DeviceLost):
            return error
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        if what not in self._logged_errors:
            self._logged_errors.add(what)
            self._log_line(Priority.ERROR, f"unforeseen error ({what}): please report it")
        return DeviceLost(what)

    async def _keep_looking(self, thread: DeviceThread) -> Never:
        """Look for other programs at the port periodically: one may be started at any time."""
        await asyncio.sleep(FIRST_LOOK_S)
        while True:
            await self._look_for_others(thread)
            await asyncio.sleep(LOOK_S)

    async def _look_for_others(self, thread: DeviceThread) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_look:
            return
        is_shared = not self._is_exclusive or self._status.state != "ready"
        try:
            others = await thread.submit(self._holders) if is_shared else ()
        except Exception as error:  # noqa: BLE001 - logged; reading goes on without this knowledge
            self._lost_by(error)
            others = ()
        self._next_look = now + LOOK_S
        before, self._status = self._status.held_by, self._status._replace(held_by=others)
        if others and not before:
            names = ", ".join(others)
            reads = f"also open in {names}, which may take characters of codes"
            self._log_line(Priority.WARNING, reads if self._status.state == "ready" else f"held by {names}")
        elif before and not others:
            self._log_line(Priority.NOTICE, "no other program has it open any more")

    def _take(self, reading: Reading, at: float) -> None:
        if isinstance(reading, Code):
            self._codes += 1
            self._on_code(reading.text, at)
            self._proves_steady()
            return
        self._dropped[reading.flaw] += 1
        self._last_dropped = reading, time.monotonic()
        if reading.flaw in UNREADABLE:
            self._on_unreadable()
        if self._dropped[reading.flaw] == 1:
            flaw = reading.flaw.replace("_", " ")
            self._log_line(
                Priority.WARNING, f"input dropped ({flaw}); more of it is counted in the status alone"
            )

    def _proves_steady(self) -> None:
        self._quick_losses = 0
        self._log_return()

    def _log_return(self) -> None:
        if self._loss_is_logged:
            self._loss_is_logged = False
            self._log_line(Priority.NOTICE, "ready")

    def _lose(self, cause: str) -> None:
        self._enter("absent" if self._status.state == "absent" else "lost", cause)
        if not self._loss_is_logged:
            self._loss_is_logged = True
            self._log_line(Priority.WARNING, f"{self._status.state} ({cause})")

    def _enter(self, state: State, cause: str | None) -> None:
        since = self._status.since if state == self._status.state else time.monotonic()
        self._status = self._status._replace(state=state, since=since, cause=cause)

    def _log_line(self, priority: Priority, what: str) -> None:
        path = self._status.path
        self._log(LogEntry(priority, f"scanner {path}: {what}", {"SCANNER": path}))


class _Session:
    """One connection on the event loop, until it ends.

    `over` is then done, with the cause of the loss. An error of `take` is not a loss: it becomes the future's
    exception, and so reaches its awaiter.
    """

    def __init__(
        self,
        connection: ReaderConnection,
        idle_s: float,
        take: Callable[[Reading, float], None],
        lost_by: Callable[[Exception], DeviceLost],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[str] = self._loop.create_future()
        self._connection = connection
        self._decoder = connection.decoder
        self._idle_s = idle_s
        self._take = take
        self._lost_by = lost_by
        self._last = -math.inf  # when input came, on the loop's clock
        self._begun = self._decoder.begun
        self._silence: asyncio.TimerHandle | None = None
        self._incomplete: asyncio.TimerHandle | None = None
        self._ended = False
        self._loop.add_reader(connection.fileno(), self._guarded, self._read)

    def end(self) -> None:
        """Stop reading, once. The caller closes the connection."""
        if self._ended:
            return
        self._ended = True
        self._loop.remove_reader(self._connection.fileno())
        self._stop_timing()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except DeviceLost as lost:
            self.end()
            if not self.over.done():  # a cancellation may have come first in this turn of the loop
                self.over.set_result(lost.cause)
        except Exception as error:
            self.end()
            if self.over.done():
                raise
            self.over.set_exception(error)  # raised by `over`; here the loop would only log it

    def _read(self) -> None:
        now = self._loop.time()
        self._end_what_is_over(now)
        readings = self._readings(self._connection.read)
        self._last = now
        for reading in readings:
            self._take(reading, now)
        self._time(now)

    def _readings(self, step: Callable[[], list[Reading]]) -> list[Reading]:
        """Run a step of the device or its decoder; an error there is the device's loss."""
        try:
            return step()
        except Exception as error:
            raise self._lost_by(error) from error

    def _end_what_is_over(self, now: float) -> None:
        """End a code whose time is over, even if its timer has not run yet."""
        if self._incomplete is not None and now >= self._incomplete.when():
            self._give_up(self._incomplete.when())
        if self._decoder.discarding and now - self._last >= PAUSE_S:
            self._readings(self._decoder.silence)

    def _time(self, now: float) -> None:
        """Set the timers for a code that has begun and not ended."""
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None
        if not self._decoder.pending:
            self._stop_timing()
            return
        if self._idle_s:
            at = now + self._idle_s
            self._silence = self._loop.call_at(at, self._guarded, partial(self._silent, at))
        if self._decoder.begun != self._begun:
            self._begun = self._decoder.begun
            if self._incomplete is not None:
                self._incomplete.cancel()
            at = now + INCOMPLETE_S
            self._incomplete = self._loop.call_at(at, self._guarded, partial(self._give_up, at))

    def _silent(self, at: float) -> None:
        """End a code at `at`, unless input came while the loop was busy."""
        if _readable(self._connection.fileno()):
            self._read()
            return
        for reading in self._readings(self._decoder.silence):
            self._take(reading, at)
        self._stop_timing()

    def _give_up(self, at: float) -> None:
        """Drop a code that has not ended in time; input that follows within a pause is the rest of it."""
        self._incomplete = None
        for reading in self._readings(self._decoder.give_up):
            self._take(reading, at)

    def _stop_timing(self) -> None:
        for timer in (self._silence, self._incomplete):
            if timer is not None:
                timer.cancel()
        self._silence = self._incomplete = None


def _readable(fd: int) -> bool:
    """Return whether input, or a hang-up, is waiting right now."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
