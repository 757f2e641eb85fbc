"""Partners that are asked without checking in: only who passed is checked in, once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_door import CONTACT, EXIT, at_rest, instant, record

from gatectl.decision.door import messages as m
from gatectl.decision.door.inputs import InputName
from gatectl.decision.door.modes import Mode
from gatectl.decision.door.passages import PassageRules
from gatectl.decision.verdict import Decision, Verdict

SENSOR = PassageRules(4.0, 120.0)
GRANTED = ("scan", "admitted", "Aggregator member checked in")
PASSED = ("passage", "passed", "Passed")
NOT_PASSED = ("passage", "not_passed", "Admitted, but did not pass")
DONE = ("check_in", "done", "Checked in after passing")
FAILED = ("check_in", "failed", "Passed, but not checked in")


def turnstile(passage=SENSOR, **rules):
    door = at_rest(**({"contact": None, "exits": None, "passage": passage, "repeat_s": 1.0} | rules))
    door.partner.checks_in_after_passage = True
    return door


def signal(door):
    door.until(door.now + 1)
    door.passage(active=True)
    door.passage(active=False)


def test_who_passes_is_checked_in_once():
    door = turnstile()
    door.scan("1")
    assert door.words == [GRANTED]
    assert door.partner.checked_in == []
    signal(door)
    door.until(door.now + 100)
    assert door.words == [GRANTED, PASSED, DONE]
    scan, passed, done = door.noted
    assert (done.attempt.of, done.attempt.member, done.attempt.at_us) == (
        scan.attempt.id,
        "1",
        passed.attempt.at_us,
    )
    assert (done.attempt.partner, done.attempt.credential, done.attempt.scanner) == ("p", "1", None)
    outcome = done.outcome
    assert (outcome.verdict, outcome.status, outcome.fault, outcome.basis) == ("allowed", 200, None, None)
    assert outcome.request == record()
    assert [attempt.kind for attempt in door.partner.checked_in] == ["check_in"]
    assert (done.row.priority, done.row.cause.key) == (6, "checked_in")


def test_who_does_not_pass_is_not_checked_in_and_the_partner_is_asked_once_more():
    door = turnstile()
    door.scan("1")
    door.until(1010.0)
    assert door.words == [GRANTED, NOT_PASSED]
    assert door.screens[-1] == "did_not_pass"
    door.scan("1")
    assert door.words[2:] == [GRANTED]
    assert door.noted[-1].outcome.basis == "partner"
    signal(door)
    assert door.words[3:] == [PASSED, DONE]
    assert len(door.partner.checked_in) == 1


def test_a_second_try_of_before_the_start_asks_the_partner_too():
    before = turnstile()
    before.scan("1")
    before.until(1010.0)
    door = turnstile()
    door.until(1020.0)
    door.feed(m.Recalled([m.Unused(before.noted[0].attempt, 1_004_000_000)], instant(door.now)))
    door.scan("1")
    assert door.noted[0].outcome.basis == "partner"


def test_a_check_in_that_is_refused_has_failed():
    door = turnstile()
    door.scan("1")
    door.partner.refuses = {"1"}
    signal(door)
    assert door.words == [GRANTED, PASSED, FAILED]
    outcome = door.noted[-1].outcome
    assert (outcome.verdict, outcome.status, outcome.fault) == ("not_allowed", 400, None)
    assert (door.noted[-1].row.priority, door.noted[-1].row.cause.key) == (3, "not_checked_in")


def test_a_check_in_that_is_not_answered_has_failed():
    door = turnstile()
    door.scan("1")
    door.line_works = False
    signal(door)
    failed = door.noted[-1]
    assert door.words[1:] == [PASSED, FAILED]
    assert (failed.outcome.verdict, failed.outcome.fault, failed.outcome.detail) == (
        "none",
        "timeout",
        "no answer",
    )
    assert (failed.row.priority, failed.row.cause.key) == (3, "not_checked_in")


def test_a_partner_that_rests_is_not_asked():
    door = turnstile()
    door.scan("1")
    door.partner.conditions.rest(door.now + 30)
    signal(door)
    assert door.words == [GRANTED, PASSED, FAILED]
    failed = door.noted[-1]
    assert (failed.attempt.budget_ms, failed.outcome.request) == (None, None)
    assert (failed.outcome.fault, failed.outcome.reason.key) == ("partner", "resting")
    assert door.partner.checked_in == []


def begun():
    """A door whose member has just passed, and the effects of that; the disk has not answered."""
    door = turnstile()
    door.scan("1")
    door.until(door.now + 1)
    effects = door.machine.handle(m.InputChanged(InputName.PASSAGE, True, instant(door.now)), door.now)
    return door, [effect for effect in effects if isinstance(effect, m.Record | m.Prepare | m.Ask | m.Note)]


def test_the_attempt_is_on_disk_with_the_passage_and_before_anything_is_sent():
    door, (written, prepare) = begun()
    assert (written.after.outcome.result, written.attempt.kind) == ("passed", "check_in")
    assert written.until_s == door.now + 0.1
    assert (prepare.attempt, prepare.checks_in) == (written.attempt, True)
    (asked,) = door.machine.handle(m.Recorded(written.attempt.id), door.now + 0.05)
    assert (asked.attempt, asked.deadline_s) == (written.attempt, door.now + 0.75)
    assert not door.machine.is_idle
    allowed = m.Answered(written.attempt.id, Decision(Verdict.ALLOWED, status=200), record)
    ended = door.machine.handle(allowed, door.now)
    assert [type(effect) for effect in ended] == [m.Conclude, m.PartnerChanged]
    assert door.machine.is_idle


@pytest.mark.parametrize(("patience_s", "waits_s"), [(0.1, 0.1), (5.0, 0.75)])
def test_a_check_in_has_its_whole_budget_after_a_debounced_signal(patience_s, waits_s):
    door = turnstile()
    door.machine._door.site.patience_s = patience_s
    door.scan("1")
    door.until(door.now + 1.0)
    began_before = m.InputChanged(InputName.PASSAGE, True, instant(door.now - 0.5))
    effects = door.machine.handle(began_before, door.now)
    (written,) = [effect for effect in effects if isinstance(effect, m.Record)]
    assert written.until_s == door.now + waits_s
    (asked,) = door.machine.handle(m.Recorded(written.attempt.id), door.now)
    assert asked.deadline_s == door.now + 0.75


def test_a_late_record_holds_up_no_check_in():
    door, (written, _) = begun()
    logged, asked = door.machine.handle(m.RecordLate(written.attempt.id), door.now + 0.1)
    assert "is late: the disk does not answer" in logged.entry.message
    assert asked.attempt == written.attempt


def test_a_budget_that_ends_before_the_disk_answers():
    door, (written, _) = begun()
    ended = door.machine.handle(m.RecordLate(written.attempt.id), door.now + 0.75)
    outcome = ended[0].event.outcome
    assert (outcome.result, outcome.fault, outcome.request.sent) == ("failed", "timeout", False)
    assert outcome.detail == "the disk did not answer within the budget"


def test_a_check_in_under_way_holds_up_no_scan():
    door, (written, _) = begun()
    door.machine.handle(m.Recorded(written.attempt.id), door.now)
    door.scan("2")
    assert door.words[-1] == GRANTED
    assert not door.machine.is_idle


def test_a_check_in_is_decided_while_the_door_stops():
    door, (written, prepare) = begun()
    door.perform(prepare)
    door.feed(m.Stop())
    door.feed(m.Recorded(written.attempt.id))
    assert door.words[-1] == DONE


@pytest.mark.parametrize("exits", [None, EXIT])
def test_a_passage_without_an_admission_checks_nobody_in(exits):
    door = turnstile(exits=exits)
    if exits is not None:
        door.button(is_pressed=True)
        door.button(is_pressed=False)
    signal(door)
    door.admit()
    signal(door)  # by hand
    door.until(door.now + 20)
    door.scan("1")
    door.until(door.now + 10)
    signal(door)  # too late
    assert door.partner.checked_in == []
    assert "check_in" not in {event.attempt.kind for event in door.events}


def test_the_contact_answers_where_there_is_no_sensor():
    door = turnstile(SENSOR._replace(has_sensor=False, release="no"), contact=CONTACT)
    door.scan("1")
    door.until(door.now + 1)
    door.contact(is_open=True)
    assert door.words == [GRANTED, PASSED, DONE]


def test_a_door_that_sees_nobody_checks_in_with_the_admission():
    """A card leads to the partner at every door."""
    door = turnstile(None)
    door.scan("1")
    assert [attempt.kind for attempt in door.partner.checked_in] == ["scan"]
    assert door.words == [GRANTED]


def test_without_a_second_try_the_display_asks_to_scan_again_all_the_same():
    door = turnstile(SENSOR._replace(again_s=0.0))
    door.scan("1")
    door.until(1010.0)
    assert door.screens[-1] == "did_not_pass"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "scan 1",
                "scan 2",
                "scan 3",
                "signal",
                "press",
                "hand",
                "line",
                "relay",
                "refuse",
                "rest",
                "hold",
            ]
        ),
        st.integers(0, 80),
    ),
    max_size=60,
)


def do(door, what, code=""):
    match what:
        case "scan":
            door.scan(code)
        case "signal":
            signal(door)
        case "press":
            door.button(is_pressed=True)
            door.button(is_pressed=False)
        case "hand":
            door.admit()
        case "line":
            door.line_works = not door.line_works
        case "relay":
            door.relay_works = not door.relay_works
        case "refuse":
            door.partner.refuses ^= {"2"}
        case "rest":
            door.partner.conditions.rest(door.now + 5)
        case "hold":
            door.order(Mode.HELD if door.mode is Mode.NORMAL else Mode.NORMAL, "x", 60)


@settings(max_examples=300)
@given(STEPS, st.sampled_from([SENSOR, SENSOR._replace(release="end", again_s=0.0)]))
def test_any_sequence_of_inputs(steps, rules):
    door = turnstile(rules, exits=EXIT, may_hold=True)
    for step, tenths in steps:
        door.until(door.now + tenths / 10)
        do(door, *step.split())
    door.until(door.now + 1000)
    kinds = {event.attempt.id: event for event in door.events}
    admitted = {event.attempt.id for event in door.events if event.outcome.basis == "partner"}
    passed = {
        event.attempt.of
        for event in door.events
        if event.outcome.result == "passed" and kinds[event.attempt.of].attempt.kind == "scan"
    }
    check_ins = [event for event in door.events if event.attempt.kind == "check_in"]
    assert sorted(event.attempt.of for event in check_ins) == sorted(passed)  # one for each who passed
    assert passed <= admitted
    sent = [attempt.of for attempt in door.partner.checked_in]
    assert len(sent) == len(set(sent))
    assert set(sent) <= passed
    assert {attempt.kind for attempt in door.partner.checked_in} <= {"check_in"}
    assert not {event.outcome.basis for event in door.events} & {"again", "return", "already_in"}
    for event in check_ins:
        is_done = (event.outcome.verdict, event.outcome.fault) == ("allowed", None)
        assert event.outcome.result == ("done" if is_done else "failed")
    assert door.machine.is_idle
