"""The conditions on events: as SQL over the view `events`, and for an event that is at hand.

A code is compared as enrolled cards are, and a card number also in its other notations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from gatectl.decision.cards import is_hex_number, key_of
from gatectl.decision.event import Event
from gatectl.decision.verdict import Basis, Result

if TYPE_CHECKING:
    from gatectl.decision.reader.card_notations import SearchTerms

_HEX_NUMBER = "replace(replace(replace(upper(credential), ':', ''), '-', ''), ' ', '')"
_MAY_BE_HEX = "credential GLOB '*[A-Fa-f]*'"
_HAS_SINGLE_SEPARATORS = (
    "credential NOT GLOB '*[-: ][-: ]*' AND credential NOT GLOB '[-: ]*' AND credential NOT GLOB '*[-: ]'"
)
"""`cards.key_of` in SQL: no index has it, and a function in Python takes ten times as long."""

_PATTERN_CHARS = "8, 10"
"""Lengths of the hex numbers that `search_terms` has patterns for: four and five bytes. A look at the length
spares most codes the patterns."""


class Filters(NamedTuple):
    """Conditions on an event; None is anything. `since_us` is microseconds since the epoch."""

    since_us: int | None = None
    until_us: int | None = None
    """The last microsecond."""
    door: str | None = None
    partner: str | None = None
    member: str | None = None
    code: str | None = None
    """Compared as cards are, and a card in any of its notations."""
    result: Result | None = None
    kind: str | None = None
    basis: Basis | None = None
    studio: str | None = None
    device: str | None = None
    """No event of a gate's own journal has one."""
    members: tuple[str, ...] | None = None
    """Any of these, in place of `member`, at head office alone: one member's pseudonyms at each partner."""

    def conditions(self) -> tuple[str, dict[str, object]]:
        """SQL over the columns of `events`, and its parameters."""
        given = {
            "since": ("at_us >= :since", self.since_us),
            "latest": ("at_us <= :latest", self.until_us),
            "door": ("door = :door", self.door),
            "partner": ("partner = :partner", self.partner),
            "member": ("member = :member", self.member),
            "result": ("result = :result", self.result and self.result.value),
            "kind": ("kind = :kind", self.kind),
            "studio": ("studio = :studio", self.studio),
            "device": ("'' = :device", self.device),
            # A literal: SQLite uses a partial index only where it knows the value beforehand.
            "basis": (f"basis = '{self.basis}'", self.basis and self.basis.value),
        }
        active = {name: pair for name, pair in given.items() if pair[1] is not None}
        parts = [sql for sql, _ in active.values()]
        values: dict[str, object] = {name: value for name, (_, value) in active.items()}
        if self.code is not None:
            parts.append(_same_code(self.code, values))
        return " AND ".join(parts) or "1", values

    def fits(self, event: Event) -> bool:
        """The same of an event that is at hand."""
        attempt = event.attempt
        code = attempt.credential
        return (
            (self.since_us is None or attempt.at_us >= self.since_us)
            and (self.until_us is None or attempt.at_us <= self.until_us)
            and self.door in {None, attempt.door}
            and self.partner in {None, attempt.partner}
            and self.member in {None, attempt.member}
            and (self.code is None or (code is not None and _is_same_code(code, self.code)))
            and self.result in {None, event.outcome.result}
            and self.kind in {None, attempt.kind}
            and self.basis in {None, event.outcome.basis}
            and self.studio in {None, attempt.studio}
            and self.device in {None, event.device}
            and (self.members is None or attempt.member in self.members)
        )


def _is_same_code(code: str, wanted: str) -> bool:
    return key_of(code) == key_of(wanted) or _other_notations(wanted).fit(code)


def _same_code(wanted: str, values: dict[str, object]) -> str:
    """Return `_is_same_code` in SQL, and add its parameters to `values`."""

    def listed(name: str, texts: Iterable[str]) -> str:
        added = {f"{name}{index}": text for index, text in enumerate(sorted(texts))}
        values.update(added)
        return ", ".join(f":{one}" for one in added)

    terms = _other_notations(wanted)
    hexes = {*terms.hex, key_of(wanted)} if is_hex_number(wanted) else terms.hex
    texts = terms.texts if is_hex_number(wanted) else {*terms.texts, wanted}
    ways = [f"credential IN ({listed('text', texts)})"]
    if hexes:
        is_one = f"{_HEX_NUMBER} IN ({listed('hex', hexes)})"
        ways.append(f"({_MAY_BE_HEX} AND {is_one} AND {_HAS_SINGLE_SEPARATORS})")
    if terms.patterns:
        globs = listed("pattern", terms.patterns).split(", ")
        is_like = " OR ".join(f"upper(credential) GLOB {glob}" for glob in globs)
        ways.append(f"(length(credential) IN ({_PATTERN_CHARS}) AND ({is_like}))")
    return f"({' OR '.join(ways)})"


def _other_notations(code: str) -> SearchTerms:
    from gatectl.decision.reader.card_notations import search_terms  # noqa: PLC0415 - no scan needs it

    return search_terms(code)
