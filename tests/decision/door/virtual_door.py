"""A door's machine with a relay, a buzzer, timers and a partner that admits, in virtual time."""

import itertools
import re
from dataclasses import dataclass, field

from gatectl.decision.door import messages as m
from gatectl.decision.door.contact import ContactRules
from gatectl.decision.door.context import SharedState
from gatectl.decision.door.exits import ExitRules
from gatectl.decision.door.grace import MemberPast, OutageGrace
from gatectl.decision.door.inputs import InputName
from gatectl.decision.door.machine import DoorMachine, DoorRules
from gatectl.decision.door.modes import Order
from gatectl.decision.event import RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import Conditions
from gatectl.decision.routing import Number, Numbers, Route
from gatectl.decision.timestamps import Instant, Timestamp
from gatectl.decision.verdict import Basis, Decision, Reason, Result, Verdict

OPEN_MS, EXIT_MS = 3000, 5000
CONTACT = ContactRules(held_s=30, warn_s=10, relock="open_ms")
EXIT = ExitRules(EXIT_MS, unlock=True, repeat_s=3.0)
DIGITS = Numbers(Number(re.compile(r"\d+", re.ASCII), "digits", (1, 20)))


IN_ALREADY = Decision(Verdict.NOT_ALLOWED, status=409, reason=Reason("in already", None))

BY_PARTNERS_WORD = (Basis.PARTNER, Basis.SETTLED, Basis.ALREADY_IN, Basis.RETURN)


def record():
    return RequestRecord(True, 0, 0, 1.0, 750, "warm")


@dataclass
class Partner:
    """A partner that admits all but those in `refuses`; of those in `counts`, each only once."""

    name: str = "p"
    budget_ms: int = 750
    settle_s: int = 0
    already_in_per_day: int = 0
    checks_in_after_passage: bool = False
    numbers: Numbers = DIGITS
    conditions: Conditions = field(default_factory=lambda: Conditions(0.0))
    grace: OutageGrace | None = None
    refuses: set = field(default_factory=set)
    counts: set = field(default_factory=set)
    asked: list = field(default_factory=list)
    allowed: int = 0
    """How many of its admissions arrived."""
    checked_in: list = field(default_factory=list)
    """Scans and check-ins for which the partner was asked to check the member in."""

    def says_already_in(self, decision):
        return decision == IN_ALREADY

    def may_refuse_return(self, decision):
        return decision == IN_ALREADY

    def answer(self, attempt):
        self.asked.append(attempt.member)
        if attempt.member in self.refuses:
            return Decision(Verdict.NOT_ALLOWED, status=400)
        if attempt.member in self.counts and attempt.member in self.asked[:-1]:
            return IN_ALREADY
        return Decision(Verdict.ALLOWED, status=200)


def instant(at_s):
    return Instant(at_s, Timestamp(round(at_s * 1e6), "0" * 32, round(at_s * 1e6)))


class Door:
    """The machine with a relay, a buzzer and timers, in virtual time."""

    def __init__(self, contact=CONTACT, exits=EXIT, passage=None, cards=None, repeat_s=3.0, **more):
        self.ids = ids = itertools.count()
        self.partner = Partner()
        routes = [Route(re.compile(r"\d+", re.ASCII), "p")]
        site = SharedState("t", "s", routes, {"p": self.partner}, 0.1, cards or {})
        self.machine = DoorMachine(
            "main",
            DoorRules(repeat_s, contact, exits, passage, **more),
            site,
            lambda at_us: f"{at_us}-{next(ids)}",
        )
        self.now = 0.0
        self.timers = {}
        self.relay_off_s = 0.0
        self.exit_off_s = 0.0
        """Of the exit's own relay, if it has one."""
        self.has_own_exit = exits is not None and exits.has_own_relay
        self.openings = 0
        self.relay_works = True
        self.disk_works = True
        self.line_works = True
        """Whether the partner's answers arrive."""
        self.checks_in = {}
        self.kept_until_s = {False: 0.0, True: 0.0}
        """Of the door's relay, and of the exit's."""
        self.warns = False
        self.events = []
        self.logged = []
        self.screens = []

    def feed(self, given):
        waiting = [given]
        while waiting:
            for effect in self.machine.handle(waiting.pop(0), self.now):
                waiting += self.perform(effect)

    def perform(self, effect):
        """The results of an effect."""
        match effect:
            case m.Energise(of, _, open_ms, for_exit):
                return [self.energise(of, open_ms or OPEN_MS, by_own=for_exit and self.has_own_exit)]
            case m.Prepare(attempt, _, checks_in):
                self.checks_in[attempt.id] = checks_in
            case m.Ask(attempt):
                return self.ask(attempt)
            case m.Record(attempt, _, after):
                if after is not None:
                    self.events.append(after)
                return [m.Recorded(attempt.id)] if self.disk_works else []
            case m.LookUp() | m.LookBack():
                return [self.look_up(effect)]
            case m.Release(at_s):
                self.relay_off_s = min(self.relay_off_s, max(at_s, self.now))
            case m.KeepOn(until_s, for_exit):
                self.kept_until_s[for_exit] = until_s
            case m.StopKeeping(for_exit):
                self.kept_until_s[for_exit] = 0.0
            case m.StartTimer(name, at_s):
                self.timers[name] = at_s
            case _:
                self.show(effect)
        return []

    def ask(self, attempt):
        if self.checks_in.pop(attempt.id):
            self.partner.checked_in.append(attempt)
        decision = self.partner.answer(attempt)
        if not self.line_works:
            decision = Decision(Verdict.NONE, Fault.TIMEOUT, detail="no answer")
        self.partner.allowed += decision.admits
        return [m.Answered(attempt.id, decision, record)]

    def look_up(self, effect):
        """The journal's answer."""
        if isinstance(effect, m.LookBack):
            return m.LookedBack(effect.attempt.id, self.past_of(effect.attempt))
        own = [event for event in self.events if event.attempt.member == effect.attempt.member]
        since_us = effect.attempt.at_us - effect.return_s * 1_000_000
        passed = [event.attempt.at_us >= since_us for event in own if event.outcome.result is Result.PASSED]
        openings = [
            (event.attempt.id, event.attempt.at_us)
            for event in own
            if event.outcome.basis is Basis.ALREADY_IN
        ]
        return m.LookedUp(effect.attempt.id, (), openings, effect.return_s > 0 and any(passed))

    def past_of(self, attempt):
        """The journal's evidence about the member, in an outage."""
        own = [event for event in self.events if event.attempt.member == attempt.member]
        by_word = [event for event in own if event.outcome.basis in BY_PARTNERS_WORD]
        verdicts = [event for event in own if event.outcome.verdict not in {None, Verdict.NONE}]
        admits = bool(verdicts) and verdicts[-1].outcome.result is Result.ADMITTED
        graced = [event.attempt.at_us for event in own if event.outcome.basis is Basis.GRACE]
        return MemberPast(attempt.at_us, [event.attempt.at_us for event in by_word], admits, graced)

    def show(self, effect):
        match effect:
            case m.Warn(on):
                self.warns = on
            case m.Note(event) | m.Conclude(event):
                self.events.append(event)
            case m.Show(view):
                self.screens.append(view.screen.value)
            case m.Log(entry):
                self.logged.append(entry.message)

    def energise(self, of, open_ms, *, by_own=False):
        if not self.relay_works:
            return m.RelayStuck(of, "pin 17 does not follow")
        self.openings += 1
        off_s = self.now + open_ms / 1000
        if by_own:
            self.exit_off_s = max(self.exit_off_s, off_s)
        else:
            self.relay_off_s = max(self.relay_off_s, off_s)
        return m.RelayOn(of, self.now, open_ms)

    def until(self, at_s):
        """Let time pass: every timer on the way runs out."""
        while due := [
            (when, name) for name, when in self.timers.items() if when is not None and when <= at_s
        ]:
            self.now, name = min(due)
            self.timers[name] = None
            self.feed(m.TimeUp(name, instant(self.now)))
        self.now = at_s

    def level(self, name, active):
        self.feed(m.InputChanged(name, active, instant(self.now)))

    def contact(self, *, is_open):
        self.level(InputName.CONTACT, is_open)

    def button(self, *, is_pressed):
        self.level(InputName.EXIT, is_pressed)

    def passage(self, *, active):
        self.level(InputName.PASSAGE, active)

    def scan(self, code):
        self.feed(m.CodeRead(code, "/dev/reader", instant(self.now)))

    def admit(self):
        self.feed(m.OpenByHand(f"hand-{next(self.ids)}", instant(self.now), "test"))

    def order(self, mode, reason=None, for_s=None):
        until_us = None if for_s is None else round((self.now + for_s) * 1e6)
        of = f"order-{next(self.ids)}"
        self.feed(m.Ordered(of, instant(self.now), Order(mode, reason, until_us)))

    @property
    def mode(self):
        return self.machine.modes.current.mode

    @property
    def is_on(self):
        return self.now < max(self.relay_off_s, self.kept_until_s[False])

    @property
    def noted(self):
        """The events but for openings by hand."""
        return [event for event in self.events if event.attempt.kind != "manual"]

    @property
    def words(self):
        return [
            (event.attempt.kind, event.outcome.result.value, event.outcome.message) for event in self.noted
        ]


def at_rest(**rules):
    """A door whose inputs have been read once, closed and not pressed, long after the start."""
    door = Door(**rules)
    for name in door.machine.inputs:
        door.level(name, False)
    door.until(1000.0)
    return door
