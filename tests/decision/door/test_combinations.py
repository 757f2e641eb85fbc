"""A whole gate under any sequence of inputs: what its relays, alarms and events promise together."""

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_door import EXIT, OPEN_MS, Door, instant

from gatectl.decision.door import messages as m
from gatectl.decision.door.contact import TAIL_S, ContactRules
from gatectl.decision.door.inputs import InputHealth, InputName
from gatectl.decision.door.modes import Mode, ModeRules, Planned
from gatectl.decision.door.passages import PassageRules
from gatectl.decision.schedule import Schedule

MONDAY_S = 4 * 86_400.0
"""The first Monday of virtual time: 1970 began with a Thursday."""
CLOSED = Schedule([[(21, 22), (25, 26)]] + [[]] * 6, {})
STAFFED = Schedule([[(20, 24), (28, 29)]] + [[]] * 6, {})
OPEN_S, AGAIN_S, HELD_S = OPEN_MS / 1000, 60.0, 20
SENSOR = PassageRules(4.0, AGAIN_S)
BY_CONTACT = PassageRules(OPEN_S + 1, AGAIN_S, has_sensor=False, release="no")
KEEPS_ON = {"fire", "held"}
REFUSES = {Mode.LOCKDOWN, Mode.CLOSED}
LEVELS = {
    "open": (InputName.CONTACT, True),
    "close": (InputName.CONTACT, False),
    "turn": (InputName.PASSAGE, True),
    "turned": (InputName.PASSAGE, False),
    "press": (InputName.EXIT, True),
    "let go": (InputName.EXIT, False),
    "fire": (InputName.FIRE, True),
    "quiet": (InputName.FIRE, False),
}
OTHERS = ["lockdown", "hold", "normal", "scan 1", "scan 2", "scan 3", "hand", "wait", "wait"]
STEPS = st.lists(
    st.tuples(st.sampled_from([*LEVELS, *OTHERS]), st.one_of(st.integers(0, 20), st.integers(0, 60))),
    min_size=20,
    max_size=60,
)
"""Without a least size most lists would be of five steps."""


class Lived(Door):
    """A door with a record of when anything unlocked it."""

    def __init__(self, **rules):
        self.unlocked_s = 0.0
        super().__init__(**rules)
        self.exits = rules["exits"]
        self.pressed_s = None
        self.left_until_s = 0.0
        """Until when somebody may leave; not known before the button is let go."""
        self.admitted_until_s = 0.0

    def perform(self, effect):
        self.follow()
        return super().perform(effect)

    def energise(self, of, open_ms, **more):
        if not of.startswith("exit"):
            self.follow()
        return super().energise(of, open_ms, **more)

    def out_until_s(self):
        """When the way out is shut again, if the button is let go now: it is extended after each half."""
        if self.pressed_s is None:
            return self.left_until_s
        open_s = self.exits.open_ms / 1000
        halves = int((self.now - self.pressed_s + 1e-9) / (open_s / 2))
        return self.pressed_s + halves * open_s / 2 + open_s

    def follow(self):
        """The latest moment until now at which the door was unlocked."""
        ends = [self.relay_off_s, self.exit_off_s, self.out_until_s(), *self.kept_until_s.values()]
        self.unlocked_s = max([self.unlocked_s, *(min(self.now, end_s) for end_s in ends)])
        return self.unlocked_s

    def take(self, step):
        """One step; the events that it made."""
        seen = len(self.events)
        match step.split():
            case ["scan", code]:
                self.scan(code)
            case ["hand"]:
                self.admit()
            case ["lockdown"]:
                self.order(Mode.LOCKDOWN, "x")
            case ["hold"]:
                self.order(Mode.HELD, "x", for_s=8)
            case ["normal"]:
                self.order(Mode.NORMAL)
            case _ if step in LEVELS:
                name, active = LEVELS[step]
                if name in self.machine.inputs and self.machine.inputs[name].level is not active:
                    self.move(name, active)
        return self.events[seen:]

    def move(self, name, active):
        if name is InputName.EXIT and not active:
            self.left_until_s, self.pressed_s = max(self.left_until_s, self.out_until_s()), None
        elif name is InputName.EXIT:
            self.left_until_s, self.pressed_s = self.out_until_s(), self.now
        self.level(name, active)


def lived(relock, release, exits, first_in, by_contact):
    passage = BY_CONTACT if by_contact else SENSOR._replace(release=release)
    door = Lived(
        contact=ContactRules(HELD_S, 20, relock),
        exits=exits,
        passage=passage,
        has_fire=True,
        may_hold=True,
        repeat_s=1.0,
        modes=ModeRules(Planned("staffed", STAFFED), Planned("night", CLOSED), first_in=first_in),
    )
    for name in door.machine.inputs:
        door.level(name, False)
    door.now = MONDAY_S + 19.0 * 60
    return door


def results(events, kind):
    return [event.outcome.result.value for event in events if event.attempt.kind == kind]


EXITS = [EXIT, EXIT._replace(open_ms=1000), EXIT._replace(unlock=False), EXIT._replace(has_own_relay=True)]


@settings(max_examples=200)
@given(
    STEPS,
    st.sampled_from(["open_ms", "on_open", "on_close"]),
    st.sampled_from(["start", "end"]),
    st.sampled_from(EXITS),
    st.booleans(),
    st.booleans(),
)
def test_whatever_happens_at_once(steps, relock, release, exits, first_in, by_contact):
    door = lived(relock, release, exits, first_in, by_contact)
    for step, tenths in steps:
        door.until(round(door.now + tenths / 10, 1))
        door.feed(m.ClockLooked(instant(door.now), True))
        check_locks(door)
        before = Before(door)
        made = door.take(step)
        before.check(door, step, made)
        check_locks(door)
    door.until(door.now + 200)
    check_events(door)


class Before:
    """The state before a step, and what has to follow from it."""

    def __init__(self, door):
        self.mode = door.mode
        self.asked = len(door.partner.asked)
        self.closed_for_s = door.now - door.follow()
        self.leaves = door.now <= door.out_until_s()
        self.waiting = door.machine._inputs.passages.waiting
        self.levels = {name: (state.level, state.health) for name, state in door.machine.inputs.items()}

    def check(self, door, step, made):
        if door.mode is Mode.LOCKDOWN and self.mode is not Mode.LOCKDOWN:
            door.admitted_until_s = min(door.admitted_until_s, door.now)
        admitted = [
            event for event in made if event.outcome.gate and event.attempt.kind in {"scan", "manual"}
        ]
        if admitted:
            door.admitted_until_s = door.now + OPEN_S
        if step.startswith("scan") and self.mode in REFUSES:
            assert len(door.partner.asked) == self.asked
            assert not admitted
        if step.startswith("scan") and self.mode is Mode.FIRE:
            assert len(door.partner.asked) == self.asked
        if step == "open" and self.levels[InputName.CONTACT] == (False, InputHealth.OK):
            self.check_opening(made)
        if step == "turn" and self.levels.get(InputName.PASSAGE) == (False, InputHealth.OK):
            self.check_passage(made)

    def check_opening(self, made):
        if abs(self.closed_for_s - TAIL_S) > 1e-6:  # else the sum of the times decides
            assert ("forced" in results(made, "contact")) is (self.closed_for_s > TAIL_S)

    def check_passage(self, made):
        flutters = "flutters" in results(made, "input")
        is_strange = not (self.waiting or self.leaves or self.mode.value in KEEPS_ON)
        assert ("unexpected" in results(made, "passage")) is (is_strange and not flutters)


def check_locks(door):
    keeps, now = door.mode.value in KEEPS_ON, door.now
    assert (door.kept_until_s[False] > now) is keeps
    assert (door.kept_until_s[True] > now) is (door.mode is Mode.FIRE)
    moves, own = door.exits.unlock, door.exits.has_own_relay
    out_until_s = door.out_until_s() if moves else 0.0
    # The way in: never longer than an admission or a way out through the same lock allows.
    allowed_s = max(door.admitted_until_s, 0.0 if own else out_until_s)
    assert door.relay_off_s <= max(allowed_s, now) + 1e-6
    # The way out: nothing is in its way.
    if out_until_s > now + 1e-6:
        assert (door.exit_off_s if own else door.relay_off_s) >= out_until_s - 1e-6
    assert not door.warns or (door.machine.inputs[InputName.CONTACT].level and not keeps)


def check_events(door):
    alarm, mode, ends = None, "normal", []
    unused = {}
    for event in door.events:
        kind, result, of = event.attempt.kind, event.outcome.result.value, event.attempt.of
        match kind, result:
            case "mode", _:
                mode = result
            case "contact", "closed":
                assert alarm is not None
                assert of == alarm.attempt.id
                alarm = None
            case "contact", _:
                assert alarm is None
                assert mode not in KEEPS_ON
                alarm = event
            case "passage", "not_passed":
                ends.append(of)
                unused[of] = event.attempt.at_us
            case "passage", "passed":
                ends.append(of)
            case "scan", "admitted" if event.outcome.basis == "again":
                assert event.attempt.at_us <= unused.pop(of) + AGAIN_S * 1e6
    assert len(ends) == len(set(ends))
