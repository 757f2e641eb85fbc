"""Feeding systemd's watchdog: only while the door is what it claims to be (sd_watchdog_enabled(3))."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Never

from gatectl.daemon.door import Door
from gatectl.daemon.notify import notify
from gatectl.devices.relay import StuckError

OUTLIVED_S = 1.0
"""The event loop and the guard each switch a relay off on time; one that is still on a second later
does not obey, and a new start is what is left to try."""

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


async def feed(pause_s: float, doors: Iterable[Door], environ: Mapping[str, str]) -> Never:
    """Feeds as long as all is well: the loop turns, or this does not run. Raises StuckError."""
    while True:
        if all_well(doors):
            notify("WATCHDOG=1", environ)
        await asyncio.sleep(pause_s)


def all_well(doors: Iterable[Door], now: Callable[[], float] | None = None) -> bool:
    """Every door can take a scan, and every relay's pin is as it was told.

    Raises StuckError for a relay that outlived its time: that is no matter of waiting for a kill.
    """
    moment = (now or asyncio.get_running_loop().time)()
    well = True
    for door in doors:
        relay = door.gate.relay
        off_at = relay.off_at
        if off_at is not None and moment > off_at + OUTLIVED_S:
            raise StuckError(f"{door.name}: the relay is on {moment - off_at:.1f} s after its time")
        well = well and relay.obeys and not door.is_stuck(moment)
    return well
