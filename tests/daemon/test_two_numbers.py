"""The member's number and the customer's, from the card or the route to the partner and into the event."""

import json

import contract
import pytest
from harness import CUSTOMER, GOOD

ONE_FOR_ALL = "fitco-4711"
RULE = "1 to 18 digits without a leading zero"


@pytest.fixture(scope="module")
def gym(shared_gym):
    return shared_gym({"perfectgym": {}, "perfectgym-old": {"aggregator_id": ONE_FOR_ALL}, "wellhub": {}})


def asked(gym):
    """The body of the latest request."""
    return json.loads(gym.partners.requests[-1].body)


def numbers_of(event):
    return event["partner"], event["member"], event["customer"]


def test_a_route_gives_both(gym):
    gym.scan(f"perfectgym:1001/{CUSTOMER}")
    event = gym.next_event()
    assert event["result"] == "admitted"
    assert numbers_of(event) == ("perfectgym", "1001", CUSTOMER)
    assert asked(gym) == {"aggregatorId": "1001", "customerId": int(CUSTOMER)}


def test_a_card_gives_both(gym):
    assert gym.run("cards", "add", "04A3B2C1", "perfectgym", "1403", "77").returncode == 0
    gym.scan("04a3b2c1")
    event = gym.next_event()
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_ALLOWED)
    assert numbers_of(event) == ("perfectgym", "1403", "77")
    assert asked(gym) == {"aggregatorId": "1403", "customerId": 77}


def test_the_members_number_is_kept_as_text(gym):
    gym.scan(f"perfectgym:0550e840-ü/{CUSTOMER}")
    event = gym.next_event()
    assert event["message"] == contract.NOT_FOUND
    assert asked(gym)["aggregatorId"] == event["member"] == "0550e840-ü"


def test_one_aggregator_id_for_all(gym):
    gym.scan("perfectgym-old:1403")
    event = gym.next_event()
    assert event["message"] == contract.NOT_ALLOWED
    assert numbers_of(event) == ("perfectgym-old", "1403", None)
    assert asked(gym) == {"aggregatorId": ONE_FOR_ALL, "customerId": 1403}


def test_a_partner_without_customers_is_asked_and_recorded_without(gym):
    assert gym.run("cards", "add", "C1", "wellhub", GOOD["wellhub"], "77").returncode == 0
    gym.scan("C1")
    event = gym.next_event()
    assert event["result"] == "admitted"
    assert numbers_of(event) == ("wellhub", GOOD["wellhub"], None)


@pytest.mark.parametrize(
    ("code", "numbers", "objection", "detail"),
    [
        (
            "perfectgym:1001",
            ("perfectgym", "1001", None),
            "there is no customer's number for member '1001'",
            "the customer's number is not known",
        ),
        (
            "perfectgym:1001/",
            ("perfectgym", "1001", None),
            "there is no customer's number for member '1001'",
            "the customer's number is not known",
        ),
        (
            "perfectgym:1001/07",
            ("perfectgym", "1001", "07"),
            "'07' is no customer's number",
            f"the customer's number is not {RULE}",
        ),
        (
            f"perfectgym:1001/{'9' * 19}",
            ("perfectgym", "1001", "9" * 19),
            "is no customer's number",
            f"the customer's number is not {RULE}",
        ),
        (
            "perfectgym:1001/12a",
            ("perfectgym", "1001", "12a"),
            "'12a' is no customer's number",
            f"the customer's number is not {RULE}",
        ),
        (
            "perfectgym-old:0123",
            ("perfectgym-old", "0123", None),
            "'0123' is no member's number",
            f"the member's number is not {RULE}",
        ),
        (
            "perfectgym-old:x",
            ("perfectgym-old", "x", None),
            "'x' is no member's number",
            f"the member's number is not {RULE}",
        ),
    ],
)
def test_no_partner_is_asked_without_both_numbers(gym, code, numbers, objection, detail):
    requests = len(gym.partners.requests)
    gym.scan(code)
    event = gym.next_event()
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_RECOGNISED)
    assert (event["verdict"], event["fault"], event["request"]) == (None, "unrecognised", None)
    assert (numbers_of(event), event["detail"]) == (numbers, detail)
    assert len(gym.partners.requests) == requests
    gym.logged(f"main: {numbers[0]} cannot be asked: ", objection, "; needed: ")


def test_a_card_without_the_customers_number_is_not_enrolled(gym):
    done = gym.run("cards", "add", "04A3B2C2", "perfectgym", "1403")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "there is no customer's number for member '1403' of perfectgym",
        "hint: perfectgym: CUSTOMER on the card, or a group (?P<customer>...) in the route",
    ]


def way(gym, *arguments):
    shown = gym.run("route", *arguments)
    found = gym.run("route", *arguments, "--json")
    assert (shown.returncode, found.returncode) == (0, 0)
    return shown.stdout, json.loads(found.stdout)


def test_route_shows_both_numbers(gym):
    shown, found = way(gym, f"perfectgym:1001/{CUSTOMER}")
    assert shown.endswith(f"leads to perfectgym, member 1001, customer {CUSTOMER}\n")
    assert (found["recognised"], found["member"], found["customer"]) == (True, "1001", CUSTOMER)
    assert found["why"] is None


def test_route_shows_what_is_missing(gym):
    shown, found = way(gym, "perfectgym:1001")
    assert "leads to perfectgym, member 1001, but there is no customer's number" in shown
    assert (found["recognised"], found["member"], found["customer"]) == (False, "1001", None)
    assert found["why"].startswith("there is no customer's number for member '1001'; needed: ")


def test_route_shows_one_number_where_one_is_sent(gym):
    shown, found = way(gym, "perfectgym-old:1001")
    assert shown.endswith("leads to perfectgym-old, member 1001\n")
    assert (found["recognised"], found["customer"]) == (True, None)
