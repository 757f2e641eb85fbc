"""Modes: fire, lockdown, holds and schedules, in their order; their effect on relay, scans and alarms."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_door import CONTACT, EXIT, EXIT_MS, IN_ALREADY, OPEN_MS, Door, at_rest, instant, record

from gatectl.decision.door import messages as m
from gatectl.decision.door.inputs import InputName
from gatectl.decision.door.modes import Mode, ModeRules, Order, Planned
from gatectl.decision.door.passages import PassageRules
from gatectl.decision.outcomes import Fault
from gatectl.decision.schedule import DAY_MIN, Schedule
from gatectl.decision.verdict import Basis, Decision, Verdict

SPAN = Schedule([[(20, 40)]] + [[]] * 6, {})
"""Of the first Monday: in virtual time it lasts from 4 days and 1200 s on, as 1970 began with a Thursday."""
ALWAYS = Schedule([[(0, DAY_MIN)]] * 7, {})
MONDAY_S = 4 * DAY_MIN * 60
BEGIN_S, END_S = MONDAY_S + 1200.0, MONDAY_S + 2400.0


def held_by_plan(**more):
    return ModeRules(hold_open=Planned("staffed", SPAN), zone=UTC, **more)


def look(door, at_s, *, trusted=True):
    door.until(at_s)
    door.feed(m.ClockLooked(instant(door.now), trusted))


def fire(door, *, active):
    door.level(InputName.FIRE, active)


def of_modes(door):
    return [(result, message) for kind, result, message in door.words if kind == "mode"]


def test_fire_opens_everything_until_it_ends():
    door = at_rest(has_fire=True)
    fire(door, active=True)
    assert door.kept_until_s == {False: float("inf"), True: float("inf")}
    assert of_modes(door) == [("fire", "Fire alarm")]
    door.scan("1")
    assert door.words[-1] == ("scan", "admitted", "Let in: fire alarm")
    scan = door.noted[-1].outcome
    assert (scan.basis.value, scan.verdict, scan.request, door.partner.asked) == ("fire", None, None, [])
    door.contact(is_open=True)
    door.until(5000.0)
    fire(door, active=False)
    assert door.kept_until_s == {False: 0.0, True: 0.0}
    assert of_modes(door)[1:] == [("normal", "Normal again")]
    assert not [word for word in door.words if word[0] == "contact"]


def test_a_lockdown_lets_nobody_in_and_everybody_out():
    door = at_rest(has_fire=True)
    door.admit()
    door.order(Mode.LOCKDOWN, "threat")
    assert not door.is_on  # at once
    assert of_modes(door) == [("lockdown", "Locked down: threat")]
    door.scan("1")
    assert door.words[-1] == ("scan", "rejected", "Locked down")
    assert (door.noted[-1].outcome.fault.value, door.partner.asked) == ("lockdown", [])
    assert door.screens[-1] == "closed"
    door.button(is_pressed=True)
    assert door.is_on
    fire(door, active=True)
    assert door.mode is Mode.FIRE
    fire(door, active=False)
    assert door.mode is Mode.LOCKDOWN
    door.order(Mode.NORMAL)
    assert of_modes(door)[-1] == ("normal", "Normal again")
    door.until(2000.0)
    door.scan("1")
    assert door.partner.asked == ["1"]


def test_a_lockdown_shuts_the_gate_before_those_who_wait_to_pass():
    door = at_rest(exits=None, contact=None, passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.scan("2")
    door.order(Mode.LOCKDOWN, "threat")
    assert not door.is_on


def test_a_lockdown_asks_nobody_to_try_again():
    door = at_rest(exits=None, contact=None, passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.order(Mode.LOCKDOWN, "threat")
    door.until(1010.0)
    assert door.words[-1] == ("passage", "not_passed", "Admitted, but did not pass")
    assert "did_not_pass" not in door.screens


def test_a_lockdown_leaves_the_relay_to_who_leaves_and_not_for_longer():
    door = at_rest(contact=None, passage=PassageRules(60.0, 120.0))
    door.button(is_pressed=True)
    door.button(is_pressed=False)
    door.until(1004.0)
    door.scan("1")  # until 1007
    door.order(Mode.LOCKDOWN, "threat")
    assert door.relay_off_s == 1000.0 + EXIT_MS / 1000


def test_a_hold_ends_at_its_time_where_the_clock_is_set_only_after_the_start():
    door = Door(may_hold=True)
    door.feed(m.Resumed(Order(Mode.HELD, "open day", 3600_000_000), instant(0.0)))
    door.now = 10.0
    assert door.machine.modes.needs_clock
    set_forward = instant(10.0)._replace(named=instant(4000.0).named)
    door.feed(m.ClockLooked(set_forward, trusted=False))
    assert (door.mode, door.is_on, door.logged) == (Mode.NORMAL, False, [])
    assert not door.machine.modes.needs_clock


def test_a_hold_lasts_a_day_at_most_where_the_clock_was_set_back_over_a_restart():
    door = Door(may_hold=True)
    door.feed(m.Resumed(Order(Mode.HELD, "open day", 30 * 86_400_000_000), instant(0.0)))
    door.until(86_399.0)
    assert door.is_on
    door.until(86_401.0)
    assert (door.mode, door.is_on) == (Mode.NORMAL, False)


def test_a_hold_ends_on_time_although_the_clock_was_set_back():
    door = at_rest()
    door.order(Mode.HELD, "open day", for_s=3600)
    door.now = 4600.0
    earlier = instant(4600.0)._replace(named=instant(100.0).named)
    door.feed(m.TimeUp("hold over", earlier))
    assert (door.mode, door.is_on) == (Mode.NORMAL, False)


def test_a_lockdown_gives_no_second_try():
    door = at_rest(exits=None, contact=None, passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.until(1010.0)
    door.order(Mode.LOCKDOWN, "threat")
    shown = len(door.screens)
    door.scan("1")
    assert door.words[-1] == ("scan", "rejected", "Locked down")
    assert (door.noted[-1].attempt.of, door.screens[shown:]) == (None, ["closed"])
    door.scan("2")
    assert door.screens[shown:] == ["closed", "closed"], "nobody is asked, so nothing is checked"


def test_a_hold_keeps_the_relay_on_until_its_time():
    door = at_rest(modes=ModeRules(zone=UTC))
    door.order(Mode.HELD, "open day", for_s=3600)
    assert of_modes(door) == [("held", "Held open until 01:16:40: open day")]
    assert door.kept_until_s[False] == 4600.0
    door.scan("1")
    assert door.words[-1] == ("scan", "admitted", "Aggregator member checked in")  # still decided
    door.contact(is_open=True)
    door.until(4599.0)
    assert door.is_on
    assert not [word for word in door.words if word[0] == "contact"]
    door.until(4601.0)
    assert not door.is_on
    assert of_modes(door)[1:] == [("normal", "Normal again")]


def test_the_end_of_a_mode_cuts_no_admission_short():
    door = at_rest()
    door.order(Mode.HELD, "open day", for_s=3600)
    door.until(4599.0)
    door.scan("1")
    door.until(4600.5)
    assert door.mode is Mode.NORMAL
    assert door.is_on
    assert door.relay_off_s == 4599.0 + OPEN_MS / 1000


def test_a_door_left_open_has_its_time_after_the_hold():
    door = at_rest()  # held_s is 30, warn_s 10
    door.admit()
    door.contact(is_open=True)
    door.until(1025.0)
    assert door.warns
    door.order(Mode.HELD, "open day", for_s=50)
    assert not door.warns
    door.until(1094.0)
    assert (door.warns, door.mode) == (False, Mode.NORMAL)
    door.until(1096.0)
    assert door.warns
    assert [word for word in door.words if word[0] == "contact"] == []
    door.until(1106.0)
    assert door.words[-1] == ("contact", "held", "Door held open")


def test_no_buzzer_warns_while_a_mode_keeps_the_door_open():
    door = at_rest(contact=CONTACT._replace(warn_s=30))  # as long as held_s
    door.order(Mode.HELD, "open day", for_s=300)
    door.contact(is_open=True)
    warned = []
    while door.now < 1299.0:
        door.until(door.now + 1)
        warned.append(door.warns)
    assert not any(warned)
    door.until(1335.0)
    assert door.warns
    assert door.words[-1] == ("contact", "held", "Door held open")


def test_a_turnstile_that_many_pass_in_a_hold_does_not_flutter():
    door = at_rest(contact=None, exits=EXIT._replace(counts=True), passage=PassageRules(4.0, 120.0))
    door.order(Mode.HELD, "open day", for_s=300)
    for number in range(80):
        door.level(InputName.PASSAGE, number % 2 == 0)
        door.level(InputName.EXIT_PASSAGE, number % 2 == 0)
        door.until(door.now + 0.5)
    assert [word for word in door.words if word[0] == "input"] == []


def test_a_persons_order_replaces_the_one_before():
    door = at_rest()
    door.order(Mode.LOCKDOWN, "threat")
    door.order(Mode.HELD, "over", for_s=60)
    assert door.mode is Mode.HELD
    door.order(Mode.LOCKDOWN, "not over")
    assert (door.mode, door.is_on) == (Mode.LOCKDOWN, False)


def test_a_hold_that_follows_another_leaves_the_relay_on():
    door = at_rest()
    door.order(Mode.HELD, "open day", for_s=60)
    perform, moved = door.perform, []

    def watching(effect):
        if isinstance(effect, m.StopKeeping | m.Release):
            moved.append(effect)
        return perform(effect)

    door.perform = watching
    door.order(Mode.HELD, "a longer one", for_s=600)
    assert (moved, door.kept_until_s[False]) == ([], 1600.0)
    door.order(Mode.NORMAL)
    assert moved == [m.StopKeeping()]


def test_a_schedule_holds_and_ends():
    door = at_rest(modes=held_by_plan())
    look(door, BEGIN_S - 1)
    assert door.mode is Mode.NORMAL
    look(door, BEGIN_S)
    assert of_modes(door) == [("held", "Held open by schedule staffed")]
    assert door.machine.modes.until_us(round(BEGIN_S * 1e6)) == round(END_S * 1e6)
    assert door.is_on
    look(door, END_S)
    assert of_modes(door)[1:] == [("normal", "Normal again")]
    assert not door.is_on


def test_first_in_waits_for_the_first_admission_of_the_span():
    door = at_rest(modes=held_by_plan(first_in=True))
    look(door, BEGIN_S - 100)
    door.scan("1")
    look(door, BEGIN_S + 10)
    assert door.mode is Mode.NORMAL
    door.scan("2")
    assert door.mode is Mode.HELD


@pytest.mark.parametrize(("before_s", "mode"), [(0.0, Mode.HELD), (0.001, Mode.NORMAL)])
def test_the_first_moment_of_a_span_is_in_it(before_s, mode):
    door = at_rest(modes=held_by_plan(first_in=True))
    look(door, BEGIN_S - before_s)
    door.scan("1")
    look(door, BEGIN_S + 1)
    assert door.mode is mode


def test_a_code_in_a_fire_alarm_is_no_first_admission():
    door = at_rest(has_fire=True, modes=held_by_plan(first_in=True))
    look(door, BEGIN_S)
    fire(door, active=True)
    door.scan("1")
    fire(door, active=False)
    assert door.mode is Mode.NORMAL


def test_first_in_knows_at_once_who_came_in_before_the_start():
    door = Door(modes=held_by_plan(first_in=True))
    look(door, BEGIN_S + 10)
    door.feed(m.Resumed(None, instant(door.now), round((BEGIN_S + 5) * 1e6)))
    assert of_modes(door) == [("held", "Held open by schedule staffed")]


def test_an_admission_since_the_start_counts_although_the_journal_knows_of_none():
    door = at_rest(modes=held_by_plan(first_in=True))
    look(door, BEGIN_S)
    door.scan("1")
    assert door.mode is Mode.HELD
    door.feed(m.Resumed(None, instant(door.now), None))
    assert door.mode is Mode.HELD


def test_status_knows_when_a_schedule_changes_the_mode():
    plans = ModeRules(
        Planned("staffed", SPAN), Planned("night", Schedule([[(30, 40)]] + [[]] * 6, {})), zone=UTC
    )
    door = at_rest(modes=plans)
    until_us = door.machine.modes.until_us
    for at_s, mode, end_s in ((BEGIN_S, Mode.HELD, END_S), (MONDAY_S + 1800.0, Mode.CLOSED, END_S)):
        look(door, at_s)
        assert (door.mode, until_us(round(at_s * 1e6))) == (mode, round(end_s * 1e6))
    look(door, END_S)
    assert until_us(round(END_S * 1e6)) is None


def test_the_end_of_an_order_is_followed_by_what_counts_then():
    door = at_rest(has_fire=True, modes=held_by_plan())
    look(door, BEGIN_S)
    door.order(Mode.LOCKDOWN, "threat")
    door.order(Mode.NORMAL)
    by_plan = ("held", "Held open by schedule staffed")
    assert of_modes(door)[-2:] == [("normal", "Normal again"), by_plan]
    fire(door, active=True)
    locked = ("lockdown", "Locked down: threat")
    door.order(Mode.LOCKDOWN, "threat")
    fire(door, active=False)
    assert of_modes(door)[-3:] == [("fire", "Fire alarm"), locked, locked]


def test_a_hold_names_its_end_on_the_gyms_own_clock():
    door = at_rest(modes=ModeRules(zone=ZoneInfo("Asia/Kolkata")))
    door.order(Mode.HELD, "open day", for_s=3600)
    assert of_modes(door) == [("held", "Held open until 06:46:40: open day")]


def test_closed_by_schedule_lets_nobody_in_and_comes_before_a_hold():
    rules = ModeRules(Planned("staffed", SPAN), Planned("night", SPAN), zone=UTC)
    door = at_rest(modes=rules)
    look(door, BEGIN_S)
    assert of_modes(door) == [("closed", "Closed by schedule night")]
    door.scan("1")
    assert door.words[-1] == ("scan", "rejected", "Closed at this time")
    assert door.partner.asked == []
    door.button(is_pressed=True)
    assert door.is_on


def test_closing_by_schedule_does_not_cut_an_admission_short():
    door = at_rest(modes=ModeRules(closed=Planned("night", SPAN), zone=UTC))
    look(door, BEGIN_S - 1)
    door.scan("1")
    look(door, BEGIN_S)
    assert door.is_on


def test_without_a_clock_to_trust_no_schedule_counts_and_the_log_says_so_once():
    door = at_rest(modes=held_by_plan())
    for second in range(5):
        look(door, BEGIN_S + second, trusted=False)
    assert door.mode is Mode.NORMAL
    assert door.logged == ["main: the clock has not been set since the boot: no schedule counts until it is"]
    look(door, BEGIN_S + 5)
    assert door.mode is Mode.HELD


def test_an_order_counts_again_after_a_restart():
    door = Door()
    door.feed(m.Resumed(Order(Mode.LOCKDOWN, "threat"), instant(0.0)))
    assert door.mode is Mode.LOCKDOWN
    assert door.words == []  # it is on record already
    for may_hold in (True, False):  # not where the settings take that back meanwhile
        held = Door(may_hold=may_hold)
        held.feed(m.Resumed(Order(Mode.HELD, "open day", 50_000_000), instant(0.0)))
        assert held.is_on is may_hold
    other = Door(may_hold=True)
    other.until(100.0)
    other.feed(m.Resumed(Order(Mode.HELD, "open day", 50_000_000), instant(other.now)))
    assert (other.mode, other.words) == (Mode.NORMAL, [])  # its end has passed


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["fire", "quiet", "lockdown", "hold", "normal", "scan", "press", "hand", "open", "close"]
        ),
        st.integers(0, 400),
    ),
    max_size=50,
)


@settings(max_examples=300)
@given(STEPS)
def test_whatever_happens(steps):
    door = at_rest(has_fire=True, contact=CONTACT, exits=EXIT, modes=held_by_plan())
    look(door, BEGIN_S - 100)
    allowed_until_s, is_fire = 0.0, False
    for step, tenths in steps:
        look(door, door.now + tenths / 10)
        asked = len(door.partner.asked)
        refuses = door.mode is Mode.LOCKDOWN
        match step:
            case "fire" | "quiet" if is_fire != (step == "fire"):
                is_fire = step == "fire"
                fire(door, active=is_fire)
            case "lockdown":
                door.order(Mode.LOCKDOWN, "x")
            case "hold":
                door.order(Mode.HELD, "x", for_s=30)
            case "normal":
                door.order(Mode.NORMAL)
            case "scan":
                door.scan("7")
                assert len(door.partner.asked) == asked or not (refuses or is_fire)
            case "press":
                door.button(is_pressed=True)
                door.button(is_pressed=False)
                assert door.is_on
            case "hand":
                door.admit()
            case "open" | "close":
                door.contact(is_open=step == "open")
        assert (door.mode is Mode.FIRE) is is_fire
        assert (door.kept_until_s[False] > door.now) is (door.mode in {Mode.FIRE, Mode.HELD})
        assert (door.kept_until_s[True] > door.now) is is_fire
        allowed_until_s = max(allowed_until_s, door.relay_off_s)
    look(door, END_S + 1000)
    if not is_fire:
        assert door.mode in {Mode.NORMAL, Mode.LOCKDOWN}
        assert not door.is_on


def waiting_for_the_disk(**rules):
    """A door with a scan whose record is not on disk yet; what comes later is."""
    door = at_rest(has_fire=True, **rules)
    door.disk_works = False
    door.scan("1")
    door.disk_works = True
    return door


def go_on(door, given):
    door.feed(given(door.machine._scan.event_id))


def test_a_lockdown_before_the_request_asks_nobody():
    door = waiting_for_the_disk()
    door.order(Mode.LOCKDOWN, "threat")
    go_on(door, m.Recorded)
    assert (door.words[-1], door.openings) == (("scan", "rejected", "Locked down"), 0)
    outcome = door.noted[-1].outcome
    assert (outcome.fault, outcome.verdict, outcome.request) == (Fault.LOCKDOWN, None, None)
    assert door.partner.asked == []


def test_a_schedule_that_closes_before_the_request_asks_nobody():
    door = at_rest(modes=ModeRules(closed=Planned("night", SPAN), zone=UTC))
    look(door, BEGIN_S - 0.01)
    door.disk_works = False
    door.scan("1")
    look(door, BEGIN_S)
    go_on(door, m.RecordLate)
    assert door.words[-1] == ("scan", "rejected", "Closed at this time")
    assert (door.partner.asked, door.openings) == ([], 0)


def test_a_schedule_that_closes_while_the_partner_is_asked_lets_in_whom_it_admits():
    door = at_rest(modes=ModeRules(closed=Planned("night", SPAN), zone=UTC))
    look(door, BEGIN_S - 0.01)
    door.ask = lambda _effect: []
    door.scan("1")
    look(door, BEGIN_S)
    go_on(door, lambda of: m.Answered(of, Decision(Verdict.ALLOWED, status=200), record))
    assert door.words[-1] == ("scan", "admitted", "Aggregator member checked in")


def test_a_scan_in_a_fire_that_is_over_by_the_relay_has_no_second_try():
    door = at_rest(has_fire=True, contact=None, passage=PassageRules(4.0, 120.0))
    fire(door, active=True)
    door.disk_works = False
    door.scan("1")
    door.disk_works = True
    fire(door, active=False)
    go_on(door, m.Recorded)
    door.until(1010.0)
    assert door.words[-1] == ("passage", "not_passed", "Admitted, but did not pass")
    door.scan("1")
    assert door.partner.asked == ["1"]


def test_a_fire_before_the_request_lets_in_without_asking():
    door = waiting_for_the_disk()
    fire(door, active=True)
    go_on(door, m.Recorded)
    assert door.words[-1] == ("scan", "admitted", "Let in: fire alarm")
    outcome = door.noted[-1].outcome
    assert (outcome.basis, outcome.verdict, outcome.request) == (Basis.FIRE, None, None)
    assert door.partner.asked == []


def test_a_lockdown_while_the_partner_is_asked_keeps_the_gate_shut():
    door = at_rest(passage=PassageRules(4.0, 120.0))
    door.ask = lambda _effect: []
    door.scan("1")
    door.order(Mode.LOCKDOWN, "threat")
    go_on(door, lambda of: m.Answered(of, Decision(Verdict.ALLOWED, status=200), record))
    assert (door.words[-1], door.openings) == (("scan", "rejected", "Locked down"), 0)
    outcome = door.noted[-1].outcome
    assert (outcome.fault, outcome.verdict, outcome.status) == (Fault.LOCKDOWN, Verdict.ALLOWED, 200)
    assert (outcome.basis, outcome.gate, outcome.request) == (None, None, record())


def test_a_lockdown_while_the_partner_is_asked_leaves_a_refusal_as_it_is():
    door = at_rest(return_s=600)
    door.ask = lambda _effect: []
    door.scan("1")
    door.order(Mode.LOCKDOWN, "threat")
    go_on(door, lambda of: m.Answered(of, IN_ALREADY, record))
    assert door.words[-1] == ("scan", "rejected", "Aggregator member check-in not allowed")
    assert door.noted[-1].outcome.fault is None


def test_a_lockdown_while_the_journal_is_asked_keeps_the_gate_shut():
    door = at_rest(return_s=600)
    perform = door.perform
    door.perform = lambda effect: [] if isinstance(effect, m.LookUp) else perform(effect)
    door.partner.counts, door.partner.asked = {"1"}, ["1"]
    door.scan("1")
    door.order(Mode.LOCKDOWN, "threat")
    go_on(door, lambda of: m.LookedUp(of, (), (), came_back=True))
    assert (door.words[-1][:2], door.openings) == (("scan", "rejected"), 0)


def test_a_lockdown_takes_no_second_try():
    door = at_rest(exits=None, contact=None, passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.until(1010.0)
    door.disk_works = False
    door.scan("1")  # its second try
    door.disk_works = True
    door.order(Mode.LOCKDOWN, "threat")
    go_on(door, m.Recorded)
    assert (door.words[-1], door.openings) == (("scan", "rejected", "Locked down"), 1)
    door.order(Mode.NORMAL)
    door.until(1020.0)
    door.scan("1")
    assert door.words[-1] == ("scan", "admitted", "Let in again: had not passed")


def test_no_schedule_counts_before_the_first_look_at_the_clock():
    door = Door(has_fire=True, modes=held_by_plan())
    door.now = BEGIN_S
    fire(door, active=False)
    door.scan("1")
    assert (door.mode, of_modes(door)) == (Mode.NORMAL, [])
    look(door, BEGIN_S, trusted=False)
    assert door.logged == ["main: the clock has not been set since the boot: no schedule counts until it is"]
    assert (door.mode, of_modes(door)) == (Mode.NORMAL, [])
    look(door, BEGIN_S + 1)
    assert door.mode is Mode.HELD


def test_an_order_counts_once_it_is_on_record_or_its_record_is_late():
    door = at_rest()
    door.disk_works = False
    door.order(Mode.LOCKDOWN, "threat")
    assert (door.mode, door.words) == (Mode.NORMAL, [])
    of = f"order-{next(door.ids) - 1}"
    door.feed(m.RecordLate(of))
    assert door.mode is Mode.LOCKDOWN
    assert door.logged == [f"main: the record of order {of} is late: the disk does not answer"]
    assert [event.outcome.facts["mode"] for event in door.events] == ["lockdown"]


def test_an_order_of_before_the_start_that_comes_late_from_the_disk_is_an_old_one():
    door = Door()
    before = m.Resumed(Order(Mode.LOCKDOWN, "threat"), instant(0.0))
    door.feed(before)
    door.order(Mode.NORMAL)
    door.feed(before)
    assert door.mode is Mode.NORMAL


@pytest.mark.parametrize(
    ("rules", "mode"),
    [
        (held_by_plan(), Mode.HELD),
        (held_by_plan(first_in=True), Mode.HELD),
        (ModeRules(Planned("always", ALWAYS), Planned("night", SPAN), zone=UTC), Mode.CLOSED),
    ],
    ids=["held", "first in", "closed"],
)
def test_a_member_who_scanned_before_a_change_and_comes_in_after_it_undoes_nothing(rules, mode):
    door = at_rest(modes=rules)
    look(door, BEGIN_S - 0.3)
    before = len(of_modes(door))
    door.ask = lambda _effect: []
    door.scan("1")
    look(door, BEGIN_S)
    door.now = BEGIN_S + 0.5
    go_on(door, lambda of: m.Answered(of, Decision(Verdict.ALLOWED, status=200), record))
    assert (door.mode, len(of_modes(door))) == (mode, before + 1)
