"""Every answer and every fault of the simulator's catalogue, through the whole daemon, to the letter."""

import re
import time

import contract
import pytest
from harness import AMPLE_MS, BRIEF_MS, GOOD, HANG, PINS, code
from limits import CLOCKS_S, NET_S

from gatectl.sim.protocols import PROTOCOLS, catalogue

OPEN_MS = 100

TRIES = 20
"""A rest of two seconds may be over before a busy machine has looked at it, but not so often."""

RESTING = {entry.id for entry in catalogue() if entry.id.endswith(("429", "430", "431"))} | {
    "BUSY",
    "BUSY-UNTIL",
    "BUSY-OPEN",
}
"""After these the partner rests, so each gets a partner to itself."""

UNREAD = re.compile(r"(614|615|616|101|TOO-LARGE.*|NOT-HTTP|SWITCHING)$")
"""Answers that are given up inside, with a fault of the partner and without a status."""


def name_of(entry):
    if entry.fault == "timeout":
        return f"{entry.protocol}-unanswered"  # a partner whose budget is waited for
    return f"{entry.protocol}-{entry.id}" if entry.id in RESTING else entry.protocol


def budget_ms_of(partner):
    return BRIEF_MS if partner.endswith("-unanswered") else AMPLE_MS


@pytest.fixture(scope="module")
def gym(shared_gym):
    names = dict.fromkeys(map(name_of, catalogue()))
    gym = shared_gym(
        {name: {"budget_ms": budget_ms_of(name)} for name in names}, {"main": {"open_ms": OPEN_MS}}
    )
    for partner in gym.partners.simulator.partners.values():
        partner.late_s = NET_S
    return gym


@pytest.fixture(scope="module")
def failing():
    """Partner → the members that failed since its last verdict."""
    return {}


@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: f"{entry.protocol}-{entry.id}")
def test_an_answer(gym, failing, entry):
    partner = name_of(entry)
    openings, asked = len(gym.openings()), len(gym.partners.requests)
    before, begun = time.time(), time.monotonic()
    event = gym.ask(partner, entry.id)
    after = time.time()

    admitted = (entry.verdict, entry.fault) == ("allowed", None)
    assert before - CLOCKS_S < contract.moment(event["at"]) < after
    assert event["kind"] == "scan"
    assert (event["tenant"], event["studio"], event["door"]) == ("FitCo GmbH", "Berlin Mitte", "main")
    assert event["scanner"] == str(gym.scanners["main"].link)
    assert event["credential"] == code(partner, entry.id)
    assert (event["partner"], event["member"]) == (partner, entry.id)
    assert (event["verdict"], event["fault"]) == (entry.verdict, entry.fault)
    assert (event["result"], event["message"]) == contract.RULES[entry.verdict, entry.fault]

    request = event["request"]
    (received,) = gym.partners.requests[asked:]
    assert received.member == entry.id
    assert request["sent"] is True
    assert request["budget_ms"] == budget_ms_of(partner)
    assert request["elapsed_ms"] > 0
    if entry.fault == "timeout":
        assert request["elapsed_ms"] >= BRIEF_MS
    if entry.fault in {"timeout", "network"} or (entry.fault == "partner" and UNREAD.search(entry.id)):
        assert (event["status"], request["answered_at"]) == (None, None)
    else:
        gym.partners.until(lambda: received.status is not None)
        assert event["status"] == received.status
        assert request["answered_at"] is not None

    members = failing.setdefault(partner, set())
    if entry.verdict != "none":
        members.clear()
    elif entry.fault in {"network", "tls", "timeout", "partner"}:
        members.add(entry.id)
    counts = entry.verdict == "none" and entry.fault not in {"credentials", "configuration"}
    assert event["outage"] == (counts and len(members) >= 3)

    opened = gym.openings()[openings:]
    assert len(opened) == admitted
    if admitted:
        gate = event["gate"]
        assert gate["open_ms"] == OPEN_MS
        assert request["elapsed_ms"] <= gate["after_ms"]
        assert opened[0].at > received.last_byte
        assert opened[0].at + before - begun - CLOCKS_S <= contract.moment(gate["opened_at"]) < after


def test_the_commands_show_what_the_journal_holds(gym):
    gym.stop_following()
    shown = gym.events()
    assert [event["member"] for event in shown] == [entry.id for entry in catalogue()]
    assert [event["id"] for event in shown] == sorted(event["id"] for event in shown)
    assert gym.status()["last_event"] == shown[-1]


def test_a_reason_is_cut_at_200_characters(gym):
    gym.stop_following()
    members = {"1461", "1000000000461", "ALERT-LONG", "1233588461", "LONG"}
    long = [event for event in gym.events() if event["member"] in members]
    assert [len(event["reason"]["text"]) for event in long] == [200] * 5


def test_lamps_after_the_last_scan_go_out(gym):
    mark = time.monotonic()
    gym.ask("wellhub", GOOD["wellhub"])
    on = gym.until_pin(PINS["main"]["relay"], 1, mark)
    gym.until_pin(PINS["main"]["relay"], 0, on.at)
    gym.until_levels(PINS["main"]["green"], [0, 1, 0], mark)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_resting_partner_is_not_asked(gym, protocol):
    busy = {
        "perfectgym": "1429",
        "wellhub": "1000000000429",
        "capitan": "BUSY",
        "device-api": "1233588429",
        "http": "BUSY",
    }
    member = busy[protocol]
    partner = f"{protocol}-{member}"
    gym.stop_following()
    first = next(event for event in gym.events("--partner", partner) if event["status"] == 429)
    assert first["fault"] == "partner"
    for _ in range(TRIES):
        # It may have rested long enough meanwhile: then this scan makes it rest again.
        gym.ask(partner, member)
        asked = len(gym.partners.requests)
        event = gym.ask(partner, GOOD[protocol])
        state = gym.call({"command": "status"})["partners"][partner]
        if event["request"] is None and state["state"] == "resting":
            break
    assert len(gym.partners.requests) == asked
    assert (event["result"], event["verdict"], event["fault"]) == ("rejected", "none", "partner")
    assert event["message"] == contract.NO_VERDICT
    assert event["reason"]["key"] == "resting"
    assert (event["request"], event["status"], event["gate"], event["outage"]) == (None, None, None, False)
    assert (event["partner"], event["member"]) == (partner, GOOD[protocol])
    assert contract.moment(state["rests_until"]) - time.time() <= 2


def test_the_rest_is_over_after_retry_after(gym):
    partner = "wellhub-1000000000429"
    gym.stop_following()
    while gym.ask(partner, "1000000000429")["request"] is None:
        pass
    rests_since = gym.partners.requests[-1].answered
    while (event := gym.ask(partner, GOOD["wellhub"]))["request"] is None:
        assert event["reason"]["key"] == "resting"
    assert event["result"] == "admitted"
    assert gym.partners.requests[-1].first_byte - rests_since >= 2


@pytest.mark.parametrize(
    ("partner", "member"),
    [
        ("perfectgym", ""),
        ("perfectgym", "x" * 129),
        ("wellhub", "123456789012"),
        ("wellhub", "12345678901234"),
        ("capitan", ".."),
        ("capitan", ""),
        ("capitan", "x" * 129),
        ("device-api", ""),
        ("device-api", "042b73321a3180"),
        ("device-api", "1" * 65),
        ("http", ""),
        ("http", ".."),
    ],
)
def test_an_id_that_the_protocol_cannot_carry(gym, partner, member):
    asked = len(gym.partners.requests)
    event = gym.ask(partner, member)
    assert len(gym.partners.requests) == asked
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_RECOGNISED)
    assert (event["verdict"], event["fault"], event["status"]) == (None, "unrecognised", None)
    assert (event["request"], event["gate"], event["reason"]) == (None, None, None)
    assert (event["partner"], event["member"]) == (partner, member)


def test_a_code_that_no_route_takes(gym):
    asked = len(gym.partners.requests)
    gym.scan("https://example.com/poster")
    event = gym.next_event()
    assert len(gym.partners.requests) == asked
    assert (event["result"], event["message"]) == ("rejected", contract.NOT_RECOGNISED)
    assert (event["verdict"], event["fault"]) == (None, "unrecognised")
    assert (event["partner"], event["member"], event["request"], event["gate"]) == (None, None, None, None)
    assert event["credential"] == "https://example.com/poster"


def test_a_hanging_partner_does_not_hold_up_the_next_scan(gym):
    codes = code("wellhub-unanswered", HANG["wellhub"]), code("wellhub-unanswered", GOOD["wellhub"])
    gym.scan("\r".join(codes))
    hung, good = gym.next_events(2)
    assert hung["fault"] == "timeout"
    # Its budget began when the door was free, and its time when the code was complete.
    assert good["result"] == "admitted"
    assert good["request"]["elapsed_ms"] > BRIEF_MS
