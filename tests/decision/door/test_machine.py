"""A door's rules: each way of a scan, and what no order of inputs and times can bring about."""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatectl.decision.cards import Card
from gatectl.decision.door import messages as m
from gatectl.decision.door.context import SharedState
from gatectl.decision.door.machine import STUCK_S, DoorMachine, DoorRules
from gatectl.decision.door.modes import Mode, Order
from gatectl.decision.door.scan import SETTLED_MAX
from gatectl.decision.door.table import BY_HAND, SCAN, Action, Happening, IllegalInputError, State, row_of
from gatectl.decision.event import RequestRecord
from gatectl.decision.indication import Indication, Screen
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import Conditions
from gatectl.decision.routing import Number, Numbers, Route
from gatectl.decision.timestamps import Instant, Timestamp
from gatectl.decision.verdict import Basis, Decision, Reason, Result, Verdict

ALLOWED = Decision(Verdict.ALLOWED, status=200)
REFUSED = Decision(Verdict.NOT_ALLOWED, status=400, reason=Reason("checkin.expired", None))
ALREADY_IN = Decision(Verdict.NOT_ALLOWED, status=400, reason=Reason("already", None))
TIMEOUT = Decision(Verdict.NONE, Fault.TIMEOUT)
DIGITS = Numbers(Number(re.compile(r"\d+", re.ASCII), "digits", (1, 20)))
PATIENCE_S = 0.1
BUDGET_S = 0.75


@dataclass
class Rules:
    """A partner as a door knows it: members are digits."""

    name: str = "p"
    budget_ms: int = 750
    settle_s: int = 60
    already_in_per_day: int = 0
    checks_in_after_passage: bool = False
    numbers: Numbers = DIGITS
    conditions: Conditions = field(default_factory=lambda: Conditions(0.0))
    grace: None = None

    def says_already_in(self, decision):
        return decision.reason is not None and decision.reason.key == "already"

    def may_refuse_return(self, decision):
        return self.says_already_in(decision)


def instant(at_s):
    return Instant(at_s, Timestamp(round(at_s * 1e6), "0" * 32, round(at_s * 1e6)))


class Shell:
    """Feeds the machine, and keeps the effects that wait for their result."""

    def __init__(self, cards=None, patience_s=PATIENCE_S, **rules):
        self.partner = Rules(**rules)
        ids = itertools.count()
        self.site = SharedState(
            "t", "s", [Route(re.compile(r"\w+", re.ASCII), "p")], {"p": self.partner}, patience_s, cards
        )
        self.machine = DoorMachine(
            "main", DoorRules(3.0), self.site, lambda at_us: f"scan-{at_us}-{next(ids)}"
        )
        self.now = 0.0
        self.effects = []

    def feed(self, given):
        new = self.machine.handle(given, self.now)
        self.effects += new
        return new

    def scan(self, code):
        return self.feed(m.CodeRead(code, "/dev/reader", instant(self.now)))

    def of(self, kind):
        return [effect for effect in self.effects if isinstance(effect, kind)]

    @property
    def last(self):
        return self.of(m.Conclude)[-1].event

    @property
    def attempt(self):
        return self.of(m.Record)[-1].attempt.id


def request():
    return lambda: RequestRecord(True, 0, 0, 1.0, 750, "warm")


def door(**how):
    return Shell(**({"cards": {}} | how))


def names(effects):
    return [type(effect).__name__ for effect in effects]


def test_a_success_opens_the_gate_in_this_order():
    shell = door()
    assert names(shell.scan("123")) == ["Record", "Prepare", "Show"]
    assert names(shell.feed(m.Recorded(shell.attempt))) == ["Ask"]
    assert names(shell.feed(m.Answered(shell.attempt, ALLOWED, request()))) == ["Energise"]
    assert names(shell.feed(m.RelayOn(shell.attempt, 0.25, 3000))) == ["Show", "PartnerChanged", "Conclude"]
    event = shell.last
    assert (event.outcome.result, event.outcome.basis) == (Result.ADMITTED, Basis.PARTNER)
    assert event.outcome.gate.after_ms == 250.0
    assert shell.machine.state is State.FREE


def test_a_scan_past_its_budget_and_the_disks_patience_is_stuck():
    shell = door()
    assert not shell.machine.is_stuck(1000.0)
    assert shell.machine.view().screen is Screen.IDLE
    shell.scan("123")
    assert shell.machine.view().screen is Screen.CHECKING
    assert not shell.machine.is_stuck(BUDGET_S + STUCK_S)
    assert shell.machine.is_stuck(BUDGET_S + STUCK_S + 0.001)


def test_the_deadline_counts_from_the_complete_code_at_a_free_door():
    shell = door()
    shell.scan("1")
    shell.now = 0.5
    shell.scan("2")
    shell.now = 0.6
    shell.feed(m.Recorded(shell.attempt))
    assert shell.of(m.Ask)[0].deadline_s == BUDGET_S
    shell.feed(m.Answered(shell.attempt, REFUSED, request()))
    shell.feed(m.Recorded(shell.attempt))
    assert shell.of(m.Ask)[1].deadline_s == 0.6 + BUDGET_S


@pytest.mark.parametrize(
    ("how", "code", "fault", "message"),
    [
        ({}, "", Fault.UNRECOGNISED, "Credential not recognised"),
        ({}, "abc", Fault.UNRECOGNISED, "Credential not recognised"),
        ({"cards": None}, "123", Fault.CARDS, "Enrolled cards not available, please try again"),
        (
            {"cards": {"7": Card("7", "gone", "1", None)}},
            "7",
            Fault.UNRECOGNISED,
            "Credential not recognised",
        ),
    ],
)
def test_a_scan_without_a_partner_to_ask(how, code, fault, message):
    shell = door(**how)
    assert names(shell.scan(code))[-2:] == ["Record", "Show"], "shown at once"
    shell.feed(m.Recorded(shell.attempt))
    assert not shell.of(m.Ask)
    outcome = shell.last.outcome
    assert (outcome.fault, outcome.message, outcome.request) == (fault, message, None)


@pytest.mark.parametrize(("needs", "customer"), [(None, None), (DIGITS.member, "77")])
def test_an_event_has_the_customers_number_where_the_partner_has_one(needs, customer):
    shell = door(cards={"7": Card("7", "p", "1", "77")}, numbers=Numbers(DIGITS.member, needs))
    shell.scan("7")
    assert shell.of(m.Record)[0].attempt.customer == customer


def test_a_broken_gate_asks_no_partner_until_it_works_again():
    shell = door()
    shell.feed(m.GateBroken("GPIO busy"))
    shell.scan("123")
    shell.feed(m.Recorded(shell.attempt))
    outcome = shell.last.outcome
    assert (outcome.fault, outcome.message, outcome.detail) == (Fault.GATE, "Gate out of order", "GPIO busy")
    assert outcome.request is None
    shell.feed(m.GateBroken(None))
    assert names(shell.scan("124")) == ["Record", "Prepare", "Show"]


def test_a_flood_of_codes_without_a_route_is_dropped():
    shell = door()
    for number in range(100):
        shell.scan(f"x{number}")
    assert len(shell.of(m.Record)) == 1, "the next is decided once this one is on disk"
    assert shell.machine.waiting == 4
    assert shell.machine.dropped == 95
    shell.feed(m.RecordLate(shell.attempt))
    assert len(shell.of(m.Conclude)) == 1
    assert len(shell.of(m.Record)) == 2


def test_codes_that_were_dropped_in_a_row_are_logged_twice_at_most():
    shell = door()
    for flood in range(2):
        for number in range(10):
            shell.scan(f"x{flood}{number}")
        while shell.machine.state is not State.FREE:
            shell.feed(m.Recorded(shell.attempt))
    said = [effect.entry.message for effect in shell.of(m.Log) if "dropped" in effect.entry.message]
    assert said == 2 * [
        "main: too many codes at once: one was dropped, further ones are counted",
        "main: 5 codes were dropped in a row",
    ]


def test_a_late_record_is_logged_and_does_not_hold_up_the_scan():
    shell = door()
    shell.scan("123")
    shell.now = shell.of(m.Record)[0].until_s
    assert names(shell.feed(m.RecordLate(shell.attempt))) == ["Log", "Ask"]


def test_without_patience_no_record_is_late():
    shell = door(patience_s=0.0)
    shell.scan("123")
    assert names(shell.feed(m.RecordLate(shell.attempt))) == ["Ask"]


def test_a_disk_that_takes_the_whole_budget_leaves_no_time_to_ask():
    shell = door(patience_s=5.0)
    shell.scan("123")
    shell.now = shell.of(m.Record)[0].until_s
    assert shell.now == BUDGET_S
    shell.feed(m.RecordLate(shell.attempt))
    assert not shell.of(m.Ask)
    assert shell.last.outcome.request.sent is False
    assert shell.last.outcome.fault is Fault.TIMEOUT


@pytest.mark.parametrize(
    ("unanswered", "result", "basis"), [(["e1"], Result.ADMITTED, Basis.SETTLED), ([], Result.REJECTED, None)]
)
def test_a_refusal_may_be_the_late_answer_to_our_own_request(unanswered, result, basis):
    shell = door()
    shell.scan("123")
    shell.feed(m.Recorded(shell.attempt))
    assert names(shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))) == ["LookUp"]
    shell.feed(m.LookedUp(shell.attempt, unanswered))
    if unanswered:
        shell.feed(m.RelayOn(shell.attempt, 0.2, 3000))
    outcome = shell.last.outcome
    assert (outcome.result, outcome.basis) == (result, basis)
    assert outcome.status == 400
    assert outcome.reason.key == ("settled:e1" if unanswered else "already")


def test_a_request_is_settled_once():
    shell = door()
    for code in ("123", "124"):
        shell.scan(code)
        shell.feed(m.Recorded(shell.attempt))
        shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))
        shell.feed(m.LookedUp(shell.attempt, ["e1"]))
        if code == "123":
            shell.feed(m.RelayOn(shell.attempt, 0.2, 3000))
    results = [effect.event.outcome.result for effect in shell.of(m.Conclude)]
    assert results == [Result.ADMITTED, Result.REJECTED]


def test_the_memory_of_settled_requests_is_bounded():
    shell = door()
    for number in range(SETTLED_MAX + 10):
        shell.scan(str(number))
        shell.feed(m.Recorded(shell.attempt))
        shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))
        shell.feed(m.LookedUp(shell.attempt, [f"e{number}"]))
        shell.feed(m.RelayOn(shell.attempt, 0.2, 3000))
    assert list(shell.site.settled) == [f"e{number}" for number in range(10, SETTLED_MAX + 10)]


def refused_as_in(shell, code, *past):
    """The outcome for a member whom the partner refuses as already in, with this past in the journal."""
    shell.now += 10
    shell.scan(code)
    shell.feed(m.Recorded(shell.attempt))
    shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))
    if shell.machine.state is State.SETTLING:
        shell.feed(m.LookedUp(shell.attempt, *past))
    if shell.machine.state is State.OPENING:
        shell.feed(m.RelayOn(shell.attempt, shell.now + 0.1, 3000))
    return shell.last.outcome


def test_a_member_who_is_in_already_is_let_in_if_the_settings_allow():
    outcome = refused_as_in(door(already_in_per_day=1), "123", (), ())
    assert (outcome.result, outcome.basis) == (Result.ADMITTED, Basis.ALREADY_IN)
    assert (outcome.verdict, outcome.status, outcome.fault) == (Verdict.NOT_ALLOWED, 400, None)
    assert (outcome.message, outcome.reason.key) == ("Aggregator member checked in", "already")


@pytest.mark.parametrize(
    ("most", "past"),
    [
        (0, ((), ())),
        (1, ()),  # the journal was slow
        (1, ((), None)),
        (1, ((), [("e1", 0)])),
        (2, ((), [("e1", 0), ("e2", 5)])),
    ],
)
def test_else_a_refusal_is_a_refusal(most, past):
    outcome = refused_as_in(door(already_in_per_day=most), "123", *past)
    assert (outcome.result, outcome.basis) == (Result.REJECTED, None)


def test_a_late_answer_settles_before_a_day_is_used_up():
    shell = door(already_in_per_day=1)
    assert refused_as_in(shell, "123", ["e1"], ()).basis is Basis.SETTLED
    assert refused_as_in(shell, "123", ["e1"], ()).basis is Basis.ALREADY_IN
    assert refused_as_in(shell, "123", ["e1"], ()).basis is None


def test_the_journal_may_take_what_is_left_of_the_budget_to_look_back():
    shell = door(already_in_per_day=1, patience_s=0.0)
    shell.scan("123")
    shell.feed(m.RecordLate(shell.attempt))
    shell.now = 0.5
    (look_up,) = shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))
    assert look_up.until_s == BUDGET_S


def test_without_settling_a_refusal_is_a_refusal():
    shell = door(settle_s=0)
    shell.scan("123")
    shell.feed(m.Recorded(shell.attempt))
    shell.feed(m.Answered(shell.attempt, ALREADY_IN, request()))
    assert not shell.of(m.LookUp)
    assert shell.last.outcome.result is Result.REJECTED


def test_a_success_with_a_stuck_relay_is_the_gates_fault():
    shell = door()
    shell.scan("123")
    shell.feed(m.Recorded(shell.attempt))
    shell.feed(m.Answered(shell.attempt, ALLOWED, request()))
    shell.feed(m.RelayStuck(shell.attempt, "the pin did not follow"))
    outcome = shell.last.outcome
    assert outcome.message == "Checked in, but the gate did not open"
    assert (outcome.verdict, outcome.fault, outcome.basis) == (Verdict.ALLOWED, Fault.GATE, None)
    assert outcome.detail == "the pin did not follow"


def test_a_resting_partner_is_not_asked():
    shell = door()
    shell.partner.conditions.rest(10.0)
    shell.scan("123")
    shell.feed(m.Recorded(shell.attempt))
    outcome = shell.last.outcome
    assert (outcome.verdict, outcome.fault, outcome.reason.key) == (Verdict.NONE, Fault.PARTNER, "resting")
    assert not shell.of(m.Ask)


def test_three_members_without_a_verdict_are_an_outage():
    shell = door()
    for code in ("1", "2", "3"):
        shell.scan(code)
        shell.feed(m.Recorded(shell.attempt))
        shell.feed(m.Answered(shell.attempt, TIMEOUT, request()))
    assert [effect.event.outcome.outage for effect in shell.of(m.Conclude)] == [False, False, True]


def test_a_person_opens_during_a_scan():
    shell = door()
    shell.scan("123")
    assert names(shell.feed(m.OpenByHand("by-hand", instant(shell.now), "a delivery"))) == ["Record"]
    assert names(shell.feed(m.Recorded("by-hand"))) == ["Energise"]
    shell.feed(m.RelayOn("by-hand", 0.1, 3000))
    assert (shell.last.attempt.kind, shell.last.outcome.message) == ("manual", "Opened by hand: a delivery")
    assert shell.last.outcome.basis is Basis.MANUAL
    assert shell.machine.state is State.RECORDING, "the scan goes on"


def test_a_late_record_of_an_opening_by_hand_is_logged_and_holds_up_nobody():
    shell = door()
    (record,) = shell.feed(m.OpenByHand("by-hand", instant(shell.now), "a delivery"))
    assert record.until_s == PATIENCE_S
    late, opening = shell.feed(m.RecordLate("by-hand"))
    assert late.entry.message == "main: the record of opening by-hand is late: the disk does not answer"
    assert (opening.of, opening.try_again) == ("by-hand", True)


def test_a_person_cannot_open_a_door_that_stops():
    shell = door()
    shell.feed(m.OpenByHand("by-hand", instant(shell.now), "a delivery"))
    shell.feed(m.Stop())
    shell.feed(m.Recorded("by-hand"))
    assert not shell.of(m.Energise)
    assert shell.last.outcome.result is Result.REJECTED


def lock_down(shell):
    shell.feed(m.Ordered("order", instant(shell.now), Order(Mode.LOCKDOWN, "threat")))
    shell.feed(m.Recorded("order"))


def stop(shell):
    shell.feed(m.Stop())


def check_shut(outcome, fault, message):
    assert (outcome.result, outcome.basis, outcome.gate) == (Result.REJECTED, None, None)
    assert (outcome.fault, outcome.message) == (fault, message)
    assert outcome.reason.text == "Opened by hand: a delivery"


@pytest.mark.parametrize("given", [m.Recorded, m.RecordLate])
def test_a_lockdown_ends_an_opening_by_hand_that_waits_for_the_disk(given):
    shell = door()
    shell.feed(m.OpenByHand("by-hand", instant(shell.now), "a delivery"))
    lock_down(shell)
    shell.feed(given("by-hand"))
    assert not shell.of(m.Energise)
    check_shut(shell.last.outcome, Fault.LOCKDOWN, "Locked down")
    assert shell.last.row.cause == Fault.LOCKDOWN.unasked.cause


def tried_once_more():
    """A door with an opening by hand whose relay is out of order, and is being tried once more."""
    shell = door()
    shell.feed(m.OpenByHand("by-hand", instant(shell.now), "a delivery"))
    assert shell.feed(m.Recorded("by-hand")) == [m.Energise("by-hand", try_again=True)]
    return shell


def test_an_opening_by_hand_opens_once_the_relay_was_tried_once_more():
    shell = tried_once_more()
    assert shell.feed(m.Retried("by-hand")) == [m.Energise("by-hand")]
    shell.feed(m.RelayOn("by-hand", 0.1, 3000))
    assert shell.last.outcome.basis is Basis.MANUAL


@pytest.mark.parametrize(
    ("overtake", "fault", "message"),
    [(lock_down, Fault.LOCKDOWN, "Locked down"), (stop, Fault.GATE, "Gate out of order")],
)
def test_what_overtakes_the_other_try_of_the_relay_keeps_the_gate_shut(overtake, fault, message):
    shell = tried_once_more()
    overtake(shell)
    shell.feed(m.Retried("by-hand"))
    assert len(shell.of(m.Energise)) == 1
    check_shut(shell.last.outcome, fault, message)
    assert shell.feed(m.Retried("by-hand")) == []


@pytest.mark.parametrize("given", [m.Recorded, m.RecordLate])
def test_a_gate_that_breaks_before_the_request_asks_nobody(given):
    shell = door()
    shell.scan("123")
    shell.feed(m.GateBroken("GPIO busy"))
    shell.feed(given(shell.attempt))
    assert not shell.of(m.Ask)
    outcome = shell.last.outcome
    assert (outcome.message, outcome.fault, outcome.detail) == ("Gate out of order", Fault.GATE, "GPIO busy")
    assert (outcome.verdict, outcome.request) == (None, None)


def test_an_unreadable_card_may_be_tried_again_where_that_hides_nothing():
    shell = door()
    assert [effect.indication for effect in shell.feed(m.Unreadable(showing=False))] == [Indication.TRY_AGAIN]
    assert shell.feed(m.Unreadable(showing=True)) == []
    shell.scan("123")
    assert shell.feed(m.Unreadable(showing=False)) == [], "a scan is under way"
    stopping = door()
    stop(stopping)
    assert stopping.feed(m.Unreadable(showing=False)) == []


def test_a_stop_drops_what_waits_and_decides_the_scan_under_way():
    shell = door()
    for code in ("1", "2", "3"):
        shell.scan(code)
    assert "2 codes that waited were dropped" in shell.feed(m.Stop())[0].entry.message
    assert shell.scan("4") == []
    shell.feed(m.Recorded(shell.attempt))
    shell.feed(m.Answered(shell.attempt, REFUSED, request()))
    assert len(shell.of(m.Conclude)) == 1
    assert shell.machine.state is State.FREE


def test_late_results_of_a_concluded_event_are_nothing():
    shell = door()
    shell.scan("123")
    of = shell.attempt
    shell.feed(m.Recorded(of))
    shell.feed(m.Answered(of, REFUSED, request()))
    assert shell.feed(m.Answered(of, ALLOWED, request())) == []
    assert shell.feed(m.RelayOn(of, 1.0, 3000)) == []
    assert shell.feed(m.Recorded(of)) == shell.feed(m.RecordLate(of)) == []


@pytest.mark.parametrize("table", [SCAN, BY_HAND])
def test_an_input_without_a_row_names_state_and_input(table):
    for state, happening in itertools.product(State, Happening):
        if (state, happening) in table:
            assert row_of(table, state, happening) is table[state, happening]
        else:
            with pytest.raises(IllegalInputError, match=f"{happening.value}.*{state.value}"):
                row_of(table, state, happening)


def test_an_answer_before_the_record_is_an_error():
    shell = door()
    shell.scan("123")
    with pytest.raises(IllegalInputError, match=r"allowed.*recording"):
        shell.feed(m.Answered(shell.attempt, ALLOWED, request()))


def test_every_action_is_in_a_table():
    assert {row.action for table in (SCAN, BY_HAND) for row in table.values()} == set(Action)


RULINGS = st.sampled_from([ALLOWED, REFUSED, ALREADY_IN, TIMEOUT, Decision(Verdict.NOT_FOUND, status=404)])


class Chance(Shell):
    """Draws inputs and times, and gives each effect one of the results that it can have."""

    def __init__(self, data):
        super().__init__(
            cards=data.draw(st.sampled_from([{}, None])),
            patience_s=data.draw(st.sampled_from([0.0, 0.1, 5.0])),
            settle_s=data.draw(st.sampled_from([0, 60])),
            already_in_per_day=data.draw(st.sampled_from([0, 1])),
        )
        self.data = data
        self.open = []
        self.by_hand = itertools.count()

    def turn(self):
        self.now += self.data.draw(st.sampled_from([0.0, 0.001, 0.05, 0.2, 1.0, 4.0]))
        what = self.data.draw(
            st.sampled_from(["code", "result", "result", "result", "hand", "broken", "cards"])
        )
        if what == "code":
            self.take(self.scan(self.data.draw(st.sampled_from("123456x"))))
        elif what == "hand":
            self.take(self.feed(m.OpenByHand(f"hand-{next(self.by_hand)}", instant(self.now), "a delivery")))
        elif what == "broken":
            self.take(self.feed(m.GateBroken(self.data.draw(st.sampled_from([None, "GPIO busy"])))))
        elif what == "cards":
            self.site.cards = {}
        elif self.open:
            self.answer(self.open.pop(self.data.draw(st.integers(0, len(self.open) - 1))))

    def take(self, effects):
        waited = (m.Record, m.Ask, m.LookUp)
        self.open += [effect for effect in effects if isinstance(effect, waited)]
        for effect in effects:
            if isinstance(effect, m.Energise):  # its result follows at once
                stuck = self.data.draw(st.booleans())
                result = m.RelayStuck(effect.of, "x") if stuck else m.RelayOn(effect.of, self.now, 3000)
                self.take(self.feed(m.Retried(effect.of) if effect.try_again and stuck else result))

    def answer(self, effect):
        match effect:
            case m.Record(attempt, until_s):
                if self.data.draw(st.booleans()):
                    self.take(self.feed(m.Recorded(attempt.id)))
                else:
                    self.now = max(self.now, until_s)
                    self.take(self.feed(m.RecordLate(attempt.id)))
            case m.Ask(attempt):
                self.take(self.feed(m.Answered(attempt.id, self.data.draw(RULINGS), request())))
            case m.LookUp(attempt):
                ids = self.data.draw(st.lists(st.sampled_from(["e1", "e2", "e3"]), unique=True))
                openings = self.data.draw(st.sampled_from([None, (), (("e4", 0),)]))
                self.take(self.feed(m.LookedUp(attempt.id, ids, openings)))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_inputs_in_any_order(data):
    door = Chance(data)
    fed = []
    feed = door.feed

    def noting(given):
        fed.append(given)
        effects = feed(given)
        fed.extend(effects)
        return effects

    door.feed = noting
    for _ in range(data.draw(st.integers(1, 40))):
        door.turn()
    door.take(door.feed(m.Stop()))
    while door.open:
        door.answer(door.open.pop(0))

    assert door.machine.state is State.FREE, "every scan ends"
    assert door.machine.waiting == 0
    recorded = Counter(effect.attempt.id for effect in door.of(m.Record))
    concluded = Counter(effect.event.attempt.id for effect in door.of(m.Conclude))
    assert recorded == concluded, "each attempt ends in one event, and no event is without its attempt"
    assert set(recorded.values()) <= {1}
    asked = Counter(effect.attempt.id for effect in door.of(m.Ask))
    assert set(asked.values()) <= {1}, "asked once"
    check_order(fed)
    settled = [
        e.event.outcome.reason.key for e in door.of(m.Conclude) if e.event.outcome.basis is Basis.SETTLED
    ]
    assert len(settled) == len(set(settled)), "a request is settled once"
    for effect in door.of(m.Conclude):
        outcome = effect.event.outcome
        assert (
            (outcome.basis is not None) == (outcome.gate is not None) == (outcome.result is Result.ADMITTED)
        )


def check_order(fed):
    """Ask only after the record, open only with a basis."""
    on_record, allowed = set(), set()
    for one in fed:
        match one:
            case m.Recorded(of) | m.RecordLate(of):
                on_record.add(of)
                if of.startswith("hand"):
                    allowed.add(of)
            case m.Ask(attempt):
                assert attempt.id in on_record
            case m.Answered(of, decision):
                if decision.admits:
                    allowed.add(of)
            case m.LookedUp(of, unanswered, openings):
                if unanswered or openings == ():
                    allowed.add(of)
            case m.Energise(of):
                assert of in allowed
