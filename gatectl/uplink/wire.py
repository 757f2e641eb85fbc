"""The messages between a gate and head office over MQTT 5: topics and payloads, both ways, without I/O.

Either side may be newer than the other: fields that are not known here are kept in `GateState.body` and in
events, and ignored elsewhere. Every payload comes from a machine that may have been taken over, so each
number, text and size is bounded, and everything that is wrong is a WireError.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple, Never

from gatectl.validators.addresses import DEVICE_PATTERN

VERSION = 1
"""Of the topics, and the `v` of each payload."""

DEFLATE_FROM = 8
"""Events in a batch from which it is deflated; fewer share too little text to gain anything."""

BATCH_EVENTS_MAX = 64
BATCH_BYTES_MAX = 64 << 10
"""Of a batch as JSON, before it is deflated; a single event may be longer."""

BATCH_HEAD_BYTES = 160
"""The most that a batch takes besides its events, with the longest numbers."""

INFLATED_BYTES_MAX = 1 << 20
"""A few kilobytes can inflate to gigabytes."""

PAYLOAD_BYTES_MAX = 256 << 10
"""The largest packet that the broker of `gatectl fleet init` takes."""

WINDOW = 256
"""Events that head office lets a gate send ahead of the mark when nothing is wrong."""

NUMBER_MAX = (1 << 63) - 1
"""The largest integer of SQLite and PostgreSQL."""
_GENERATION_MAX = (1 << 31) - 1
_WINDOW_MAX = 1 << 16
_NESTING_MAX = 32
_DIGITS_MAX = 40
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that JSON can name, and neither UTF-8 nor PostgreSQL can hold (its manual, section 8.14)."""

ENCODING = "content-encoding"
"""The user property of a deflated payload; its value is "deflate", which is zlib's format (RFC 1950)."""

_ZLIB_FIRST = b"\x78"
"""The first byte of zlib's format with its usual window. No JSON object begins so: a batch is also read
where a bridge between brokers took its user property off."""

Properties = tuple[tuple[str, str], ...]
"""The user properties of a message."""

_DEVICE = re.compile(DEVICE_PATTERN)
_JOURNAL = re.compile(r"[0-9a-f]{32}")
_SESSION = re.compile(r"[\x21-\x7e]{1,64}")
_EVENT_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class WireError(Exception):
    """A topic or a payload is not what this version reads; the message names the flaw, not the content."""


class Channel(StrEnum):
    """The last part of a topic; see `Topic`."""

    EVENTS = "events"
    """From the gate, not retained: an EventBatch."""
    STATE = "state"
    """From the gate, retained: a GateState."""
    HERE = "here"
    """From the gate, retained, and its will: a Presence."""
    MARK = "mark"
    """From head office, retained: a Mark."""


class Topic(NamedTuple):
    """`gatectl/1/DEVICE/CHANNEL`."""

    device: str
    channel: Channel

    def __str__(self) -> str:
        return f"gatectl/{VERSION}/{self.device}/{self.channel}"


def is_device(name: str) -> bool:
    """Return whether a gate may be called that: it is part of topics and the certificate's CN."""
    return _DEVICE.fullmatch(name) is not None


def topic_of(text: str) -> Topic:
    """Return the parts of a topic. Raises WireError."""
    match text.split("/"):
        case ["gatectl", version, device, channel] if version == str(VERSION) and is_device(device):
            if channel in Channel.__members__.values():
                return Topic(device, Channel(channel))
    raise WireError("not a topic of gatectl")


def subscription(channel: Channel) -> str:
    """Return the filter of one channel of all gates, for head office."""
    return f"gatectl/{VERSION}/+/{channel}"


class Payload(NamedTuple):
    """The bytes of a message and its user properties."""

    data: bytes
    properties: Properties = ()


class NumberedEvent(NamedTuple):
    """A finished event and its number in the journal."""

    number: int
    event: Mapping[str, Any]
    """As `gatectl events --json` prints it, without what stays at the gate; `id` is always there."""

    @property
    def id(self) -> str:
        return str(self.event["id"])


class EventBatch(NamedTuple):
    """All events of a journal with numbers after `after` and up to `until` that the gate still has.

    Numbers that are missing in this range were pruned at the gate.
    """

    journal: str
    generation: int
    after: int
    until: int
    events: tuple[NumberedEvent, ...]
    unreadable: int = 0
    """How many were sent that are no events, as a damaged journal may have them: they are left out."""


class Mark(NamedTuple):
    """The number of the last event that head office has committed, and how far the gate may go beyond it."""

    journal: str
    generation: int
    mark: int
    id: str | None
    """The ID of that event; None where the number is 0, or where the gate had pruned it."""
    window: int = WINDOW
    """Events that may be sent beyond the mark; 0 to pause."""
    again: bool = False
    """Whether the gate is to send everything beyond the mark again."""


class Presence(NamedTuple):
    """Whether a gate is connected."""

    online: bool
    session: str
    """The name of the connection, so that the late will of an old one is recognised. The uplink writes
    `PROCESS-NUMBER`: random hex digits for a process, and a number for each of its connections. By that, two
    machines that take turns under one name are recognised too."""


class GateState(NamedTuple):
    """A gate's health, and what it knows of the conversation."""

    journal: str | None
    """None as long as the gate has no journal that can be read."""
    last: int | None
    """The number of the last event."""
    generation: int | None
    mark: int | None
    """The mark by which the gate goes; both are None before one has come on this connection."""
    fork: int | None
    """The generation whose mark does not fit this journal: it went back in time, as when an old image of the
    SD card is restored. None where the mark fits."""
    body: Mapping[str, Any]
    """All fields as they were sent, these included."""


# --- Encoding ------------------------------------------------------------------------------------


def encode_batch(batch: EventBatch) -> Payload:
    """Return the payload of a batch, deflated if it is long."""
    data = _json(
        {
            "v": VERSION,
            "journal": batch.journal,
            "generation": batch.generation,
            "after": batch.after,
            "until": batch.until,
            "events": [{"number": one.number, "event": one.event} for one in batch.events],
        }
    )
    if len(batch.events) < DEFLATE_FROM:
        return Payload(data)
    return Payload(zlib.compress(data), ((ENCODING, "deflate"),))


def encode_mark(mark: Mark) -> Payload:
    """Return the payload of a mark."""
    return Payload(_json({"v": VERSION, **mark._asdict()}))


def encode_presence(presence: Presence) -> Payload:
    """Return the payload of the message that says whether a gate is connected."""
    return Payload(_json(presence._asdict()))


def encode_state(
    known: Mapping[str, Any], *, journal: str | None, last: int, mark: Mark | None, fork: int | None
) -> Payload:
    """Return the payload of a state; `known` has the fields of the health."""
    conversation = {
        "journal": journal,
        "last": last,
        "generation": mark.generation if mark else None,
        "mark": mark.mark if mark else None,
        "fork": fork,
    }
    return Payload(_json({"v": VERSION, **known, **conversation}))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def size_of(one: NumberedEvent) -> int:
    """Return the bytes that an event takes in a batch before it is deflated, with the comma behind it."""
    return len(_json({"number": one.number, "event": one.event})) + 1


# --- Decoding ------------------------------------------------------------------------------------


def decode_batch(data: bytes, properties: Iterable[tuple[str, str]] = ()) -> EventBatch:
    """Return the batch in a payload. Raises WireError."""
    fields = _fields(_plain(data, properties))
    after, until = _whole(fields, "after", 0, NUMBER_MAX), _whole(fields, "until", 1, NUMBER_MAX)
    listed = fields.get("events")
    if after >= until or not isinstance(listed, list):
        _refuse("range")
    events: list[NumberedEvent] = []
    for one in listed:
        # One that cannot be read must not hold up those behind it for ever.
        number = events[-1].number if events else after
        with suppress(WireError):
            events.append(_numbered(one, number + 1, until))
    journal = _text(fields, "journal", _JOURNAL)
    unreadable = len(listed) - len(events)
    return EventBatch(journal, _generation(fields), after, until, tuple(events), unreadable)


def decode_mark(data: bytes) -> Mark:
    """Return the mark in a payload. Raises WireError."""
    fields = _fields(_bounded(data))
    mark = _whole(fields, "mark", 0, NUMBER_MAX)
    # No event has the number 0.
    event_id = None if mark == 0 or fields.get("id") is None else _text(fields, "id", _EVENT_ID)
    again = fields.get("again", False)
    return Mark(
        _text(fields, "journal", _JOURNAL),
        _generation(fields),
        mark,
        event_id,
        _whole(fields, "window", 0, _WINDOW_MAX),
        again if isinstance(again, bool) else _refuse("again"),
    )


def decode_presence(data: bytes) -> Presence:
    """Return the presence in a payload. Raises WireError."""
    fields = _object(_bounded(data))
    online = fields.get("online")
    if type(fields.get("session")) is int:
        fields["session"] = str(_whole(fields, "session", 0, NUMBER_MAX))
    return Presence(
        online if isinstance(online, bool) else _refuse("online"), _text(fields, "session", _SESSION)
    )


def decode_state(data: bytes) -> GateState:
    """Return the state in a payload. Raises WireError."""
    fields = _fields(_bounded(data))
    journal = None if fields.get("journal") is None else _text(fields, "journal", _JOURNAL)
    generation, fork = (_whole_or_none(fields, name, 1, _GENERATION_MAX) for name in ("generation", "fork"))
    last, mark = (_whole_or_none(fields, name, 0, NUMBER_MAX) for name in ("last", "mark"))
    if generation is None or mark is None:
        generation = mark = None
    return GateState(journal, last, generation, mark, fork, fields)


def _refuse(flaw: str) -> Never:
    raise WireError(f"wrong {flaw}")


def _bounded(data: bytes) -> bytes:
    return data if len(data) <= PAYLOAD_BYTES_MAX else _refuse("size")


def _plain(data: bytes, properties: Iterable[tuple[str, str]]) -> bytes:
    """Return a payload as it was before it was deflated, if its properties or its first byte say that."""
    encodings = [value for name, value in properties if name == ENCODING]
    if not encodings and not data.startswith(_ZLIB_FIRST):
        return _bounded(data)
    if encodings not in ([], ["deflate"]):
        _refuse("encoding")
    inflater = zlib.decompressobj()
    try:
        plain = inflater.decompress(_bounded(data), INFLATED_BYTES_MAX)
    except zlib.error:
        _refuse("encoding")
    if not inflater.eof or inflater.unused_data:
        _refuse("size" if len(plain) >= INFLATED_BYTES_MAX else "encoding")
    return plain


def _object(plain: bytes) -> dict[str, Any]:
    try:
        value = json.loads(plain.decode(), parse_constant=lambda _: None, parse_int=_integer)
    except (ValueError, RecursionError):
        _refuse("JSON")
    if not isinstance(value, dict):
        _refuse("JSON")
    return {_storable(name, 0): _storable(part, _NESTING_MAX) for name, part in value.items()}


def _integer(digits: str) -> int | None:
    """Return the number; None for one that is longer than any of ours, and takes the longer to read."""
    return int(digits) if len(digits) <= _DIGITS_MAX else None


def _storable(value: Any, nesting: int) -> Any:
    """Return JSON without the parts that PostgreSQL does not take; what is around them is not lost."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # 1e999
    if not isinstance(value, dict | list):
        return value
    if nesting == 0:
        return None
    if isinstance(value, list):
        return [_storable(part, nesting - 1) for part in value]
    return {_storable(name, 0): _storable(part, nesting - 1) for name, part in value.items()}


def _fields(plain: bytes) -> dict[str, Any]:
    fields = _object(plain)
    if type(fields.get("v")) is not int or fields["v"] != VERSION:
        _refuse("version")
    return fields


def _numbered(one: object, least: int, most: int) -> NumberedEvent:
    if not isinstance(one, dict):
        _refuse("event")
    event = one.get("event")
    if not isinstance(event, dict):
        _refuse("event")
    _text(event, "id", _EVENT_ID)
    return NumberedEvent(_whole(one, "number", least, most), event)


def _generation(fields: Mapping[str, Any]) -> int:
    return _whole(fields, "generation", 1, _GENERATION_MAX)


def _whole(fields: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = fields.get(name)
    if type(value) is not int or not least <= value <= most:
        _refuse(name)
    return value


def _whole_or_none(fields: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    return None if fields.get(name) is None else _whole(fields, name, least, most)


def _text(fields: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) and pattern.fullmatch(value) else _refuse(name)
