"""Read the clocks: the event loop's, which decides; the wall clock, for people; the boot clock, never set.

`decision/timestamps.py` has their types and the arithmetic.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Never

from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.timestamps import BootUs, Instant, LoopTime, Timestamp, WallUs, describe_change

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMESYNC = Path("/run/systemd/timesync")

CHECK_S = 5.0
"""Between two checks for a step of the wall clock, which cost nothing: the log entry comes soon enough to be
near the events that it explains."""


TOGETHER_S = 1e-4
"""Two clocks that are read within this time show the same moment, for the record's purposes."""

READS = 3
"""So often two clocks are read until they show the same moment: something else may run in between."""


def now() -> LoopTime:
    """The event loop's clock: seconds, monotonic."""
    return LoopTime(asyncio.get_running_loop().time())


def monotonic() -> LoopTime:
    """The same clock, read in any thread: asyncio's own event loops go by the monotonic clock."""
    return LoopTime(time.monotonic())


def timestamp_now() -> Timestamp:
    """The wall clock and the boot clock, read one after the other."""
    return Timestamp(WallUs(time.time_ns() // 1000), boot_id(), boot_us())


@cache
def boot_id() -> str:
    """The kernel's name for this boot (random(4)), as 32 hex digits: the systemd journal's `_BOOT_ID`."""
    return BOOT_ID.read_text("ascii").strip().replace("-", "")


def boot_us() -> BootUs:
    """Microseconds since the boot, standby included (clock_gettime(2), CLOCK_BOOTTIME)."""
    return BootUs(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000)


def is_synchronised(timesync: Path = TIMESYNC) -> bool:
    """Return False only where systemd-timesyncd(8) keeps the clock and has reached no server since boot."""
    return not timesync.is_dir() or (timesync / "synchronized").exists()


def wall_us(at_s: LoopTime) -> WallUs:
    """The wall clock's time at a moment of the event loop's clock."""
    return WallUs(_translated(at_s, lambda: time.time_ns() // 1000))


def _translated(at_s: LoopTime, read_us: Callable[[], int]) -> int:
    """Return another clock's microseconds at a moment of the event loop's clock.

    On a busy machine another process may run between two reads: then the moment, and with it the order of
    the events, would be wrong by its turn.
    """
    for _ in range(READS):
        before_s, other_us, after_s = now(), read_us(), now()
        if after_s - before_s <= TOGETHER_S:
            break
    return other_us - round((after_s - at_s) * 1e6)


def loop_time(at_us: WallUs) -> LoopTime:
    """The inverse of `wall_us`, as the wall clock is set now."""
    return LoopTime(now() + at_us / 1e6 - time.time())


class InstantClock:
    """Translates moments of the event loop's clock for the record, in their order.

    Each translation reads two clocks, one after the other. Two codes of the same read must not seem to have
    come in another order for that.
    """

    JITTER_US = 100
    """More is a step of the wall clock, which is shown as it is."""

    def __init__(self, wall_us: Callable[[LoopTime], WallUs] = wall_us) -> None:
        self._wall_us = wall_us
        self._last_us = WallUs(0)

    def instant(self, at_s: LoopTime) -> Instant:
        """A moment of the event loop's clock, with its times on the record's clocks."""
        since_boot_us = BootUs(_translated(at_s, boot_us))
        return Instant(at_s, Timestamp(self.ordered_wall_us(at_s), boot_id(), since_boot_us))

    def ordered_wall_us(self, at_s: LoopTime) -> WallUs:
        """The wall clock's time at that moment; not before that of the previous call for mere jitter."""
        at_us = self._wall_us(at_s)
        if 0 < self._last_us - at_us <= self.JITTER_US:
            at_us = self._last_us
        self._last_us = at_us
        return at_us


async def log_clock_steps(
    log: Log,
    read: Callable[[], Timestamp] = timestamp_now,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Never:
    """Log each step of the wall clock once, and how far: a technician who reads events must know."""
    before = read()
    while True:
        await pause(CHECK_S)
        after = read()
        happened = describe_change(before, after)
        if happened:
            log(LogEntry(Priority.NOTICE, happened))
        before = after
