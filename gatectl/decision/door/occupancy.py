"""The number of people inside: passages in minus out at one door, since four o'clock on the gym's clock.

At four the fewest are in a gym, also in one that never closes, and clocks that are set forward or back are
set before. People who are inside then are counted no longer; their leaving takes nobody off those who came
since, so the number is never below zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo

from gatectl.decision.local_time import local
from gatectl.decision.timestamps import WallUs

DAY_BEGINS = time(4)


class Occupancy:
    """Counts in constant memory; `recall` adds the passages of before this start, once they are known.

    `zone` is the gym's, None the system's.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._day: date | None = None
        self._before: int | None = None
        """The count at this start; None until the journal has been read."""
        self._change = 0
        self._least = 0
        """The count of this run alone: no number at its start makes it less."""

    def came_in(self, at_us: int) -> None:
        """Count somebody in."""
        self._begin_day(at_us)
        self._change += 1
        self._least += 1

    def left(self, at_us: int) -> None:
        """Count somebody out."""
        self._begin_day(at_us)
        self._change -= 1
        self._least = max(self._least - 1, 0)

    def day_start_us(self, now_us: int) -> WallUs:
        """The moment from which on passages count now."""
        day = datetime.combine(self._day_of(now_us), DAY_BEGINS, self._zone)
        return WallUs(round(day.timestamp() * 1_000_000))

    def recall(self, passages: Iterable[bool], asked_us: int) -> None:
        """Take the day's passages of before this start, the oldest first; True is in.

        `asked_us` is when they were asked for: if four o'clock has passed since, they count no longer.
        """
        count = 0
        if self._day in {None, self._day_of(asked_us)}:
            for is_in in passages:
                count = max(count + (1 if is_in else -1), 0)
        self._before = count

    def inside(self, now_us: int) -> int | None:
        """The number now; None as long as the journal has not been read."""
        self._begin_day(now_us)
        return None if self._before is None else max(self._before + self._change, self._least)

    def _begin_day(self, at_us: int) -> None:
        """Count from zero on a new day. A clock that is set back a little begins none."""
        day, earlier = self._day_of(at_us), self._day
        if earlier is not None:
            if earlier - timedelta(days=1) <= day <= earlier:
                return
            self._before = None if self._before is None else 0
            self._change = self._least = 0
        self._day = day

    def _day_of(self, at_us: int) -> date:
        moment = local(at_us, self._zone)
        return moment.date() if moment.time() >= DAY_BEGINS else moment.date() - timedelta(days=1)
