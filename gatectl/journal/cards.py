"""The enrolled cards, in the same database as the journal.

Every function takes a connection of `schema.open_store`; a change is one transaction. They raise
`sqlite3.Error` for the disk's errors.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterable

from gatectl.decision.cards import Card, key_of
from gatectl.errors import GatectlError
from gatectl.journal.schema import transaction

_PUT = "INSERT OR REPLACE INTO cards (key, code, partner, member, customer) VALUES (?, ?, ?, ?, ?)"


class EnrolledElsewhereError(GatectlError):
    """The code is already enrolled for another member."""


class OthersCardsError(GatectlError):
    """Codes of a list are already enrolled for other members; `cards` are the enrolled ones."""

    def __init__(self, cards: list[Card]) -> None:
        super().__init__(f"{len(cards)} cards already belong to other members")
        self.cards = cards


def load_all(connection: sqlite3.Connection) -> dict[str, Card]:
    """All cards, by the key that codes are compared by, in the order of their partners and members."""
    rows = connection.execute(
        "SELECT key, code, partner, member, customer FROM cards ORDER BY partner, member, key"
    )
    return {key: Card(*values) for key, *values in rows}


def add(connection: sqlite3.Connection, card: Card) -> None:
    """Enrol a card; to enrol it twice for the same member is fine.

    Raises EnrolledElsewhereError where the code is enrolled for another.
    """
    with transaction(connection):
        present = _get(connection, card.code)
        if present is not None and not _is_same_member(present, card):
            raise EnrolledElsewhereError(
                f"card {card.code!r} already belongs to member {present.member!r} of {present.partner}",
                f"remove it first: gatectl cards remove {shlex.quote(card.code)}",
            )
        connection.execute(_PUT, _row(card))


def remove(connection: sqlite3.Connection, code: str) -> Card | None:
    """Remove a card; return it, or None if there was none."""
    with transaction(connection):
        present = _get(connection, code)
        connection.execute("DELETE FROM cards WHERE key = ?", (key_of(code),))
    return present


def put_all(connection: sqlite3.Connection, cards: Iterable[Card], *, replace: bool = False) -> int:
    """Enrol all of them or, if anything fails, none; return how many had another member before.

    Raises OthersCardsError where codes are enrolled for another member, unless `replace` is set.
    """
    cards = list(cards)
    with transaction(connection):
        present = load_all(connection)
        others = [
            other
            for card in cards
            if (other := present.get(key_of(card.code))) and not _is_same_member(other, card)
        ]
        if others and not replace:
            raise OthersCardsError(others)
        put(connection, cards)
    return len(others)


def put(connection: sqlite3.Connection, cards: Iterable[Card]) -> None:
    """Enrol all of them inside the caller's transaction; those of another member are replaced."""
    connection.executemany(_PUT, map(_row, cards))


def _is_same_member(one: Card, other: Card) -> bool:
    return (one.partner, one.member) == (other.partner, other.member)


def _get(connection: sqlite3.Connection, code: str) -> Card | None:
    row = connection.execute(
        "SELECT code, partner, member, customer FROM cards WHERE key = ?", (key_of(code),)
    ).fetchone()
    return None if row is None else Card(*row)


def _row(card: Card) -> tuple[str, str, str, str, str | None]:
    return key_of(card.code), card.code, card.partner, card.member, card.customer
