"""Enrolled cards: how codes compare, and the CSV form `code,partner,member`.

Source: the contract's section on settings (codes compare exactly, but hex card numbers whatever their
case) and its row on `gatectl cards`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

# EM4100 numbers (8 or 10 digits) and the UIDs of MIFARE cards (4, 7 or 10 bytes): one reader writes
# them small, the next in capitals. No other code is touched.
_HEX_NUMBER = re.compile(r"(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{10}|[0-9A-Fa-f]{14}|[0-9A-Fa-f]{20})")

_HEADER = ("code", "partner", "member")


@dataclass(frozen=True, slots=True)
class Card:
    """A code as it was enrolled, and whose it is."""

    code: str
    partner: str
    member: str
    customer: str | None = None
    """The partner's own number of the customer, where it needs one."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """What is wrong with a line of CSV; `line` counts from 1."""

    line: int
    what: str


Check = Callable[[Card], str | None]
"""What speaks against a card, or None."""


def key_of(code: str) -> str:
    """What is compared: the code itself, or a hex card number in capitals."""
    return code.upper() if _HEX_NUMBER.fullmatch(code) else code


def from_csv(text: str, check: Check) -> tuple[list[Card], list[BadLine]]:
    """All cards in the text and all that is wrong with it; a header is taken or left.

    A card that stands there twice for the same member counts once.
    """
    cards: dict[str, tuple[int, Card]] = {}
    problems: list[BadLine] = []
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in rows:
            if not row or (rows.line_num == 1 and tuple(map(str.lower, row)) == _HEADER):
                continue
            problem = _take(row, rows.line_num, check, cards)
            if problem is not None:
                problems.append(BadLine(rows.line_num, problem))
    except csv.Error as error:
        # Quotes that do not close swallow what follows: nothing after this line can be trusted.
        problems.append(BadLine(rows.line_num, f"not CSV: {error}"))
    return [card for _, card in cards.values()], problems


def _take(row: list[str], line: int, check: Check, cards: dict[str, tuple[int, Card]]) -> str | None:
    if len(row) != len(_HEADER):
        return f"{len(row)} columns instead of the three code,partner,member"
    card = Card(*row)
    problem = check(card)
    if problem is not None:
        return problem
    first, other = cards.setdefault(key_of(card.code), (line, card))
    if (other.partner, other.member) != (card.partner, card.member):
        return f"card {card.code!r} stands in line {first} for another member"
    return None


def to_csv(cards: Iterable[Card]) -> str:
    """The cards as CSV with a header, as `from_csv` takes it back."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((card.code, card.partner, card.member) for card in cards)
    return out.getvalue()
