"""Whose member it is, and which numbers a protocol can carry."""

import re

import pytest

from gatectl.decision.cards import Card, key_of
from gatectl.decision.routing import Destination, Route, carries, destination

WIDE = "\uff11"  # a digit to Unicode, none to a protocol


def route(pattern, partner="p", doors=None):
    return Route(re.compile(pattern, re.ASCII), partner, doors and frozenset(doors))


@pytest.mark.parametrize(
    ("protocol", "member", "carried"),
    [
        ("perfectgym", "1", True),
        ("perfectgym", "9" * 18, True),
        ("perfectgym", "9" * 19, False),
        ("perfectgym", "01", False),
        ("perfectgym", "0", False),
        ("perfectgym", "", False),
        ("perfectgym", "-1", False),
        ("perfectgym", WIDE * 2, False),
        ("perfectgym", "12\n", False),
        ("wellhub", "0123456789012", True),
        ("wellhub", "123456789012", False),
        ("wellhub", "12345678901234", False),
        ("wellhub", "123456789012x", False),
        ("wellhub", WIDE * 13, False),
        ("capitan", "abc 1/2?#%", True),
        ("capitan", "ü" * 128, True),
        ("capitan", "x" * 129, False),
        ("capitan", "", False),
        ("capitan", ".", False),
        ("capitan", "..", False),
        ("capitan", "...", True),
        ("capitan", ".a", True),
    ],
)
def test_which_ids_a_protocol_carries(protocol, member, carried):
    assert carries(protocol, member) is carried


def test_the_first_route_that_matches_the_whole_code_wins():
    routes = [route(r"\d{13}", "wellhub"), route(r"\d+", "other")]
    assert destination("1" * 13, "main", {}, routes) == Destination("wellhub", "1" * 13, 0)
    assert destination("1" * 14, "main", {}, routes) == Destination("other", "1" * 14, 1)
    assert destination("x" + "1" * 13, "main", {}, routes) is None


def test_the_group_member_is_the_members_number():
    routes = [route(r"WP-(?P<member>\d{1,12})"), route(r"(?P<member>\d+)?X.*")]
    assert destination("WP-42", "main", {}, routes).member == "42"
    assert destination("Xyz", "main", {}, routes).member == "Xyz", "a group that took no part names nobody"


def test_a_route_may_count_at_some_doors_only():
    routes = [route(r"\d+", "side", doors=["side"]), route(r"\d+", "all")]
    assert destination("1", "side", {}, routes).partner == "side"
    assert destination("1", "main", {}, routes).partner == "all"


def test_an_enrolled_card_goes_first():
    cards = {"123": Card("123", "gym", "7")}
    assert destination("123", "main", cards, [route(r"\d+")]) == Destination("gym", "7", None)


def test_hex_card_numbers_compare_whatever_their_case_and_nothing_else_does():
    for number in ("0500207b32", "042b73321a3180", "deadbeef", "a" * 20):
        cards = {key_of(number): Card(number, "gym", "7")}
        assert destination(number.upper(), "main", cards, []) is not None
        assert destination(number, "main", cards, []) is not None
    cards = {key_of("Ab1"): Card("Ab1", "gym", "7")}
    assert destination("AB1", "main", cards, []) is None
