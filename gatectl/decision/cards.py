"""Enrolled cards: how codes compare, and the CSV form `code,partner,member,customer`.

Codes compare exactly, but hex card numbers do whatever their case and separators: readers differ in both.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

# 3 to 10 bytes in hex: 26-bit Wiegand, EM4100, ISO 14443 (4, 7 or 10 bytes) and ISO 15693 (8 bytes). Readers
# differ in case and in what they put between the digits. Without a letter the text may be a decimal number,
# in which a separator counts.
_HEX_NUMBER = re.compile(r"(?=.*[A-Fa-f])[0-9A-Fa-f](?:[:\- ]?[0-9A-Fa-f]){5,19}")
_SEPARATORS = str.maketrans("", "", ":- ")

COLUMNS = ("code", "partner", "member", "customer")
_LEAST = COLUMNS[:3]
"""The customer's number may be left out: few partners have one."""

_HEADINGS = {
    **{name: name for name in COLUMNS},
    **dict.fromkeys(("karte", "kartennummer"), "code"),
    **dict.fromkeys(("mitglied", "mitgliedsnummer"), "member"),
    **dict.fromkeys(("kunde", "kundennummer"), "customer"),
}


@dataclass(frozen=True, slots=True)
class Card:
    """A code as it was enrolled, and whose it is."""

    code: str
    partner: str
    member: str
    customer: str | None = None
    """The partner's own number of the customer, where it needs one."""


class Enrolment(NamedTuple):
    """A card and its line in the file; `line` counts from 1."""

    line: int
    card: Card


class BadLine(NamedTuple):
    """A line of CSV that cannot be taken, and why; `line` counts from 1."""

    line: int
    what: str


Check = Callable[[Card], str | None]
"""An objection to a card, or None."""


@lru_cache(maxsize=32)  # a scan needs the key of its code several times
def key_of(code: str) -> str:
    """The form in which codes are compared: hex card numbers in capitals without separators."""
    return code.translate(_SEPARATORS).upper() if is_hex_number(code) else code


def is_hex_number(code: str) -> bool:
    """Whether it is compared whatever its case and separators."""
    return bool(_HEX_NUMBER.fullmatch(code)) and len(code.translate(_SEPARATORS)) % 2 == 0


def from_csv(text: str, check: Check) -> tuple[list[Enrolment], list[BadLine]]:
    """All cards in the text and all that is wrong with it; a header is taken or left.

    A card that is listed twice for the same member counts once.
    """
    from gatectl.decision import spreadsheet  # noqa: PLC0415 - the daemon reads no file of cards

    found: dict[str, Enrolment] = {}
    problems: list[BadLine] = []
    columns: Sequence[str] = COLUMNS
    try:
        for number, (line, cells) in enumerate(spreadsheet.rows(text, (len(_LEAST), len(COLUMNS)))):
            if number == 0 and _is_header(cells):
                columns = [_HEADINGS.get(cell.casefold(), cell) for cell in cells]
                problem = _objection_to_header(columns)
                if problem is not None:
                    return [], [BadLine(line, problem)]
                continue
            problem = _take(cells, columns, line, check, found)
            if problem is not None:
                problems.append(BadLine(line, problem))
    except spreadsheet.NotCsvError as error:
        problems.append(BadLine(error.line, str(error)))
    return list(found.values()), problems


def _is_header(cells: list[str]) -> bool:
    known = {_HEADINGS.get(cell.casefold()) for cell in cells}
    return "code" in known and not known.isdisjoint(("partner", "member"))


def _objection_to_header(columns: Sequence[str]) -> str | None:
    for name in filter(None, columns):
        if name not in COLUMNS:
            return f"the column {name!r} is none of {', '.join(COLUMNS)}"
        if columns.count(name) > 1:
            return f"two columns are the {name}"
    missing = [name for name in _LEAST if name not in columns]
    return f"there is no column {missing[0]}" if missing else None


def _take(
    cells: list[str], columns: Sequence[str], line: int, check: Check, found: dict[str, Enrolment]
) -> str | None:
    while len(cells) > len(_LEAST) and not cells[-1]:
        cells = cells[:-1]  # a spreadsheet gives each row as many cells as the longest has
    if not len(_LEAST) <= len(cells) <= len(columns):
        return f"{len(cells)} columns instead of code,partner,member and, where needed, customer"
    values = dict(zip(columns, cells, strict=False))
    code, partner, member = (values.get(name, "") for name in _LEAST)
    card = Card(code, partner, member, values.get("customer") or None)
    problem = check(card)
    if problem is not None:
        return problem
    first = found.setdefault(key_of(card.code), Enrolment(line, card))
    same = (first.card.partner, first.card.member) == (card.partner, card.member)
    if not same:
        return f"card {card.code!r} is in line {first.line} for another member"
    if first.card.customer != card.customer:
        return f"card {card.code!r} is in line {first.line} with another customer's number"
    return None


def to_csv(cards: Iterable[Card]) -> str:
    """The cards as CSV with a header, as `from_csv` takes it back."""
    from gatectl.decision import spreadsheet  # noqa: PLC0415 - the daemon reads no file of cards

    return "".join(spreadsheet.written(table(cards)))


def table(cards: Iterable[Card]) -> list[tuple[str, ...]]:
    """The header and a row for each card; without the column `customer` where no card has one."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    rows += ((card.code, card.partner, card.member, card.customer or "") for card in cards)
    if any(row[-1] for row in rows[1:]):
        return rows
    return [row[:-1] for row in rows]
