"""Refusals that say that the member is in already: they let in so many times a day, by the journal."""

from contextlib import closing
from datetime import UTC, datetime

import contract
import pytest
from harness import BRIEF_MS, code, past_attempt

from gatectl.decision.event import GateRecord, Outcome, RequestRecord
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.journal.schema import open_store
from gatectl.journal.statements import attempt_statement, outcome_statement

ALREADY, EXPIRED, HANG_ONCE = "1000000000454", "1000000000453", "1000000000701"
KEYS = {"wellhub": "checkin.already.validated", "capitan": "duplicate_check_in"}


def lets_in(most, **more):
    return {"wellhub": {"already_in_per_day": most} | more}


def let_in(event):
    return (
        (event["result"], event["basis"], event["message"]) == ("admitted", "already_in", contract.CHECKED_IN)
        and (event["verdict"], event["status"], event["fault"]) == ("not_allowed", 400, None)
        and event["reason"]["key"] == KEYS[event["partner"]]
        and event["gate"]["open_ms"] == 100
    )


def refused(event):
    return (
        (event["result"], event["basis"], event["message"]) == ("rejected", None, contract.NOT_ALLOWED)
        and (event["verdict"], event["status"], event["fault"]) == ("not_allowed", 400, None)
        and event["reason"]["key"] == KEYS[event["partner"]]
        and event["gate"] is None
    )


def test_so_many_times_a_day_and_no_more(gym):
    gym = gym(lets_in(2)).start()
    assert [let_in(gym.ask("wellhub", ALREADY)) for _ in range(2)] == [True, True]
    assert refused(gym.ask("wellhub", ALREADY))
    assert len(gym.openings()) == 2
    gym.logged("main: admitted wellhub:1000000000454 (wellhub 400", contract.CHECKED_IN)
    shown = gym.run("events").stdout
    assert "Basis: already_in (the partner says: already validated)" in shown


def test_it_is_off_by_default(gym):
    gym = gym({"wellhub": {}}).start()
    assert refused(gym.ask("wellhub", ALREADY))


def test_capitans_duplicate_too(gym):
    gym = gym({"capitan": {"already_in_per_day": 1}}).start()
    event = gym.ask("capitan", "DUPLICATE")
    assert (event["result"], event["basis"], event["verdict"]) == ("admitted", "already_in", "not_allowed")
    assert gym.ask("capitan", "DUPLICATE")["result"] == "rejected"


def test_no_other_refusal_lets_in(gym):
    gym = gym(lets_in(20)).start()
    event = gym.ask("wellhub", EXPIRED)
    assert (event["result"], event["basis"]) == ("rejected", None)


def test_each_partner_counts_for_itself(gym):
    gym = gym(lets_in(1) | {"wellhub-b": lets_in(1)["wellhub"]}).start()
    assert let_in(gym.ask("wellhub", ALREADY))
    event = gym.ask("wellhub-b", ALREADY)
    assert (event["result"], event["basis"]) == ("admitted", "already_in")
    assert refused(gym.ask("wellhub", ALREADY))


def test_a_restart_and_a_kill_forget_nothing(gym):
    gym = gym(lets_in(2)).start()
    assert let_in(gym.ask("wellhub", ALREADY))
    assert gym.terminate() == 0
    gym.start()
    assert let_in(gym.ask("wellhub", ALREADY))
    gym.kill9()
    gym.start()
    assert refused(gym.ask("wellhub", ALREADY))


def test_two_doors_at_once_let_in_once(gym):
    gym = gym(lets_in(1), doors={"main": {}, "side": {}}).start()
    for door in ("main", "side"):
        gym.scan(code("wellhub", ALREADY), door)
    events = gym.next_events(2)
    assert sorted(event["result"] for event in events) == ["admitted", "rejected"]
    assert len(gym.openings("main") + gym.openings("side")) == 1


def test_a_late_answer_settles_first_and_does_not_count(gym):
    gym = gym(lets_in(1, budget_ms=BRIEF_MS, settle_s=60)).start()
    assert gym.ask("wellhub", HANG_ONCE)["fault"] == "timeout"
    assert gym.ask("wellhub", HANG_ONCE)["basis"] == "settled"
    assert let_in(gym.ask("wellhub", HANG_ONCE))
    assert refused(gym.ask("wellhub", HANG_ONCE))


def test_a_gate_that_does_not_open_uses_nothing_up(gym):
    gym = gym(lets_in(1)).start()
    gym.fail("17=1")
    event = gym.ask("wellhub", ALREADY)
    assert (event["message"], event["basis"]) == (contract.GATE_SHUT, None)
    gym.fail()
    assert gym.run("open", "main", "--reason", "it works again").returncode == 0
    assert gym.next_event()["basis"] == "manual"
    assert let_in(gym.ask("wellhub", ALREADY))
    assert refused(gym.ask("wellhub", ALREADY))


def test_everyone_who_is_in_already_is_not_refused(gym):
    gym = gym(lets_in(20)).start()
    for _ in range(6):
        assert let_in(gym.ask("wellhub", ALREADY))
    assert gym.status()["partners"]["wellhub"]["state"] == "healthy"


@pytest.mark.parametrize(("hour", "lets"), [(3, True), (12, False)])
def test_the_day_is_the_gyms_own(gym, hour, lets):
    """An opening six hours ago was yesterday where it is three o'clock now."""
    gym = gym(lets_in(1))
    settings = gym.settings.read_text("utf-8")
    gym.settings.write_text(settings.replace("[gpio]", f'timezone = "{zone_where_it_is(hour)}"\n[gpio]', 1))
    gym.start()
    record(gym, age_s=6 * 3600)
    event = gym.ask("wellhub", ALREADY)
    assert let_in(event) if lets else refused(event)


def zone_where_it_is(hour):
    """A zone of whole hours in which it is this hour now. The sign in these names is turned round."""
    ahead = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"


def record(gym, *, age_s):
    """An opening on this basis of so long ago for the member ALREADY, as the daemon would have left it."""
    attempt = past_attempt(ALREADY, age_s, 2000)
    at_us = attempt.at_us
    outcome = Outcome(
        Result.ADMITTED,
        contract.CHECKED_IN,
        Verdict.NOT_ALLOWED,
        400,
        basis=Basis.ALREADY_IN,
        reason=Reason(KEYS["wellhub"], None),
        request=RequestRecord(True, at_us, at_us + 1000, 1.0, 2000, "warm"),
        gate=GateRecord(at_us + 1000, 1.0, 3000),
    )
    with closing(open_store(gym.journal)) as store:
        store.execute(*attempt_statement(attempt))
        store.execute(*outcome_statement(attempt.id, outcome))
    gym.pass_over()
