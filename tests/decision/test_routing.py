"""Routing of codes to partners, and the numbers that a protocol can carry."""

import re

import pytest

from gatectl.decision.cards import Card, key_of
from gatectl.decision.routing import Destination, Objection, Route, destination, objection
from gatectl.partners.capitan import CapitanSettings
from gatectl.partners.perfectgym import PerfectGymSettings
from gatectl.partners.registry import numbers_of
from gatectl.partners.wellhub.check_in import WellhubSettings
from gatectl.validators.values import KeySource

KEY = KeySource(env="KEY")
PARTNERS = {
    "perfectgym": PerfectGymSettings(protocol="perfectgym", url="https://a.example/check", key=KEY),
    "wellhub": WellhubSettings(protocol="wellhub", gym_id="1234", key=KEY),
    "capitan": CapitanSettings(protocol="capitan", key=KEY),
}

WIDE = "\uff11"  # a digit to Unicode, none to a protocol


def route(pattern, partner="p", doors=None):
    return Route(re.compile(pattern, re.ASCII), partner, doors and frozenset(doors))


CUSTOMER_RULE = "1 to 18 digits without a leading zero"
CUSTOMERS = [
    ("1", True),
    ("9" * 18, True),
    ("9" * 19, False),
    ("01", False),
    ("0", False),
    ("-1", False),
    (WIDE * 2, False),
    ("12\n", False),
]


@pytest.mark.parametrize(
    ("protocol", "member", "carried"),
    [
        ("perfectgym", "8213712939218", True),
        ("perfectgym", "0123", True),
        ("perfectgym", "550e8400-e29b-41d4-a716-446655440000", True),
        ("perfectgym", "ü" * 128, True),
        ("perfectgym", "x" * 129, False),
        ("perfectgym", "", False),
        ("perfectgym", "  ", False),
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
    flaw = objection(numbers_of(PARTNERS[protocol]), member, "7")
    assert (flaw is None) is carried
    if flaw:
        assert flaw.what == f"{member!r} is no member's number"


@pytest.mark.parametrize(("customer", "carried"), CUSTOMERS)
def test_which_customers_numbers_perfectgym_carries(customer, carried):
    flaw = objection(numbers_of(PARTNERS["perfectgym"]), "0123", customer)
    if carried:
        assert flaw is None
    else:
        detail = f"the customer's number is not {CUSTOMER_RULE}"
        assert flaw == Objection(f"{customer!r} is no customer's number", CUSTOMER_RULE, detail)


@pytest.mark.parametrize("customer", [None, ""])
def test_perfectgym_cannot_be_asked_without_the_customers_number(customer):
    flaw = objection(numbers_of(PARTNERS["perfectgym"]), "0123", customer)
    assert flaw is not None
    assert flaw.what == "there is no customer's number for member '0123'"
    assert "(?P<customer>...)" in flaw.needed
    assert flaw.detail == "the customer's number is not known"


@pytest.mark.parametrize(("member", "carried"), CUSTOMERS)
def test_with_one_aggregator_id_for_all_the_member_is_the_customer(member, carried):
    partner = PerfectGymSettings(**{**vars(PARTNERS["perfectgym"]), "aggregator_id": "fitco-4711"})
    flaw = objection(numbers_of(partner), member, None)
    if carried:
        assert flaw is None
    else:
        detail = f"the member's number is not {CUSTOMER_RULE}"
        assert flaw == Objection(f"{member!r} is no member's number", CUSTOMER_RULE, detail)


def test_the_first_route_that_matches_the_whole_code_wins():
    routes = [route(r"\d{13}", "wellhub"), route(r"\d+", "other")]
    assert destination("1" * 13, "main", {}, routes) == Destination("wellhub", "1" * 13, 0)
    assert destination("1" * 14, "main", {}, routes) == Destination("other", "1" * 14, 1)
    assert destination("x" + "1" * 13, "main", {}, routes) is None


def test_the_group_member_is_the_members_number():
    routes = [route(r"WP-(?P<member>\d{1,12})"), route(r"(?P<member>\d+)?X.*")]
    assert destination("WP-42", "main", {}, routes).member == "42"
    assert destination("Xyz", "main", {}, routes).member == "Xyz", "a group that took no part names nobody"


def test_the_group_customer_is_the_customers_number():
    routes = [route(r"WP-(?P<member>\w+)(?:/(?P<customer>\d+))?")]
    assert destination("WP-a1/77", "main", {}, routes) == Destination("p", "a1", 0, "77")
    assert destination("WP-a1", "main", {}, routes) == Destination("p", "a1", 0, None)
    cards = {"WP-a1/77": Card("WP-a1/77", "gym", "b2", "88")}
    assert destination("WP-a1/77", "main", cards, routes) == Destination("gym", "b2", None, "88")


def test_a_route_may_count_at_some_doors_only():
    routes = [route(r"\d+", "side", doors=["side"]), route(r"\d+", "all")]
    assert destination("1", "side", {}, routes).partner == "side"
    assert destination("1", "main", {}, routes).partner == "all"


def test_an_enrolled_card_goes_first():
    cards = {"123": Card("123", "gym", "7")}
    assert destination("123", "main", cards, [route(r"\d+")]) == Destination("gym", "7", None)


def test_hex_card_numbers_compare_without_case_and_other_codes_exactly():
    for number in ("0500207b32", "042b73321a3180", "deadbeef", "a" * 20):
        cards = {key_of(number): Card(number, "gym", "7")}
        assert destination(number.upper(), "main", cards, []) is not None
        assert destination(number, "main", cards, []) is not None
    for code in ("Ab1", "Anna", "0a3f9c2"):
        cards = {key_of(code): Card(code, "gym", "7")}
        assert destination(code.swapcase(), "main", cards, []) is None
        assert destination(code, "main", cards, []) is not None
