"""The metrics of a gate as OpenMetrics text, for `gatectl status --openmetrics` and the monitor's /metrics.

The form is https://prometheus.io/docs/specs/om/open_metrics_spec/, made by prometheus-client. No label ever
has a member, a code or an event's ID: each of their values would be a time series of its own, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from typing import Any

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

from gatectl.decision.door.inputs import InputHealth
from gatectl.decision.partner_condition import OUT_OF_ORDER, Condition

CONTENT_TYPE = CONTENT_TYPE_LATEST

_NUMBERS = 1 << 63
"""The numbers of a journal's events."""


def text(answer: Mapping[str, Any], link: Mapping[str, Any] | None = None) -> str:
    """Return the text for the daemon's answer to `metrics`; it ends in `# EOF`.

    `link` is the status of the uplink to head office: empty if none runs, None if there is none to run.
    """
    registry = CollectorRegistry()
    registry.register(_Gate(answer, link))
    latest: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return latest.decode()


class _Gate(Collector):
    """Makes the metrics of one answer."""

    def __init__(self, answer: Mapping[str, Any], link: Mapping[str, Any] | None) -> None:
        self._answer = answer
        self._link = link
        self._status: Mapping[str, Any] = answer["status"]

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("gatectl_build", "The running version.", {"version": self._status["version"]})
        started_s = datetime.fromisoformat(self._answer["started_at"]).timestamp()
        yield GaugeMetricFamily("gatectl_start_time_seconds", "The daemon's start.", started_s)
        yield self._events()
        yield _histogram(
            "gatectl_decision_seconds",
            "From the whole code to the relay, or to the answer where the gate stays shut.",
            "door",
            self._answer["decisions"],
        )
        yield _histogram(
            "gatectl_partner_seconds",
            "From the whole code to the end of the partner's answer, or of the wait for it.",
            "partner",
            self._answer["partners"],
        )
        yield from self._of_partners()
        yield from self._of_doors()
        yield from self._of_machine()
        if self._link is not None:
            yield from _of_uplink(self._link)

    def _events(self) -> Metric:
        labels = ("kind", "door", "partner", "result", "fault")
        events = CounterMetricFamily("gatectl_events", "Finished events since the start.", labels=labels)
        for *values, count in self._answer["events"]:
            events.add_metric(values, count)
        return events

    def _of_partners(self) -> Iterator[Metric]:
        states = {name: partner["state"] for name, partner in self._status["partners"].items()}
        up = {name: state not in {OUT_OF_ORDER, *_DOWN} for name, state in states.items()}
        outage = {name: state == Condition.OUTAGE for name, state in states.items()}
        yield _gauge("gatectl_partner_up", "Whether the partner decides.", "partner", up)
        yield _gauge("gatectl_partner_outage", "Whether the partner fails for everyone.", "partner", outage)

    def _of_doors(self) -> Iterator[Metric]:
        doors = self._status["doors"]
        is_open = {name: door["gate"]["open"] for name, door in doors.items()}
        gate_up = {name: door["gate"]["state"] == "ready" for name, door in doors.items()}
        yield _gauge("gatectl_gate_open", "Whether the relay is on.", "door", is_open)
        yield _gauge("gatectl_gate_up", "Whether the relay can be driven.", "door", gate_up)
        readers = GaugeMetricFamily("gatectl_reader_up", "Whether it is read.", labels=("door", "scanner"))
        active = GaugeMetricFamily("gatectl_input_active", "Whether it is active.", labels=("door", "input"))
        healthy = GaugeMetricFamily("gatectl_input_up", "Whether it is believed.", labels=("door", "input"))
        for name, door in doors.items():
            for reader in door["scanners"]:
                readers.add_metric((name, reader["scanner"]), reader["state"] == "ready")
            for which, state in door["inputs"].items():
                active.add_metric((name, which), bool(state["level"]))
                healthy.add_metric((name, which), state["state"] in {InputHealth.OK, "active"})
        yield from (readers, active, healthy)

    def _of_machine(self) -> Iterator[Metric]:
        journal, cards = self._status["journal"], self._status["cards"]
        yield GaugeMetricFamily("gatectl_journal_late", "Records that wait for the disk.", journal["late"])
        lost = CounterMetricFamily("gatectl_journal_lost", "Records that were lost since the start.")
        lost.add_metric((), journal["lost"])
        yield lost
        if cards is not None:
            yield GaugeMetricFamily("gatectl_cards", "Enrolled cards.", cards)
        clock = self._answer["clock_synchronised"]
        yield GaugeMetricFamily("gatectl_clock_synchronised", "Whether the net set the clock.", clock)


def _of_uplink(link: Mapping[str, Any]) -> Iterator[Metric]:
    """Another user's process has written the status: a value of another kind is left out."""
    connected, pending = link.get("connected") is True, link.get("pending")
    yield GaugeMetricFamily("gatectl_uplink_connected", "Whether it reaches head office's broker.", connected)
    if type(pending) is int and 0 <= pending < _NUMBERS:
        what = "Events that head office does not have yet."
        yield GaugeMetricFamily("gatectl_uplink_pending_events", what, pending)
    with suppress(TypeError, ValueError, OverflowError):
        oldest_s = datetime.fromisoformat(link.get("oldest_pending_at")).timestamp()  # type: ignore[arg-type]
        name = "gatectl_uplink_oldest_pending_timestamp_seconds"
        yield GaugeMetricFamily(name, "The time of the oldest of them.", oldest_s)


_DOWN = (Condition.OUTAGE, Condition.RESTING, Condition.REFUSING_KEY, Condition.REFUSING_EVERYONE)


def _gauge(name: str, what: str, label: str, values: Mapping[str, bool]) -> Metric:
    gauge = GaugeMetricFamily(name, what, labels=(label,))
    for value, is_so in values.items():
        gauge.add_metric((value,), is_so)
    return gauge


def _histogram(name: str, what: str, label: str, times: Mapping[str, Mapping[str, Any]]) -> Metric:
    histogram = HistogramMetricFamily(name, what, labels=(label,), unit="seconds")
    for value, one in times.items():
        bounds = [*(str(bound / 1000) for bound in one["bounds_ms"]), "+Inf"]
        buckets = list(zip(bounds, accumulate(one["counts"]), strict=True))
        histogram.add_metric((value,), buckets, one["sum_ms"] / 1000)
    return histogram
