"""Decide what the messages of the gates change at head office. Pure: no connection, no clock.

A gate may be of a later version, or taken over: whatever of an event does not fit its column goes to `extra`,
so that no event is lost for it and no statement fails.

`Intake` holds what is committed. A round takes messages, and comes to the writes of one transaction and the
answers to send after it; only `commit` makes it count. So no mark covers an event that is not committed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gatectl.uplink import head_office
from gatectl.uplink.head_office import Answer, Attendance, Notice, Step, Stream
from gatectl.uplink.wire import (
    Channel,
    EventBatch,
    GateState,
    NumberedEvent,
    Presence,
    Topic,
    decode_batch,
    decode_presence,
    decode_state,
)

JOURNALS_MAX = 50
"""Of one device: each damaged journal begins a new one. A device that was taken over could make them up."""

Place = tuple[str, str]
"""A device and one of its journals. Two devices with the same journal, as after cloning a card, do not move
each other's mark."""


class Incoming(NamedTuple):
    """A message that was decoded."""

    device: str
    content: EventBatch | GateState | Presence


class Alarm(NamedTuple):
    """Something to know about a device; `about` is for people."""

    device: str
    kind: str
    about: str


class TooManyJournals(Exception):
    """The device has JOURNALS_MAX journals already."""


def incoming(topic: Topic, data: bytes, properties: tuple[tuple[str, str], ...]) -> Incoming:
    """Decode a message. Raises WireError."""
    match topic.channel:
        case Channel.EVENTS:
            return Incoming(topic.device, decode_batch(data, properties))
        case Channel.STATE:
            return Incoming(topic.device, decode_state(data))
        case _:
            return Incoming(topic.device, decode_presence(data))


@dataclass(slots=True)
class Round:
    """The writes of one transaction, and the answers after it."""

    rows: list[Row] = field(default_factory=list)
    streams: dict[Place, Stream] = field(default_factory=dict)
    begun: dict[Place, int] = field(default_factory=dict)
    """The mark of each of these generations before, as it is committed."""
    pruned: dict[Place, int] = field(default_factory=dict)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    attendances: dict[str, Attendance] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)
    answers: dict[Place, tuple[Answer, bool]] = field(default_factory=dict)
    """For each journal the answer, and whether its mark moved."""
    devices: set[str] = field(default_factory=set)
    """All that said something."""


class Intake:
    """The committed state of head office."""

    def __init__(
        self,
        streams: Mapping[Place, Stream] | None = None,
        attendances: Mapping[str, Attendance] | None = None,
        current: Mapping[str, str] | None = None,
    ) -> None:
        self.streams: dict[Place, Stream] = dict(streams or {})
        self.attendances: dict[str, Attendance] = dict(attendances or {})
        self.current: dict[str, str] = dict(current or {})
        """The journal of each device that was last heard of."""

    def take(self, into: Round, message: Incoming, now: datetime) -> None:
        """Add a message to a round. Raises TooManyJournals."""
        device, content = message
        if isinstance(content, Presence):
            self._presence(into, device, content)
        elif isinstance(content, EventBatch):
            stream = self._stream(into, (device, content.journal))
            self._add(into, device, head_office.take(stream, content, now.timestamp()), now)
        else:
            into.states[device] = content.body
            stream = self._stream(into, (device, content.journal)) if content.journal else None
            if step := head_office.greet(stream, content, now.timestamp()):
                self._add(into, device, step, now)
        into.devices.add(device)

    def commit(self, done: Round) -> None:
        """Take over a round that is committed."""
        self.streams.update(done.streams)
        self.attendances.update(done.attendances)
        self.current.update(list(done.answers))

    def _stream(self, into: Round, place: Place) -> Stream | None:
        known = into.streams.get(place) or self.streams.get(place)
        if known is None:
            others = {*self.streams, *into.streams}
            if sum(device == place[0] for device, _ in others) >= JOURNALS_MAX:
                raise TooManyJournals
        return known

    def _add(self, into: Round, device: str, step: Step, now: datetime) -> None:
        stream = step.stream
        place = (device, stream.journal)
        known = into.streams.get(place) or self.streams.get(place)
        moved = stream != known
        if moved:
            into.streams[place] = stream
            begun = known.mark if known and known.generation == stream.generation else 0
            into.begun.setdefault(place, begun)
        events = (*step.committed, *step.insert)
        into.rows += [row_of(one, device, stream.journal, stream.generation, now) for one in events]
        before, has_moved = into.answers.get(place, (Answer.MARK, False))
        answer = Answer.AGAIN if Answer.AGAIN in {before, step.answer} else Answer.MARK
        into.answers[place] = (answer, has_moved or moved)
        if step.pruned:
            into.pruned[place] = into.pruned.get(place, 0) + step.pruned
            about = f"{step.pruned} events were pruned at the gate before they could be sent"
            into.alarms.append(Alarm(device, "pruned", about))
        if step.unreadable:
            into.pruned[place] = into.pruned.get(place, 0) + step.unreadable
            about = f"{step.unreadable} events up to number {stream.mark} cannot be read and are left out"
            into.alarms.append(Alarm(device, "refused", about))
        if step.notice:
            into.alarms.append(Alarm(device, step.notice.value, NOTICES[step.notice]))

    def _presence(self, into: Round, device: str, news: Presence) -> None:
        known = into.attendances.get(device) or self.attendances.get(device)
        attendance, notice = head_office.attend(known, news)
        if attendance != known:
            into.attendances[device] = attendance
        if notice:
            into.alarms.append(Alarm(device, notice.value, NOTICES[notice]))


NOTICES: Mapping[Notice, str] = {
    Notice.NEW_GENERATION: "its journal went back in time, as when an old image is restored",
    Notice.TWO_MACHINES: "two machines write under this name, as when an SD card was cloned",
}


# --- Rows of the table `event` --------------------------------------------------------------------

Row = dict[str, Any]

_INTEGER_MAX = (1 << 31) - 1
"""The greatest `integer` of PostgreSQL."""


_TEXT_CHARS_MAX = 512
"""As long as a code may be. An index of PostgreSQL takes 2704 bytes, and refuses a row with more."""


def is_text(value: Any) -> bool:
    """Return whether a value is a text that a column takes."""
    return isinstance(value, str) and len(value) <= _TEXT_CHARS_MAX


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(value: Any) -> bool:
    return type(value) is int and abs(value) <= _INTEGER_MAX


FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("kind", "of", "tenant", "studio", "door", "scanner", "credential"), ("text", is_text)),
    **dict.fromkeys(("partner", "member", "customer", "result", "basis", "message"), ("text", is_text)),
    **dict.fromkeys(("verdict", "fault", "detail"), ("text", is_text)),
    "status": ("integer", _integer),
    "outage": ("boolean", _boolean),
    **dict.fromkeys(("reason", "request", "gate"), ("jsonb", _object)),
}
"""The event's fields that have a column of the same name: its type, and the values that fit it."""

COLUMNS: Mapping[str, str] = {
    "id": "uuid",
    "journal": "text",
    "generation": "integer",
    "number": "bigint",
    "device": "text",
    "at": "timestamptz",
    **{name: kind for name, (kind, _) in FIELDS.items()},
    "extra": "jsonb",
}
"""The columns of a row with their types."""


def row_of(one: NumberedEvent, device: str, journal: str, generation: int, now: datetime) -> Row:
    """Return the row of an event; one without a time that can be read gets `now`."""
    event = one.event
    at = time_of(event.get("at"))
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"id": one.id, "journal": journal, "generation": generation, "number": one.number}
    row |= {"device": device, "kind": "", "at": (at or now).isoformat()}
    fitting = {name for name, (_, fits) in FIELDS.items() if fits(event.get(name))}
    row |= {name: event[name] for name in fitting}
    placed = {"id", *fitting} | ({"at"} if at else set())
    extra = {name: value for name, value in event.items() if name not in placed and value is not None}
    row["extra"] = extra or None
    return row


def time_of(value: Any) -> datetime | None:
    """Return the time that a message names, in UTC; None for anything else."""
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
