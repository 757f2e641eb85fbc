"""Notifies the service manager of the daemon's state (sd_notify(3)); does nothing where there is none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

AGAIN_S = 0.1
"""Between two tries to reach a service manager that is busy."""


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """`READY=1`, `STOPPING=1`, `WATCHDOG=1`; False where it has to be said again.

    Never waits: a service manager that does not read would hold up every door.
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
            return True  # no service manager is there: a repetition would change nothing
    return True


async def keep_notifying(state: str, environ: Mapping[str, str]) -> None:
    """Says it as soon as the service manager takes it."""
    while not notify(state, environ):  # noqa: ASYNC110 - its socket has no event that the loop could wait for
        await asyncio.sleep(AGAIN_S)
