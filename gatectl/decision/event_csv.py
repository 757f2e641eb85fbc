"""Events as CSV that a spreadsheet opens as it is: for `gatectl events --csv` and the monitor's download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from gatectl.decision.event import Event
from gatectl.decision.local_time import local, offset_text
from gatectl.decision.spreadsheet import written
from gatectl.decision.words.event_words import counted_of

BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel takes UTF-8 for the code page of its country."""

COLUMNS = (
    *("time", "utc_offset", "kind", "tenant", "studio", "door", "scanner"),
    *("credential", "partner", "member", "customer"),
    *("result", "basis", "message", "verdict", "status", "fault", "detail", "reason_key", "reason", "outage"),
    *("sent", "elapsed_ms", "of", "id"),
)


GRACE_COLUMNS = (
    *("time", "utc_offset", "door", "partner", "member", "credential", "fault", "counted", "id"),
)
"""Of the list for settling an outage with a partner."""

Columns = tuple[str, ...]


def of_fleet(columns: Columns) -> Columns:
    """Return the columns for events of many gates: door names repeat, so studio and gate are before them."""
    door = columns.index("door")
    before = tuple(name for name in columns[:door] if name != "studio")
    return (*before, "studio", "device", *columns[door:])


def lines(events: Iterable[Event], zone: tzinfo | None, columns: Columns = COLUMNS) -> Iterator[str]:
    """The header, then a line for each event as it comes; times are those of `zone`."""
    yield header(columns)
    yield from rows(events, zone, columns)


def header(columns: Columns = COLUMNS) -> str:
    """A byte order mark and the line of the columns' names."""
    return BYTE_ORDER_MARK + next(written([columns]))


def rows(events: Iterable[Event], zone: tzinfo | None, columns: Columns = COLUMNS) -> Iterator[str]:
    """A line for each event, without a header."""
    yield from written(_cells(events, zone, columns))


def _cells(events: Iterable[Event], zone: tzinfo | None, columns: Columns) -> Iterator[tuple[str, ...]]:
    for event in events:
        values = _values(event, zone)
        yield tuple(_cell(values[name]) for name in columns)


def _values(event: Event, zone: tzinfo | None) -> dict[str, object]:
    moment = local(event.attempt.at_us, zone)
    plain = event.to_json()
    request, reason = plain["request"] or {}, plain["reason"] or {}
    return plain | {
        "device": event.device,
        "time": f"{moment:%Y-%m-%d %H:%M:%S}",
        "utc_offset": offset_text(moment),
        "reason_key": reason.get("key"),
        "reason": reason.get("text"),
        "sent": request.get("sent"),
        "elapsed_ms": request.get("elapsed_ms"),
        "counted": counted_of(event)[0],
    }


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
