"""Turn an event, as a gate sends it, into a row of the table `event`. Pure.

A gate may be of a later version, or taken over: whatever does not fit its column goes to `extra`, so that no
event is lost for it and no statement fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from gatectl.uplink.wire import NumberedEvent

Row = dict[str, Any]

_INTEGER_MAX = (1 << 31) - 1


_TEXT_CHARS_MAX = 512
"""As long as a code may be. An index of PostgreSQL takes 2704 bytes, and refuses a row with more."""


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT_CHARS_MAX


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(value: Any) -> bool:
    return type(value) is int and abs(value) <= _INTEGER_MAX


FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("kind", "of", "tenant", "studio", "door", "scanner", "credential"), ("text", _text)),
    **dict.fromkeys(("partner", "member", "customer", "result", "basis", "message"), ("text", _text)),
    **dict.fromkeys(("verdict", "fault", "detail"), ("text", _text)),
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
    at = _time(event.get("at"))
    row: Row = dict.fromkeys(COLUMNS)
    row |= {"id": one.id, "journal": journal, "generation": generation, "number": one.number}
    row |= {"device": device, "kind": "", "at": (at or now).isoformat()}
    fitting = {name for name, (_, fits) in FIELDS.items() if fits(event.get(name))}
    row |= {name: event[name] for name in fitting}
    placed = {"id", *fitting} | ({"at"} if at else set())
    extra = {name: value for name, value in event.items() if name not in placed and value is not None}
    row["extra"] = extra or None
    return row


def _time(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
