"""Passages: members who passed or did not, the second try, and sensors that cannot be trusted."""

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_door import BY_PARTNERS_WORD, CONTACT, EXIT, OPEN_MS, Door, at_rest, instant

from gatectl.decision.door import messages as m
from gatectl.decision.door.gate_inputs import STUCK_S
from gatectl.decision.door.grace import GraceRules, OutageGrace
from gatectl.decision.door.inputs import InputHealth, InputName
from gatectl.decision.door.passages import SILENT_MAX, PassageRules

WAIT_S, AGAIN_S = 4.0, 120.0
SENSOR = PassageRules(WAIT_S, AGAIN_S)
SENSOR_AT_END = SENSOR._replace(release="end")
BY_CONTACT = PassageRules(OPEN_MS / 1000 + 1, AGAIN_S, has_sensor=False, release="no")
GRANTED = ("scan", "admitted", "Aggregator member checked in")
PASSED = ("passage", "passed", "Passed")
NOT_PASSED = ("passage", "not_passed", "Admitted, but did not pass")
AGAIN = ("scan", "admitted", "Let in again: had not passed")
UNEXPECTED = ("passage", "unexpected", "Passage without admission")


def turnstile(passage=SENSOR, **rules):
    return at_rest(**({"contact": None, "exits": None, "passage": passage} | rules))


def signal(door, length_s=0.2):
    door.passage(active=True)
    door.until(door.now + length_s)
    door.passage(active=False)


def test_a_member_who_passes():
    door = turnstile()
    door.scan("1")
    door.until(1001.5)
    door.passage(active=True)
    assert door.words == [GRANTED, PASSED]
    scan, passed = door.noted
    assert (passed.attempt.of, passed.attempt.member, passed.attempt.credential) == (
        scan.attempt.id,
        "1",
        "1",
    )
    assert passed.outcome.gate.after_ms == 1500.0
    assert door.relay_off_s == 1001.5  # released at the start of the signal
    door.passage(active=False)
    door.until(1100.0)
    assert len(door.noted) == 2


def test_the_relay_may_go_off_at_the_end_of_the_signal():
    door = turnstile(SENSOR_AT_END)
    door.scan("1")
    door.until(1001.0)
    signal(door, 0.5)
    assert door.relay_off_s == 1001.5


def test_a_gate_that_keeps_open_by_itself_has_its_whole_pulse():
    door = turnstile(SENSOR._replace(release="no"))
    door.scan("1")
    door.until(1001.0)
    signal(door, 0.5)
    assert door.words == [GRANTED, PASSED]
    assert door.relay_off_s == 1000.0 + OPEN_MS / 1000


def test_a_member_who_does_not_pass_gets_one_second_try_and_no_partner_is_asked():
    door = turnstile()
    door.scan("1")
    door.until(1010.0)
    assert door.words == [GRANTED, NOT_PASSED]
    assert door.screens[-1] == "did_not_pass"
    door.scan("1")
    assert door.words[2:] == [AGAIN]
    again = door.noted[-1]
    assert (again.attempt.of, again.attempt.member) == (door.noted[0].attempt.id, "1")
    assert (again.outcome.basis.value, again.outcome.verdict, again.outcome.request) == ("again", None, None)
    assert door.relay_off_s == 1010.0 + OPEN_MS / 1000
    door.until(1020.0)
    assert door.words[3:] == [NOT_PASSED]
    door.scan("1")
    assert door.partner.asked == ["1", "1"]  # the second admission is the partner's again


def test_a_member_who_passed_gets_no_second_try():
    door = turnstile()
    door.scan("1")
    door.until(1001.0)
    signal(door)
    door.until(1020.0)
    door.scan("1")
    assert door.partner.asked == ["1", "1"]


def test_two_members_who_do_not_pass_are_known_each_at_his_own_time():
    door = turnstile()
    watched, perform = [], door.perform

    def watching(effect):
        if isinstance(effect, m.WatchClosely):
            watched.append(effect.until_s)
        return perform(effect)

    door.perform = watching
    door.scan("1")
    door.until(1002.0)
    door.scan("2")
    assert watched[-1] == 1002.0 + WAIT_S
    door.until(1000.0 + WAIT_S)
    assert door.words == [GRANTED, GRANTED, NOT_PASSED]
    door.until(1002.0 + WAIT_S)
    assert door.words[3:] == [NOT_PASSED]


def test_a_member_who_does_not_pass_takes_no_screen_from_the_next_ones_scan():
    door = turnstile()
    door.scan("1")
    door.until(1003.0)
    door.ask = lambda _effect: []
    door.scan("2")
    door.until(1005.0)
    assert (door.words[-1], door.screens[-1]) == (NOT_PASSED, "checking")


def test_the_memory_of_second_tries_is_bounded():
    door = turnstile()
    for number in range(50):
        door.scan(str(number))
        door.until(door.now + 10.0)
        if number % 5 == 4:
            signal(door)  # so that the sensor is believed
    assert len(door.machine._inputs.passages._unused) <= AGAIN_S / 10.0 + 1


@pytest.mark.parametrize(("after_s", "asked"), [(AGAIN_S, 1), (AGAIN_S + 0.1, 2)])
def test_a_second_try_has_its_time(after_s, asked):
    door = turnstile()
    door.scan("1")
    door.until(1000.0 + WAIT_S + after_s)
    door.scan("1")
    assert len(door.partner.asked) == asked


def test_another_code_is_no_second_try():
    door = turnstile()
    door.scan("1")
    door.until(1010.0)
    door.scan("2")
    assert door.partner.asked == ["1", "2"]


def test_again_s_of_0_gives_none():
    door = turnstile(SENSOR._replace(again_s=0.0))
    door.scan("1")
    door.until(1010.0)
    assert door.words == [GRANTED, NOT_PASSED]
    assert "did_not_pass" not in door.screens
    door.scan("1")
    assert len(door.partner.asked) == 2


def test_the_same_code_while_its_admission_waits_is_the_same_scan():
    door = turnstile(repeat_s=0.0)
    door.scan("1")
    door.until(1003.5)
    door.scan("1")
    assert door.words == [GRANTED]


def test_two_members_at_once():
    door = turnstile()
    door.scan("1")
    door.until(1002.0)
    door.scan("2")
    door.until(1002.5)
    signal(door)
    assert door.relay_off_s == 1002.0 + OPEN_MS / 1000  # another is granted
    door.until(1004.0)
    signal(door)
    assert door.relay_off_s == 1004.0
    scans = {event.attempt.id: event.attempt.member for event in door.noted if event.attempt.kind == "scan"}
    assert [scans[event.attempt.of] for event in door.noted if event.attempt.kind == "passage"] == ["1", "2"]


def test_a_passage_without_an_admission():
    door = turnstile()
    signal(door)
    assert door.words == [UNEXPECTED]


def test_an_opening_by_hand_is_passed_too_and_has_no_second_try():
    door = turnstile()
    door.admit()
    door.until(1001.0)
    signal(door)
    assert door.words == [PASSED]
    door.admit()
    door.until(1100.0)
    assert door.words[1:] == [NOT_PASSED]
    assert "did_not_pass" not in door.screens


def test_a_sensor_that_sees_none_of_ten_is_suspect_until_its_next_signal():
    door = turnstile()
    for number in range(SILENT_MAX):
        door.scan(str(number))
        door.until(door.now + 10)
    assert door.words.count(NOT_PASSED) == SILENT_MAX  # the tenth still has its own
    assert door.words[-1] == ("input", "suspect", "The passage sensor is suspect")
    asked = len(door.partner.asked)
    door.scan(str(SILENT_MAX - 1))
    assert len(door.partner.asked) == asked + 1  # no second try is given
    door.until(door.now + 10)
    assert door.words[-1] == GRANTED
    signal(door)
    assert door.words[-2:] == [("input", "ok", "The passage sensor works again"), UNEXPECTED]
    door.scan("77")
    door.until(door.now + 10)
    assert door.words[-1] == NOT_PASSED


def test_a_sensor_that_is_active_at_the_start_is_suspect():
    door = Door(contact=None, exits=None, passage=SENSOR)
    door.passage(active=True)
    assert door.words == [("input", "suspect", "The passage sensor is suspect")]
    door.until(100.0)
    door.scan("1")
    door.until(200.0)
    assert door.words[1:] == [GRANTED]


def test_a_sensor_that_stays_active_is_stuck_until_its_next_signal():
    door = turnstile()
    door.passage(active=True)
    door.until(1000.0 + STUCK_S[InputName.PASSAGE] + 1)
    assert door.words[1:] == [("input", "stuck", "The passage sensor is stuck")]
    door.passage(active=False)
    assert door.machine.inputs[InputName.PASSAGE].health is InputHealth.STUCK
    door.scan("1")
    door.until(1100.0)
    assert door.words[2:] == [GRANTED]
    signal(door)
    assert door.words[3:] == [("input", "ok", "The passage sensor works again"), UNEXPECTED]


def leave(door, code):
    door.feed(m.CodeRead(code, "/dev/inside", instant(door.now), leaves=True))


@pytest.mark.parametrize(
    ("rules", "come", "name"),
    [
        ({"passage": SENSOR}, Door.scan, InputName.PASSAGE),
        ({"passage": BY_CONTACT, "contact": CONTACT}, Door.scan, InputName.CONTACT),
        ({"passage": SENSOR, "exits": EXIT}, leave, InputName.PASSAGE),
        ({"passage": None, "exits": EXIT._replace(counts=True)}, leave, InputName.EXIT_PASSAGE),
    ],
)
def test_a_gate_at_its_fastest_does_not_flutter(rules, come, name):
    door = turnstile(**rules)
    for number in range(15):
        come(door, str(number))
        for active in (True, False):
            door.level(name, active)
            door.until(door.now + 0.5)
    assert "flutters" not in {result for _, result, _ in door.words}


def test_a_sensor_is_stuck_after_half_a_minute():
    door = turnstile()
    door.passage(active=True)
    door.until(1029.9)
    assert door.words == [UNEXPECTED]
    door.until(1030.1)
    assert door.words[1:] == [("input", "stuck", "The passage sensor is stuck")]


@pytest.mark.parametrize(("scan_s", "known"), [(1025.9, True), (1026.1, False)])
def test_a_door_that_has_stood_open_for_half_a_minute_sees_nobody(scan_s, known):
    door = turnstile(BY_CONTACT, contact=CONTACT._replace(held_s=0, warn_s=0))
    door.admit()
    door.contact(is_open=True)
    door.until(scan_s)
    door.scan("1")
    door.until(1040.0)
    assert (NOT_PASSED in door.words) is known


def test_without_a_sensor_the_contact_answers():
    door = turnstile(BY_CONTACT, contact=CONTACT)
    door.scan("1")
    door.until(1001.0)
    door.contact(is_open=True)
    assert door.words == [GRANTED, PASSED]
    assert door.relay_off_s == 1003.0  # `relock` says so
    door.contact(is_open=False)
    door.until(1010.0)
    door.scan("2")
    door.until(1020.0)
    assert door.words[2:] == [GRANTED, NOT_PASSED]
    door.contact(is_open=True)
    assert door.words[4:] == [("contact", "forced", "Door forced open")]


@pytest.mark.parametrize(("unlock", "relay_off_s"), [(True, 1005.0), (False, 0.0)])
def test_a_person_leaving_through_the_same_gate_is_expected(unlock, relay_off_s):
    door = turnstile(exits=EXIT._replace(unlock=unlock))
    door.button(is_pressed=True)
    door.button(is_pressed=False)
    door.until(1001.0)
    signal(door)
    assert door.words == [("exit", "opened", "Exit")]
    assert door.relay_off_s == relay_off_s


def test_a_passage_does_not_shut_the_way_out():
    door = turnstile(exits=EXIT)
    door.scan("1")
    door.button(is_pressed=True)
    door.button(is_pressed=False)
    signal(door)
    assert door.relay_off_s == 1005.0


def test_an_exits_sensor_that_is_active_at_the_start_has_seen_nobody_leave():
    door = Door(contact=None, exits=EXIT._replace(counts=True))
    door.level(InputName.EXIT_PASSAGE, True)
    assert door.words == []


def test_the_exits_own_sensor_counts_who_leaves():
    door = turnstile(exits=EXIT._replace(counts=True, has_own_relay=True))
    door.level(InputName.EXIT_PASSAGE, True)
    assert door.words == [("passage", "left", "Left")]


def test_a_second_try_survives_a_restart():
    before = turnstile()
    before.scan("1")
    before.until(1010.0)
    first = before.noted[0].attempt
    door = turnstile()
    door.until(1050.0)
    door.feed(m.Recalled([m.Unused(first, round((1000.0 + WAIT_S) * 1e6))], instant(door.now)))
    door.scan("1")
    assert door.words == [AGAIN]
    assert door.noted[0].attempt.of == first.id


def test_a_second_try_of_before_a_restart_has_its_time_where_the_clock_was_set_back():
    before = turnstile()
    before.scan("1")
    first, known_us = before.noted[0].attempt, round(5000.0 * 1e6)
    for after_s, word in ((AGAIN_S, AGAIN), (AGAIN_S + 1, GRANTED)):
        door = turnstile()
        door.feed(m.Recalled([m.Unused(first, known_us)], instant(door.now)))
        door.until(door.now + after_s)
        door.scan("1")
        assert door.words == [word]


def test_a_gate_out_of_order_uses_up_no_second_try():
    door = turnstile()
    door.scan("1")
    door.until(1010.0)
    door.relay_works = False
    door.scan("1")
    assert door.words[-1][1] == "rejected"
    door.relay_works = True
    door.until(1020.0)
    door.scan("1")
    assert door.words[-1] == AGAIN


def test_a_signal_that_begins_just_before_the_relay_is_the_members():
    door = turnstile()
    door.scan("1")
    door.feed(m.InputChanged(InputName.PASSAGE, True, instant(999.99)))
    passed = door.noted[-1].outcome
    assert (passed.result.value, passed.gate.after_ms) == ("passed", 0.0)


@pytest.mark.parametrize("began_s", [1003.9, 1004.0])
def test_a_signal_that_is_debounced_counts_from_its_beginning(began_s):
    door = turnstile(SENSOR._replace(debounce_s=1.0))
    door.scan("1")
    door.until(1004.5)
    began_in_time = m.InputChanged(InputName.PASSAGE, True, instant(began_s))
    door.feed(began_in_time)
    assert door.words == [GRANTED, PASSED]


def test_a_signal_that_begins_too_late_is_of_nobody_also_before_the_time_is_up():
    door = turnstile(SENSOR._replace(debounce_s=1.0))
    door.scan("1")
    door.until(1004.5)
    door.feed(m.InputChanged(InputName.PASSAGE, True, instant(1004.1)))
    assert door.words == [GRANTED, NOT_PASSED, UNEXPECTED]
    door.until(1100.0)
    assert len(door.noted) == 4  # it stays active, and is stuck


def test_a_contact_that_sees_none_of_ten_is_suspect_until_it_opens():
    door = turnstile(BY_CONTACT, contact=CONTACT)
    for number in range(SILENT_MAX):
        door.scan(str(number))
        door.until(door.now + 10)
    assert door.words[-2:] == [NOT_PASSED, ("input", "suspect", "The door contact is suspect")]
    asked = len(door.partner.asked)
    door.scan(str(SILENT_MAX - 1))
    assert len(door.partner.asked) == asked + 1  # no second try is given
    door.until(door.now + 10)
    door.contact(is_open=True)
    assert door.words[-2:] == [
        ("input", "ok", "The door contact works again"),
        ("contact", "forced", "Door forced open"),
    ]


def test_a_contact_that_is_lost_says_of_nobody_that_he_did_not_pass():
    door = turnstile(BY_CONTACT, contact=CONTACT)
    door.scan("1")
    door.feed(m.InputLost(InputName.CONTACT, "no such pin", instant(door.now)))
    door.until(door.now + 10)
    door.scan("1")
    assert len(door.partner.asked) == 2
    assert NOT_PASSED not in door.words


@pytest.mark.parametrize("is_open", [False, True])
def test_a_contact_that_works_again_has_seen_nobody_pass(is_open):
    door = turnstile(BY_CONTACT, contact=CONTACT._replace(held_s=0, warn_s=0))
    door.scan("1")
    door.feed(m.InputLost(InputName.CONTACT, "GPIO5 does not answer", instant(door.now)))
    door.contact(is_open=is_open)
    assert PASSED not in door.words


def test_a_contact_that_is_open_at_the_start_says_of_nobody_that_he_did_not_pass():
    door = Door(contact=CONTACT, exits=None, passage=BY_CONTACT)
    door.contact(is_open=True)
    door.scan("1")
    door.until(10.0)
    assert NOT_PASSED not in door.words
    door.contact(is_open=False)
    door.admit()
    door.contact(is_open=True)
    door.contact(is_open=False)
    door.scan("2")
    door.until(20.0)
    assert door.words[-1] == NOT_PASSED


def test_a_contact_of_a_door_that_stands_open_is_not_suspect_for_it():
    door = Door(contact=CONTACT._replace(held_s=0, warn_s=0), exits=None, passage=BY_CONTACT)
    door.contact(is_open=True)
    for number in range(SILENT_MAX + 1):
        door.scan(str(number))
        door.until(door.now + 10.0)
    assert {kind for kind, _, _ in door.words} == {"scan"}


def test_a_door_that_stands_open_says_of_nobody_that_he_did_not_pass():
    door = turnstile(BY_CONTACT, contact=CONTACT._replace(held_s=0, warn_s=0))
    door.admit()
    door.contact(is_open=True)
    door.until(1000.0 + STUCK_S[InputName.CONTACT] - 2)
    door.scan("1")
    door.until(1100.0)
    assert door.words == [PASSED, GRANTED]
    assert door.machine.inputs[InputName.CONTACT].word == "active"


@pytest.mark.parametrize(
    "rules", [{}, {"passage": BY_CONTACT, "contact": CONTACT}], ids=["sensor", "contact"]
)
def test_a_sensor_that_was_lost_is_believed_once_it_works_again(rules):
    door = turnstile(**rules)
    name = next(iter(door.machine.inputs))
    door.feed(m.InputLost(name, "no such pin", instant(door.now)))
    door.level(name, False)
    door.scan("1")
    door.until(1010.0)
    assert door.words[-2:] == [GRANTED, NOT_PASSED]


def test_a_contact_that_fluttered_and_left_the_door_open_sees_nobody_pass():
    door = turnstile(BY_CONTACT, contact=CONTACT._replace(held_s=0, warn_s=0))
    for number in range(23):
        door.contact(is_open=number % 2 == 0)
        door.until(door.now + 0.5)
    door.until(door.now + 61.0)
    assert door.words[-1] == ("input", "ok", "The door contact works again")
    door.scan("1")
    door.until(door.now + 10.0)
    assert NOT_PASSED not in door.words


def test_in_a_fire_alarm_nobody_is_awaited():
    door = turnstile(has_fire=True)
    door.level(InputName.FIRE, True)
    door.scan("1")
    door.until(1010.0)
    assert door.words[1:] == [("scan", "admitted", "Let in: fire alarm")]


def test_a_sensor_that_flutters_reports_nobody_without_admission():
    door = turnstile()
    for _ in range(2 * SILENT_MAX):
        signal(door)
        door.until(door.now + 0.2)
    flutters = door.words.index(("input", "flutters", "The passage sensor flutters"))
    assert door.words[:flutters] == [UNEXPECTED] * 10
    assert door.words[flutters + 1 :] == []


@pytest.mark.parametrize(
    ("name", "rules", "word"),
    [
        (InputName.PASSAGE, {}, "The passage sensor is stuck"),
        (InputName.EXIT, {"exits": EXIT}, "The exit button is stuck"),
    ],
)
def test_an_input_that_fluttered_and_stays_active_is_stuck(name, rules, word):
    door = turnstile(**rules)
    for number in range(25):
        door.level(name, number % 2 == 0)
        door.until(door.now + 0.2)
    door.until(door.now + 100)
    assert [message for kind, _, message in door.words if kind == "input"][1:] == [word]
    assert door.machine.inputs[name].health is InputHealth.STUCK


def test_a_card_that_lies_on_the_reader_takes_no_second_try():
    door = turnstile(repeat_s=1.0)
    for _ in range(20):
        door.scan("1")
        door.until(door.now + 0.5)
    assert door.words == [GRANTED, NOT_PASSED]
    door.until(door.now + 1.0)
    door.scan("1")
    assert door.words[-1] == AGAIN


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["scan 1", "scan 2", "scan 3", "signal", "signal", "press", "hand", "relay", "outage", "line"]
        ),
        st.integers(0, 150),
    ),
    max_size=60,
)
GRACE_AFTER_ALREADY_IN = [
    ("outage", 0),
    ("scan 2", 0),
    ("scan 1", 111),
    ("line", 0),
    ("scan 2", 0),
    ("outage", 136),
    ("scan 2", 0),
    ("scan 2", 149),
]
FREE = {"again", "return", "already_in", "grace"}
GRACE = GraceRules(visits=1, admissions=2, per_member_h=1)


@settings(max_examples=300)
@given(STEPS, st.sampled_from([SENSOR, SENSOR_AT_END]), st.sampled_from([0, 60]), st.integers(0, 1))
@example(GRACE_AFTER_ALREADY_IN, SENSOR, 0, 1)
def test_any_sequence_of_inputs(steps, rules, return_s, already_in_per_day):
    door = turnstile(rules, exits=EXIT, repeat_s=1.0, return_s=return_s)
    door.partner.counts, door.partner.already_in_per_day = {"1", "2"}, already_in_per_day
    door.partner.grace = OutageGrace(GRACE)
    door.partner.grace.recall(())
    for step, tenths in steps:
        door.until(door.now + tenths / 10)
        match step.split():
            case ["scan", code]:
                door.scan(code)
            case ["signal"]:
                signal(door)
            case ["press"]:
                door.button(is_pressed=True)
                door.button(is_pressed=False)
            case ["hand"]:
                door.admit()
            case ["relay"]:
                door.relay_works = not door.relay_works
            case ["outage"]:
                door.line_works = False
                for member in ("7", "8"):  # with two of them, the next failing member begins an outage
                    door.scan(member)
                    door.until(door.now + 1)
            case ["line"]:
                door.line_works = True
    door.until(door.now + 1000)
    basis = {event.attempt.id: str(event.outcome.basis or "") for event in door.events}
    of_basis = Counter(basis.values())
    passages = [event for event in door.events if event.attempt.kind == "passage" and event.attempt.of]
    by_result = Counter(event.outcome.result.value for event in passages)
    assert of_basis["partner"] <= door.partner.allowed
    assert door.openings <= door.partner.allowed + sum(of_basis[one] for one in (*FREE, "manual", "exit"))
    again = [event for event in door.events if basis[event.attempt.id] == "again"]
    assert len(again) <= by_result["not_passed"]
    firsts = [event.attempt.of for event in again]
    assert len(firsts) == len(set(firsts))  # at most one for a success
    assert {basis[of] for of in firsts} <= {"partner", "return", "already_in", "grace"}
    graced = Counter(event.attempt.member for event in door.events if event.outcome.basis == "grace")
    by_word = [event for event in door.events if event.outcome.basis in BY_PARTNERS_WORD]
    assert set(graced) <= {event.attempt.member for event in by_word}
    assert max(graced.values(), default=0) <= 1  # all of it lasts less than per_member_h
    assert of_basis["return"] == 0 or (return_s and by_result["passed"])
    assert max(already_in_of_members(door).values(), default=0) <= already_in_per_day
    passed = {event.attempt.of for event in passages if event.outcome.result.value == "passed"}
    assert not passed & set(firsts)
    ends = [event.attempt.of for event in passages]
    assert len(ends) == len(set(ends))  # one end for each admission


def already_in_of_members(door):
    return Counter(event.attempt.member for event in door.events if event.outcome.basis == "already_in")
