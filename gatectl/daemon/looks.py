"""Regular looks at the wall clock, for schedules and steps, and at the pins' threads.

An idle door wakes its machine as seldom as it can. Schedules change at full minutes alone, so the event loop
looks a few times a minute; a step of the clock in between is seen by the pins' thread, which is awake once a
second anyway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from gatectl import clock
from gatectl.daemon.door import Door
from gatectl.decision.timestamps import LONG_AGO, LoopTime
from gatectl.devices.gpio.pin_threads import PinThreads, next_second

LOOK_S = 3.0
"""Between two looks of the event loop; it divides a minute, so that one of them is at each full minute."""

STEP_S = 0.1
"""The wall clock was set if it has gone by this much more or less than the monotonic one within a second;
slewing moves it by half a millisecond (adjtimex(2))."""


class ClockWatch:
    """A task of the pins' thread: calls `changed` in the event loop when the clock is set or synchronised."""

    name = "clock watch"
    wants_spare = spare_looks = False

    def __init__(self, changed: Callable[[], None]) -> None:
        self.is_trusted = clock.is_synchronised()
        self._loop = asyncio.get_running_loop()
        self._changed = changed
        self._ahead_s = _ahead_s()
        self._next_s = LONG_AGO

    def due_s(self, _now_s: LoopTime) -> LoopTime:
        """Once a second, together with the pins."""
        return self._next_s

    def run(self, now_s: LoopTime) -> None:
        """Look at both clocks."""
        self._next_s = next_second(now_s)
        before_s, self._ahead_s = self._ahead_s, _ahead_s()
        was_trusted, self.is_trusted = self.is_trusted, self.is_trusted or clock.is_synchronised()
        if abs(self._ahead_s - before_s) > STEP_S or self.is_trusted is not was_trusted:
            self._loop.call_soon_threadsafe(self._changed)

    def hangs(self) -> None:
        """No driver is called here."""


def _ahead_s() -> float:
    """By how much the wall clock is ahead of the monotonic one."""
    return time.time() - clock.monotonic()


async def look_regularly(doors: Collection[Door], threads: PinThreads) -> None:
    """Keep the schedules and the ends of holds, and replace a pins' thread that hangs."""

    def look() -> None:
        for door in doors:
            if door.machine.modes.needs_clock:
                door.look_at_clock(trusted=watch.is_trusted)

    watch = ClockWatch(look)
    threads.add(watch)
    while True:
        look()
        threads.look()
        await until_next_look()


async def until_next_look(_pause_s: float = LOOK_S) -> None:
    """Wait for the next of the moments that all looks share: together they are one wake-up."""
    await asyncio.sleep(LOOK_S - time.time() % LOOK_S)
