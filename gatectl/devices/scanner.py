"""One scanner under supervision: opened by its stable path, read, timed, waited for when it is gone."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Literal, Never, Protocol

from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.reading import Code, Flaw, Reading

RETRY_S = 0.5
"""Between two looks for a device that is not there. USB enumeration takes about 0.5 s; a device that
is back is to be taken up within a second of its return, and a failed open costs microseconds."""

STEADY_S = 5.0
"""A connection that has lasted this long, or has given a code, works. A loose plug or a failing
device is gone again well within it."""

QUICK_LOSSES = 5
"""After so many connections in a row that did not last, the next return is told only once it lasts."""

OnCode = Callable[[str, float], None]
"""A complete code, and the loop's time at which it was complete. Called from the reader's callback."""


class Cause(StrEnum):
    """Why a device cannot be read, in a technician's words. Rarer causes are the system's own words."""

    UNPLUGGED = "unplugged"
    HELD = "held by another process"
    DENIED = "permission denied"
    NO_SCANNER = "not a device of this type"


_CAUSES = {
    errno.ENOENT: Cause.UNPLUGGED,
    errno.ENODEV: Cause.UNPLUGGED,
    errno.ENXIO: Cause.UNPLUGGED,
    errno.EIO: Cause.UNPLUGGED,
    errno.EBUSY: Cause.HELD,
    errno.EAGAIN: Cause.HELD,  # the answer to a lock that somebody else has
    errno.EACCES: Cause.DENIED,
    errno.EPERM: Cause.DENIED,
    errno.ENOTTY: Cause.NO_SCANNER,
    errno.EISDIR: Cause.NO_SCANNER,
}


class DeviceLost(Exception):
    """The device cannot be opened, or is gone; `cause` is a `Cause` or the system's words."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def cause_of(number: int | None) -> str:
    """The cause that an errno stands for."""
    if number is None:
        return Cause.NO_SCANNER
    return _CAUSES.get(number) or os.strerror(number).lower()


class Connection(Protocol):
    """An open device with what makes readings of its input: half a code goes when the connection goes."""

    @property
    def pending(self) -> bool:
        """True while it holds something that a silence would end."""

    def fileno(self) -> int:
        """The descriptor to wait for; the same until `close`."""

    def read(self) -> list[Reading]:
        """What the input that is there completes; never blocks. DeviceLost where the device is gone."""

    def silence(self) -> list[Reading]:
        """The idle time has passed since the last input: what that completes."""

    def close(self) -> None:
        """Lets go of the device; never blocks, never raises."""


ScannerType = Literal["serial", "evdev"]
State = Literal["ready", "lost", "absent"]


@dataclass(frozen=True, slots=True)
class ScannerStatus:
    """A scanner as `gatectl status` shows it."""

    path: str
    type: ScannerType
    state: State
    """`absent`: not there since the start; `lost`: it was."""
    since: float
    """When it came into this state; seconds on the monotonic clock."""
    cause: str | None
    """None where it is ready, or was not looked for yet."""
    codes: int = 0
    dropped: Mapping[Flaw, int] = field(default_factory=dict)


class Scanner:
    """Keeps one device open and hands on its codes, for as long as `run` runs.

    `connect` opens the device by its path, and by nothing else: another device in its place is not
    taken for it. `idle_s` of silence ends a code; 0 for never.
    """

    def __init__(
        self,
        path: str,
        kind: ScannerType,
        connect: Callable[[], Connection],
        idle_s: float,
        on_code: OnCode,
        tell: Tell,
    ) -> None:
        self._connect = connect
        self._idle_s = idle_s
        self._on_code = on_code
        self._tell = tell
        self._status = ScannerStatus(path, kind, "absent", time.monotonic(), None)
        self._codes = 0
        self._dropped: Counter[Flaw] = Counter()
        self._told_flaws: set[Flaw] = set()  # of this connection
        self._told_gone = False  # and not yet that it is back
        self._quick_losses = 0

    @property
    def status(self) -> ScannerStatus:
        """The state now; a value, which does not change any more."""
        return replace(self._status, codes=self._codes, dropped=dict(self._dropped))

    async def run(self) -> Never:
        """Reads until cancelled. A lost device is waited for; any other error is raised."""
        while True:
            try:
                connection = self._connect()
            except DeviceLost as lost:
                self._gone(lost.cause)
            else:
                self._gone(await self._serve(connection))
            await asyncio.sleep(RETRY_S)

    async def _serve(self, connection: Connection) -> str:
        """Reads one connection to its end, and says why it ended."""
        self._enter("ready", None)
        self._told_flaws.clear()
        if self._quick_losses < QUICK_LOSSES:
            self._back()
        self._quick_losses += 1  # until it has lasted
        steady = asyncio.get_running_loop().call_later(STEADY_S, self._lasts)
        session = _Session(connection, self._idle_s, self._take)
        try:
            return await session.over
        finally:
            steady.cancel()
            session.end()

    def _take(self, reading: Reading, at: float) -> None:
        if isinstance(reading, Code):
            self._codes += 1
            self._on_code(reading.text, at)
            self._lasts()
            return
        self._dropped[reading.flaw] += 1
        if reading.flaw not in self._told_flaws:
            self._told_flaws.add(reading.flaw)
            flaw = reading.flaw.replace("_", " ")
            self._say(Priority.WARNING, f"input dropped ({flaw}); more of it is counted in the status alone")

    def _lasts(self) -> None:
        self._quick_losses = 0
        self._back()

    def _back(self) -> None:
        if self._told_gone:
            self._told_gone = False
            self._say(Priority.NOTICE, "ready")

    def _gone(self, cause: str) -> None:
        self._enter("absent" if self._status.state == "absent" else "lost", cause)
        if not self._told_gone:
            self._told_gone = True
            self._say(Priority.WARNING, f"{self._status.state} ({cause})")

    def _enter(self, state: State, cause: str | None) -> None:
        since = self._status.since if state == self._status.state else time.monotonic()
        self._status = replace(self._status, state=state, since=since, cause=cause)

    def _say(self, priority: Priority, what: str) -> None:
        path = self._status.path
        self._tell(Notice(priority, f"scanner {path}: {what}", {"SCANNER": path}))


class _Session:
    """One connection on the event loop, up to its one end.

    `over` is done then, with the cause of the loss. An error that is no loss is its exception, and so
    ends whoever awaits it.
    """

    def __init__(self, connection: Connection, idle_s: float, take: Callable[[Reading, float], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[str] = self._loop.create_future()
        self._connection = connection
        self._idle_s = idle_s
        self._take = take
        self._silence: asyncio.TimerHandle | None = None
        self._ended = False
        self._loop.add_reader(connection.fileno(), self._guarded, self._read)

    def end(self) -> None:
        """Lets go of everything, once."""
        if self._ended:
            return
        self._ended = True
        self._loop.remove_reader(self._connection.fileno())
        self._stop_timing()
        self._connection.close()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except DeviceLost as lost:
            self.end()
            if not self.over.done():  # it is, where a cancellation came first in this turn of the loop
                self.over.set_result(lost.cause)
        except Exception as error:
            self.end()
            if self.over.done():
                raise
            self.over.set_exception(error)  # raised by `over`; here the loop would only log it

    def _read(self) -> None:
        now = self._loop.time()
        for reading in self._connection.read():
            self._take(reading, now)
        self._stop_timing()
        if self._idle_s and self._connection.pending:
            at = now + self._idle_s
            self._silence = self._loop.call_at(at, self._guarded, partial(self._silent, at))

    def _silent(self, at: float) -> None:
        """The idle time was over `at`, unless input came while the loop was busy with something else."""
        if _readable(self._connection.fileno()):
            self._read()
            return
        for reading in self._connection.silence():
            self._take(reading, at)

    def _stop_timing(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _readable(fd: int) -> bool:
    """Whether input, or a hang-up, is there right now."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))
