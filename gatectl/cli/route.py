"""`gatectl route CODE`: show which card or route takes a code, and its partner, without a request.

`gatectl devices` takes from here the setting that makes of a card's number what is printed on it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from gatectl.config.model import Settings
from gatectl.config.reader import find, load
from gatectl.decision.cards import Card, key_of
from gatectl.decision.reader.card_notations import (
    Fit,
    KnownCards,
    Sample,
    fits_of,
    looks_like_card,
    notations,
)
from gatectl.decision.reader.card_numbers import Conversion
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.decision.routing import destination, objection
from gatectl.decision.toml_text import Value, toml_value
from gatectl.errors import GatectlError, UsageError
from gatectl.journal.reader import enrolled
from gatectl.partners.registry import numbers_of


@dataclass(frozen=True, slots=True)
class Way:
    """The destination of a code at a door, or why it has none; the fields of `--json`."""

    code: str
    door: str
    recognised: bool
    by: str | None = None
    route: int | None = None
    match: str | None = None
    partner: str | None = None
    member: str | None = None
    customer: str | None = None
    why: str | None = None

    def sentence(self) -> str:
        if self.by is None:
            return f"{self.door}: {self.why}"
        through = "an enrolled card" if self.by == "card" else f"routes[{self.route}] {self.match}"
        ending = "" if self.recognised else f", but {self.why}"
        customer = "" if self.customer is None else f", customer {self.customer}"
        return f"{self.door}: {through} leads to {self.partner}, member {self.member}{customer}{ending}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the code and the door."""
    parser.add_argument("code", metavar="CODE", help="as the scanner reads it")
    parser.add_argument("--door", metavar="D", help="at this door alone")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """Return 0 also if nothing takes the code: the output says it."""
    settings = load(find(args.config, os.environ))
    reading = reading_of_text(args.code)
    if not isinstance(reading, Code):
        raise UsageError("gatectl route: this is no code: 1 to 512 characters without control characters")
    if args.door is not None and args.door not in settings.doors:
        raise GatectlError(f"there is no door {args.door!r}", f"there are {', '.join(settings.doors)}")
    doors = list(settings.doors) if args.door is None else [args.door]
    cards = enrolled(settings.journal.path)
    ways = [way(reading.text, door, settings, cards) for door in doors]
    ways = [one if one.by else _with_other_notation(one, settings, cards) for one in ways]
    if args.json:
        chosen = next((one for one in ways if one.recognised), ways[0])
        print(json.dumps(asdict(chosen), ensure_ascii=False))
    else:
        print(*(one.sentence() for one in ways), sep="\n")
    return 0


def way(code: str, door: str, settings: Settings, cards: dict[str, Card]) -> Way:
    """Find what the daemon would do with this code at this door."""
    found = destination(code, door, cards, [route.route() for route in settings.routes])
    if found is None:
        return Way(code, door, recognised=False, why="no card and no route takes this code")
    customer = found.customer
    partner = settings.partners.get(found.partner)
    if partner is None:
        why: str | None = f"the partner {found.partner} is not in the settings"
    else:
        needed = numbers_of(partner)
        customer = found.customer if needed.customer else None
        flaw = objection(needed, found.member, found.customer)
        why = f"{flaw.what}; needed: {flaw.needed}" if flaw else None
    return Way(
        code=code,
        door=door,
        recognised=why is None,
        by="card" if found.route is None else "route",
        route=found.route,
        match=None if found.route is None else settings.routes[found.route].match.pattern,
        partner=found.partner,
        member=found.member,
        customer=customer,
        why=why,
    )


def _with_other_notation(lost: Way, settings: Settings, cards: dict[str, Card]) -> Way:
    """Say of a code that nothing takes if the same card would be known by another number of its own."""
    for other in KnownCards(card.code for card in cards.values()).others(lost.code):
        card = cards[key_of(other)]
        whose = f"for member {card.member} of {card.partner}"
        hint = f"gatectl devices --printed {other} finds the reader's setting"
        return replace(lost, why=f"{lost.why}; but the same card may be enrolled as {other}, {whose}: {hint}")
    for one in notations(lost.code) if looks_like_card(lost.code) else ():
        found = way(one.text, lost.door, settings, cards)
        if found.recognised:
            setting = f"card = {toml_value(card_table(one.conversion))}"
            known = f"routes[{found.route}] takes its other number {one.text}"
            return replace(
                lost, why=f"{lost.why}; but {known}, which the reader's setting {setting} makes of it"
            )
    return lost


class CardSetting(NamedTuple):
    """The setting that turns what the reader sends into what is printed on the cards."""

    table: dict[str, Value] | None
    """None where the reader sends it so already."""
    others: list[dict[str, Value]]
    """The settings that fit these cards too."""
    notes: list[str]
    """Lines for people."""


def card_table(conversion: Conversion) -> dict[str, Value]:
    """Return the setting `card` of a conversion, without what is at its default."""
    table: dict[str, Value] = {"read": conversion.read}
    if conversion.size is not None:
        table["bytes"] = conversion.size
    if conversion.order != "as-read":
        table["order"] = conversion.order
    return {**table, "write": conversion.write}


def setting_for(samples: Sequence[Sample]) -> CardSetting:
    """Return the setting for these cards. GatectlError if no setting fits them."""
    if all(key_of(one.read) == key_of(one.printed.strip()) for one in samples):
        return CardSetting(None, [], ["the reader sends the number as it is printed: no `card` is needed"])
    fits = fits_of(samples)
    if not fits:
        cards = ", ".join(f"{one.printed!r} from {one.read!r}" for one in samples)
        raise GatectlError(
            f"no setting makes {cards}",
            "is it the same card, and the whole number? The lines above show the card's other notations",
        )
    best, *others = fits
    notes = [*_about_padding(best, samples), *_about_others(others, samples)]
    return CardSetting(card_table(best.conversion), [card_table(one.conversion) for one in others], notes)


def _about_padding(best: Fit, samples: Sequence[Sample]) -> list[str]:
    if best.is_exact:
        return []
    come = " and ".join(best.conversion.convert(one.read) for one in samples)
    printed = " and ".join(one.printed for one in samples)
    return [f"no setting writes {printed}: with this one it is {come}; enrol cards and write routes so"]


def _about_others(others: list[Fit], samples: Sequence[Sample]) -> list[str]:
    """Ask for another card where these do not say which of several settings it is."""
    if not others:
        return []
    given = " ".join(f"--printed {shlex.quote(one.printed)}" for one in samples)
    also = " and ".join(f"card = {toml_value(card_table(one.conversion))}" for one in others)
    return [
        f"ambiguous: these settings fit as well: {also}",
        f"scan a second card too, to be sure: gatectl devices {given} --printed NUMBER-ON-THE-SECOND",
    ]
