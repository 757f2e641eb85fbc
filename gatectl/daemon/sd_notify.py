"""Notify systemd of the daemon's state, and feed its watchdog (sd_notify(3), sd_watchdog_enabled(3)).

Without systemd, do nothing.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Never

from gatectl import clock
from gatectl.decision.timestamps import LoopTime

if TYPE_CHECKING:  # `gatectl monitor` notifies too, without importing doors
    from gatectl.daemon.door import Door
    from gatectl.devices.gpio.relay_timer import RelayTimer

RETRY_S = 0.1
"""Between two tries to reach a service manager that is busy."""

FEEDS = 3
"""Watchdog feeds in the watchdog's time: one may come late on a busy Pi."""


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send `READY=1`, `STOPPING=1` or `WATCHDOG=1`; return False if it must be repeated.

    Never wait: a service manager that does not read would hold up every door.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return True
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace (unix(7))
    with socket.socket(
        socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    ) as sent:
        try:
            sent.sendto(state.encode(), address)
        except BlockingIOError:
            return False
        except OSError:
            return True  # there is no service manager: repeating would change nothing
    return True


async def keep_notifying(state: str, environ: Mapping[str, str]) -> None:
    """Repeat until the service manager has taken it."""
    while not notify(state, environ):  # noqa: ASYNC110 - its socket has no event that the loop could wait for
        await asyncio.sleep(RETRY_S)


def watchdog_interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds between two feeds; None if systemd does not watch this process."""
    try:
        watched = int(environ.get("WATCHDOG_USEC", "0"))
        meant = int(environ.get("WATCHDOG_PID", pid))
    except ValueError:
        return None
    return watched / 1e6 / FEEDS if watched > 0 and meant == pid else None


async def feed_watchdog(
    pause_s: float, doors: Iterable[Door], relay_timer: RelayTimer, environ: Mapping[str, str]
) -> Never:
    """Feed as long as all is well; the watchdog also ends a daemon whose loop is stuck."""
    while True:
        if all_well(doors, relay_timer):
            notify("WATCHDOG=1", environ)
        await asyncio.sleep(pause_s)


def all_well(doors: Iterable[Door], relay_timer: RelayTimer, now: Callable[[], LoopTime] = clock.now) -> bool:
    """Return whether every door can take a scan and the thread that switches relays off still runs.

    A relay that does not obey does not count: it is tried again without end, a restart could do no more, and
    would stop the other doors.
    """
    now_s = now()
    return relay_timer.is_alive(now_s) and not any(door.is_stuck(now_s) for door in doors)
