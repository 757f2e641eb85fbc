"""Schedules as an installer writes them: `mon-fri = ["06:00-22:00"]`, with exceptions by date."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from gatectl.decision.schedule import DAY_MIN, Schedule, Span
from gatectl.errors import near
from gatectl.validators.values import Validator, refuse

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EXCEPT = "except"
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
"""Python takes more forms of ISO 8601 than an installer writes."""
_LOOKS_LIKE = 'it looks like mon-fri = ["06:00-22:00"]'


def _schedule(value: object, _folder: Path) -> Schedule:
    if not isinstance(value, dict):
        raise refuse("must be a table of days", _LOOKS_LIKE)
    week: dict[int, list[Span]] = {}
    exceptions: Mapping[date, list[Span]] = {}
    for key, spans in value.items():
        if key == EXCEPT:
            exceptions = _exceptions(spans)
            continue
        for day in _days(key):
            if day in week:
                raise refuse(f"has {DAYS[day]} twice", "write all its spans in one list")
            week[day] = _spans(spans, key)
    return Schedule([week.get(day, []) for day in range(len(DAYS))], exceptions)


def _days(key: str) -> Iterator[int]:
    first, _, last = key.partition("-")
    for name in (first, last or first):
        if name not in DAYS:
            hints = near(name, DAYS) or (f"days are {', '.join(DAYS)}, or two of them as in mon-fri",)
            raise refuse(f"knows no day {name!r}", *hints)
    start, end = DAYS.index(first), DAYS.index(last or first)
    if end < start:
        raise refuse(f"{key} ends before it begins", "the week begins with mon: write two entries")
    yield from range(start, end + 1)


def _spans(value: object, where: str) -> list[Span]:
    if not isinstance(value, list):
        raise refuse(f"{where} must be a list of spans", f"{_LOOKS_LIKE}; [] for none")
    return [_span(text, where) for text in value]


def _span(text: object, where: str) -> Span:
    found = _SPAN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise refuse(f"{where}: {text!r} is no span", f"{_LOOKS_LIKE}, with two digits each")
    hours, minutes = (int(found[1]), int(found[3])), (int(found[2]), int(found[4]))
    start, end = (hour * 60 + minute for hour, minute in zip(hours, minutes, strict=True))
    if max(minutes) > 59 or max(start, end) > DAY_MIN:
        raise refuse(f"{where}: {text!r} is no time of a day", "from 00:00 to 24:00")
    if end <= start:
        raise refuse(
            f"{where}: {text!r} ends before it begins",
            "a span over midnight is two: until 24:00, and from 00:00 on the next day",
        )
    return start, end


def _exceptions(value: object) -> dict[date, list[Span]]:
    if not isinstance(value, dict):
        raise refuse("except must be a table of dates", 'it looks like except = { "2026-12-25" = [] }')
    return {_date(key): _spans(spans, key) for key, spans in value.items()}


def _date(text: str) -> date:
    with contextlib.suppress(ValueError):
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    raise refuse(f"except: {text!r} is no date", "it looks like 2026-12-25")


_SPANS_JSON: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"},
}
_DAY = f"({'|'.join(DAYS)})"

ScheduleTable = Annotated[
    Schedule,
    Validator(
        _schedule,
        {
            "type": "object",
            "patternProperties": {f"^{_DAY}(-{_DAY})?$": _SPANS_JSON},
            "properties": {
                EXCEPT: {
                    "type": "object",
                    "description": "Dates with spans of their own, such as 2026-12-25 = [].",
                    "patternProperties": {r"^\d{4}-\d\d-\d\d$": _SPANS_JSON},
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
    ),
]
"""Spans in local time for days of the week, and for dates in their place."""
