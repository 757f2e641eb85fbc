"""The state of the fleet in words, for the strip at the top of each page and the fleet's own page.

A gate may be of a later version, or taken over: of what it sent, a part that cannot be shown is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from gatectl.decision.event import timestamp
from gatectl.decision.local_time import when
from gatectl.decision.words import Language
from gatectl.decision.words.status_words import alarm_words as contact_words
from gatectl.decision.words.status_words import mode_words, store_troubles
from gatectl.errors import visible
from gatectl.fleet.overview import FleetGate, OfficeAlarm, Overview, SentHealth
from gatectl.monitor.presenters import HealthView, health_of, partner_badge
from gatectl.monitor.texts import text

T = TypeVar("T")

MANY = 2
"""One partner that fails at so many studios is said in one sentence: the lines of two gyms seldom fail at
once."""

NAMED = 5
"""Gates and studios that a sentence names; it counts the others."""

ALARM_SHOWN = timedelta(days=7)
"""An alarm is in the strip for so long after its last occurrence, and on the fleet's page for ever."""

ALARM_KINDS = ("two_machines", "new_generation", "pruned", "refused")
"""The kinds of alarms that ingest raises."""


@dataclass(frozen=True, slots=True)
class GateRow:
    """One line of the table of gates."""

    device: str
    studio: str
    online: bool
    """Also while it is not known since the broker is away."""
    state: str
    behind: str
    troubles: list[str]
    certificate: str
    certificate_ends: bool
    settings: str
    settings_differ: bool
    version: str
    lost: int
    """0 where no record is lost."""

    @property
    def well(self) -> bool:
        return self.online and not (self.troubles or self.certificate_ends or self.lost)


class PartnerStates(NamedTuple):
    """One partner: each of its states in words, and the studios at which it is so."""

    partner: str
    states: list[tuple[str, bool, list[str]]]


def rows_of(overview: Overview, language: Language) -> list[GateRow]:
    """Return the table of gates, those that are not well first."""
    return sorted((_row_of(gate, overview, language) for gate in overview.gates), key=lambda row: row.well)


def _row_of(gate: FleetGate, overview: Overview, language: Language) -> GateRow:
    until, settings = gate.health.certificate_until, gate.health.settings or ""
    with_broker = overview.link.took(gate, overview.at)
    return GateRow(
        device=gate.device,
        studio=visible(gate.studio),
        online=gate.online or with_broker,
        state=_state(gate, overview, language),
        behind=_behind(gate, overview.at, language),
        troubles=_troubles(gate, overview.at, language),
        certificate=f"{until:%Y-%m-%d}" if until else "",
        certificate_ends=overview.ends(gate),
        settings=visible(settings.removeprefix("sha256:")[:8]),
        settings_differ=overview.differs(gate),
        version=visible(gate.health.version),
        lost=gate.lost,
    )


def _state(gate: FleetGate, overview: Overview, language: Language) -> str:
    if overview.link.took(gate, overview.at):
        return text(language, "fleet_unheard", since=_moment(gate.since, overview.at))
    key = "fleet_online" if gate.online else "fleet_offline"
    words = text(language, key, since=_moment(gate.since or gate.seen, overview.at))
    return words if overview.link.works else text(language, "fleet_last_known", state=words)


def _behind(gate: FleetGate, now: datetime, language: Language) -> str:
    if not gate.behind:
        return "" if gate.online else text(language, "fleet_behind_unknown")
    oldest = gate.health.oldest_pending_at
    if oldest is None:
        return text(language, "fleet_behind", count=gate.behind)
    return text(language, "fleet_behind_since", count=gate.behind, since=_moment(oldest, now))


def _troubles(gate: FleetGate, now: datetime, language: Language) -> list[str]:
    """Return what is not well at a gate."""
    health = gate.health
    if language not in health.troubles:
        unreadable = [text(language, "fleet_unreadable")]
        health.troubles[language] = _shown(lambda: _troubles_of(health, language), unreadable)
    # The health of a gate that is offline may have come from the broker, long after it was sent.
    if not gate.online or health.wrong_clock is None:
        return health.troubles[language]
    times = {"at": _moment(health.wrong_clock, now), "right": _moment(health.came_at, now)}
    return [text(language, "fleet_clock", **times), *health.troubles[language]]


def _troubles_of(health: SentHealth, language: Language) -> list[str]:
    """Return what is not well at a gate, in the words of its own monitor."""
    if not health.fields:
        return []
    if health.status is None:
        return [text(language, "fleet_daemon_away")]
    doors = health.status["doors"].items()
    modes = (
        f"{name}: {mode_words(door, language)}"
        for name, door in doors
        if door["mode"]["name"] in {"fire", "lockdown"}
    )
    forced = (f"{name}: {words}" for name, door in doors if (words := contact_words(door, language)))
    badges = health_of(health.status, {}, language).badges
    store = (words for words, _ in store_troubles(health.status, lambda stamp: stamp, language))
    ill = (f"{name}: {state}" for name, state, well in badges if not well)
    return [*modes, *forced, *ill, *map(visible, store)]


def _shown(words: Callable[[], T], otherwise: T) -> T:
    """Return the words about what a gate sent, or others if it is not of the form that this version knows."""
    try:
        return words()
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return otherwise


def partners_of(overview: Overview, language: Language) -> list[PartnerStates]:
    """Return each partner's states by studio, as far as its gates are online, failures first."""
    found: defaultdict[str, defaultdict[tuple[bool, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for gate in overview.gates:
        for name, partner in gate.health.partners.items() if gate.online else ():
            well, words = _shown(partial(_partner, name, partner, language), (True, ""))
            found[name][well, words].add(visible(gate.studio or gate.device))
    return [
        PartnerStates(
            visible(name),
            [(words, well, sorted(studios)) for (well, words), studios in sorted(states.items()) if words],
        )
        for name, states in sorted(found.items())
    ]


def _partner(name: str, partner: Mapping[str, Any], language: Language) -> tuple[bool, str]:
    _, words, well = partner_badge(name, partner, language)
    return well, visible(words)


def strip_of(overview: Overview, language: Language) -> HealthView:
    """Return the strip at the top: a badge for the gates and for each partner, and what is to be fixed."""
    online = sum(gate.online for gate in overview.gates)
    gates = text(language, "fleet_gates_online", online=online, all=len(overview.gates))
    works = overview.link.works
    state = gates if works else text(language, "fleet_last_known", state=gates)
    badges = [(text(language, "fleet_gates"), state, works and online == len(overview.gates))]
    for name in overview.partners:
        studios, asking = overview.failing.get(name, ([], 0))
        key = "fleet_fails_at" if studios else "partner_healthy"
        badges.append((visible(name), text(language, key, count=len(studios), all=asking), not studios))
    return HealthView(badges, list(sentences_of(overview, language)))


def sentences_of(overview: Overview, language: Language) -> Iterator[str]:
    """Yield what is to be fixed, one sentence each; what keeps all gates from being heard first."""
    link = overview.link
    if not link.connected:
        yield text(language, "fleet_broker_away", since=_moment(link.since, overview.at))
    elif not link.ingest:
        yield text(language, "fleet_ingest_away")
    for alarm in overview.alarms:
        if alarm.last_at > overview.at - ALARM_SHOWN:
            yield alarm_words(alarm, overview.at, language)
    for name, (studios, asking) in overview.failing.items():
        if len(studios) >= MANY:
            values = {"partner": visible(name), "count": len(studios), "all": asking}
            yield text(language, "fleet_partner_fails", studios=_named(studios, language), **values)
    for key, gates in (("fleet_are_offline", overview.offline), ("fleet_end_soon", overview.ends_soon)):
        if gates:
            names = _named([gate.device for gate in gates], language)
            yield text(language, key, count=len(gates), gates=names)
    ill = [gate.device for gate in overview.gates if gate.online and _troubles(gate, overview.at, language)]
    if ill:
        yield text(language, "fleet_ill", count=len(ill), gates=_named(ill, language))


def alarm_words(alarm: OfficeAlarm, now: datetime, language: Language) -> str:
    """Return an alarm in one sentence; one of a later version's kind in its own words."""
    about = text(language, f"fleet_{alarm.kind}") if alarm.kind in ALARM_KINDS else visible(alarm.about)
    return text(
        language,
        "fleet_alarm",
        device=alarm.device,
        about=about,
        count=alarm.count,
        since=_moment(alarm.first_at, now),
        last=_moment(alarm.last_at, now),
    )


def _named(names: Iterable[str], language: Language) -> str:
    listed = [visible(name) for name in names]
    more = len(listed) - NAMED
    shown = ", ".join(listed[:NAMED])
    return f"{shown} {text(language, 'fleet_and_more', count=more)}" if more > 0 else shown


def _moment(at: datetime | None, now: datetime) -> str:
    """Return the local time, with its day if that is not today."""
    if at is None:
        return ""
    stamp = timestamp(round(at.timestamp() * 1_000_000))
    return when(stamp, now, seconds=False)
