"""Finds the partner and member of a code: an enrolled card first, then the routes in their order.

Which numbers a partner needs, and which it can be asked with, are facts of its protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatectl.decision.cards import Card, key_of


class Number(NamedTuple):
    """The numbers of one sort that a protocol can carry: as a pattern, and in words."""

    pattern: re.Pattern[str]
    rule: str
    lengths: tuple[int, int]
    """The least and the most characters."""


class Numbers(NamedTuple):
    """The numbers that a protocol needs to ask about a member."""

    member: Number
    customer: Number | None = None
    """None where there is only the member's."""


class Objection(NamedTuple):
    """The reason why a partner cannot be asked: what is wrong, and what is needed instead."""

    what: str
    needed: str
    detail: str
    """The same in one, without the number itself."""


def objection(numbers: Numbers, member: str, customer: str | None) -> Objection | None:
    """The objection to asking with these two numbers, or None."""
    if not numbers.member.pattern.fullmatch(member):
        return _no_such("member", member, numbers.member.rule)
    if numbers.customer is None:
        return None
    if not customer:
        return Objection(
            f"there is no customer's number for member {member!r}",
            "CUSTOMER on the card, or a group (?P<customer>...) in the route",
            "the customer's number is not known",
        )
    if not numbers.customer.pattern.fullmatch(customer):
        return _no_such("customer", customer, numbers.customer.rule)
    return None


def _no_such(sort: str, number: str, rule: str) -> Objection:
    return Objection(f"{number!r} is no {sort}'s number", rule, f"the {sort}'s number is not {rule}")


class Route(NamedTuple):
    """A pattern (compiled with `re.ASCII`) that must match the whole code, and the partner it leads to."""

    pattern: re.Pattern[str]
    partner: str
    doors: frozenset[str] | None = None
    """Only at these doors; None is every door."""


class Destination(NamedTuple):
    """The partner and member of a code, and the enrolled card or the route's index that led to them."""

    partner: str
    member: str
    route: int | None = None
    customer: str | None = None
    """Set if the card or the route has it, whether the partner needs it or not."""


def destination(
    code: str, door: str, cards: Mapping[str, Card], routes: Iterable[Route]
) -> Destination | None:
    """The first that takes the code, or None.

    An enrolled card is final: where its partner is gone, the code is not tried on the routes, which
    might send another gym's member number to the wrong partner.
    """
    card = cards.get(key_of(code))
    if card is not None:
        return Destination(card.partner, card.member, customer=card.customer)
    for index, route in enumerate(routes):
        if route.doors is not None and door not in route.doors:
            continue
        match = route.pattern.fullmatch(code)
        if match is not None:
            return Destination(route.partner, _member(match), index, _group(match, "customer") or None)
    return None


def _member(match: re.Match[str]) -> str:
    group = _group(match, "member")
    return match.group() if group is None else group


def _group(match: re.Match[str], name: str) -> str | None:
    return match.groupdict().get(name)
