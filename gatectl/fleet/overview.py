"""The state of the fleet: each gate's, each partner's by studio, and what is to be fixed, in words.

A gate's health is what it sent last. It may be of a later version, or the gate taken over: a part that
cannot be shown is left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, NamedTuple, TypeVar

from gatectl.decision.event import timestamp
from gatectl.decision.local_time import when
from gatectl.decision.partner_condition import Condition
from gatectl.decision.words import Language
from gatectl.decision.words.status_words import alarm_words as contact_words
from gatectl.decision.words.status_words import mode_words, store_troubles
from gatectl.errors import visible
from gatectl.fleet.database import LOCK
from gatectl.fleet.stored_events import StoredEvents
from gatectl.monitor.presenters import HealthView, health_of, partner_badge
from gatectl.monitor.texts import text

T = TypeVar("T")

MANY = 2
"""One partner that fails at so many studios is said in one sentence: the lines of two gyms seldom fail at
once."""

NAMED = 5
"""Gates and studios that a sentence names; it counts the others."""

CERTIFICATE_LEFT = timedelta(days=30)
"""Time enough to sign a gate's certificate again and to bring it there."""

ALARM_SHOWN = timedelta(days=7)
"""An alarm is in the strip for so long after its last occurrence, and on the fleet's page for ever."""

RETURN_S = 150.0
"""After the broker's return, by which every gate that lives has connected again: it tries at least every
120 s."""

WITH_BROKER_S = 10.0
"""A gate that went offline so shortly before ingest lost the broker went with it: a broker that ends in order
says of each gate that it is offline."""

ALARM_KINDS = ("two_machines", "new_generation", "pruned", "refused")
"""The kinds of alarms that ingest raises."""

PARTNERS_LOOKED_AT = 10_000
"""The last events whose partners are known besides those in the gates' health."""

_DEVICES = """
SELECT device, tenant, studio, first_seen, state, state_at, online, online_at,
    (SELECT least(coalesce(sum(pruned), 0), 9223372036854775807)::bigint FROM journal
        WHERE journal.device = device.device) AS pruned,
    (SELECT mark FROM journal WHERE journal.device = device.device AND journal = state ->> 'journal'
        ORDER BY generation DESC LIMIT 1) AS mark,
    (SELECT max(moved_at) FROM journal WHERE journal.device = device.device) AS moved_at
FROM device ORDER BY studio, device
"""
_LINK = f"""
SELECT coalesce(connected, true) AS connected, since, lost_at, EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS ingest
FROM (SELECT) AS one LEFT JOIN broker ON true
"""  # noqa: S608 - a number of our own
_ALARMS = (
    "SELECT device, kind, first_at, last_at, count, about FROM alarm ORDER BY last_at DESC, device, kind"
)
_PARTNERS = """
SELECT DISTINCT partner FROM (SELECT partner FROM event ORDER BY received DESC LIMIT %(most)s) AS latest
WHERE partner IS NOT NULL
"""


@dataclass(frozen=True)
class GateHealth:
    """The state of one gate at head office; `health` is what the gate sent last."""

    device: str
    studio: str
    online: bool
    since: datetime | None
    """Since when it is online, or offline."""
    seen: datetime | None
    """When it was last heard of."""
    pruned: int
    mark: int | None
    health: Mapping[str, Any]

    @cached_property
    def status(self) -> Mapping[str, Any] | None:
        """The daemon's status; None if the daemon did not answer the uplink."""
        return _mapping(self.health.get("status"))

    @property
    def behind(self) -> int | None:
        """How many events of its journal are not here; None if that is not known."""
        last = whole(self.health.get("last"))
        return None if last is None else max(last - (self.mark or 0), 0)

    @cached_property
    def partners(self) -> Mapping[str, Mapping[str, Any]]:
        found = _mapping((self.status or {}).get("partners")) or {}
        return {name: one for name, one in found.items() if isinstance(one, dict)}

    @property
    def lost(self) -> int:
        """Records that are lost: pruned at the gate before they could be sent, or never written there."""
        journal = _mapping((self.status or {}).get("journal")) or {}
        return self.pruned + (whole(journal.get("lost")) or 0)

    @property
    def oldest_pending_at(self) -> datetime | None:
        """The time of its first event that was not here when it sent its health."""
        return _time(self.health.get("oldest_unsent_at"))

    @cached_property
    def certificate_until(self) -> datetime | None:
        return _time(self.health.get("certificate_until"))

    @property
    def settings(self) -> str | None:
        found = self.health.get("settings")
        return found if isinstance(found, str) else None

    @property
    def version(self) -> str:
        found = self.health.get("version")
        return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class OfficeAlarm:
    """A row of the table `alarm`."""

    device: str
    kind: str
    first_at: datetime
    last_at: datetime
    count: int
    about: str


@dataclass(frozen=True, slots=True)
class BrokerLink:
    """The way of the gates' messages into the database: the broker, and ingest."""

    connected: bool = True
    """Whether ingest reaches the broker, as it wrote last."""
    since: datetime | None = None
    lost_at: datetime | None = None
    """When ingest lost the broker last."""
    ingest: bool = True
    """Whether ingest is connected to the database."""

    @property
    def works(self) -> bool:
        return self.connected and self.ingest

    def took(self, gate: GateHealth, now: datetime) -> bool:
        """Return whether a gate is offline because the broker is, or was until just now."""
        if gate.online or self.lost_at is None or self.since is None or gate.since is None:
            return False
        is_back = self.connected and now > self.since + timedelta(seconds=RETURN_S)
        return not is_back and gate.since > self.lost_at - timedelta(seconds=WITH_BROKER_S)


@dataclass(frozen=True)
class Overview:
    """The whole fleet at one moment."""

    at: datetime
    gates: list[GateHealth] = field(default_factory=list)
    alarms: list[OfficeAlarm] = field(default_factory=list)
    partners: list[str] = field(default_factory=list)
    link: BrokerLink = BrokerLink()

    @property
    def studios(self) -> list[str]:
        return sorted({gate.studio for gate in self.gates if gate.studio})

    @property
    def doors(self) -> list[str]:
        return sorted(
            {name for gate in self.gates for name in _mapping((gate.status or {}).get("doors")) or {}}
        )

    @property
    def offline(self) -> list[GateHealth]:
        """The gates that are offline by themselves, and not because the broker is."""
        return [gate for gate in self.gates if not gate.online and not self.link.took(gate, self.at)]

    @property
    def ends_soon(self) -> list[GateHealth]:
        """The gates whose certificate ends soon, or has ended."""
        return [gate for gate in self.gates if self.ends(gate)]

    def ends(self, gate: GateHealth) -> bool:
        """Return whether a gate's certificate ends soon, or has ended."""
        return gate.certificate_until is not None and gate.certificate_until < self.at + CERTIFICATE_LEFT

    @cached_property
    def usual_settings(self) -> str | None:
        """The settings that most gates have; None if no two gates have the same."""
        (first,) = Counter(gate.settings for gate in self.gates if gate.settings).most_common(1) or [("", 0)]
        return first[0] if first[1] > 1 else None

    def differs(self, gate: GateHealth) -> bool:
        """Return whether a gate's settings are not those that most gates have."""
        usual = self.usual_settings
        return usual is not None and gate.settings is not None and gate.settings != usual


def overview_of(stored: StoredEvents, now: datetime) -> Overview:
    """Read the state of the fleet. Raises UnreadableError."""
    gates = [_gate_of(row) for row in stored.rows(_DEVICES)]
    alarms = [OfficeAlarm(**row) for row in stored.rows(_ALARMS)]
    latest = {row["partner"] for row in stored.rows(_PARTNERS, {"most": PARTNERS_LOOKED_AT})}
    partners = sorted(latest | {name for gate in gates for name in gate.partners})
    (link,) = stored.rows(_LINK)
    return Overview(now, gates, alarms, partners, BrokerLink(**link))


def _gate_of(row: Mapping[str, Any]) -> GateHealth:
    seen = [row[name] for name in ("state_at", "online_at", "moved_at", "first_seen") if row[name]]
    return GateHealth(
        device=row["device"],
        studio=row["studio"] or "",
        online=row["online"],
        since=row["online_at"],
        seen=max(seen, default=None),
        pruned=row["pruned"],
        mark=row["mark"],
        health=_mapping(row["state"]) or {},
    )


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def whole(value: object) -> int | None:
    """Return a whole number that a gate sent; None for anything else, and for more than a float holds."""
    return value if type(value) is int and abs(value) < 1 << 63 else None


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- In words ------------------------------------------------------------------------------------


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


def _row_of(gate: GateHealth, overview: Overview, language: Language) -> GateRow:
    until = gate.certificate_until
    with_broker = overview.link.took(gate, overview.at)
    return GateRow(
        device=gate.device,
        studio=visible(gate.studio),
        online=gate.online or with_broker,
        state=_state(gate, overview, language),
        behind=_behind(gate, overview.at, language),
        troubles=_shown_troubles(gate, language),
        certificate=f"{until:%Y-%m-%d}" if until else "",
        certificate_ends=overview.ends(gate),
        settings=visible((gate.settings or "").removeprefix("sha256:")[:8]),
        settings_differ=overview.differs(gate),
        version=visible(gate.version),
        lost=gate.lost,
    )


def _state(gate: GateHealth, overview: Overview, language: Language) -> str:
    if overview.link.took(gate, overview.at):
        return text(language, "fleet_unheard", since=_moment(gate.since, overview.at))
    key = "fleet_online" if gate.online else "fleet_offline"
    words = text(language, key, since=_moment(gate.since or gate.seen, overview.at))
    return words if overview.link.works else text(language, "fleet_last_known", state=words)


def _behind(gate: GateHealth, now: datetime, language: Language) -> str:
    if not gate.behind:
        return "" if gate.online else text(language, "fleet_behind_unknown")
    oldest = gate.oldest_pending_at
    if oldest is None:
        return text(language, "fleet_behind", count=gate.behind)
    return text(language, "fleet_behind_since", count=gate.behind, since=_moment(oldest, now))


def _troubles(gate: GateHealth, language: Language) -> list[str]:
    """Return what is not well at a gate, in the words of its own monitor."""
    if not gate.health:
        return []
    if gate.status is None:
        return [text(language, "fleet_daemon_away")]
    doors = gate.status["doors"].items()
    modes = (
        f"{name}: {mode_words(door, language)}"
        for name, door in doors
        if door["mode"]["name"] in {"fire", "lockdown"}
    )
    forced = (f"{name}: {words}" for name, door in doors if (words := contact_words(door, language)))
    badges = health_of(gate.status, {}, language).badges
    store = (words for words, _ in store_troubles(gate.status, lambda stamp: stamp, language))
    ill = (f"{name}: {state}" for name, state, well in badges if not well)
    return [*modes, *forced, *ill, *map(visible, store)]


def _shown_troubles(gate: GateHealth, language: Language) -> list[str]:
    return _shown(lambda: _troubles(gate, language), [text(language, "fleet_unreadable")])


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
        for name, partner in gate.partners.items() if gate.online else ():
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


def failing(overview: Overview) -> Iterator[tuple[str, list[str], int]]:
    """Yield each partner that fails somewhere: its name, the studios, and how many studios ask it."""
    for name in overview.partners:
        asking, failed = set(), set()
        for gate in overview.gates:
            if gate.online and name in gate.partners:
                studio = gate.studio or gate.device
                asking.add(studio)
                if fails(gate.partners[name]):
                    failed.add(studio)
        if failed:
            yield name, sorted(failed), len(asking)


def fails(partner: Mapping[str, Any]) -> bool:
    """Return whether a partner does not decide at a gate, by the gate's status."""
    return partner.get("state") != Condition.HEALTHY or bool(partner.get("unconnected"))


def strip_of(overview: Overview, language: Language) -> HealthView:
    """Return the strip at the top: a badge for the gates and for each partner, and what is to be fixed."""
    online = sum(gate.online for gate in overview.gates)
    gates = text(language, "fleet_gates_online", online=online, all=len(overview.gates))
    works = overview.link.works
    state = gates if works else text(language, "fleet_last_known", state=gates)
    badges = [(text(language, "fleet_gates"), state, works and online == len(overview.gates))]
    failed = {name: (studios, asking) for name, studios, asking in failing(overview)}
    for name in overview.partners:
        studios, asking = failed.get(name, ([], 0))
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
    for name, studios, asking in failing(overview):
        if len(studios) >= MANY:
            values = {"partner": visible(name), "count": len(studios), "all": asking}
            yield text(language, "fleet_partner_fails", studios=_named(studios, language), **values)
    for key, gates in (("fleet_are_offline", overview.offline), ("fleet_end_soon", overview.ends_soon)):
        if gates:
            names = _named([gate.device for gate in gates], language)
            yield text(language, key, count=len(gates), gates=names)
    ill = [gate.device for gate in overview.gates if gate.online and _shown_troubles(gate, language)]
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
