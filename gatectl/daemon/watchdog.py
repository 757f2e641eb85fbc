"""Feeding systemd's watchdog: only while the doors are what they claim to be (sd_watchdog_enabled(3))."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Never

from gatectl.daemon.door import Door
from gatectl.daemon.notify import notify
from gatectl.devices.gpio.relay_timer import RelayTimer

FEEDS = 3
"""Feeds in a watchdog's time: one may come late on a busy Pi."""


def interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds between two feeds; None where systemd does not watch this process."""
    try:
        watched = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID", pid))
    except ValueError:
        return None
    return watched / 1e6 / FEEDS if watched > 0 and meant == pid else None


async def feed(pause_s: float, doors: Iterable[Door], guard: RelayTimer, environ: Mapping[str, str]) -> Never:
    """Feeds as long as all is well: the loop turns, or this does not run."""
    while True:
        if all_well(doors, guard):
            notify("WATCHDOG=1", environ)
        await asyncio.sleep(pause_s)


def all_well(doors: Iterable[Door], guard: RelayTimer, now: Callable[[], float] | None = None) -> bool:
    """Every door can take a scan, and the thread that switches relays off still passes.

    A relay that does not obey is one door's fault: it is tried again without end, and a new start could do
    no more, but would stop the other doors.
    """
    moment = (now or asyncio.get_running_loop().time)()
    return guard.is_alive(moment) and not any(door.is_stuck(moment) for door in doors)
