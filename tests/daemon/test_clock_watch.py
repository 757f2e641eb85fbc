"""The daemon tells that the wall clock was set."""

import asyncio

import pytest

from gatectl.daemon import clock_step_log
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.timestamps import Timestamp

SECOND = 1_000_000
DAY = 86_400 * SECOND


class Over(Exception):
    pass


def told(set_by_us):
    """What is told while the clock is set by so much between one look and the next."""
    wall, boot, entries = [50 * DAY], [DAY], []
    steps = iter(set_by_us)

    def read():
        return Timestamp(wall[0], "a" * 32, boot[0])

    async def pause(seconds):
        try:
            step = next(steps)
        except StopIteration:
            raise Over from None
        wall[0] += round(seconds * SECOND) + step
        boot[0] += round(seconds * SECOND)

    with pytest.raises(Over):
        asyncio.run(clock_step_log.watch(entries.append, read, pause))
    return entries


def test_each_setting_is_told_once_and_how_far():
    assert told([0, 1200 * DAY, 0, 0, -3600 * SECOND, 0]) == [
        LogEntry(Priority.NOTICE, "the clock was set forward by 3 years 105 days"),
        LogEntry(Priority.NOTICE, "the clock was set back by 1 h"),
    ]


def test_small_corrections_are_not_told():
    assert told([SECOND, 0, -SECOND, SECOND, SECOND, SECOND]) == []
