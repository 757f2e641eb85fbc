"""The metrics of a fleet as OpenMetrics text: one scrape of head office for all gates.

The form is https://prometheus.io/docs/specs/om/open_metrics_spec/, made by prometheus-client. No label ever
has a member, a code or an event's ID: each of their values would be a time series of its own, for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import accumulate, islice
from typing import Any, Never

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from gatectl import __version__
from gatectl.decision.door.inputs import InputHealth
from gatectl.decision.outcomes import KINDS, Fault
from gatectl.decision.partner_condition import Condition
from gatectl.decision.verdict import Result
from gatectl.fleet.overview import FleetGate, Overview, fails, whole
from gatectl.fleet.stored_events import MILLISECONDS, FleetSource, StoredEvents
from gatectl.journal.reader import UnreadableError
from gatectl.sinks.event_counts import BOUNDS_MS, Distribution

SERIES_MAX = 200
"""Time series of one metric of one gate. A gate that was taken over could make up names of doors and
partners."""

TIMED_MAX = 20
"""Doors or partners of one gate that have times of their own; further ones are counted as `OTHER`."""

NAME_CHARS_MAX = 64
"""Of a door, a partner, a scanner or an input in a label."""

STEP = 100_000
"""Events that one statement counts, so that it ends in time however long nobody scraped."""

COUNT_S = 60.0
RETRY_S = 5.0
"""Between two counts without a scrape, so that a scrape finds little to count; sooner at the beginning."""

OTHER = "other"
"""The value of a label that has no place among those."""

LABELS = ("device", "kind", "door", "partner", "result", "fault")

_SPAN = "received > %(after)s AND received <= %(mark)s"

_COUNTS = f"""
SELECT device, kind, door, partner, result, fault, count(*) AS count FROM event
WHERE {_SPAN} GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 - made of our own words

_TIMES = """
SELECT device, name, %(steps)s - width_bucket(-ms, %(bounds)s::float8[]) AS step,
    count(*) AS count, sum(ms) AS sum_ms
FROM (SELECT device, {name} AS name, {ms} AS ms FROM event WHERE {span}) AS timed
WHERE name IS NOT NULL AND ms IS NOT NULL GROUP BY 1, 2, 3
"""
_ANSWERED = MILLISECONDS.format("request -> 'elapsed_ms'")
_OPENED = MILLISECONDS.format("gate -> 'after_ms'")
_DECISION_TIMES = _TIMES.format(name="door", ms=f"coalesce({_OPENED}, {_ANSWERED})", span=_SPAN)
_PARTNER_TIMES = _TIMES.format(name="partner", ms=_ANSWERED, span=_SPAN)

_FAULTS = frozenset(fault.value for fault in Fault)
_RESULTS = frozenset(result.value for result in Result)

Times = dict[tuple[str, str], Distribution]
"""By device and by door or partner."""


class FleetEventCounts:
    """Counts the events that came in since the first call, as counters of a process do, and their times."""

    def __init__(self) -> None:
        self.events: Counter[tuple[str, ...]] = Counter()
        self.decisions: Times = {}
        self.partners: Times = {}
        self._series: Counter[str] = Counter()
        self._mark: int | None = None

    def count(self, stored: StoredEvents) -> None:
        """Add what came in since the last call. Raises UnreadableError."""
        mark = stored.mark()
        if self._mark is None or mark < self._mark:  # the first call, or a dump was restored
            self._mark = mark
        while self._mark < mark:
            until = min(self._mark + STEP, mark)
            self._add_span(stored, {"after": self._mark, "mark": until})
            self._mark = until

    def _add_span(self, stored: StoredEvents, span: Mapping[str, object]) -> None:
        steps = {"steps": len(BOUNDS_MS), "bounds": [-float(bound) for bound in reversed(BOUNDS_MS)]}
        counted = stored.rows(_COUNTS, span)
        timed = [(self.decisions, stored.rows(_DECISION_TIMES, {**span, **steps}))]
        timed.append((self.partners, stored.rows(_PARTNER_TIMES, {**span, **steps})))
        for row in counted:
            self._add(row)
        for times, rows in timed:
            for row in rows:
                _add_times(times, row)

    def _add(self, row: Mapping[str, Any]) -> None:
        labels = (
            row["device"],
            _known(row["kind"], KINDS),
            (row["door"] or "")[:NAME_CHARS_MAX],
            (row["partner"] or "")[:NAME_CHARS_MAX],
            _known(row["result"], _RESULTS),
            _known(row["fault"], _FAULTS),
        )
        if labels not in self.events:
            if self._series[row["device"]] >= SERIES_MAX:
                labels = (row["device"], *[OTHER] * (len(LABELS) - 1))
            else:
                self._series[row["device"]] += 1
        self.events[labels] += row["count"]


def _add_times(times: Times, row: Mapping[str, Any]) -> None:
    device, name = row["device"], row["name"][:NAME_CHARS_MAX]
    if (device, name) not in times and sum(one == device for one, _ in times) >= TIMED_MAX:
        name = OTHER
    distribution = times.setdefault((device, name), Distribution())
    distribution.counts[row["step"]] += row["count"]
    distribution.sum_ms += row["sum_ms"]


def _known(value: str | None, values: Collection[str]) -> str:
    return OTHER if value and value not in values else value or ""


class FleetMetrics:
    """Makes the page `/metrics`."""

    def __init__(self, overview: Callable[[], Awaitable[Overview]], source: FleetSource) -> None:
        self._overview = overview
        self._source = source
        self._counts = FleetEventCounts()
        self._counting = asyncio.Lock()
        self._started_s = time.time()

    async def follow(self) -> Never:
        """Count what comes in from the start on, also before the first scrape. Never returns."""
        delay_s = RETRY_S
        while True:
            with suppress(UnreadableError):
                await self.count()
                delay_s = COUNT_S
            await asyncio.sleep(delay_s)

    async def rendered(self) -> tuple[str, str]:
        """Return the text and its content type. Raises UnreadableError while the database does not answer."""
        found = await self._overview()
        counts = await self.count()
        return await asyncio.to_thread(text, found, counts, self._started_s), CONTENT_TYPE_LATEST

    async def count(self) -> FleetEventCounts:
        """Count what came in; return all counts. Raises UnreadableError."""
        async with self._counting:
            await self._source.read(self._counts.count)
        return self._counts


def text(overview: Overview, counts: FleetEventCounts, started_s: float) -> str:
    """Return the metrics; they end in `# EOF`."""
    registry = CollectorRegistry()
    registry.register(_FleetCollector(overview, counts, started_s))
    latest: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return latest.decode()


class _FleetCollector(Collector):
    """Makes the metrics of one moment."""

    def __init__(self, overview: Overview, counts: FleetEventCounts, started_s: float) -> None:
        self._overview = overview
        self._counts = counts
        self._started_s = started_s

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("gatectl_build", "The version at head office.", {"version": __version__})
        yield GaugeMetricFamily("gatectl_start_time_seconds", "The monitor's start.", self._started_s)
        what = "Whether ingest takes in what the gates send."
        yield GaugeMetricFamily("gatectl_fleet_ingest_up", what, self._overview.link.works)
        for name, what, labels, values in _OF_GATES:
            yield self._of_gates(name, what, labels, values)
        yield self._alarms()
        yield from self._of_events()

    def _of_gates(
        self,
        name: str,
        what: str,
        labels: tuple[str, ...],
        values: Callable[[FleetGate], Iterable[tuple[tuple[str, ...], float | None]]],
    ) -> Metric:
        gauge = GaugeMetricFamily(f"gatectl_fleet_{name}", what, labels=("device", "studio", *labels))
        for gate in self._overview.gates:
            found: dict[tuple[str, ...], float | None] = {}
            # A gate may be of a later version, or taken over: what has another form is left out.
            with suppress(KeyError, TypeError, AttributeError, ValueError):
                for places, value in islice(values(gate), SERIES_MAX):
                    found[tuple(place[:NAME_CHARS_MAX] for place in places)] = value
            for named, value in found.items():
                if value is not None:
                    gauge.add_metric((gate.device, gate.studio, *named), value)
        return gauge

    def _alarms(self) -> Metric:
        alarms = CounterMetricFamily(
            "gatectl_fleet_alarms", "Alarms of ingest, by kind.", labels=("device", "kind")
        )
        for alarm in self._overview.alarms:
            alarms.add_metric((alarm.device, alarm.kind), alarm.count)
        return alarms

    def _of_events(self) -> Iterator[Metric]:
        events = CounterMetricFamily(
            "gatectl_fleet_events", "Events that came in since the monitor's start.", labels=LABELS
        )
        for labels, count in self._counts.events.items():
            events.add_metric(labels, count)
        yield events
        yield _histogram("decision", "From the whole code to the relay.", "door", self._counts.decisions)
        yield _histogram(
            "partner", "From the whole code to the partner's answer.", "partner", self._counts.partners
        )


def _histogram(name: str, what: str, label: str, times: Times) -> Metric:
    histogram = HistogramMetricFamily(
        f"gatectl_fleet_{name}_seconds", what, labels=("device", label), unit="seconds"
    )
    bounds = [*(str(bound / 1000) for bound in BOUNDS_MS), "+Inf"]
    for labels, one in times.items():
        buckets = list(zip(bounds, accumulate(one.counts), strict=True))
        histogram.add_metric(labels, buckets, one.sum_ms / 1000)
    return histogram


Values = Iterator[tuple[tuple[str, ...], float | None]]


def _doors(gate: FleetGate) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from (gate.health.status or {}).get("doors", {}).items()


def _partners_up(gate: FleetGate) -> Values:
    yield from (((name,), not fails(partner)) for name, partner in sorted(gate.health.partners.items()))


def _partners_out(gate: FleetGate) -> Values:
    yield from (
        ((name,), partner.get("state") == Condition.OUTAGE)
        for name, partner in sorted(gate.health.partners.items())
    )


def _gates_open(gate: FleetGate) -> Values:
    yield from (((name,), door["gate"]["open"] is True) for name, door in _doors(gate))


def _gates_up(gate: FleetGate) -> Values:
    yield from (((name,), door["gate"]["state"] == "ready") for name, door in _doors(gate))


def _readers_up(gate: FleetGate) -> Values:
    for name, door in _doors(gate):
        for reader in door["scanners"]:
            yield (name, str(reader["scanner"])), reader["state"] == "ready"


def _inputs_active(gate: FleetGate) -> Values:
    for name, door in _doors(gate):
        yield from (((name, which), bool(state["level"])) for which, state in door["inputs"].items())


def _inputs_up(gate: FleetGate) -> Values:
    for name, door in _doors(gate):
        for which, state in door["inputs"].items():
            yield (name, which), state["state"] in {InputHealth.OK, "active"}


def _of_gate(value_of: Callable[[FleetGate], float | None]) -> Callable[[FleetGate], Values]:
    """Return the values of a metric that has one for each gate."""

    def values(gate: FleetGate) -> Values:
        yield (), value_of(gate)

    return values


def _oldest_pending_s(gate: FleetGate) -> float | None:
    return _seconds(gate.health.oldest_pending_at) if gate.behind else None


def _journal(gate: FleetGate, field: str) -> float | None:
    return whole((gate.health.status or {})["journal"][field])


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


_OF_GATES: tuple[tuple[str, str, tuple[str, ...], Callable[[FleetGate], Values]], ...] = (
    ("up", "Whether the gate is connected.", (), _of_gate(lambda gate: gate.online)),
    ("behind_events", "Its events that are not here yet.", (), _of_gate(lambda gate: gate.behind)),
    ("oldest_pending_timestamp_seconds", "The time of the oldest of them.", (), _of_gate(_oldest_pending_s)),
    (
        "last_seen_timestamp_seconds",
        "When it was last heard of.",
        (),
        _of_gate(lambda gate: _seconds(gate.seen)),
    ),
    ("lost_records", "Records that are lost.", (), _of_gate(lambda gate: gate.lost)),
    (
        "certificate_end_timestamp_seconds",
        "The end of its certificate.",
        (),
        _of_gate(lambda gate: _seconds(gate.health.certificate_until)),
    ),
    ("partner_up", "Whether the partner decides.", ("partner",), _partners_up),
    ("partner_outage", "Whether the partner fails for everyone.", ("partner",), _partners_out),
    ("gate_open", "Whether the relay was on.", ("door",), _gates_open),
    ("gate_up", "Whether the relay can be driven.", ("door",), _gates_up),
    ("reader_up", "Whether it is read.", ("door", "scanner"), _readers_up),
    ("input_active", "Whether it was active.", ("door", "input"), _inputs_active),
    ("input_up", "Whether it is believed.", ("door", "input"), _inputs_up),
    (
        "journal_late",
        "Records that wait for the gate's disk.",
        (),
        _of_gate(lambda gate: _journal(gate, "late")),
    ),
    (
        "journal_lost",
        "Records that were lost at the gate since its start.",
        (),
        _of_gate(lambda gate: _journal(gate, "lost")),
    ),
    ("cards", "Enrolled cards.", (), _of_gate(lambda gate: whole((gate.health.status or {})["cards"]))),
    (
        "clock_synchronised",
        "Whether the net set the gate's clock.",
        (),
        _of_gate(lambda gate: gate.health.fields["clock"]["synchronised"] is True),
    ),
)
"""The metrics of each gate, most of them out of the health that it sent last: name, what it says, labels,
values."""
