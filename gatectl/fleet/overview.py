"""The state of the fleet as head office's database has it: each gate's, each partner's, the alarms.

A gate's health is what it sent last. It may be of a later version, or the gate taken over: a part that
cannot be read is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from gatectl.decision.partner_condition import Condition
from gatectl.decision.words import Language
from gatectl.fleet.database import LOCK
from gatectl.fleet.stored_events import StoredEvents
from gatectl.uplink.wire import NUMBER_MAX

CERTIFICATE_LEFT = timedelta(days=30)
"""Time enough to sign a gate's certificate again and to bring it there."""

RETURN_S = 150.0
"""After the broker's return, by which every gate that lives has connected again: it tries at least every
120 s."""

WITH_BROKER_S = 10.0
"""A gate that went offline so shortly before ingest lost the broker went with it: a broker that ends in order
says of each gate that it is offline."""

CLOCK_OFF = timedelta(minutes=5)
"""A gate's clock is wrong by more than this: its messages take seconds."""

PARTNERS_LOOKED_AT = 10_000
"""The last events whose partners are known besides those in the gates' health."""

# `xmin` is the transaction that wrote the row, so that it changes whenever the row does.
_DEVICES = """
SELECT device, studio, first_seen, state_at, online, online_at, xmin::text AS version
FROM device ORDER BY studio, device
"""
_HEALTH = "SELECT device, state, state_at FROM device WHERE device = ANY(%(devices)s)"
_JOURNALS = "SELECT device, journal, mark, pruned, moved_at FROM journal ORDER BY generation"
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
class SentHealth:
    """The health that a gate sent last. It is kept until it sends another one, with what was read in it."""

    fields: Mapping[str, Any]
    troubles: dict[Language, list[str]] = field(default_factory=dict)
    """Its troubles in words, as far as they were shown before."""
    came_at: datetime | None = None
    """When it came in, by head office's clock."""

    @cached_property
    def status(self) -> Mapping[str, Any] | None:
        """The daemon's status; None if the daemon did not answer the uplink."""
        return _mapping(self.fields.get("status"))

    @cached_property
    def partners(self) -> Mapping[str, Mapping[str, Any]]:
        found = _mapping((self.status or {}).get("partners")) or {}
        return {name: one for name, one in found.items() if isinstance(one, dict)}

    @cached_property
    def doors(self) -> Sequence[str]:
        return list(_mapping((self.status or {}).get("doors")) or {})

    @cached_property
    def records_lost(self) -> int:
        """Records that were never written at the gate."""
        journal = _mapping((self.status or {}).get("journal")) or {}
        return whole(journal.get("lost")) or 0

    @cached_property
    def wrong_clock(self) -> datetime | None:
        """The time on the gate's clock when this came in, if that clock is wrong."""
        at = _time(self.fields.get("at"))
        is_wrong = at and self.came_at and abs(at - self.came_at) > CLOCK_OFF
        return at if is_wrong else None

    @property
    def last(self) -> int | None:
        """The number of the last event in the gate's journal."""
        return whole(self.fields.get("last"))

    @cached_property
    def oldest_pending_at(self) -> datetime | None:
        """The time of its first event that was not here when it sent this."""
        return _time(self.fields.get("oldest_unsent_at"))

    @cached_property
    def certificate_until(self) -> datetime | None:
        return _time(self.fields.get("certificate_until"))

    @property
    def journal(self) -> str | None:
        """The identity of the gate's journal."""
        return _text(self.fields.get("journal"))

    @property
    def settings(self) -> str | None:
        """The SHA-256 of its settings, with the algorithm's name before it."""
        return _text(self.fields.get("settings"))

    @property
    def version(self) -> str:
        return _text(self.fields.get("version")) or ""


@dataclass(frozen=True, slots=True)
class FleetGate:
    """The state of one gate at head office."""

    device: str
    studio: str
    online: bool
    since: datetime | None
    """Since when it is online, or offline."""
    seen: datetime | None
    """When it was last heard of."""
    pruned: int
    mark: int | None
    health: SentHealth

    @property
    def behind(self) -> int | None:
        """How many events of its journal are not here; None if that is not known."""
        return None if self.health.last is None else max(self.health.last - (self.mark or 0), 0)

    @property
    def lost(self) -> int:
        """Records that are lost: pruned at the gate before they could be sent, or never written there."""
        return self.pruned + self.health.records_lost


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

    def took(self, gate: FleetGate, now: datetime) -> bool:
        """Return whether a gate is offline because the broker is, or was until just now."""
        if gate.online or self.lost_at is None or self.since is None or gate.since is None:
            return False
        is_back = self.connected and now > self.since + timedelta(seconds=RETURN_S)
        return not is_back and gate.since > self.lost_at - timedelta(seconds=WITH_BROKER_S)


@dataclass(frozen=True)
class Overview:
    """The whole fleet at one moment."""

    at: datetime
    gates: list[FleetGate] = field(default_factory=list)
    alarms: list[OfficeAlarm] = field(default_factory=list)
    partners: list[str] = field(default_factory=list)
    link: BrokerLink = BrokerLink()

    @cached_property
    def studios(self) -> list[str]:
        return sorted({gate.studio for gate in self.gates if gate.studio})

    @cached_property
    def doors(self) -> list[str]:
        return sorted({name for gate in self.gates for name in gate.health.doors})

    @property
    def offline(self) -> list[FleetGate]:
        """The gates that are offline by themselves, and not because the broker is."""
        return [gate for gate in self.gates if not gate.online and not self.link.took(gate, self.at)]

    @property
    def ends_soon(self) -> list[FleetGate]:
        """The gates whose certificate ends soon, or has ended."""
        return [gate for gate in self.gates if self.ends(gate)]

    def ends(self, gate: FleetGate) -> bool:
        """Return whether a gate's certificate ends soon, or has ended."""
        until = gate.health.certificate_until
        return until is not None and until < self.at + CERTIFICATE_LEFT

    @cached_property
    def usual_settings(self) -> str | None:
        """The settings that most gates have; None if no two gates have the same."""
        known = (gate.health.settings for gate in self.gates if gate.health.settings)
        (first,) = Counter(known).most_common(1) or [("", 0)]
        return first[0] if first[1] > 1 else None

    def differs(self, gate: FleetGate) -> bool:
        """Return whether a gate's settings are not those that most gates have."""
        usual, own = self.usual_settings, gate.health.settings
        return usual is not None and own is not None and own != usual

    @cached_property
    def failing(self) -> dict[str, tuple[list[str], int]]:
        """Each partner that fails somewhere: the studios at which it does, and how many studios ask it."""
        asking: dict[str, dict[str, bool]] = {}
        for gate in self.gates:
            for name, partner in gate.health.partners.items() if gate.online else ():
                studios = asking.setdefault(name, {})
                studio = gate.studio or gate.device
                studios[studio] = studios.get(studio, False) or fails(partner)
        failed = {
            name: sorted(one for one, failed in asking[name].items() if failed) for name in sorted(asking)
        }
        return {name: (studios, len(asking[name])) for name, studios in failed.items() if studios}


def fails(partner: Mapping[str, Any]) -> bool:
    """Return whether a partner does not decide at a gate, by the gate's status."""
    return partner.get("state") != Condition.HEALTHY or bool(partner.get("unconnected"))


class OverviewReader:
    """Reads the state of the fleet again and again, but each gate's health only where it has changed.

    A thousand gates' health is megabytes, and pages want the state of the fleet each second.
    """

    def __init__(self) -> None:
        self._health: dict[str, tuple[str, SentHealth]] = {}
        """By device, with the version of its row."""
        self._day: date | None = None

    def read(self, stored: StoredEvents, now: datetime) -> Overview:
        """Read the state of the fleet. Raises UnreadableError."""
        devices = stored.rows(_DEVICES)
        self._read_health(stored, {row["device"]: row["version"] for row in devices}, now)
        journals = _journals_of(stored)
        gates = [self._gate_of(row, journals.get(row["device"], [])) for row in devices]
        alarms = [OfficeAlarm(**row) for row in stored.rows(_ALARMS)]
        latest = {row["partner"] for row in stored.rows(_PARTNERS, {"most": PARTNERS_LOOKED_AT})}
        partners = sorted(latest | {name for gate in gates for name in gate.health.partners})
        (link,) = stored.rows(_LINK)
        return Overview(now, gates, alarms, partners, BrokerLink(**link))

    def _read_health(self, stored: StoredEvents, versions: Mapping[str, str], now: datetime) -> None:
        today = now.astimezone().date()
        if today != self._day:  # in words a time has its day, unless it is today
            self._health, self._day = {}, today
        kept = {name: known for name, known in self._health.items() if versions.get(name) == known[0]}
        changed = [name for name in versions if name not in kept]
        for row in stored.rows(_HEALTH, {"devices": changed}) if changed else ():
            kept[row["device"]] = (
                versions[row["device"]],
                SentHealth(_mapping(row["state"]) or {}, came_at=row["state_at"]),
            )
        self._health = kept

    def _gate_of(self, row: Mapping[str, Any], journals: Sequence[Mapping[str, Any]]) -> FleetGate:
        _, health = self._health.get(row["device"], ("", SentHealth({})))
        times = [row[name] for name in ("state_at", "online_at", "first_seen")]
        marks = [journal["mark"] for journal in journals if journal["journal"] == health.journal]
        return FleetGate(
            device=row["device"],
            studio=row["studio"] or "",
            online=row["online"],
            since=row["online_at"],
            seen=max(at for at in (*times, *(journal["moved_at"] for journal in journals)) if at),
            pruned=min(sum(journal["pruned"] for journal in journals), NUMBER_MAX),
            mark=marks[-1] if marks else None,
            health=health,
        )


def _journals_of(stored: StoredEvents) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the rows of each device's journals, the latest generation last."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in stored.rows(_JOURNALS):
        found.setdefault(row["device"], []).append(row)
    return found


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def whole(value: object) -> int | None:
    """Return a whole number that a gate sent; None for anything else, and for more than a float holds."""
    return value if type(value) is int and abs(value) <= NUMBER_MAX else None


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
