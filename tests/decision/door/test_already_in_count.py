"""However doors, days, late records and restarts fall together: never more openings a day than are set."""

import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatectl.decision.door import messages as m
from gatectl.decision.door.context import ALREADY_IN_KEPT_MAX, AlreadyInCount, SharedState
from gatectl.decision.door.machine import DoorMachine, DoorRules
from gatectl.decision.event import RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import Conditions
from gatectl.decision.routing import Number, Numbers, Route
from gatectl.decision.timestamps import Instant, Timestamp
from gatectl.decision.verdict import Basis, Decision, Reason, Verdict

IN_ALREADY = Decision(Verdict.NOT_ALLOWED, status=400, reason=Reason("already", None))
DIGIT = Numbers(Number(re.compile(r"\d", re.ASCII), "a digit", (1, 1)))
RULES = DoorRules(0.0)
ANSWERS = [
    *[IN_ALREADY] * 6,
    Decision(Verdict.NOT_ALLOWED, status=400, reason=Reason("expired", None)),
    Decision(Verdict.ALLOWED, status=200),
    Decision(Verdict.NONE, Fault.TIMEOUT),
]
# The clock goes back at Sao Paulo's midnight of 2018-02-18, and forward at that of 2017-10-15.
STARTS = [
    ("Europe/Berlin", datetime(2026, 10, 25, 21, 0, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 2, 17, 22, 0, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2017, 10, 14, 22, 0, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 8, 0, tzinfo=UTC)),
]


@dataclass
class Rules:
    name: str
    already_in_per_day: int
    budget_ms: int = 750
    settle_s: int = 0
    checks_in_after_passage: bool = False
    numbers: Numbers = DIGIT
    conditions: Conditions = field(default_factory=lambda: Conditions(0.0))
    grace: None = None

    def says_already_in(self, decision):
        return decision == IN_ALREADY

    def may_refuse_return(self, decision):
        return decision == IN_ALREADY


class Site:
    """Two doors, two partners, and a journal that takes outcomes late and answers or not."""

    def __init__(self, draw, zone, start, most):
        self.draw = draw
        self.zone, self.most = ZoneInfo(zone), most
        self.now, self.start_us = 0.0, round(start.timestamp() * 1e6)
        self.ids = itertools.count()
        self.journal, self.unwritten, self.events = [], [], []
        self.start_up()

    def start_up(self):
        """A start after an orderly end, which writes what waits."""
        self.write(len(self.unwritten))
        partners = {name: Rules(name, self.most) for name in ("p", "q")}
        routes = [Route(re.compile(f"{name}(?P<member>.)", re.ASCII), name) for name in partners]
        state = SharedState("t", "s", routes, partners, 0.1, {}, already_in=AlreadyInCount(self.zone))
        made = (DoorMachine(name, RULES, state, lambda _: f"e{next(self.ids)}") for name in ("main", "side"))
        self.doors = list(made)
        self.open = []

    def write(self, count):
        self.journal += self.unwritten[:count]
        del self.unwritten[:count]

    def instant(self):
        us = self.start_us + round(self.now * 1e6)
        return Instant(self.now, Timestamp(us, "0" * 32, round(self.now * 1e6)))

    def turn(self):
        what = self.draw(st.sampled_from(["scan"] * 3 + ["result"] * 9 + ["time"] * 2 + ["start"]))
        if what == "scan":
            door = self.draw(st.sampled_from(self.doors))
            code = self.draw(st.sampled_from(["p1", "p1", "p1", "p2", "q1"]))
            self.feed(door, m.CodeRead(code, "/dev/x", self.instant()))
        elif what == "time":
            self.now += self.draw(st.sampled_from([1.0, 1800.0, 3600.0, 7200.0, 6 * 3600.0]))
        elif what == "start":
            self.finish()
            self.start_up()
        elif self.open:
            self.answer(*self.open.pop(self.draw(st.integers(0, len(self.open) - 1))))
        self.write(self.draw(st.sampled_from([0, 0, 0, 5])))

    def feed(self, door, given):
        for effect in door.handle(given, self.now):
            if isinstance(effect, m.Record | m.Ask | m.LookUp | m.Energise):
                self.open.append((door, effect))
            elif isinstance(effect, m.Conclude):
                self.events.append(effect.event)
                self.unwritten.append(effect.event)

    def answer(self, door, effect):
        match effect:
            case m.Record(attempt):
                self.feed(door, m.Recorded(attempt.id))
            case m.Ask(attempt):
                decision = self.draw(st.sampled_from(ANSWERS))
                record = RequestRecord(True, 0, 0, 1.0, 750, "warm")
                self.feed(door, m.Answered(attempt.id, decision, lambda: record))
            case m.LookUp(attempt):
                slow = self.draw(st.sampled_from([False] * 5 + [True]))
                self.feed(door, m.LookedUp(attempt.id, (), None if slow else self.on_record(attempt)))
            case m.Energise(of):
                stuck = self.draw(st.sampled_from([False] * 5 + [True]))
                given = m.RelayStuck(of, "x") if stuck else m.RelayOn(of, self.now, 3000)
                self.feed(door, given)

    def on_record(self, attempt):
        """The selection of the journal's own statement: this partner's and member's openings on this
        basis."""
        return [
            (event.attempt.id, event.attempt.at_us)
            for event in self.journal
            if event.outcome.basis is Basis.ALREADY_IN
            and (event.attempt.partner, event.attempt.member) == (attempt.partner, attempt.member)
        ]

    def finish(self):
        while self.open:
            self.answer(*self.open.pop(0))

    def day(self, at_us):
        return datetime.fromtimestamp(at_us / 1e6, self.zone).date()


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(STARTS), st.sampled_from([0, 1, 2]))
def test_never_more_openings_than_the_settings_allow_in_a_day(data, start, most):
    site = Site(data.draw, *start, most)
    for _ in range(data.draw(st.integers(1, 60))):
        site.turn()
    site.finish()
    opened = Counter(
        (event.attempt.partner, event.attempt.member, site.day(event.attempt.at_us))
        for event in site.events
        if event.outcome.basis is Basis.ALREADY_IN
    )
    assert max(opened.values(), default=0) <= most
    for event in site.events:
        outcome = event.outcome
        if outcome.basis is Basis.ALREADY_IN:
            assert (outcome.verdict, outcome.reason) == (IN_ALREADY.verdict, IN_ALREADY.reason)
            assert outcome.gate is not None


def attempt_at(number, moment):
    state = SharedState("t", "s", [], {}, 0.1, {})
    door = DoorMachine("main", RULES, state, lambda _: f"e{number}")
    instant = Instant(0.0, Timestamp(round(moment.timestamp() * 1e6), "0" * 32, 0))
    (record, *_) = door.handle(m.CodeRead("x", "/dev/x", instant), 0.0)
    return record.attempt


@pytest.mark.parametrize(
    ("first", "second", "is_another_day"),
    [
        (
            datetime(2026, 10, 24, 22, 0, tzinfo=UTC),
            datetime(2026, 10, 25, 22, 59, tzinfo=UTC),
            False,
        ),  # 25 h
        (datetime(2026, 10, 25, 22, 59, tzinfo=UTC), datetime(2026, 10, 25, 23, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 28, 22, 59, tzinfo=UTC), datetime(2026, 3, 28, 23, 0, tzinfo=UTC), True),
        (datetime(2026, 3, 28, 23, 0, tzinfo=UTC), datetime(2026, 3, 29, 21, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 29, 21, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, 0, tzinfo=UTC), True),
    ],
)
def test_a_day_of_berlin_is_as_long_as_it_is(first, second, is_another_day):
    count = AlreadyInCount(ZoneInfo("Europe/Berlin"))
    assert count.take(attempt_at(1, first), (), 1)
    assert count.take(attempt_at(2, second), (), 1) is is_another_day


def test_an_opening_that_is_in_the_journal_and_in_memory_counts_once():
    moment = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    count, first = AlreadyInCount(UTC), attempt_at(1, moment)
    assert count.take(first, (), 2)
    on_record = [(first.id, first.at_us)]
    assert count.take(attempt_at(2, moment), on_record, 2)
    assert not count.take(attempt_at(3, moment), on_record, 2)
    count.give_back("e2")
    assert count.take(attempt_at(3, moment), on_record, 2)


def test_its_memory_is_bounded():
    moment = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    count = AlreadyInCount(UTC)
    for number in range(ALREADY_IN_KEPT_MAX + 10):
        count.take(attempt_at(number, moment), (), ALREADY_IN_KEPT_MAX + 20)
    assert len(count._openings) == ALREADY_IN_KEPT_MAX
