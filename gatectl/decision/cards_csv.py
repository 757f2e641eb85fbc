"""The CSV form of enrolled cards: `code,partner,member,customer`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from gatectl.decision.cards import Card, key_of
from gatectl.decision.spreadsheet import BadLine, Columns, bad_lines, written

_COLUMNS = Columns(
    names=("code", "partner", "member", "customer"),
    least=3,  # few partners need the customer's number
    headings={
        **dict.fromkeys(("karte", "kartennummer"), "code"),
        **dict.fromkeys(("mitglied", "mitgliedsnummer"), "member"),
        **dict.fromkeys(("kunde", "kundennummer"), "customer"),
    },
    shape="code,partner,member and, where needed, customer",
)


class Enrolment(NamedTuple):
    """A card and its line in the file; `line` counts from 1."""

    line: int
    card: Card


Check = Callable[[Card], str | None]
"""An objection to a card, or None."""


def from_csv(text: str, check: Check) -> tuple[list[Enrolment], list[BadLine]]:
    """All cards in the text and all that is wrong with it; a header is taken or left.

    A card that is listed twice for the same member counts once.
    """
    found: dict[str, Enrolment] = {}

    def take(line: int, values: dict[str, str]) -> str | None:
        card = Card(
            values.get("code", ""),
            values.get("partner", ""),
            values.get("member", ""),
            values.get("customer") or None,
        )
        return check(card) or _conflict(found.setdefault(key_of(card.code), Enrolment(line, card)), card)

    bad = bad_lines(text, _COLUMNS, take)
    return list(found.values()), bad


def _conflict(first: Enrolment, card: Card) -> str | None:
    """Return the objection to a card that was listed before, for somebody else."""
    same = (first.card.partner, first.card.member) == (card.partner, card.member)
    if not same:
        return f"card {card.code!r} is in line {first.line} for another member"
    if first.card.customer != card.customer:
        return f"card {card.code!r} is in line {first.line} with another customer's number"
    return None


def to_csv(cards: Iterable[Card]) -> str:
    """The cards as CSV with a header, as `from_csv` takes it back."""
    return "".join(written(table(cards)))


def table(cards: Iterable[Card]) -> list[tuple[str, ...]]:
    """The header and a row for each card; without the column `customer` where no card has one."""
    rows: list[tuple[str, ...]] = [_COLUMNS.names]
    rows += ((card.code, card.partner, card.member, card.customer or "") for card in cards)
    if any(row[-1] for row in rows[1:]):
        return rows
    return [row[:-1] for row in rows]
