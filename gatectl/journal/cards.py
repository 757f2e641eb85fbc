"""The enrolled cards, in the same database as the journal.

Every function takes a connection of `schema.open_store`; a change is one transaction. They raise
`sqlite3.Error` for what the disk says.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterable

from gatectl.decision.cards import Card, key_of
from gatectl.errors import GatectlError
from gatectl.journal.transaction import transaction

_PUT = "INSERT OR REPLACE INTO cards (key, code, partner, member, customer) VALUES (?, ?, ?, ?, ?)"


class EnrolledElsewhereError(GatectlError):
    """The code already stands for another member."""


def load_all(connection: sqlite3.Connection) -> dict[str, Card]:
    """All cards, by the key that codes are compared by, in the order of their partners and members."""
    rows = connection.execute(
        "SELECT key, code, partner, member, customer FROM cards ORDER BY partner, member, key"
    )
    return {key: Card(*values) for key, *values in rows}


def add(connection: sqlite3.Connection, card: Card) -> None:
    """Enrol a card; to enrol it twice for the same member is fine.

    Raises EnrolledElsewhereError where the code stands for another.
    """
    with transaction(connection):
        present = _get(connection, card.code)
        if present is not None and (present.partner, present.member) != (card.partner, card.member):
            raise EnrolledElsewhereError(
                f"card {card.code!r} already stands for member {present.member!r} of {present.partner}",
                f"remove it first: gatectl cards remove {shlex.quote(card.code)}",
            )
        connection.execute(_PUT, _row(card))


def remove(connection: sqlite3.Connection, code: str) -> Card | None:
    """Forget a card; the one that was there, or None."""
    with transaction(connection):
        present = _get(connection, code)
        connection.execute("DELETE FROM cards WHERE key = ?", (key_of(code),))
    return present


def put_all(connection: sqlite3.Connection, cards: Iterable[Card]) -> None:
    """Enrol all of them or, where anything fails, none. Codes that are there get their new member."""
    with transaction(connection):
        connection.executemany(_PUT, map(_row, cards))


def _get(connection: sqlite3.Connection, code: str) -> Card | None:
    row = connection.execute(
        "SELECT code, partner, member, customer FROM cards WHERE key = ?", (key_of(code),)
    ).fetchone()
    return None if row is None else Card(*row)


def _row(card: Card) -> tuple[str, str, str, str, str | None]:
    return key_of(card.code), card.code, card.partner, card.member, card.customer
