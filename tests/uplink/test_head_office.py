"""The rules by which head office takes a gate's events."""

import pytest

from gatectl.uplink import head_office
from gatectl.uplink.head_office import (
    GENERATION_PAUSE_S,
    Answer,
    Attendance,
    Notice,
    Step,
    Stream,
    attend,
    greet,
    mark_of,
    take,
)
from gatectl.uplink.wire import EventBatch, GateState, Mark, NumberedEvent, Presence

JOURNAL = "9f" * 16
NOW = 1_800_000_000.0


def id_of(number: int) -> str:
    return f"01976f5e-7a00-7000-8000-{number:012x}"


def batch(after: int, until: int, *numbers: int, generation: int = 1) -> EventBatch:
    listed = numbers or range(after + 1, until + 1)
    events = tuple(NumberedEvent(number, {"id": id_of(number)}) for number in listed)
    return EventBatch(JOURNAL, generation, after, until, events)


def stream(mark: int, generation: int = 1, opened_s: float = 0.0) -> Stream:
    return Stream(JOURNAL, generation, mark, id_of(mark) if mark else None, opened_s)


def state(mark: int | None = None, generation: int | None = None, fork: int | None = None) -> GateState:
    return GateState(JOURNAL, 100, generation, mark, fork, {})


def test_a_batch_that_continues_moves_the_mark():
    sent = batch(3, 5)
    assert take(stream(3), sent, NOW) == Step(stream(5), Answer.MARK, sent.events)


def test_the_overlap_of_a_batch_is_not_inserted_again():
    sent = batch(1, 5)
    step = take(stream(3), sent, NOW)
    assert (step.insert, step.committed) == (sent.events[2:], sent.events[:2])
    assert step.stream == stream(5)


def test_a_repeat_changes_nothing_and_its_events_are_looked_up():
    sent = batch(0, 3)
    assert take(stream(5), sent, NOW) == Step(stream(5), Answer.MARK, committed=sent.events)


def test_a_gap_is_asked_for_again():
    assert take(stream(3), batch(4, 6), NOW) == Step(stream(3), Answer.AGAIN)


@pytest.mark.parametrize("generation", [1, 3])
def test_a_batch_of_another_generation_is_not_taken(generation):
    known = stream(3, generation=2)
    assert take(known, batch(3, 5, generation=generation), NOW) == Step(known, Answer.AGAIN)


def test_an_unknown_journal_begins_at_its_beginning():
    assert take(None, batch(0, 2), NOW).stream == stream(2, opened_s=NOW)
    assert take(None, batch(7, 9), NOW) == Step(stream(0, opened_s=NOW), Answer.AGAIN)


def test_missing_numbers_were_pruned_and_are_counted():
    step = take(stream(3), batch(3, 10, 7, 10), NOW)
    assert (step.pruned, step.stream) == (5, stream(10))


def test_a_mark_behind_which_all_was_pruned_names_no_event():
    step = take(stream(3), batch(3, 10, 7), NOW)
    assert step.stream == Stream(JOURNAL, 1, 10, None)
    assert take(step.stream, batch(9, 12), NOW).stream == stream(12)


def test_two_events_of_one_number_are_two_machines_and_both_are_kept():
    other = NumberedEvent(3, {"id": id_of(99)})
    sent = EventBatch(JOURNAL, 1, 2, 4, (other, *batch(3, 4).events))
    step = take(stream(3), sent, NOW)
    assert step == Step(stream(3), Answer.AGAIN, committed=(other,), notice=Notice.TWO_MACHINES)


def test_every_state_is_answered_with_the_mark():
    assert greet(stream(3), state(), NOW) == Step(stream(3), Answer.MARK)
    assert greet(stream(3), state(2, 1), NOW) == Step(stream(3), Answer.MARK)
    assert greet(None, state(), NOW) == Step(stream(0, opened_s=NOW), Answer.AGAIN)
    assert greet(stream(3), state()._replace(journal=None), NOW) is None


@pytest.mark.parametrize("known", [(4, 1), (3, 2), (1, 2)])
def test_a_gate_that_goes_by_a_mark_from_before_a_restore_is_called_back(known):
    assert greet(stream(3), state(*known), NOW) == Step(stream(3), Answer.AGAIN)


def test_a_journal_that_went_back_in_time_begins_a_new_generation():
    step = greet(stream(3), state(fork=1), NOW)
    assert step == Step(stream(0, 2, opened_s=NOW), Answer.AGAIN, notice=Notice.NEW_GENERATION)
    assert greet(step.stream, state(fork=1), NOW) == Step(step.stream, Answer.MARK)


def test_machines_that_take_turns_do_not_send_everything_without_end():
    second = stream(3, 2, opened_s=NOW)
    soon, later = NOW + GENERATION_PAUSE_S - 1, NOW + GENERATION_PAUSE_S
    assert greet(second, state(fork=2), soon) == Step(second, Answer.MARK, notice=Notice.TWO_MACHINES)
    assert greet(second, state(fork=2), later).stream == stream(0, 3, opened_s=later)


def test_the_mark_says_what_is_committed():
    assert mark_of(stream(3, 2), Answer.AGAIN, 16) == Mark(JOURNAL, 2, 3, id_of(3), 16, again=True)
    assert mark_of(stream(3), Answer.MARK) == Mark(JOURNAL, 1, 3, id_of(3), 256, again=False)


A, B = "aaaaaaaa", "bbbbbbbb"


def test_the_late_will_of_an_old_connection_is_ignored():
    here = attend(None, Presence(True, f"{A}-1"))[0]
    again = attend(here, Presence(True, f"{A}-2"))[0]
    assert attend(again, Presence(False, f"{A}-1")) == (again, None)
    assert attend(again, Presence(False, f"{A}-2")) == (Attendance(False, f"{A}-2"), None)
    restarted = attend(again, Presence(True, f"{B}-1"))[0]
    assert attend(restarted, Presence(False, f"{A}-2")) == (restarted, None)


def test_a_process_that_returns_shows_two_machines():
    here = None
    notices = []
    for session in (f"{A}-1", f"{B}-1", f"{B}-2", f"{A}-2", f"{B}-3"):
        here, notice = attend(here, Presence(True, session))
        notices.append(notice)
    assert notices == [None, None, None, Notice.TWO_MACHINES, Notice.TWO_MACHINES]
    for number in range(50):
        here, _ = attend(here, Presence(True, f"{number:08x}-1"))
    assert len(here.replaced) == head_office._REPLACED_MAX
