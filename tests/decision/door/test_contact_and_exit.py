"""A door's contact and exit button: their events, the relay, and what no order of levels can bring about."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_door import CONTACT, EXIT, EXIT_MS, OPEN_MS, Door, at_rest, instant

from gatectl.decision.cards import Card
from gatectl.decision.door import messages as m
from gatectl.decision.door.contact import TAIL_S
from gatectl.decision.door.exits import ExitRules
from gatectl.decision.door.inputs import FLUTTER_CHANGES, FLUTTER_S, InputHealth, InputName
from gatectl.decision.door.modes import Mode
from gatectl.decision.door.passages import PassageRules


def test_a_door_that_nothing_unlocked_is_forced():
    door = at_rest()
    door.contact(is_open=True)
    assert door.words == [("contact", "forced", "Door forced open")]
    door.until(1200.0)
    assert len(door.noted) == 1  # no second alarm
    door.contact(is_open=False)
    assert door.words[1:] == [("contact", "closed", "Door closed again after 3 min 20 s")]
    assert door.noted[1].attempt.of == door.noted[0].attempt.id


@pytest.mark.parametrize(("late_s", "forced"), [(TAIL_S - 0.01, False), (TAIL_S + 0.01, True)])
def test_an_admission_excuses_the_contact_until_shortly_after_the_relay(late_s, forced):
    door = at_rest()
    door.admit()
    door.until(door.now + OPEN_MS / 1000 + late_s)
    door.contact(is_open=True)
    assert [result for _, result, _ in door.words] == ["forced"] * forced


def test_a_door_that_stays_open_is_held_after_a_warning():
    door = at_rest()
    door.admit()
    door.contact(is_open=True)
    door.until(1000.0 + 19.9)
    assert not door.warns
    door.until(1000.0 + 29.9)
    assert door.warns
    assert door.noted == []
    door.until(1000.0 + 31)
    assert door.words == [("contact", "held", "Door held open")]
    door.contact(is_open=False)
    assert not door.warns
    assert door.words[1:] == [("contact", "closed", "Door closed again after 31 s")]


def test_a_held_s_of_0_raises_no_alarm():
    door = at_rest(contact=CONTACT._replace(held_s=0, warn_s=0))
    door.admit()
    door.contact(is_open=True)
    door.until(5000.0)
    assert door.noted == []


def test_open_at_the_start_is_logged_and_held_but_never_forced():
    door = Door()
    door.contact(is_open=True)
    assert door.logged == ["main: the door stands open"]
    door.until(31.0)
    assert [result for _, result, _ in door.words] == ["held"]


@pytest.mark.parametrize(
    ("relock", "after_open", "after_close"),
    [("open_ms", 1003.0, 1003.0), ("on_open", 1001.0, 1001.0), ("on_close", 1003.0, 1002.0)],
)
def test_the_relay_goes_off_where_the_settings_say(relock, after_open, after_close):
    door = at_rest(contact=CONTACT._replace(relock=relock))
    door.admit()
    door.until(1001.0)
    door.contact(is_open=True)
    assert door.relay_off_s == after_open
    door.until(1002.0)
    door.contact(is_open=False)
    assert door.relay_off_s == after_close


@pytest.mark.parametrize(
    ("relock", "after_open", "after_close"),
    [("open_ms", 1003.0, 1003.0), ("on_open", 1001.0, 1001.0), ("on_close", 1003.0, 1002.0)],
)
def test_the_sensor_behind_a_door_delays_no_relock(relock, after_open, after_close):
    door = at_rest(contact=CONTACT._replace(relock=relock), passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.until(1001.0)
    door.contact(is_open=True)
    assert door.relay_off_s == after_open
    door.until(1002.0)
    door.contact(is_open=False)  # nobody passed
    assert door.relay_off_s == after_close


@pytest.mark.parametrize("relock", ["on_open", "on_close"])
def test_a_relock_shuts_nobody_out_who_still_waits(relock):
    door = at_rest(contact=CONTACT._replace(relock=relock), passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.scan("2")
    door.until(1001.0)
    door.contact(is_open=True)
    assert door.relay_off_s == 1003.0
    door.passage(active=True)
    door.passage(active=False)
    door.contact(is_open=False)
    assert door.relay_off_s == 1003.0
    door.until(1002.0)
    door.contact(is_open=True)
    door.contact(is_open=False)
    assert door.relay_off_s == 1002.0


def test_a_press_opens_first_and_is_one_event():
    door = at_rest()
    door.button(is_pressed=True)
    assert door.relay_off_s == 1005.0
    assert door.words == [("exit", "opened", "Exit")]
    assert door.noted[0].outcome.basis.value == "exit"
    assert door.noted[0].outcome.gate.open_ms == EXIT_MS
    door.button(is_pressed=False)
    door.until(1004.0)
    door.contact(is_open=True)
    assert len(door.noted) == 1  # the exit excuses the contact


def test_a_button_that_stays_pressed_keeps_the_lock_open_and_is_stuck_after_a_minute():
    door = at_rest()
    door.button(is_pressed=True)
    for at_s in range(1000, 1100, 1):
        door.until(float(at_s))
        assert door.relay_off_s > at_s
    assert door.words[1:] == [("input", "stuck", "The exit button is stuck")]
    assert door.machine.inputs[InputName.EXIT].health is InputHealth.STUCK
    door.button(is_pressed=False)
    assert door.words[2:] == [("input", "ok", "The exit button works again")]
    door.until(2000.0)
    assert door.relay_off_s <= 1100.0 + EXIT_MS / 1000


@pytest.mark.parametrize(("pulses", "every_s"), [(True, EXIT_MS / 1000), (False, EXIT_MS / 2000)])
def test_a_gate_in_pulse_control_gets_one_pulse_each_time(pulses, every_s):
    door = at_rest(exits=EXIT._replace(pulses=pulses))
    door.button(is_pressed=True)
    door.until(door.now + 4 * every_s)
    assert door.openings == 5


def test_a_button_that_cuts_the_lock_by_itself_moves_no_relay():
    door = at_rest(exits=EXIT._replace(unlock=False))
    door.button(is_pressed=True)
    assert door.relay_off_s == 0.0
    assert door.words == [("exit", "opened", "Exit")]
    assert door.noted[0].outcome.gate is None
    door.button(is_pressed=False)
    door.until(1000.0 + EXIT_MS / 1000 + TAIL_S - 0.01)
    door.contact(is_open=True)
    assert len(door.noted) == 1


@pytest.mark.parametrize("way", [m.InputChanged, m.CodeRead])
def test_the_exits_own_relay_is_tried_once_more_where_it_is_out_of_order(way):
    door = at_rest()
    now = instant(door.now)
    given = (
        m.InputChanged(InputName.EXIT, True, now)
        if way is m.InputChanged
        else m.CodeRead("CARD", "/dev/inside", now, leaves=True)
    )
    (opening,) = [one for one in door.machine.handle(given, door.now) if isinstance(one, m.Energise)]
    assert (opening.open_ms, opening.try_again, opening.for_exit) == (EXIT_MS, True, True)


def tries_once_more(door):
    """From now on the relay is out of order; the events whose opening waits for another try of it."""
    tried, perform = [], door.perform

    def only_try(effect):
        if not isinstance(effect, m.Energise) or not effect.try_again:
            return perform(effect)
        tried.append(effect.of)
        return []

    door.perform = only_try
    return tried


def test_an_exit_opens_once_its_relay_was_tried_once_more_also_in_a_lockdown():
    door = at_rest()
    tried = tries_once_more(door)
    door.button(is_pressed=True)
    door.button(is_pressed=False)
    door.order(Mode.LOCKDOWN, "threat")
    door.now += 0.8
    door.feed(m.Retried(*tried))
    assert door.relay_off_s == door.now + EXIT_MS / 1000
    assert door.words[-1] == ("exit", "opened", "Exit")
    door.order(Mode.LOCKDOWN, "another")
    assert door.relay_off_s == door.now + EXIT_MS / 1000, "its whole time, from the other try on"


def test_a_button_that_stays_pressed_opens_once_the_relay_works_again():
    door = at_rest()
    door.relay_works = False
    door.button(is_pressed=True)
    assert door.words == [("exit", "rejected", "Gate out of order")]
    door.relay_works = True
    tried = tries_once_more(door)
    door.until(door.now + EXIT_MS / 2000)
    door.feed(m.Retried(*tried))
    assert door.relay_off_s == door.now + EXIT_MS / 1000
    assert len(door.words) == 1, "one press is one event"


def test_a_relay_that_is_out_of_order_is_said_in_the_event():
    door = at_rest()
    door.relay_works = False
    door.button(is_pressed=True)
    assert door.words == [("exit", "rejected", "Gate out of order")]
    assert door.noted[0].outcome.detail == "pin 17 does not follow"


def leave(door, code):
    door.feed(m.CodeRead(code, "/dev/inside", instant(door.now), leaves=True))


def test_any_code_on_the_inside_lets_out_and_names_its_member():
    door = at_rest(cards={"CARD": Card("CARD", "p", "4711")})
    leave(door, "stranger")
    door.until(1001.0)
    leave(door, "CARD")
    assert door.relay_off_s == 1006.0
    assert door.words == [("exit", "opened", "Exit")] * 2
    named = [(event.attempt.credential, event.attempt.partner, event.attempt.member) for event in door.noted]
    assert named == [("stranger", None, None), ("CARD", "p", "4711")]


def test_a_card_that_lies_on_the_reader_is_one_exit():
    door = at_rest()
    for _ in range(9):
        leave(door, "CARD")
        door.until(door.now + 1.0)
    assert len(door.noted) == 1
    door.until(door.now + 5.0)
    leave(door, "CARD")
    assert len(door.noted) == 2


def test_a_stop_blocks_no_exit():
    door = at_rest()
    door.feed(m.Stop())
    door.button(is_pressed=True)
    assert door.relay_off_s == 1005.0


def test_a_lost_pin_is_an_event_and_its_return_too():
    door = at_rest()
    door.feed(m.InputLost(InputName.CONTACT, "GPIO busy", instant(door.now)))
    assert door.words == [("input", "lost", "The door contact is lost")]
    assert door.noted[0].outcome.detail == "GPIO busy"
    assert door.machine.inputs[InputName.CONTACT].level is None
    door.contact(is_open=True)  # open since an unknown time, so not forced
    assert door.words[1:] == [("input", "ok", "The door contact works again")]


def test_a_lost_contact_raises_no_alarm():
    door = at_rest()
    door.admit()
    door.contact(is_open=True)
    door.feed(m.InputLost(InputName.CONTACT, "GPIO5 does not answer", instant(door.now)))
    door.until(door.now + CONTACT.held_s + 1)
    assert (door.words[-1], door.warns) == (("input", "lost", "The door contact is lost"), False)


def test_a_lost_button_holds_nothing_open():
    door = at_rest()
    door.button(is_pressed=True)
    door.feed(m.InputLost(InputName.EXIT, "bus error", instant(door.now)))
    door.until(2000.0)
    assert door.relay_off_s == 1005.0


def test_a_contact_that_flutters_raises_no_alarm_until_it_was_quiet():
    door = at_rest()
    for number in range(FLUTTER_CHANGES + 4):
        door.until(door.now + 0.5)
        door.contact(is_open=number % 2 == 0)
    forced = [word for word in door.words if word[1] == "forced"]
    assert ("input", "flutters", "The door contact flutters") in door.words
    assert len(forced) == FLUTTER_CHANGES // 2
    door.until(door.now + FLUTTER_S + 1)
    assert door.words[-1] == ("input", "ok", "The door contact works again")
    door.contact(is_open=True)
    assert door.words[-1] == ("contact", "forced", "Door forced open")


def test_a_door_that_a_fluttering_contact_left_open_is_held_once_it_is_quiet():
    door = at_rest()
    for number in range(FLUTTER_CHANGES + 3):
        door.until(door.now + 0.5)
        door.contact(is_open=number % 2 == 0)
    opened_s = door.now
    door.until(opened_s + FLUTTER_S - 1)
    assert ("contact", "held", "Door held open") not in door.words
    door.until(opened_s + FLUTTER_S + 1)
    assert door.words[-2:] == [
        ("input", "ok", "The door contact works again"),
        ("contact", "held", "Door held open"),
    ]


def test_a_contact_that_fluttered_before_a_hold_counts_from_the_end_of_the_hold():
    door = at_rest()
    for number in range(FLUTTER_CHANGES + 3):
        door.until(door.now + 0.1)
        door.contact(is_open=number % 2 == 0)
    quiet_s = door.now + FLUTTER_S
    door.order(Mode.HELD, "open day", for_s=FLUTTER_S - CONTACT.held_s + 1)
    door.until(quiet_s + 0.5)
    assert door.words[-1] == ("input", "ok", "The door contact works again")
    door.until(quiet_s + 1.5)
    assert door.words[-1] == ("contact", "held", "Door held open")


@pytest.mark.parametrize("exits", [EXIT._replace(unlock=False), EXIT._replace(has_own_relay=True)])
def test_a_member_who_passes_takes_no_excuse_from_who_leaves(exits):
    door = at_rest(exits=exits, passage=PassageRules(4.0, 120.0))
    door.scan("1")
    door.button(is_pressed=True)
    door.button(is_pressed=False)
    door.level(InputName.PASSAGE, True)
    assert not door.is_on
    door.until(1000.0 + EXIT_MS / 1000)
    door.contact(is_open=True)
    assert "forced" not in [result for _, result, _ in door.words]


def test_the_buzzer_warns_of_no_alarm_that_does_not_come():
    door = at_rest()
    door.contact(is_open=True)  # forced, and there is no second alarm
    door.until(1100.0)
    assert not door.warns


def test_two_cards_that_lie_on_the_reader_are_one_exit_each():
    door = at_rest()
    for number in range(20):
        leave(door, f"CARD {number % 2}")
        door.until(door.now + 0.5)
    assert len(door.noted) == 2


STEPS = st.lists(
    st.tuples(st.sampled_from(["open", "close", "press", "release", "admit", "lose"]), st.integers(0, 400)),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS, st.sampled_from(["open_ms", "on_open", "on_close"]), st.booleans())
def test_any_sequence_of_contacts_and_exits(steps, relock, unlock):
    door = at_rest(contact=CONTACT._replace(relock=relock), exits=ExitRules(EXIT_MS, unlock, 3.0))
    levels, presses, unlocked_s = {"contact": False, "exit": False}, 0, -100.0
    for step, tenths in steps:
        door.until(door.now + tenths / 10)
        before = len(door.noted)
        match step:
            case "open" | "close" if levels["contact"] != (step == "open"):
                levels["contact"] = step == "open"
                door.contact(is_open=step == "open")
            case "press" | "release" if levels["exit"] != (step == "press"):
                levels["exit"] = step == "press"
                door.button(is_pressed=step == "press")
                presses += step == "press"
                if step == "press" and unlock:
                    assert door.relay_off_s >= door.now + EXIT_MS / 1000  # nothing is in the way
            case "admit":
                door.admit()
            case "lose":
                door.feed(m.InputLost(InputName.EXIT, "bus error", instant(door.now)))
                levels["exit"] = False
        unlocked_s = max(unlocked_s, door.relay_off_s)
        for event in door.noted[before:]:
            if event.outcome.result.value == "forced":
                assert door.now > unlocked_s + TAIL_S or relock != "open_ms" or not unlock
    kinds = [(event.attempt.kind, event.outcome.result.value) for event in door.noted]
    assert kinds.count(("exit", "opened")) == presses
    alarms = [event for event in door.noted if event.attempt.kind == "contact"]
    raised = [event.attempt.id for event in alarms if event.outcome.result.value in {"forced", "held"}]
    ended = [event.attempt.of for event in alarms if event.outcome.result.value == "closed"]
    assert ended == raised[: len(ended)]  # each alarm ends once, in order, and only after it began
    assert len(raised) - len(ended) <= 1
    if not levels["contact"]:
        assert ended == raised
        assert not door.warns
