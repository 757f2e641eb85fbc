"""Whose member it is: an enrolled card first, then the routes in their order.

Sources: the contract's sections on settings and on IDs that a protocol cannot carry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gatectl.decision.cards import Card, key_of

_CARRIED = {
    # customerId is an integer: a leading zero would not survive, and 18 digits always fit 64 bits.
    "perfectgym": re.compile(r"[1-9]\d{0,17}", re.ASCII),
    # gympass_id is text of 13 digits; leading zeros occur.
    "wellhub": re.compile(r"\d{13}", re.ASCII),
    # A path segment: `.` and `..` would be resolved away on the road.
    "capitan": re.compile(r"(?!\.{1,2}\Z).{1,128}", re.DOTALL),
}

NUMBERS = {
    "perfectgym": "1 to 18 digits without a leading zero",
    "wellhub": "13 digits",
    "capitan": "1 to 128 characters, not `.` or `..`",
}
"""The same for people."""


def carries(protocol: str, member: str) -> bool:
    """Can this protocol ask about this member's number?"""
    return _CARRIED[protocol].fullmatch(member) is not None


@dataclass(frozen=True, slots=True)
class Route:
    """A pattern (compiled with `re.ASCII`) that must match the whole code, and the partner it leads to."""

    pattern: re.Pattern[str]
    partner: str
    doors: frozenset[str] | None = None
    """Only at these doors; None is every door."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a code leads, and what led there: the enrolled card, or the route's index."""

    partner: str
    member: str
    route: int | None = None
    customer: str | None = None


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
            return Destination(route.partner, _member(match), index, _group(match, "customer"))
    return None


def _member(match: re.Match[str]) -> str:
    group = _group(match, "member")
    return match.group() if group is None else group


def _group(match: re.Match[str], name: str) -> str | None:
    return match.groupdict().get(name)
