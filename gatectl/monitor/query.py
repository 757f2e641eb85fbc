"""The filters as they stand in a page's address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from gatectl.decision.event import Event
from gatectl.decision.verdict import Result
from gatectl.journal.browser import Search
from gatectl.journal.reader import Filters

CHARS_MAX = 512
"""No code is longer."""

WHOLE = "whole"
"""The value of `codes` that shows the list's codes in full length."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER_MAX = 2**62


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked for, as text and as values. Times without a zone are this machine's."""

    given: dict[str, str] = field(default_factory=dict)
    """The filters that are set, by name: for the form, and for links."""
    search: Search = field(default_factory=Search)
    not_times: tuple[str, ...] = ()

    @classmethod
    def of(cls, params: Mapping[str, str]) -> Query:
        """Of an address: what makes no sense there filters nothing."""
        given = {
            name: params[name].strip()[:CHARS_MAX]
            for name in ("door", "partner", "member", "result", "since", "until")
            if params.get(name, "").strip()
        }
        if given.get("result") not in set(Result):
            given.pop("result", None)
        if params.get("codes") == WHOLE:
            given["codes"] = WHOLE
        since, until = _moment(given.get("since")), _moment(given.get("until"))
        wrong = [
            given.pop(name)
            for name, at in (("since", since), ("until", until))
            if name in given and at is None
        ]
        if until is not None:
            until += _span_us(given["until"]) - 1
        filters = Filters(
            since_us=since,
            until_us=until,
            door=given.get("door"),
            partner=given.get("partner"),
            member=given.get("member"),
            result=Result(given["result"]) if "result" in given else None,
        )
        return cls(given, Search(filters, number(params.get("before"))), tuple(wrong))

    @property
    def is_live(self) -> bool:
        """Whether what comes now belongs on top of the page."""
        return self.search.before is None and self.search.filters.until_us is None

    @property
    def whole_codes(self) -> bool:
        return "codes" in self.given

    @property
    def is_filtered(self) -> bool:
        return bool(self.given.keys() - {"codes"})

    def with_codes(self, *, whole: bool) -> str:
        """The same page's query with the codes in full length, or shortened."""
        given = {**self.given, "codes": WHOLE}
        if not whole:
            del given["codes"]
        return urlencode(given)

    def address(self, **more: object) -> str:
        """The filters and more as an address's query."""
        return urlencode({**self.given, **more})

    def fits(self, event: Event) -> bool:
        return self.search.filters.fits(event)


def number(text: str | None) -> int | None:
    """A number of the store, or None."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return min(int(text), _NUMBER_MAX)


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text).astimezone()
        return (moment - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError, OSError):
        return None


def _span_us(text: str) -> int:
    """A minute, or a day, is meant to its end."""
    if len(text) <= len("2026-11-22"):
        return 86_400_000_000
    return 60_000_000 if text.count(":") == 1 else 1_000_000
