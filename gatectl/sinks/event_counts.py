"""Counts of finished events and distributions of their times, since the daemon's start, for metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any

from gatectl.decision.event import Event, timestamp
from gatectl.decision.timestamps import WallUs

BOUNDS_MS = (25, 50, 100, 200, 300, 500, 750, 1000, 2000, 5000)
"""The upper bounds of the distributions' steps: the budgets lie between them, and 5 s is given up on."""

Labels = tuple[str, str, str, str, str]
"""Kind, door, partner, result, fault; "" for none. There are as many as the settings and the words allow."""


class Distribution:
    """How many times were up to each bound; the last count is of all that were longer."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.sum_ms = 0.0

    def add(self, value_ms: float) -> None:
        """Count one time, in milliseconds."""
        self.counts[bisect_left(BOUNDS_MS, value_ms)] += 1
        self.sum_ms += value_ms

    def to_json(self) -> dict[str, Any]:
        return {"bounds_ms": BOUNDS_MS, "counts": self.counts, "sum_ms": round(self.sum_ms, 3)}


class EventCounts:
    """A sink that counts. `started_us` is the daemon's start."""

    name = "event counts"
    kinds = (Event,)
    blocks = False

    def __init__(self, started_us: WallUs) -> None:
        self._started_us = started_us
        self._events: Counter[Labels] = Counter()
        self._decisions: dict[str, Distribution] = {}
        self._partners: dict[str, Distribution] = {}

    def take(self, item: Event) -> None:
        """Count an event, and its times where it has any."""
        a, o = item.attempt, item.outcome
        self._events[a.kind, a.door, a.partner or "", o.result, o.fault or ""] += 1
        elapsed_ms = o.request.elapsed_ms if o.request else None
        if a.partner and elapsed_ms is not None:
            _add(self._partners, a.partner, elapsed_ms)
        decided_ms = o.gate.after_ms if o.gate else elapsed_ms
        if decided_ms is not None:
            _add(self._decisions, a.door, decided_ms)

    def to_json(self) -> dict[str, Any]:
        """The answer to the command `metrics`."""
        return {
            "started_at": timestamp(self._started_us),
            "events": [[*labels, count] for labels, count in self._events.items()],
            "decisions": {door: times.to_json() for door, times in self._decisions.items()},
            "partners": {name: times.to_json() for name, times in self._partners.items()},
        }


def _add(distributions: dict[str, Distribution], name: str, value_ms: float) -> None:
    if name not in distributions:
        distributions[name] = Distribution()
    distributions[name].add(value_ms)
