"""`return_min`: a member who passed comes back, through a daemon, its pins, its partners and its journal."""

import time
import uuid
from contextlib import closing

import contract
import pytest
from harness import code

from gatectl.decision.event import Attempt, Outcome
from gatectl.decision.verdict import Result
from gatectl.journal.schema import open_store
from gatectl.journal.statements import attempt_statement, outcome_statement

SENSOR = 27
DOOR = {
    "passage": {"pin": SENSOR, "debounce_ms": 0, "wait_ms": 60_000},
    "open_ms": 60_000,
    "return_min": 30,
}
ONCE = {"wellhub": "1000000000700", "capitan": "ONCE"}
"""Members whom the simulator admits once, and refuses from then on."""


def pass_through(gym):
    gym.drive(SENSOR, 0)
    passed = gym.next_event()
    assert (passed["kind"], passed["result"]) == ("passage", "passed")
    gym.drive(SENSOR, 1)


@pytest.mark.parametrize("partner", ONCE)
def test_a_member_comes_back_and_the_journal_survives_a_power_cut(gym, partner):
    gym = gym({partner: {}}, {"main": DOOR}).start()
    assert gym.ask(partner, ONCE[partner])["basis"] == "partner"
    pass_through(gym)
    event = gym.ask(partner, ONCE[partner])
    assert (event["result"], event["basis"], event["verdict"], event["fault"]) == (
        "admitted",
        "return",
        "not_allowed",
        None,
    )
    assert event["message"] == "Let in again: came back"
    assert event["status"] >= 400
    gym.logged(f"main: admitted {code(partner, ONCE[partner])} ({partner} ", "Let in again: came back")
    pass_through(gym)
    gym.kill9()
    gym.start()
    event = gym.ask(partner, ONCE[partner])
    assert event["basis"] == "return"
    assert len(gym.partners.requests) == 3


def test_without_a_passage_the_refusal_counts(gym):
    gym = gym(
        {"wellhub": {}}, {"main": DOOR | {"open_ms": 100, "passage": DOOR["passage"] | {"wait_ms": 100}}}
    )
    gym.settings.write_text(gym.settings.read_text().replace("return_min", "again_s = 0\nreturn_min"))
    gym.start()
    assert gym.ask("wellhub", ONCE["wellhub"])["result"] == "admitted"
    assert gym.next_event()["result"] == "not_passed"
    event = gym.ask("wellhub", ONCE["wellhub"])
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_ALLOWED)
    assert event["reason"]["key"] == "checkin.already.validated"


def test_a_passage_at_another_door_counts(gym):
    gym = gym({"wellhub": {}}, {"main": DOOR, "side": {"contact": {"pin": 6}, "return_min": 30}})
    gym.settings.write_text(gym.settings.read_text().replace("green = 6", "green = 19"))
    gym.start()
    assert gym.ask("wellhub", ONCE["wellhub"])["result"] == "admitted"
    pass_through(gym)
    event = gym.ask("wellhub", ONCE["wellhub"], "side")
    assert (event["door"], event["basis"]) == ("side", "return")
    assert event["reason"]["key"] == "checkin.already.validated"


@pytest.mark.parametrize(
    ("partner", "member", "result", "basis"),
    [
        ("perfectgym", "1403", "admitted", "return"),
        ("perfectgym", "1404", "rejected", None),
        ("http", "REFUSED", "admitted", "return"),
        ("http", "UNKNOWN", "rejected", None),
        ("wellhub", "1000000000453", "rejected", None),  # the check-in has expired
        ("device-api", "1233588403", "rejected", None),
    ],
)
def test_partners_without_a_reason_for_it_mean_it_with_every_not_allowed(gym, partner, member, result, basis):
    gym = gym({partner: {}}, {"main": DOOR})
    record_passage(gym, partner, member)
    gym.start()
    event = gym.ask(partner, member)
    assert (event["result"], event["basis"]) == (result, basis)
    assert event["verdict"] in {"not_allowed", "not_found"}


def record_passage(gym, partner, member):
    """A passage of ten minutes ago, before the machine was restarted."""
    attempt = Attempt(
        id=str(uuid.uuid4()),
        kind="passage",
        at_us=time.time_ns() // 1000 - 600_000_000,
        tenant="FitCo GmbH",
        studio="Berlin Mitte",
        door="main",
        scanner=None,
        credential=code(partner, member),
        partner=partner,
        member=member,
        budget_ms=None,
        boot="f" * 32,
        since_boot_us=0,
        of=str(uuid.uuid4()),
    )
    gym.journal.parent.mkdir(exist_ok=True)
    with closing(open_store(gym.journal)) as store:
        store.execute(*attempt_statement(attempt))
        store.execute(*outcome_statement(attempt.id, Outcome(Result.PASSED, "Passed")))
    gym.pass_over()
