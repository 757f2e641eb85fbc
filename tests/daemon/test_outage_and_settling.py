"""Outages across a restart, and refusals that answer our own unanswered requests."""

import time
from contextlib import closing

import contract
import pytest
from harness import AMPLE_MS, BRIEF_MS, GOOD, code, past_attempt
from limits import CLOCKS_S, NET_S

from gatectl.decision.event import Outcome, RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Result, Verdict
from gatectl.journal.schema import open_store
from gatectl.journal.statements import attempt_statement, outcome_statement
from gatectl.sim.script import RETRY_AFTER_S

RESET, CLOSED, FAILED, HANGS = "1000000000610", "1000000000611", "1000000000500", "1000000000600"
NOT_FOUND, OUR_KEY = "1000000000404", "1000000000403"


@pytest.fixture
def failing(gym):
    return gym({"wellhub": {"budget_ms": BRIEF_MS}, "wellhub-b": {}}).start()


def outages(gym, *members, partner="wellhub"):
    return [gym.ask(partner, member)["outage"] for member in members]


def test_three_different_members_in_a_row(failing):
    assert outages(failing, RESET, CLOSED, HANGS, FAILED, RESET) == [False, False, True, True, True]
    assert failing.status()["partners"]["wellhub"]["state"] == "outage"
    failing.logged("partner wellhub: outage")
    assert failing.ask("wellhub", GOOD["wellhub"])["outage"] is False
    failing.logged("partner wellhub: healthy")


def test_the_same_member_does_not_count_twice(failing):
    assert outages(failing, RESET, RESET, RESET, CLOSED, RESET, CLOSED) == [False] * 6
    assert outages(failing, HANGS) == [True]


def test_a_verdict_in_between_resets_the_count(failing):
    assert outages(failing, RESET, CLOSED, NOT_FOUND, FAILED, RESET) == [False] * 5
    assert outages(failing, HANGS) == [True]


def test_a_refused_key_neither_counts_nor_resets_the_count(failing):
    assert outages(failing, RESET, OUR_KEY, CLOSED, OUR_KEY, HANGS) == [False, False, False, False, True]
    assert outages(failing, OUR_KEY) == [False]


def test_each_partner_has_its_own(failing):
    assert outages(failing, RESET, CLOSED) == [False, False]
    assert outages(failing, FAILED, partner="wellhub-b") == [False]
    assert outages(failing, FAILED) == [True]


def test_it_is_read_back_after_a_restart(failing):
    outages(failing, RESET, CLOSED)
    assert failing.terminate() == 0
    failing.start()
    assert outages(failing, CLOSED) == [False]
    assert outages(failing, FAILED) == [True]
    failing.kill9()
    failing.start()
    assert outages(failing, HANGS) == [True]
    assert outages(failing, GOOD["wellhub"]) == [False]
    assert failing.terminate() == 0
    failing.start()
    assert outages(failing, RESET, CLOSED) == [False, False]


def refused(gym, *members):
    for member in members:
        assert gym.ask("wellhub", member)["result"] == "rejected"


REFUSED = ("1000000000404", "1000000000451", "1000000000453", "1000000000460", "1000000000461")
BUSY = "1000000000429"
EVERYONE = ("partner wellhub: refusing everyone", "check key, url and IDs")


def test_five_different_members_refused_in_a_row_are_a_condition_of_the_partner(failing):
    refused(failing, *REFUSED[:4], *REFUSED[:4])
    assert failing.status()["partners"]["wellhub"]["state"] == "healthy"
    event = failing.ask("wellhub", REFUSED[4])
    assert (event["verdict"], event["fault"], event["outage"]) == ("not_allowed", None, False)
    failing.logged(*EVERYONE)
    assert failing.status()["partners"]["wellhub"]["state"] == "refusing everyone"
    refused(failing, "1000000000466", "1000000000465")
    assert failing.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    failing.logged("partner wellhub: healthy")
    assert failing.count_logged(*EVERYONE) == 1


def test_refusals_of_everyone_are_read_back_after_a_restart_with_their_time(failing):
    refused(failing, *REFUSED)
    last = failing.events("-n", "1")[0]
    assert failing.terminate() == 0
    stopped = time.time()
    failing.start()
    after = failing.status()["partners"]["wellhub"]
    assert after["state"] == "refusing everyone"
    assert contract.moment(last["at"]) - CLOCKS_S <= contract.moment(after["since"]) < stopped
    assert failing.count_logged(*EVERYONE) == 1
    assert failing.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert failing.status()["partners"]["wellhub"]["state"] == "healthy"


def test_the_end_of_a_rest_is_logged_and_dated_by_itself(gym):
    gym = gym().start()
    event = gym.ask("wellhub", BUSY)
    assert event["status"] == 429
    gym.logged("partner wellhub: resting")
    gym.logged("partner wellhub: healthy")  # there are no scans and no status requests
    said = time.time()
    healthy = gym.status()["partners"]["wellhub"]
    assert (healthy["state"], healthy["rests_until"]) == ("healthy", None)
    answered = contract.moment(event["request"]["answered_at"])
    assert answered + RETRY_AFTER_S / 2 < contract.moment(healthy["since"]) < said


def test_a_look_at_the_status_logs_nothing(failing):
    outages(failing, RESET, CLOSED, HANGS)
    assert failing.terminate() == 0
    stopped = time.time()
    failing.start()
    ready = failing.logged("is ready")
    count = failing.lines_so_far().index(ready, len(failing.stderr)) + 1
    states = [failing.status()["partners"]["wellhub"] for _ in range(2)]
    assert [state["state"] for state in states] == ["outage"] * 2
    assert all(contract.moment(state["since"]) < stopped for state in states)
    assert failing.lines_so_far()[count:] == []


HANG_ONCE, LATE_ONCE, RESET_ONCE, CUT_ONCE, FAILED_ONCE = (
    f"100000000070{number}" for number in (1, 2, 3, 4, 5)
)
ALREADY = "1000000000454"


def settling(**more):
    return {"wellhub": {"budget_ms": BRIEF_MS, "settle_s": 3600} | more}


def is_settled_by(event, unanswered):
    return (
        (event["result"], event["message"]) == ("admitted", contract.CHECKED_IN)
        and (event["verdict"], event["status"], event["fault"]) == ("allowed", 400, None)
        and event["reason"]["key"] == f"settled:{unanswered['id']}"
        and event["gate"]["open_ms"] == 100
    )


def is_refused(event):
    return (
        (event["result"], event["message"]) == ("rejected", contract.NOT_ALLOWED)
        and (event["verdict"], event["status"], event["fault"]) == ("not_allowed", 400, None)
        and event["reason"]["key"] == "checkin.already.validated"
        and event["gate"] is None
    )


@pytest.mark.parametrize("member", [HANG_ONCE, LATE_ONCE, RESET_ONCE, CUT_ONCE])
def test_a_refusal_settles_one_unanswered_request(gym, member):
    gym = gym(settling()).start()
    unanswered = gym.ask("wellhub", member)
    assert unanswered["result"] == "rejected"
    assert unanswered["request"]["answered_at"] is None
    assert is_settled_by(gym.ask("wellhub", member), unanswered)
    assert len(gym.openings()) == 1
    assert is_refused(gym.ask("wellhub", member))
    assert len(gym.openings()) == 1


def test_a_500_is_an_answer(gym):
    gym = gym(settling()).start()
    assert gym.ask("wellhub", FAILED_ONCE)["status"] == 500
    assert is_refused(gym.ask("wellhub", FAILED_ONCE))


def test_it_is_off_by_default(gym):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}}).start()
    assert gym.ask("wellhub", HANG_ONCE)["fault"] == "timeout"
    assert is_refused(gym.ask("wellhub", HANG_ONCE))
    assert gym.openings() == []


def test_another_members_request_settles_nothing(gym):
    gym = gym(settling()).start()
    assert gym.ask("wellhub", HANG_ONCE)["fault"] == "timeout"
    assert is_refused(gym.ask("wellhub", ALREADY))


def test_another_partners_request_settles_nothing(gym):
    gym = gym(settling() | {"wellhub-b": settling()["wellhub"]}).start()
    assert gym.ask("wellhub-b", HANG_ONCE)["fault"] == "timeout"
    assert is_refused(gym.ask("wellhub", HANG_ONCE))


def test_an_ordinary_refusal_settles_nothing(gym):
    gym = gym(settling()).start()
    assert gym.ask("wellhub", HANGS)["fault"] == "timeout"
    event = gym.ask("wellhub", "1000000000453")
    assert (event["verdict"], event["reason"]["key"]) == ("not_allowed", "checkin.validation.expired")


def test_capitans_duplicate_settles_too(gym):
    gym = gym({"capitan": {"budget_ms": BRIEF_MS, "settle_s": 3600}}).start()
    unanswered = gym.ask("capitan", "HANG-ONCE")
    assert is_settled_by(gym.ask("capitan", "HANG-ONCE"), unanswered)
    again = gym.ask("capitan", "HANG-ONCE")
    assert (again["result"], again["reason"]["key"]) == ("rejected", "duplicate_check_in")


def test_the_latest_of_several_counts_and_then_none(gym):
    gym = gym(settling()).start()
    record(gym, age_s=30)
    record(gym, age_s=20)
    latest = record(gym, age_s=10)
    assert is_settled_by(gym.ask("wellhub", ALREADY), {"id": latest})
    assert is_refused(gym.ask("wellhub", ALREADY))


@pytest.mark.parametrize(("age_s", "settles"), [(3600 - NET_S, True), (3600.5, False)])
def test_a_request_may_not_be_older_than_settle_s(gym, age_s, settles):
    gym = gym(settling()).start()
    unanswered = record(gym, age_s=age_s)
    event = gym.ask("wellhub", ALREADY)
    assert is_settled_by(event, {"id": unanswered}) if settles else is_refused(event)


def test_a_request_that_was_never_sent_settles_nothing(gym):
    gym = gym(settling()).start()
    record(gym, age_s=10, sent=False)
    assert is_refused(gym.ask("wellhub", ALREADY))


def test_a_restart_forgets_neither_the_request_nor_that_it_is_settled(gym):
    gym = gym(settling()).start()
    unanswered = gym.ask("wellhub", HANG_ONCE)
    assert gym.terminate() == 0
    gym.start()
    assert is_settled_by(gym.ask("wellhub", HANG_ONCE), unanswered)
    gym.kill9()
    gym.start()
    assert is_refused(gym.ask("wellhub", HANG_ONCE))


def test_an_interrupted_request_settles(gym):
    gym = gym(settling(budget_ms=AMPLE_MS)).start()
    gym.scan(code("wellhub", HANG_ONCE))
    gym.partners.until(lambda: gym.partners.requests and gym.partners.requests[0].whole)
    gym.kill9()
    gym.start()
    interrupted = gym.next_event()
    assert interrupted["fault"] == "interrupted"
    assert is_settled_by(gym.ask("wellhub", HANG_ONCE), interrupted)
    assert is_refused(gym.ask("wellhub", HANG_ONCE))


def record(gym, *, age_s, sent=True):
    """An unanswered request of so long ago for the member ALREADY, as the daemon would have left it."""
    attempt = past_attempt(ALREADY, age_s, 150)
    at_us = attempt.at_us
    outcome = Outcome(
        Result.REJECTED,
        contract.NO_VERDICT,
        Verdict.NONE,
        fault=Fault.TIMEOUT,
        request=RequestRecord(sent, at_us if sent else None, None, 150.0, 150, "warm"),
    )
    with closing(open_store(gym.journal)) as store:
        store.execute(*attempt_statement(attempt))
        store.execute(*outcome_statement(attempt.id, outcome))
    gym.pass_over()
    return attempt.id
