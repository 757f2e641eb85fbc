"""Events as CSV that a spreadsheet opens as it is: for `gatectl events --csv` and the monitor's download."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from gatectl.decision.event import Event
from gatectl.decision.local_time import local, offset_text
from gatectl.decision.spreadsheet import written

BYTE_ORDER_MARK = "\ufeff"
"""Without it, Excel takes UTF-8 for the code page of its country."""

COLUMNS = (
    *("time", "utc_offset", "kind", "tenant", "studio", "door", "scanner"),
    *("credential", "partner", "member", "customer"),
    *("result", "basis", "message", "verdict", "status", "fault", "detail", "reason_key", "reason", "outage"),
    *("sent", "elapsed_ms", "of", "id"),
)


def lines(events: Iterable[Event], zone: tzinfo | None) -> Iterator[str]:
    """The header, then a line for each event as it comes; times are those of `zone`."""
    yield header()
    yield from rows(events, zone)


def header() -> str:
    """A byte order mark and the line of the columns' names."""
    return BYTE_ORDER_MARK + next(written([COLUMNS]))


def rows(events: Iterable[Event], zone: tzinfo | None) -> Iterator[str]:
    """A line for each event, without a header."""
    yield from written(_cells(events, zone))


def _cells(events: Iterable[Event], zone: tzinfo | None) -> Iterator[tuple[str, ...]]:
    for event in events:
        values = _values(event, zone)
        yield tuple(_cell(values[name]) for name in COLUMNS)


def _values(event: Event, zone: tzinfo | None) -> dict[str, object]:
    moment = local(event.attempt.at_us, zone)
    plain = event.to_json()
    request, reason = plain["request"] or {}, plain["reason"] or {}
    return plain | {
        "time": f"{moment:%Y-%m-%d %H:%M:%S}",
        "utc_offset": offset_text(moment),
        "reason_key": reason.get("key"),
        "reason": reason.get("text"),
        "sent": request.get("sent"),
        "elapsed_ms": request.get("elapsed_ms"),
    }


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)
