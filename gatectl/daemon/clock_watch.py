"""Noticing that the wall clock was set: a technician who reads the record must know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Never

from gatectl.decision.moment import Moment, what_happened
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.journal import clocks

LOOK_S = 5.0
"""Between two looks at the clocks, which cost nothing: soon enough for a line near the events it explains."""


async def watch(
    tell: Tell,
    read: Callable[[], Moment] = clocks.moment,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Never:
    """Tells once of each time that the wall clock was set, and how far."""
    before = read()
    while True:
        await pause(LOOK_S)
        after = read()
        happened = what_happened(before, after)
        if happened:
            tell(Notice(Priority.NOTICE, happened))
        before = after
