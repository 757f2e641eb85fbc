"""Noticing that the wall clock was set: a technician who reads the record must know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.timestamps import Timestamp, describe_change
from gatectl.journal import clock

LOOK_S = 5.0
"""Between two looks at the clocks, which cost nothing: soon enough for a line near the events it explains."""


async def watch(
    log: Log,
    read: Callable[[], Timestamp] = clock.moment,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Never:
    """Tells once of each time that the wall clock was set, and how far."""
    before = read()
    while True:
        await pause(LOOK_S)
        after = read()
        happened = describe_change(before, after)
        if happened:
            log(LogEntry(Priority.NOTICE, happened))
        before = after
