"""Read the store for the monitor's pages: the newest events first, a page at a time, and a day's counts.

Each filter has its index. Two that are common alone and rare together have none for both: such a search stops
when its time is over, returns how far it came, and can be continued.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from gatectl.decision.event import Event
from gatectl.decision.verdict import Result
from gatectl.journal.filters import Filters
from gatectl.journal.reader import PAGE, Reader, event_of

SPAN = 20_000
"""Scans looked at in one transaction: some milliseconds, on a Pi some ten."""

PATIENCE_S = 0.05
"""After this time a page shows the events found so far; the rest of its tenth of a second is for
rendering."""

NEIGHBOURS = 1000
"""The number of scans around a moment that are compared for their order, which covers a clock that was set
back by less than they took."""

TALLIED = 200_000
"""Scans of one stretch that are counted: over two a second, day and night."""

_FIRST = "SELECT min(seq) FROM (SELECT seq FROM attempts WHERE at_us >= ? ORDER BY at_us LIMIT ?)"
_LAST = "SELECT max(seq) FROM (SELECT seq FROM attempts WHERE at_us <= ? ORDER BY at_us DESC LIMIT ?)"


@dataclass(frozen=True, slots=True)
class Search:
    """The query of a page; `before` is a `seq` to go on from."""

    filters: Filters = field(default_factory=Filters)
    before: int | None = None


class Listed(NamedTuple):
    """An event and its places: in the order of the scans, and in the order of the decisions."""

    seq: int
    ended: int
    event: Event


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first. `older` is where the next page begins, None where there is nothing more."""

    events: list[Listed]
    older: int | None
    complete: bool
    """False where the walk ended before the page was full: there may be more behind `older`."""


class Tally(NamedTuple):
    """One partner's events of a stretch of time; `elapsed_ms` are of whole answers, in order."""

    partner: str | None
    bucket: int
    admitted: int
    refused: int
    elapsed_ms: list[float]


class Browser(Reader):
    """A reader that turns pages."""

    def page(self, search: Search, size: int, until: int) -> Page:
        """At most this many events, none decided after the mark `until`."""
        give_up_at = time.monotonic() + PATIENCE_S
        bounds = self._bounds(search)
        found: list[int] = []
        if bounds is None:
            return Page([], None, complete=True)
        low, high = bounds
        is_time_over = False  # one stretch is looked at in any case: else a busy machine would show nothing
        while high >= low and len(found) <= size and not is_time_over:
            bottom = max(low, high - SPAN + 1)
            found += self._seqs(search, until, bottom, high, size + 1 - len(found))
            high = bottom - 1
            is_time_over = time.monotonic() >= give_up_at
        more = len(found) > size
        walked_all = high < low
        events = self._listed(found[:size])
        if more:
            return Page(events, found[size - 1], complete=True)
        return Page(events, None if walked_all else high + 1, complete=walked_all)

    def since(self, after: int, most: int) -> tuple[list[Listed], int]:
        """The first events decided after the mark, so many at most, and the mark that they lead to."""
        until = self.mark()
        rows = self._rows(
            "ended > :after AND ended <= :until ORDER BY ended LIMIT :most",
            {"after": after, "until": until, "most": most},
        )
        listed = [Listed(row["seq"], row["ended"], event_of(row)) for row in rows]
        return listed, listed[-1].ended if len(listed) == most else until

    def batch(self, filters: Filters, low: int | None, until: int) -> tuple[list[Event], int | None]:
        """Some of the events in the order of the scans, and where the next of them begin; None at the end.

        `low` is where to begin, None for the first; none of them was decided after the mark `until`. Bounded,
        so that an export of years keeps no page waiting.
        """
        bounds = self._bounds(Search(filters))
        if bounds is None or (low is not None and low > bounds[1]):
            return [], None
        low = bounds[0] if low is None else low
        high = min(low + SPAN - 1, bounds[1])
        where, values = filters.conditions()
        values |= {"low": low, "high": high, "until": until}
        place = f"{where} AND seq >= :low AND seq <= :high AND ended <= :until"
        rows = self._rows(f"{place} ORDER BY seq LIMIT {PAGE}", values)
        following = rows[-1]["seq"] + 1 if len(rows) == PAGE else high + 1
        return [event_of(row) for row in rows], following if following <= bounds[1] else None

    def version(self) -> int:
        """A number that changes with each write."""
        with self._errors_for_user():
            number: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return number

    def tallies(self, from_us: int, until_us: int, bucket_us: int) -> list[Tally]:
        """Count each partner's results from one moment to just before another, a bucket at a time."""
        statement = (
            "SELECT partner, (at_us - :from) / :bucket AS bucket, result = :admitted AS admitted, elapsed_ms,"
            " answered_us IS NOT NULL AS answered FROM attempts CROSS JOIN outcomes USING (seq)"
            " WHERE at_us >= :from AND at_us < :until AND kind = 'scan' LIMIT :most"
        )
        values = {
            "from": from_us,
            "until": until_us,
            "bucket": bucket_us,
            "admitted": Result.ADMITTED.value,
            "most": TALLIED,
        }
        found: dict[tuple[str | None, int], Tally] = {}
        with self._errors_for_user():
            for partner, bucket, admitted, elapsed_ms, answered in self._connection.execute(
                statement, values
            ):
                tally = found.get((partner, bucket)) or Tally(partner, bucket, 0, 0, [])
                if answered and elapsed_ms is not None:
                    tally.elapsed_ms.append(elapsed_ms)
                found[partner, bucket] = tally._replace(
                    admitted=tally.admitted + admitted, refused=tally.refused + (1 - admitted)
                )
        for tally in found.values():
            tally.elapsed_ms.sort()
        return list(found.values())

    def _bounds(self, search: Search) -> tuple[int, int] | None:
        """The first and the last `seq` to look at; None where there is none."""
        since, until = search.filters.since_us, search.filters.until_us
        with self._errors_for_user():
            (low,), (high,) = self._connection.execute(
                "SELECT min(seq) FROM attempts UNION ALL SELECT max(seq) FROM attempts"
            ).fetchall()
            if low is not None and since is not None:
                (low,) = self._connection.execute(_FIRST, (since, NEIGHBOURS)).fetchone()
            if high is not None and until is not None:
                (high,) = self._connection.execute(_LAST, (until, NEIGHBOURS)).fetchone()
        if low is None or high is None:
            return None
        return low, high if search.before is None else min(high, search.before - 1)

    def _seqs(self, search: Search, until: int, low: int, high: int, limit: int) -> list[int]:
        where, values = search.filters.conditions()
        # SQLite keeps the order of a CROSS JOIN, so the rare kinds go first: interruptions and erasures.
        filters = search.filters
        is_rare = filters.basis is not None or filters.result in {Result.UNKNOWN, Result.DONE}
        rare = is_rare and filters.member is None
        tables = "outcomes CROSS JOIN attempts" if rare else "attempts CROSS JOIN outcomes"
        statement = (
            f"SELECT seq FROM {tables} USING (seq) WHERE {where}"  # noqa: S608 made of our own words
            " AND seq >= :low AND seq <= :high AND ended <= :ended ORDER BY seq DESC LIMIT :limit"
        )
        with self._errors_for_user():
            given = {**values, "low": low, "high": high, "ended": until, "limit": limit}
            return [seq for (seq,) in self._connection.execute(statement, given)]

    def _listed(self, seqs: list[int]) -> list[Listed]:
        rows = self._rows(f"seq IN ({','.join(map(str, seqs))}) ORDER BY seq DESC", {})
        return [Listed(row["seq"], row["ended"], event_of(row)) for row in rows]
