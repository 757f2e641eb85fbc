"""The metrics of a fleet as OpenMetrics text: one scrape of head office for all gates.

The form is https://prometheus.io/docs/specs/om/open_metrics_spec/, made by prometheus-client. No label ever
has a member, a code or an event's ID: each of their values would be a time series of its own, for ever.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gatectl import __version__
from gatectl.decision.outcomes import KINDS, Fault
from gatectl.decision.verdict import Result
from gatectl.fleet.overview import GateHealth, Overview, fails
from gatectl.fleet.stored_events import FleetSource, StoredEvents
from gatectl.journal.reader import UnreadableError
from gatectl.monitor.control_client import Away

SERIES_MAX = 200
"""Time series of events of one gate. A gate that was taken over could make up names of doors and partners."""

NAME_CHARS_MAX = 64
"""Of a door or a partner in a label."""

STEP = 100_000
"""Events that one statement counts, so that it ends in time however long nobody scraped."""

OTHER = "other"
"""The value of a label that has no place among those."""

LABELS = ("device", "kind", "door", "partner", "result", "fault")

_COUNTS = """
SELECT device, kind, door, partner, result, fault, count(*) AS count FROM event
WHERE received > %(after)s AND received <= %(mark)s GROUP BY 1, 2, 3, 4, 5, 6
"""

_FAULTS = frozenset(fault.value for fault in Fault)
_RESULTS = frozenset(result.value for result in Result)


class FleetEventCounts:
    """Counts the events that came in since the first scrape, as counters of a process do."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._series: Counter[str] = Counter()
        self._mark: int | None = None

    def count(self, stored: StoredEvents) -> dict[tuple[str, ...], int]:
        """Add what came in since the last call; return all counts. Raises UnreadableError."""
        mark = stored.mark()
        if self._mark is None or mark < self._mark:  # the first scrape, or a dump was restored
            self._mark = mark
        while self._mark < mark:
            until = min(self._mark + STEP, mark)
            for row in stored.rows(_COUNTS, {"after": self._mark, "mark": until}):
                self._add(row)
            self._mark = until
        return dict(self._counts)

    def _add(self, row: Mapping[str, Any]) -> None:
        labels = (
            row["device"],
            _known(row["kind"], KINDS),
            (row["door"] or "")[:NAME_CHARS_MAX],
            (row["partner"] or "")[:NAME_CHARS_MAX],
            _known(row["result"], _RESULTS),
            _known(row["fault"], _FAULTS),
        )
        if labels not in self._counts:
            if self._series[row["device"]] >= SERIES_MAX:
                labels = (row["device"], *[OTHER] * (len(LABELS) - 1))
            else:
                self._series[row["device"]] += 1
        self._counts[labels] += row["count"]


def _known(value: str | None, values: Collection[str]) -> str:
    return OTHER if value and value not in values else value or ""


class FleetMetrics:
    """Makes the page `/metrics`."""

    def __init__(self, overview: Callable[[], Awaitable[Overview]], source: FleetSource) -> None:
        self._overview = overview
        self._source = source
        self._events = FleetEventCounts()
        self._counting = asyncio.Lock()

    async def rendered(self) -> tuple[str, str]:
        """Return the text and its content type. Raises Away while the database does not answer."""
        try:
            found = await self._overview()
            counts = await self.count()
        except UnreadableError:
            raise Away from None
        return await asyncio.to_thread(text, found, counts), CONTENT_TYPE_LATEST

    async def count(self) -> dict[tuple[str, ...], int]:
        """Return the counts of events. Raises UnreadableError."""
        async with self._counting:
            return await self._source.read(self._events.count)


def text(overview: Overview, counts: Mapping[tuple[str, ...], int]) -> str:
    """Return the metrics; they end in `# EOF`."""
    registry = CollectorRegistry()
    registry.register(_FleetCollector(overview, counts))
    latest: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return latest.decode()


class _FleetCollector(Collector):
    """Makes the metrics of one moment."""

    def __init__(self, overview: Overview, counts: Mapping[tuple[str, ...], int]) -> None:
        self._overview = overview
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("gatectl_build", "The version at head office.", {"version": __version__})
        yield self._of_gates("up", "Whether the gate is connected.", lambda gate: gate.online)
        yield self._of_gates("behind_events", "Its events that are not here yet.", lambda gate: gate.behind)
        yield self._of_gates(
            "last_seen_timestamp_seconds", "When it was last heard of.", lambda gate: _seconds(gate.seen)
        )
        yield self._of_gates("lost_records", "Records that are lost.", lambda gate: gate.lost)
        yield self._of_gates(
            "certificate_end_timestamp_seconds",
            "The end of its certificate.",
            lambda gate: _seconds(gate.certificate_until),
        )
        partners = GaugeMetricFamily(
            "gatectl_fleet_partner_up", "Whether the partner decides.", labels=("device", "studio", "partner")
        )
        for gate in self._overview.gates:
            for name in sorted(gate.partners)[:SERIES_MAX]:
                partners.add_metric(
                    (gate.device, gate.studio, name[:NAME_CHARS_MAX]), not fails(gate.partners[name])
                )
        yield partners
        events = CounterMetricFamily(
            "gatectl_fleet_events", "Events since the monitor's first scrape.", labels=LABELS
        )
        for labels, count in self._counts.items():
            events.add_metric(labels, count)
        yield events

    def _of_gates(self, name: str, what: str, value_of: Callable[[GateHealth], float | None]) -> Metric:
        gauge = GaugeMetricFamily(f"gatectl_fleet_{name}", what, labels=("device", "studio"))
        for gate in self._overview.gates:
            value = value_of(gate)
            if value is not None:
                gauge.add_metric((gate.device, gate.studio), value)
        return gauge


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()
