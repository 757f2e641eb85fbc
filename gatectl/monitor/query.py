"""The filters in a page's address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from gatectl.decision.event import Event
from gatectl.decision.local_time import NotATimeError, parsed
from gatectl.decision.outcomes import KINDS
from gatectl.decision.verdict import Result
from gatectl.journal.filters import Filters
from gatectl.journal.paging import Search

CHARS_MAX = 512
"""The longest code."""

FIELDS = (
    *("door", "partner", "member", "code", "result", "kind", "since", "until"),
    *("studio", "device"),  # of use in a fleet
)

WHOLE = "whole"
"""The value of `codes` that shows the list's codes in full."""

_MINUTE = re.compile(r"(\d{4}-\d\d-\d\d[T ])?\d{1,2}:\d\d", re.ASCII)
_SECOND = re.compile(rf"{_MINUTE.pattern}:\d\d", re.ASCII)
_NUMBER_MAX = 2**62
"""SQLite and PostgreSQL take integers up to 2**63 - 1."""


@dataclass(frozen=True, slots=True)
class Query:
    """The filters of a request, as text and as values. Times without a zone are this machine's."""

    given: dict[str, str] = field(default_factory=dict)
    """The filters that are set, by name, for the form and for links."""
    search: Search = field(default_factory=Search)
    not_times: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Query:
        """Parse an address; ignore invalid filters."""
        given = {name: params[name].strip()[:CHARS_MAX] for name in FIELDS if params.get(name, "").strip()}
        for name, known in (("result", set(Result)), ("kind", set(KINDS))):
            if given.get(name) not in known:
                given.pop(name, None)
        if params.get("codes") == WHOLE:
            given["codes"] = WHOLE
        times, wrong = {}, []
        for name, moment in (("since", _start), ("until", _end)):
            try:
                times[name] = moment(given[name]) if name in given else None
            except NotATimeError:
                wrong.append(given.pop(name))
        filters = Filters(
            since_us=times.get("since"),
            until_us=times.get("until"),
            door=given.get("door"),
            partner=given.get("partner"),
            member=given.get("member"),
            code=given.get("code"),
            result=Result(given["result"]) if "result" in given else None,
            kind=given.get("kind"),
            studio=given.get("studio"),
            device=given.get("device"),
        )
        return cls(given, Search(filters, number(params.get("before"))), tuple(wrong))

    @property
    def is_live(self) -> bool:
        """Return whether new events belong on top of this page."""
        return self.search.before is None and self.search.filters.until_us is None

    @property
    def whole_codes(self) -> bool:
        return "codes" in self.given

    @property
    def is_filtered(self) -> bool:
        return bool(self.given.keys() - {"codes"})

    def with_codes(self, *, whole: bool) -> str:
        """Return the same page's query with the codes in full, or shortened."""
        given = {**self.given, "codes": WHOLE}
        if not whole:
            del given["codes"]
        return urlencode(given)

    def address(self, **more: object) -> str:
        """Return the filters and `more` as an address's query."""
        return urlencode({**self.given, **more})

    def fits(self, event: Event) -> bool:
        return self.search.filters.fits(event)


QueryOf = Callable[[Mapping[str, str]], Query]
"""Parses the filters in an address."""


def number(text: str | None) -> int | None:
    """Parse a number of the store; None if it is not one."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return min(int(text), _NUMBER_MAX)


def _start(text: str) -> int:
    """Parse a time, as `gatectl events --since` does. Raises NotATimeError."""
    return parsed(text, _now_us(), None)


def _end(text: str) -> int:
    """Return the last microsecond of a time: a minute, or a day, includes its end."""
    end = parsed(text, _now_us(), None, is_end=True)
    if _MINUTE.fullmatch(text):
        return end + 60_000_000 - 1
    return end + 1_000_000 - 1 if _SECOND.fullmatch(text) else end


def _now_us() -> int:
    return time.time_ns() // 1000
