"""The two clocks: the monotonic one decides, the wall clock only names moments."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gatectl.decision.door.messages import Instant
from gatectl.decision.timestamps import Timestamp
from gatectl.journal import clock


def now() -> float:
    """The event loop's clock: seconds, monotonic."""
    return asyncio.get_running_loop().time()


def since_boot_us(moment: float) -> int:
    """A moment of the event loop's clock, in microseconds since the boot."""
    return clock.since_boot_us() - round((now() - moment) * 1e6)


def wall_us(moment: float) -> int:
    """A moment of the event loop's clock on the wall clock, in microseconds since the epoch."""
    return time.time_ns() // 1000 - round((now() - moment) * 1e6)


def moment_of(at_us: int) -> float:
    """The moment of the event loop's clock that the wall clock now calls so; the inverse of `wall_us`."""
    return now() + at_us / 1e6 - time.time()


class WallClockNames:
    """The wall clock's names for moments, in the order of the moments.

    Each name comes of reading two clocks, one after the other: two codes of the same read must not seem
    to have come in another order for that.
    """

    JITTER_US = 100
    """More is a step of the wall clock, which is shown as it is."""

    def __init__(self) -> None:
        self._last = 0

    def instant(self, at_s: float) -> Instant:
        """A moment of the event loop's clock with its names."""
        return Instant(at_s, Timestamp(self.of(at_s), clock.boot_id(), since_boot_us(at_s)))

    def of(self, moment: float) -> int:
        """Microseconds since the epoch."""
        name = wall_us(moment)
        if 0 < self._last - name <= self.JITTER_US:
            name = self._last
        self._last = name
        return name


async def done_by(awaited: asyncio.Future[Any], until: float) -> bool:
    """Waits until then at most: is it done, without an error?"""
    if not awaited.done():
        # This is `asyncio.wait` for one future, at a quarter of the cost: every scan waits for its record.
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(until, _end, over)
        awaited.add_done_callback(partial(_end, over))
        try:
            await over
        finally:
            timer.cancel()
    return awaited.done() and not awaited.cancelled() and awaited.exception() is None


def first_of(
    awaited: asyncio.Future[Any], until_s: float, done: Callable[[], None], late: Callable[[], None]
) -> None:
    """Calls exactly one of the two: `done` once there is a result, `late` at that moment without one."""
    loop = asyncio.get_running_loop()

    def finished(_awaited: asyncio.Future[Any]) -> None:
        if timer.cancelled() or awaited.cancelled() or awaited.exception() is not None:
            return
        timer.cancel()
        done()

    def expired() -> None:
        timer.cancel()  # a result of the same turn of the loop comes too late
        late()

    timer = loop.call_at(until_s, expired)
    awaited.add_done_callback(finished)


def later_us(at_us: int, start: float, end: float) -> int:
    """The name of a moment, given that of an earlier one: an event's times agree, whatever sets the clock."""
    return at_us + round((end - start) * 1e6)


def _end(over: asyncio.Future[None], _awaited: object = None) -> None:
    if not over.done():
        over.set_result(None)


def ms_between(start: float, end: float) -> float:
    """Milliseconds, to the microsecond."""
    return round((end - start) * 1e3, 3)
