"""Draw a day as a chart: for each partner admissions, refusals and answer times, one bar per hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from gatectl.decision.local_time import clock_text, local
from gatectl.journal.paging import Tally
from gatectl.monitor.journal_worker import EventBrowser

WIDTH, HEIGHT = 480, 140
"""Units of the drawing; the style sheet scales it to its container."""
TOP, BASE = 18, 122
"""The bars are between them; the scales' numbers are above, the hours' below."""
HOUR_US = 3_600_000_000
LEAST_SCANS, LEAST_MS = 4, 100
"""The smallest scales, so that one scan is not a full bar and a fast partner's line stays low."""


@dataclass(frozen=True, slots=True)
class Span:
    """A day from its first microsecond to that of the next: 23 or 25 hours when the clocks change."""

    from_us: int
    until_us: int

    @property
    def hours(self) -> int:
        return math.ceil((self.until_us - self.from_us) / HOUR_US)

    def starts(self, hour: int) -> datetime:
        """Return when an hour begins; hours count from 0 in elapsed time, not by the clock."""
        return local(self.from_us + hour * HOUR_US, None)

    def x(self, hour: int) -> float:
        return round(hour * WIDTH / self.hours, 1)


@dataclass(frozen=True, slots=True)
class Hour:
    """One bar."""

    hour: str
    """When it began: `14:00`; for an hour that occurs twice, `02:00+01:00`."""
    x: float
    width: float
    admitted: int
    refused: int
    median_ms: float | None
    slow_ms: float | None
    admitted_y: float
    admitted_height: float
    refused_y: float
    refused_height: float


@dataclass(frozen=True, slots=True)
class PartnerDay:
    """One partner's drawing."""

    partner: str | None
    admitted: int
    refused: int
    median_ms: float | None
    hours: list[Hour]
    line: str
    """The median's line, as an SVG path."""
    dots: list[tuple[float, float]]
    top_scans: int
    top_ms: float


@dataclass(frozen=True, slots=True)
class Day:
    """The drawings of a day, and the hours below each: their places and labels."""

    marks: list[tuple[float, str]]
    partners: list[PartnerDay]


def day_of(browser: EventBrowser, day: date) -> Day:
    """Return the day in this machine's time, for each partner that had scans."""
    start = datetime(day.year, day.month, day.day).astimezone()
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day).astimezone()
    span = Span(_us(start), _us(end))
    tallies = browser.tallies(span.from_us, span.until_us, HOUR_US)
    partners = sorted({tally.partner for tally in tallies}, key=lambda name: (name is None, name or ""))
    drawn = [_drawn(name, [tally for tally in tallies if tally.partner == name], span) for name in partners]
    marks = [(span.x(hour), span.starts(hour).hour) for hour in range(span.hours)]
    return Day([(x, str(hour)) for x, hour in marks if hour % 6 == 0], drawn)


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def _drawn(partner: str | None, tallies: list[Tally], span: Span) -> PartnerDay:
    top_scans = max(LEAST_SCANS, *(tally.admitted + tally.refused for tally in tallies))
    medians = {tally.bucket: _part(tally.elapsed_ms, 0.5) for tally in tallies}
    top_ms = max(LEAST_MS, *(ms for ms in medians.values() if ms is not None), 0)
    hours = [_hour(tally, top_scans, span) for tally in sorted(tallies, key=lambda tally: tally.bucket)]
    dots = [
        (round(hour.x + hour.width / 2, 1), round(BASE - hour.median_ms / top_ms * (BASE - TOP), 1))
        for hour in hours
        if hour.median_ms is not None
    ]
    everything = sorted(ms for tally in tallies for ms in tally.elapsed_ms)
    return PartnerDay(
        partner=partner,
        admitted=sum(tally.admitted for tally in tallies),
        refused=sum(tally.refused for tally in tallies),
        median_ms=_part(everything, 0.5),
        hours=hours,
        line=" ".join(f"{'ML'[index > 0]}{x} {y}" for index, (x, y) in enumerate(dots)),
        dots=dots,
        top_scans=top_scans,
        top_ms=top_ms,
    )


def _hour(tally: Tally, top_scans: int, span: Span) -> Hour:
    scale = (BASE - TOP) / top_scans
    admitted, refused = tally.admitted * scale, tally.refused * scale
    return Hour(
        hour=clock_text(span.starts(tally.bucket), None).replace(":00:00", ":00", 1),
        x=round(span.x(tally.bucket) + 2, 1),
        width=round(WIDTH / span.hours - 4, 1),
        admitted=tally.admitted,
        refused=tally.refused,
        median_ms=_part(tally.elapsed_ms, 0.5),
        slow_ms=_part(tally.elapsed_ms, 0.95),
        admitted_y=round(BASE - admitted, 1),
        admitted_height=round(admitted, 1),
        refused_y=round(BASE - admitted - refused, 1),
        refused_height=round(refused, 1),
    )


def _part(ordered: list[float], part: float) -> float | None:
    """Return the quantile: the value that this part of them does not exceed; None without values."""
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)] if ordered else None
