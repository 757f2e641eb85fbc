"""Weekly schedules in local time, with exceptions by date.

A moment is inside a span if the gym's clock on the wall shows a time inside it. So a time that does not exist
on the day the clocks go forward is skipped, and one that comes twice counts both times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

DAY_MIN = 24 * 60
LOOK_AHEAD_DAYS = 14
"""A schedule's next change is looked for so far ahead: its whole week, and at a cost that no scan notices."""

Span = tuple[int, int]
"""The minutes of the day at which it begins and ends; 24:00 is `DAY_MIN`. The end is outside."""


class Schedule(NamedTuple):
    """Spans for each day of the week, Monday first; `exceptions` replace the spans of a date."""

    week: Sequence[Sequence[Span]]
    exceptions: Mapping[date, Sequence[Span]]

    def is_on(self, at_us: int, zone: tzinfo | None) -> bool:
        """Whether the moment (µs since the epoch) is inside; a `zone` of None is the system's."""
        local = _local(at_us, zone)
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self._spans(local.date()))

    def next_change_us(self, at_us: int, zone: tzinfo | None) -> int | None:
        """The next moment at which `is_on` changes; None if there is none within `LOOK_AHEAD_DAYS`."""
        on = self.is_on(at_us, zone)
        for moment_us in self._edges(at_us, zone):
            if self.is_on(moment_us, zone) != on:
                return moment_us
        return None

    def span_start_us(self, at_us: int, zone: tzinfo | None) -> int | None:
        """When the span that holds this moment began, two days ago at the earliest; None outside of all."""
        if not self.is_on(at_us, zone):
            return None
        began = earliest_us = at_us - 2 * DAY_MIN * 60_000_000
        for moment_us in self._edges(earliest_us, zone, days=3):
            if moment_us > at_us:
                break
            if not self.is_on(moment_us - 1, zone):
                began = moment_us
        return began

    def _spans(self, day: date) -> Sequence[Span]:
        exception = self.exceptions.get(day)
        return self.week[day.weekday()] if exception is None else exception

    def _edges(self, after_us: int, zone: tzinfo | None, days: int = LOOK_AHEAD_DAYS) -> Iterator[int]:
        """Every moment after this one at which the schedule may change, in order."""
        first = _local(after_us, zone).date()
        for number in range(days + 1):
            day = first + timedelta(days=number)
            moments = {
                _utc_us(day, minute, zone, fold)
                for span in self._spans(day)
                for minute in span
                for fold in (0, 1)
            }
            moments |= set(_clock_changes(day, zone))
            yield from sorted(moment_us for moment_us in moments if moment_us > after_us)


def _local(at_us: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone(zone)


def _utc_us(day: date, minute: int, zone: tzinfo | None, fold: int) -> int:
    """A local time as a moment; `minute` may be `DAY_MIN`. In a gap it is a moment outside of it."""
    moment = datetime.combine(day, time(fold=fold)) + timedelta(minutes=minute)
    moment = moment.replace(fold=fold)
    aware = moment.astimezone(UTC) if zone is None else moment.replace(tzinfo=zone).astimezone(UTC)
    return round(aware.timestamp() * 1e6)


def _clock_changes(day: date, zone: tzinfo | None) -> Iterator[int]:
    """The moments of a local day at which the clocks are set; found to the minute by bisection."""
    low_us, high_us = _utc_us(day, 0, zone, 0), _utc_us(day, DAY_MIN, zone, 1)
    if _offset(low_us, zone) == _offset(high_us, zone):
        return
    low, high = low_us // 60_000_000, high_us // 60_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle * 60_000_000, zone) == _offset(low_us, zone):
            low = middle
        else:
            high = middle
    yield high * 60_000_000


def _offset(at_us: int, zone: tzinfo | None) -> timedelta | None:
    return _local(at_us, zone).utcoffset()
