"""Times on the gym's own clock: as people write them, and as lists show them.

`zone` is the gym's time zone, None for that of the system. Moments are microseconds since the epoch, UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TypeVar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_AGO = re.compile(r"(\d{1,18})([smhd])", re.ASCII)  # longer ones do not fit into a timedelta
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_YEARS = range(1970, 9999)
_Day = TypeVar("_Day", date, datetime)
_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?", re.ASCII)


class NotATimeError(ValueError):
    """A text that is no time, or one of another age."""


def local(at_us: int, zone: tzinfo | None) -> datetime:
    """The moment on the gym's clock, to the second."""
    return (_EPOCH + timedelta(seconds=at_us // 1_000_000)).astimezone(zone)


def when(stamp: str, now: datetime, *, seconds: bool) -> str:
    """An RFC 3339 time on this machine's clock, with its day if that is not today's: `20:35`."""
    then = datetime.fromisoformat(stamp).astimezone()
    if then.date() != now.astimezone().date():
        return f"{then:%Y-%m-%d %H:%M}"
    return f"{then:%H:%M:%S}" if seconds else f"{then:%H:%M}"


def offset_text(moment: datetime) -> str:
    """`+01:00`: how far the clock is ahead of UTC."""
    return moment.isoformat(timespec="minutes")[-6:]


def clock_text(moment: datetime, zone: tzinfo | None) -> str:
    """`20:36:01`; in the hour that a clock that is set back shows twice, `02:36:01+01:00`."""
    naive = moment.replace(tzinfo=None)
    first, second = (_aware(naive.replace(fold=fold), zone).utcoffset() for fold in (0, 1))
    return f"{naive:%H:%M:%S}" + (offset_text(moment) if first != second else "")


def parsed(text: str, now_us: int, zone: tzinfo | None, *, is_end: bool = False) -> int:
    """The moment that a person means; raises NotATimeError.

    An RFC 3339 time (without an offset it is local), a date, a time of today, `yesterday`, or how long ago
    (`90m`, `2h`, `7d`). As the end of a span, a date is its last microsecond, and an hour that comes twice is
    its second one.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        # An age beyond 1970 means everything.
        return max(0, now_us - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000)
    today = local(now_us, zone).date()
    of_day = _TIME_OF_DAY.fullmatch(text)
    try:
        if text == "yesterday":
            return _midnight(today - timedelta(days=1), zone)
        if of_day:
            hour, minute, second = (int(part or 0) for part in of_day.groups())
            naive = datetime.combine(today, time(hour, minute, second))
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
            day = _within(date.fromisoformat(text))
            return _midnight(day + timedelta(days=1), zone) - 1 if is_end else _midnight(day, zone)
        else:
            naive = _within(datetime.fromisoformat(text))
        return _micros(_aware(naive.replace(fold=int(is_end)), zone))
    except ValueError as error:
        raise NotATimeError(text) from error


def _within(day: _Day) -> _Day:
    """The same, which every zone's calendar has, and the day after it too; raises ValueError."""
    if day.year not in _YEARS:
        raise ValueError(day.year)
    return day


def _midnight(day: date, zone: tzinfo | None) -> int:
    return _micros(_aware(datetime.combine(day, time()), zone))


def _aware(moment: datetime, zone: tzinfo | None) -> datetime:
    """The moment with its offset; one that has none is the gym's."""
    if moment.tzinfo is not None or zone is None:
        return moment.astimezone()
    return moment.replace(tzinfo=zone)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
