"""Admission during a partner's outage: the rule by a table, and the door through any sequence."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_door import at_rest

from gatectl.decision.door import messages as m
from gatectl.decision.door.grace import GraceRules, MemberPast, Opening, Outage, OutageGrace, PastScan
from gatectl.decision.door.modes import Mode
from gatectl.decision.outcomes import Fault
from gatectl.decision.timestamps import DAY_US, HOUR_US
from gatectl.decision.verdict import Decision, Reason, Verdict

RULES = GraceRules(seen_days=14, visits=2, admissions=3, hours=12, per_member_h=6, probe_ms=300)
NOW = 100 * DAY_US
LATELY = [NOW - DAY_US, NOW - 2 * DAY_US]
KNOWN = MemberPast(NOW, LATELY, newest_admits=True)
BEGAN = Outage(NOW - HOUR_US, {})


def three(*at_us):
    return Outage(BEGAN.began_us, {str(index): Opening("other", at) for index, at in enumerate(at_us)})


@pytest.mark.parametrize(
    ("past", "outage", "why"),
    [
        (KNOWN, BEGAN, None),
        (KNOWN._replace(admitted_us=LATELY[:1]), BEGAN, "admitted 1 of 2 times in 14 days (visits)"),
        (KNOWN._replace(admitted_us=[LATELY[0], NOW - 14 * DAY_US]), BEGAN, "(visits)"),
        (KNOWN._replace(admitted_us=[LATELY[0], NOW - 14 * DAY_US + 1]), BEGAN, None),
        (KNOWN._replace(newest_admits=False), BEGAN, "newest verdict was a refusal"),
        (KNOWN, Outage(NOW - 12 * HOUR_US, {}), "used up: the outage has lasted 12 h (hours)"),
        (KNOWN, Outage(NOW - 12 * HOUR_US + 1, {}), None),
        (KNOWN, three(NOW, NOW), None),
        (KNOWN, three(NOW, NOW, NOW), "used up: 3 admissions in this outage (admissions)"),
        (KNOWN._replace(graced_us=[NOW - 6 * HOUR_US + 1]), BEGAN, "used up: let in so within 6 h"),
        (KNOWN._replace(graced_us=[NOW - 6 * HOUR_US]), BEGAN, None),
        # The journal does not have it yet: another door lets the member in at this moment.
        (KNOWN, Outage(BEGAN.began_us, {"other door": Opening("7", NOW)}), "(per_member_h)"),
        # A clock that was set back: the newest event says how old the visits are.
        (KNOWN._replace(newest_us=NOW + 30 * DAY_US), BEGAN, "(visits)"),
    ],
)
def test_the_rule(past, outage, why):
    found = RULES.refusal(past, outage, "7")
    assert found is None if why is None else why in found


FAILED = Decision(Verdict.NONE, Fault.NETWORK, detail="connection refused")


@pytest.mark.parametrize(
    ("decision", "covered"),
    [
        (FAILED, True),
        (Decision(Verdict.NONE, Fault.TIMEOUT), True),
        (Decision(Verdict.NONE, Fault.PARTNER, status=503), True),
        (Decision(Verdict.NONE, Fault.PARTNER, status=429, rest_s=30.0), False),
        (Decision(Verdict.NONE, Fault.TLS), False),
        (Decision(Verdict.NONE, Fault.CREDENTIALS, status=401), False),
        (Decision(Verdict.NONE, Fault.CONFIGURATION, status=403), False),
    ],
)
def test_the_faults_that_it_covers(decision, covered):
    grace = OutageGrace(RULES)
    assert not grace.begin(NOW, decision), "no grace before the journal was read"
    grace.recall(())
    assert grace.begin(NOW, decision) is covered
    assert grace.lasts(NOW) is covered


def test_a_tls_fault_ends_it_until_the_next_verdict():
    grace = OutageGrace(RULES)
    grace.recall(())
    assert grace.begin(NOW, FAILED)
    grace.take(Verdict.NONE, Fault.TLS)
    assert not grace.begin(NOW, FAILED)
    assert not grace.lasts(NOW)
    grace.take(Verdict.NOT_FOUND, None)
    assert grace.begin(NOW, FAILED)


def past_scan(number, *, outage=True, tls=False, graced=False):
    return PastScan(str(number), NOW + number, "7", outage, tls, graced)


def test_a_restart_knows_since_when_and_who():
    grace = OutageGrace(RULES)
    grace.recall([past_scan(1, outage=False), past_scan(2), past_scan(3, graced=True), past_scan(4)])
    assert grace.outage == Outage(NOW + 2, {"3": Opening("7", NOW + 3)})
    assert grace.admissions_left == 2
    grace.recall([past_scan(1, outage=False, tls=True), past_scan(2, graced=True)])
    assert not grace.begin(NOW, FAILED)
    grace.recall([past_scan(number, graced=True) for number in range(RULES.admissions + 1)])
    assert grace.admissions_left == 0, "the settings may have allowed more before"
    grace.recall(())
    assert (grace.outage, grace.admissions_left) == (None, 3)


class OutageDoor:
    """A door with a partner that fails and a journal: `visits` is how often each member was admitted."""

    def __init__(self, rules=RULES):
        self.door = at_rest(repeat_s=0.0)
        self.partner = self.door.partner
        self.grace = self.partner.grace = OutageGrace(rules)
        self.grace.recall(())
        self.visits = {}
        self.refused = set()
        self.answer = FAILED
        self.journal_answers = True
        self.budgets = []
        self.partner.answer = self._answer
        self._perform = self.door.perform
        self.door.perform = self.perform

    def _answer(self, attempt):
        self.budgets.append(attempt.budget_ms)
        return self.answer

    def perform(self, effect):
        if isinstance(effect, m.LookBack):
            past = self.past_of(effect.attempt) if self.journal_answers else None
            return [m.LookedBack(effect.attempt.id, past)]
        return self._perform(effect)

    def past_of(self, attempt):
        member, now = attempt.member, attempt.at_us
        graced = [event.attempt.at_us for event in self.graced if event.attempt.member == member]
        return MemberPast(now, [now - 1] * self.visits.get(member, 0), member not in self.refused, graced)

    def scan(self, member, answer=None):
        self.answer = answer or self.answer
        self.door.scan(member)
        return self.door.events[-1]

    @property
    def graced(self):
        return [
            event
            for event in self.door.events
            if event.outcome.basis and event.outcome.basis.value == "grace"
        ]


def in_outage(**how):
    door = OutageDoor(**how)
    for member in "123":
        door.visits[member] = 2
        assert not door.graced
        door.scan(member)
    return door


def test_the_third_failing_member_is_let_in_and_then_the_first_two():
    door = in_outage()
    event = door.graced[0]
    assert (event.attempt.member, event.outcome.result.value) == ("3", "admitted")
    assert event.outcome.message == "Let in without the partner: outage"
    assert (event.outcome.verdict, event.outcome.fault) == (Verdict.NONE, Fault.NETWORK)
    assert (event.outcome.outage, event.outcome.detail) == (True, "connection refused")
    assert event.row.priority == 5
    assert event.outcome.gate is not None
    assert [door.scan(member).outcome.basis.value for member in "12"] == ["grace", "grace"]


def test_the_budget_is_short_only_while_it_lasts():
    door = in_outage()
    assert door.budgets == [750, 750, 750]
    door.scan("1")
    door.scan("9", Decision(Verdict.NOT_FOUND, status=404))
    door.scan("9", FAILED)
    assert door.budgets[3:] == [300, 300, 750]


def test_the_budget_is_whole_again_when_its_hours_are_over():
    door = in_outage()
    door.door.until(1000.0 + 12 * 3600)
    event = door.scan("1")
    assert door.budgets[-1] == 750
    assert "(hours)" in event.outcome.detail


def test_a_probe_is_never_longer_than_the_budget():
    door = in_outage(rules=RULES._replace(probe_ms=5000))
    door.scan("1")
    assert door.budgets[-1] == 750


def test_a_cap_is_said_before_the_fault():
    door = in_outage()
    event = door.scan("3")
    assert event.outcome.result.value == "rejected"
    assert event.outcome.message.startswith("Unable to check in aggregator customer")
    assert event.outcome.detail == (
        "grace used up: let in so within 6 h already (per_member_h); connection refused"
    )
    assert event.row.priority == 4
    assert door.partner.conditions.failure.detail == "connection refused"


def test_a_journal_that_does_not_answer_gives_none():
    door = in_outage()
    door.journal_answers = False
    event = door.scan("1")
    assert event.outcome.result.value == "rejected"
    assert "the journal was late or damaged" in event.outcome.detail


def test_a_verdict_at_another_door_ends_it_before_the_journal_answers():
    door = in_outage()
    perform = door.perform

    def verdict_first(effect):
        if isinstance(effect, m.LookBack):
            door.grace.take(Verdict.ALLOWED, None)
        return perform(effect)

    door.door.perform = verdict_first
    assert door.scan("1").outcome.result.value == "rejected"


def test_a_lockdown_before_the_journal_answers_keeps_the_gate_shut_and_uses_no_admission_up():
    door = in_outage()
    perform, openings = door.perform, door.door.openings

    def lockdown_first(effect):
        if isinstance(effect, m.LookBack):
            door.door.order(Mode.LOCKDOWN, "threat")
        return perform(effect)

    door.door.perform = lockdown_first
    assert door.scan("1").outcome.result.value == "rejected"
    assert (door.door.openings, door.grace.admissions_left) == (openings, RULES.admissions - 1)


def test_the_next_outage_has_all_its_admissions():
    door = in_outage()
    assert door.grace.admissions_left == RULES.admissions - 1
    door.scan("9", Decision(Verdict.NOT_FOUND, status=404))
    assert door.grace.admissions_left == RULES.admissions


def test_a_gate_that_stays_shut_gives_the_admission_back():
    door = in_outage()
    door.door.relay_works = False
    event = door.scan("1")
    assert (event.outcome.result.value, event.outcome.fault) == ("rejected", Fault.GATE)
    assert event.outcome.message == "Gate out of order"
    assert door.grace.admissions_left == RULES.admissions - 1


def test_a_partner_that_rests_gives_none():
    door = in_outage()
    door.partner.conditions.rest(door.door.now + 30)
    event = door.scan("1")
    assert (event.outcome.result.value, event.outcome.reason.key) == ("rejected", "resting")
    assert not door.graced[1:]


ANSWERS = st.sampled_from(
    [
        *[FAILED] * 6,
        Decision(Verdict.NONE, Fault.TIMEOUT),
        Decision(Verdict.NONE, Fault.PARTNER, status=429),
        Decision(Verdict.NONE, Fault.TLS),
        Decision(Verdict.NONE, Fault.CREDENTIALS, status=401),
        Decision(Verdict.ALLOWED, status=200),
        Decision(Verdict.NOT_ALLOWED, status=400, reason=Reason("quota", None)),
    ]
)
STEPS = st.lists(st.tuples(st.sampled_from("123456"), ANSWERS, st.integers(0, 4 * 3600)), max_size=60)


@settings(max_examples=200)
@given(STEPS, st.sets(st.sampled_from("123456")), st.sets(st.sampled_from("123456")))
def test_any_sequence_of_answers_and_times(steps, known, refused):
    door = OutageDoor()
    door.visits = dict.fromkeys(known, 2)
    door.refused = refused
    for member, answer, seconds in steps:
        door.door.until(door.door.now + seconds)
        door.scan(member, answer)
    began, let_in, tls, failed = None, [], False, set()
    last = {}
    for event in door.door.events:
        member, at_us, outcome = event.attempt.member, event.attempt.at_us, event.outcome
        if outcome.verdict not in (None, Verdict.NONE):
            began, let_in, tls, failed = None, [], False, set()
            continue
        tls |= outcome.fault is Fault.TLS
        if outcome.fault in {Fault.NETWORK, Fault.TIMEOUT, Fault.PARTNER, Fault.TLS}:
            failed.add(member)
        covered = outcome.fault in {Fault.NETWORK, Fault.TIMEOUT, Fault.PARTNER} and outcome.status != 429
        if began is None and len(failed) >= 3 and covered and not tls:
            began = at_us
        fits = (
            covered
            and len(failed) >= 3
            and not tls
            and member in known - refused
            and at_us - began < 12 * HOUR_US
            and len(let_in) < 3
            and at_us - last.get(member, -DAY_US) >= 6 * HOUR_US
        )
        assert (outcome.result.value == "admitted") == fits, (outcome, re.sub(r"\s+", " ", str(event)))
        if fits:
            assert outcome.basis.value == "grace"
            let_in.append(member)
            last[member] = at_us
