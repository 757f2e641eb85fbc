"""Members who are let in during a partner's outage: the whole daemon, with visits that its journal holds."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import contract
import pytest
from harness import AMPLE_MS, BRIEF_MS, GOOD, PINS, code, past_attempt
from limits import NET_S

from gatectl.decision.event import GateRecord, Outcome, RequestRecord
from gatectl.decision.verdict import Basis, Result, Verdict
from gatectl.journal.schema import open_store
from gatectl.journal.statements import attempt_statement, outcome_statement

HANGS, RESETS, CLOSES, FAILS = "1000000000600", "1000000000610", "1000000000611", "1000000000500"
BUSY, OUR_KEY, HANGS_TOO = "1000000000429", "1000000000403", "1000000000701"
BROKEN = "1000000000618"
LET_IN = "Let in without the partner: outage"
DAY_S = 86_400


@pytest.fixture
def memory():
    """A folder in memory, if there is one: a disk that is busy for half a second gives no grace."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="gatectl-test-", dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def gym(memory, gym):
    """Makes a gym whose journal lies there."""
    return partial(gym, journal_folder=memory)


def with_grace(**grace):
    return {"wellhub": {"grace": {"probe_ms": BRIEF_MS} | grace}}


@contextmanager
def store_of(gym):
    """The journal of a gym, also while its daemon runs."""
    gym.stop_following()
    with closing(open_store(gym.journal)) as store:
        yield store
    gym.pass_over()


def visit(gym, *members, ages_s=(DAY_S, 2 * DAY_S), basis=Basis.PARTNER, verdict=Verdict.ALLOWED):
    """Admissions of so long ago, as an earlier day's daemon would have left them."""
    with store_of(gym) as store:
        for member in members:
            for age_s in ages_s:
                record(store, member, age_s, basis, verdict)


def record(store, member, age_s, basis, verdict):
    attempt = past_attempt(member, age_s, 400)
    at_us = attempt.at_us
    outcome = Outcome(
        Result.ADMITTED if basis else Result.REJECTED,
        contract.CHECKED_IN if basis else contract.NOT_ALLOWED,
        verdict,
        status=200 if basis else 400,
        basis=basis,
        request=RequestRecord(True, at_us, at_us + 1000, 1.0, 400, "warm"),
        gate=GateRecord(at_us + 2000, 2.0, 100) if basis else None,
    )
    store.execute(*attempt_statement(attempt))
    store.execute(*outcome_statement(attempt.id, outcome))


def known(gym, *members, journal=None, **how):
    """A gym, not started, whose journal has visits of these members."""
    made = gym(with_grace(**how), journal=journal)
    visit(made, *members)
    return made


def let_in(event):
    return (event["result"], event["basis"], event["message"]) == ("admitted", "grace", LET_IN)


def shut(event):
    return (event["result"], event["basis"], event["message"]) == ("rejected", None, contract.NO_VERDICT)


def begin(gym):
    """Two failing members: the next one's failure is an outage."""
    assert shut(gym.ask("wellhub", BROKEN))
    assert shut(gym.ask("wellhub", RESETS))


def test_a_partner_that_hangs(gym):
    gym = known(gym, HANGS, RESETS, CLOSES).start()
    begin(gym)
    third = gym.ask("wellhub", CLOSES)
    assert let_in(third)
    assert (third["verdict"], third["fault"], third["outage"]) == ("none", "network", True)
    assert (third["request"]["sent"], third["request"]["budget_ms"]) == (True, AMPLE_MS)
    hung = gym.ask("wellhub", HANGS)
    assert let_in(hung)
    request = hung["request"]
    assert (hung["fault"], request["sent"], request["budget_ms"]) == ("timeout", True, BRIEF_MS)
    assert request["elapsed_ms"] >= BRIEF_MS
    assert gym.status()["last_event"]["request"]["budget_ms"] == BRIEF_MS
    assert len(gym.openings()) == 2
    gym.until_pin(PINS["main"]["green"], 1)
    gym.logged(f"main: admitted wellhub:{HANGS} (wellhub timeout", LET_IN)
    used_up = gym.ask("wellhub", HANGS)
    assert shut(used_up)
    assert used_up["detail"].startswith("grace used up: let in so within 12 h already (per_member_h); ")


def test_a_partner_that_refuses_connections(gym, closed_port):
    refusing = with_grace()["wellhub"] | {"url": f"https://127.0.0.1:{closed_port}"}
    gym = gym({"wellhub": refusing})
    visit(gym, HANGS, RESETS, CLOSES)
    gym.start()
    begin(gym)
    event = gym.ask("wellhub", CLOSES)
    assert let_in(event)
    assert (event["fault"], event["request"]["sent"]) == ("network", False)
    assert "connection refused" in event["detail"]


def test_the_first_verdict_ends_it(gym):
    gym = known(gym, HANGS, RESETS, CLOSES).start()
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))
    recovered = gym.ask("wellhub", GOOD["wellhub"])
    assert (recovered["basis"], recovered["request"]["budget_ms"]) == ("partner", BRIEF_MS)
    assert gym.status()["partners"]["wellhub"]["grace"] is None
    after = gym.ask("wellhub", RESETS)
    assert shut(after)
    assert (after["outage"], after["request"]["budget_ms"]) == (False, AMPLE_MS)
    assert "grace" not in after["detail"]


def test_a_restart_and_a_kill_keep_the_caps(gym):
    gym = known(gym, HANGS, RESETS, CLOSES, FAILS, admissions=2).start()
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))
    assert gym.status()["partners"]["wellhub"]["grace"]["admissions_left"] == 1
    since = gym.status()["partners"]["wellhub"]["grace"]["since"]
    gym.kill9()
    gym.start()
    grace = gym.status()["partners"]["wellhub"]["grace"]
    assert (grace["since"], grace["admissions_left"]) == (since, 1)
    assert "(per_member_h)" in gym.ask("wellhub", CLOSES)["detail"]
    assert let_in(gym.ask("wellhub", RESETS))
    assert gym.terminate() == 0
    gym.start()
    event = gym.ask("wellhub", FAILS)
    assert shut(event)
    assert event["detail"].startswith("grace used up: 2 admissions in this outage (admissions); ")
    assert event["request"]["budget_ms"] == BRIEF_MS


def test_it_lasts_no_longer_than_its_hours(gym):
    gym = known(gym, HANGS, RESETS, CLOSES, hours=1).start()
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))
    assert gym.terminate() == 0
    # The wall clock was an hour ahead at a scan since: the newest event's time counts as now.
    visit(gym, "1000000000001", ages_s=[-3600], basis=Basis.AGAIN, verdict=None)
    gym.start()
    event = gym.ask("wellhub", HANGS)
    assert shut(event)
    assert event["detail"].startswith("grace used up: the outage has lasted 1 h (hours); ")


def test_a_clock_that_is_behind_makes_no_visit_younger(gym):
    gym = known(gym, HANGS, RESETS, CLOSES)
    visit(gym, "1000000000001", ages_s=[-12 * DAY_S], basis=Basis.AGAIN, verdict=None)
    gym.start()
    begin(gym)
    event = gym.ask("wellhub", CLOSES)
    assert shut(event)
    assert event["detail"].startswith("no grace: admitted 1 of 2 times in 14 days (visits); ")


@pytest.mark.parametrize(
    ("bases", "lets_in"),
    [
        ((Basis.PARTNER,), False),
        ((Basis.PARTNER, Basis.SETTLED), True),
        ((Basis.ALREADY_IN, Basis.PARTNER), True),
        ((Basis.PARTNER, Basis.GRACE), False),
        ((Basis.PARTNER, Basis.AGAIN), False),
    ],
)
def test_only_admissions_by_the_partners_word_are_visits(gym, bases, lets_in):
    gym = gym(with_grace())
    verdicts = {
        Basis.ALREADY_IN: Verdict.NOT_ALLOWED,
        Basis.GRACE: Verdict.NONE,
        Basis.AGAIN: None,
    }
    for age, basis in enumerate(bases):
        visit(
            gym, CLOSES, ages_s=[(5 - age) * DAY_S], basis=basis, verdict=verdicts.get(basis, Verdict.ALLOWED)
        )
    gym.start()
    begin(gym)
    event = gym.ask("wellhub", CLOSES)
    assert let_in(event) is lets_in
    assert lets_in or "admitted 1 of 2 times" in event["detail"]


def test_a_member_whom_the_partner_refused_since_is_not_let_in(gym):
    gym = known(gym, HANGS, RESETS, CLOSES)
    visit(gym, CLOSES, ages_s=[3600], basis=None, verdict=Verdict.NOT_ALLOWED)
    gym.start()
    begin(gym)
    event = gym.ask("wellhub", CLOSES)
    assert shut(event)
    assert "the partner's newest verdict was a refusal" in event["detail"]


def test_a_partner_that_asks_for_a_rest_gives_none(gym):
    gym = known(gym, HANGS, RESETS, BUSY).start()
    begin(gym)
    busy = gym.ask("wellhub", BUSY)
    assert shut(busy)
    assert (busy["status"], busy["outage"]) == (429, True)
    assert "grace" not in busy["detail"]
    resting = gym.ask("wellhub", RESETS)
    assert shut(resting)
    assert resting["reason"]["key"] == "resting"


def test_a_refused_key_gives_none_and_ends_nothing(gym):
    gym = known(gym, HANGS, RESETS, CLOSES, OUR_KEY).start()
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))
    event = gym.ask("wellhub", OUR_KEY)
    assert (event["result"], event["fault"]) == ("rejected", "credentials")
    assert let_in(gym.ask("wellhub", RESETS))


def test_an_outage_in_which_a_tls_fault_counted_gives_none(gym):
    gym = known(gym, HANGS, RESETS, CLOSES, FAILS)
    gym.change(partners={"wellhub": with_grace()["wellhub"] | {"ca_file": None}})
    gym.start()
    assert [gym.ask("wellhub", member)["fault"] for member in (HANGS, RESETS, CLOSES)] == ["tls"] * 3
    assert gym.terminate() == 0
    gym.change(partners=with_grace())
    gym.start()
    event = gym.ask("wellhub", FAILS)
    assert shut(event)
    assert (event["fault"], event["outage"], event["request"]["budget_ms"]) == ("partner", True, AMPLE_MS)
    assert gym.ask("wellhub", GOOD["wellhub"])["basis"] == "partner"
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))


def test_it_is_off_by_default(gym):
    gym = gym({"wellhub": {}})
    visit(gym, HANGS, RESETS, CLOSES)
    gym.start()
    begin(gym)
    assert shut(gym.ask("wellhub", CLOSES))
    assert gym.status()["partners"]["wellhub"]["grace"] is None


def test_status_says_so(gym):
    gym = known(gym, HANGS, RESETS, CLOSES).start()
    begin(gym)
    assert let_in(gym.ask("wellhub", CLOSES))
    shown = " ".join(gym.run("status").stdout.split())
    assert "members whom it admitted here lately are let in without it until" in shown
    assert "59 more at most" in shown


def test_a_damaged_journal_gives_none_until_a_person_knows(gym):
    gym = known(gym, HANGS, RESETS, CLOSES)
    with closing(sqlite3.connect(gym.journal)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page,) = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'marks'").fetchone()
    with gym.journal.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(bytes(4096))
    gym.start()
    until = time.monotonic() + NET_S
    while not (damaged := gym.status()["damaged"]) or damaged["events"] < 6:
        assert time.monotonic() < until, damaged
    gym.pass_over()
    begin(gym)
    event = gym.ask("wellhub", CLOSES)
    assert shut(event)
    assert "the journal was late or damaged" in event["detail"]
    assert gym.run("status", "--acknowledge").returncode == 0
    assert let_in(gym.ask("wellhub", RESETS))


def test_a_journal_that_another_program_holds_gives_none(gym):
    gym = known(gym, HANGS, RESETS, CLOSES, journal={"patience_ms": 100}).start()
    begin(gym)
    with store_of(gym) as store:
        store.execute("BEGIN IMMEDIATE")
        gym.scan(code("wellhub", CLOSES))
        gym.logged(f"main: rejected wellhub:{CLOSES}", "the journal was late or damaged")
        store.execute("ROLLBACK")
    assert gym.openings() == []


@pytest.mark.parametrize(
    ("caps", "other", "cap"), [({"admissions": 1}, HANGS_TOO, "(admissions)"), ({}, HANGS, "(per_member_h)")]
)
def test_two_doors_at_once_keep_the_caps(gym, caps, other, cap):
    gym = gym(with_grace(**caps), {"main": {}, "side": {}})
    visit(gym, HANGS, HANGS_TOO)
    gym.start()
    assert [shut(gym.ask("wellhub", member)) for member in (FAILS, RESETS, CLOSES)] == [True] * 3
    gym.scan(code("wellhub", HANGS), "main")
    gym.scan(code("wellhub", other), "side")
    events = gym.next_events(2)
    assert sorted(event["result"] for event in events) == ["admitted", "rejected"]
    (shut_out,) = (event for event in events if event["result"] == "rejected")
    assert cap in shut_out["detail"]


def test_another_doors_scan_does_not_wait_for_the_journal(gym):
    gym = gym(with_grace() | {"capitan": {}}, {"main": {}, "side": {}}, journal={"patience_ms": 50})
    visit(gym, HANGS, RESETS, CLOSES)
    gym.start()
    begin(gym)
    with store_of(gym) as store:
        store.execute("BEGIN IMMEDIATE")
        gym.scan(code("wellhub", CLOSES), "main")
        gym.partners.until(lambda: gym.partners.asked_for(CLOSES))
        gym.scan(code("capitan", GOOD["capitan"]), "side")
        gym.logged(f"side: admitted capitan:{GOOD['capitan']}")
        gym.logged(f"main: rejected wellhub:{CLOSES}", "the journal was late or damaged")
        store.execute("ROLLBACK")
