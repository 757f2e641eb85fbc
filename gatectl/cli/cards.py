"""`gatectl cards`: enrols cards for members. A running daemon is notified of each change."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from gatectl.cli.control import NotRunning, call
from gatectl.config.model import Settings
from gatectl.config.reader import find, load
from gatectl.decision.cards import Card, key_of
from gatectl.decision.reader.card_notations import KnownCards
from gatectl.decision.reader.reading import MAX_CHARS, Code, bare, reading_of_text
from gatectl.decision.routing import objection
from gatectl.decision.spreadsheet import (
    BadLine,
    Columns,
    NotTextError,
    bad_lines,
    decoded,
    shortened,
    written,
    zeros_lost,
)
from gatectl.errors import SUDO, GatectlError, near, visible
from gatectl.journal import cards as store
from gatectl.journal.reader import enrolled
from gatectl.journal.schema import open_store, remedy
from gatectl.partners.registry import numbers_of

_WIDEST = 40
"""Maximum characters of a column in the list: a code may have 512."""

_NOTES_MAX = 10
"""More notes about one list of cards say the same."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    adding = actions.add_parser("add", help="enrol a card")
    adding.add_argument("code", metavar="CODE", help="as the reader sends it")
    adding.add_argument("partner", metavar="PARTNER", help="the partner's name in the settings")
    adding.add_argument("member", metavar="MEMBER", help="the member's number at the partner")
    adding.add_argument(
        "customer", metavar="CUSTOMER", nargs="?", help="the customer's number, where the partner needs it"
    )
    adding.set_defaults(action=_add)
    removing = actions.add_parser("remove", help="forget a card")
    removing.add_argument("code", metavar="CODE")
    removing.set_defaults(action=_remove)
    listing = actions.add_parser("list", help="show all cards")
    listing.add_argument("--json", action="store_true", help="one object a line")
    listing.set_defaults(action=_list)
    importing = actions.add_parser(
        "import", help="enrol the cards of a CSV file code,partner,member[,customer]"
    )
    importing.add_argument("file", metavar="FILE", help="- is standard input")
    importing.add_argument(
        "--replace", action="store_true", help="cards that belong to another member get their new one"
    )
    importing.set_defaults(action=_import)
    exporting = actions.add_parser("export", help="print all cards as CSV")
    exporting.set_defaults(action=_export)


def run(args: argparse.Namespace) -> int:
    action: Callable[[argparse.Namespace, Settings], None] = args.action
    action(args, load(find(args.config, os.environ)))
    return 0


def _add(args: argparse.Namespace, settings: Settings) -> None:
    card = Card(bare(args.code), args.partner, args.member.strip(), args.customer or None)
    problem = _problem(card, settings)
    if problem is not None:
        raise GatectlError(*problem)
    card = _as_needed(card, settings)
    with opened(settings) as connection:
        store.add(connection, card)
        _note_other_notations([card], store.load_all(connection))
    notify_daemon(settings)


def _remove(args: argparse.Namespace, settings: Settings) -> None:
    with opened(settings) as connection:
        card = store.remove(connection, bare(args.code))
    if card is None:
        raise GatectlError(f"there is no card {args.code!r}", "gatectl cards list shows those there are")
    notify_daemon(settings)


def _list(args: argparse.Namespace, settings: Settings) -> None:
    cards = _all(settings)
    if args.json:
        for card in cards:
            print(json.dumps(card._asdict(), ensure_ascii=False))
    elif cards:
        headings, *rows = table(cards)
        print(*_columns([[heading.capitalize() for heading in headings], *rows]), sep="\n")
    else:
        print("no cards", file=sys.stderr)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a line for each row, with aligned columns except for the few very long cells."""
    shown = [[visible(cell) for cell in row] for row in rows]
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*shown, strict=True)]
    for row in shown:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _import(args: argparse.Namespace, settings: Settings) -> None:
    def check(card: Card) -> str | None:
        problem = _problem(card, settings)
        return None if problem is None else "; ".join(problem)

    enrolments, bad = from_csv(text_of(args.file), check)
    if bad:
        raise BadCsvError(args.file, bad)
    if not enrolments:
        raise GatectlError(f"{name_of(args.file)}: there is no card in it", "a line is code,partner,member")
    with opened(settings) as connection:
        try:
            cards = [_as_needed(one.card, settings) for one in enrolments]
            moved = store.put_all(connection, cards, replace=args.replace)
            _note_other_notations(cards, store.load_all(connection))
        except store.OthersCardsError as error:
            hint = "nothing was imported; --replace gives such cards to their new members"
            raise BadCsvError(args.file, _others(enrolments, error.cards), hint) from error
    notify_daemon(settings)
    words = f"; {moved} of them belonged to another member" if moved else ""
    print(f"imported: {len(enrolments)}{words}", file=sys.stderr)


def _note_other_notations(new: list[Card], enrolled: dict[str, Card]) -> None:
    """Warn of cards that may be enrolled under another number of theirs: readers send one alone."""
    known = KnownCards(card.code for card in enrolled.values())
    notes = []
    for card in new:
        for other in known.others(card.code):
            owner = enrolled[key_of(other)]
            notes.append(
                f"{card.code} may be the card that is also enrolled as {other}, for member {owner.member} of "
                f"{owner.partner}: gatectl devices --printed {other} says which one the reader sends"
            )
    for note in notes[:_NOTES_MAX]:
        print(f"note: {visible(note)}", file=sys.stderr)
    if len(notes) > _NOTES_MAX:
        print(f"note: and {len(notes) - _NOTES_MAX} more such cards", file=sys.stderr)


def _others(enrolments: list[Enrolment], others: list[Card]) -> list[BadLine]:
    """Return the lines whose card belongs to another member."""
    owners = {key_of(card.code): card for card in others}
    return [
        BadLine(
            one.line,
            f"card {one.card.code!r} already belongs to member {owner.member!r} of {owner.partner}",
        )
        for one in enrolments
        if (owner := owners.get(key_of(one.card.code)))
    ]


def _export(_args: argparse.Namespace, settings: Settings) -> None:
    sys.stdout.write(to_csv(_all(settings)))


class BadCsvError(GatectlError):
    """A CSV file with all its errors; none of its lines was imported."""

    def __init__(self, file: str, bad: list[BadLine], *hints: str) -> None:
        hints = hints or ("nothing was imported; correct the lines and try again",)
        super().__init__(f"{name_of(file)}: {len(bad)} bad lines", *hints)
        self._name = name_of(file)
        self._bad = bad

    def lines(self) -> list[str]:
        """Return a line for each bad line."""
        bad = [visible(f"{self._name}:{one.line}: {one.what}") for one in self._bad]
        return [*bad, *(f"hint: {hint}" for hint in self.hints)]


def _problem(card: Card, settings: Settings) -> tuple[str, ...] | None:
    """An objection to a card and the remedy; None where it is fine."""
    for number in (card.code, card.member, card.customer or ""):
        spoiled = shortened(number)
        if spoiled is not None:
            return (spoiled,)
    if not isinstance(reading_of_text(card.code), Code):
        return (f"{card.code!r} is not a code: 1 to {MAX_CHARS} characters, no control characters",)
    partner = settings.partners.get(card.partner)
    if partner is None:
        hints = near(card.partner, settings.partners) or (
            f"there are: {', '.join(settings.partners) or 'none'}",
        )
        return (f"there is no partner {card.partner!r} in the settings", *hints)
    needed = numbers_of(partner)
    flaw = objection(needed, card.member, card.customer)
    if flaw is None:
        return None
    hints = (f"{partner.protocol}: {flaw.needed}", *zeros_lost(card.member, needed.member.pattern))
    return f"{flaw.what} of {card.partner}", *hints


def _as_needed(card: Card, settings: Settings) -> Card:
    """Return the card, without a customer's number that its partner does not use."""
    has_customers = numbers_of(settings.partners[card.partner]).customer is not None
    return card if has_customers else card._replace(customer=None)


def text_of(file: str) -> str:
    """Read the text of a CSV file, or of standard input for `-`. Raises GatectlError, also if missing."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        text = decoded(content)
    except OSError as error:
        raise GatectlError(f"{file}: {error.strerror}") from error
    except NotTextError as error:
        hint = "save it as CSV in UTF-8"
        raise GatectlError(f"{name_of(file)}: neither UTF-8 nor Windows-1252 text", hint) from error
    if not text.strip():
        raise GatectlError(f"{name_of(file)}: the file is empty")
    return text


def name_of(file: str) -> str:
    """Return a file's name for people."""
    return "standard input" if file == "-" else file


def _all(settings: Settings) -> list[Card]:
    return list(enrolled(settings.journal.path).values())


@contextmanager
def opened(settings: Settings) -> Iterator[sqlite3.Connection]:
    """Open the store of the cards for changes. Raises GatectlError, also for errors inside the block."""
    path = settings.journal.path
    try:
        with closing(open_store(path)) as connection:
            yield connection
    except OSError as error:
        raise GatectlError(f"{path}: the store cannot be reached: {error.strerror}", SUDO) from error
    except sqlite3.DatabaseError as error:
        raise GatectlError(f"{path}: the store cannot be reached: {error}", remedy(error, SUDO)) from error


def notify_daemon(settings: Settings) -> None:
    """Let a running daemon read the cards again; warn the user if it cannot be notified."""
    try:
        call(settings.control.socket, {"command": "reload_cards"})
    except NotRunning:
        return  # the next start reads them
    except GatectlError as error:
        print(
            f"the cards are saved, but the daemon could not be notified: {error.message}",
            file=sys.stderr,
        )
        print("hint: restart it: systemctl restart gatectl", file=sys.stderr)


# --- As CSV: `code,partner,member,customer` ---------------------------------------------------------

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
