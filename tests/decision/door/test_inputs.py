"""Inputs: debouncing of any readings, with some missed, and fluttering."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.door.inputs import (
    FLUTTER_CHANGES,
    FLUTTER_S,
    InputHealth,
    InputName,
    InputState,
    LevelChange,
    LevelFilter,
)


def changes(debounce_s, *readings):
    levels = LevelFilter(debounce_s)
    return [change for level, at_s in readings if (change := levels.read(level, at_s)) is not None]


def test_the_first_level_is_reported_once_it_has_lasted():
    assert changes(0.05, (False, 1.0), (False, 1.02), (False, 1.05), (False, 2.0)) == [
        LevelChange(False, 1.0)
    ]


def test_a_bounce_begins_the_time_again():
    readings = [
        (False, 0.0),
        (False, 0.05),
        (True, 1.0),
        (False, 1.01),
        (True, 1.02),
        (True, 1.06),
        (True, 1.07),
    ]
    assert changes(0.05, *readings) == [LevelChange(False, 0.0), LevelChange(True, 1.02)]


def test_a_spike_changes_nothing():
    assert changes(0.05, (False, 0.0), (False, 0.05), (True, 1.0), (False, 1.04), (False, 3.0)) == [
        LevelChange(False, 0.0)
    ]


def test_without_debounce_every_reading_counts():
    assert changes(0, (False, 0.0), (True, 1.0), (False, 1.0)) == [
        LevelChange(False, 0.0),
        LevelChange(True, 1.0),
        LevelChange(False, 1.0),
    ]


def test_it_says_when_to_read_again():
    levels = LevelFilter(0.05)
    assert levels.due_s is None
    levels.read(True, 1.0)
    assert levels.due_s == pytest.approx(1.05)
    levels.read(True, 1.05)
    assert levels.due_s is None


def test_a_lost_pin_is_read_from_the_start():
    levels = LevelFilter(0)
    levels.read(True, 1.0)
    levels.forget()
    assert levels.read(True, 9.0) == LevelChange(True, 9.0)


LEVELS = st.lists(st.tuples(st.booleans(), st.integers(1, 400)), min_size=1, max_size=30)
"""True levels of the wire, each with its milliseconds."""


@given(LEVELS, st.integers(0, 100), st.integers(1, 50))
def test_reported_changes_alternate_and_end_at_the_true_level(levels, debounce_ms, step_ms):
    truth = [level for level, length_ms in levels for _ in range(length_ms)]
    truth += [truth[-1]] * (debounce_ms + 2 * step_ms)
    seen = changes(debounce_ms / 1000, *((truth[at], at / 1000) for at in range(0, len(truth), step_ms)))
    assert [change.active for change in seen] == [seen[0].active ^ bool(n % 2) for n in range(len(seen))]
    assert seen[-1].active == truth[-1]
    assert all(before.since_s < after.since_s for before, after in pairwise(seen))


@given(LEVELS, st.integers(0, 100), st.sets(st.integers(0, 5000)))
def test_missed_readings_cost_time_and_no_state(levels, debounce_ms, missed):
    """Read every 10 ms, but for what was missed: at the end both know the same level."""
    truth = [level for level, length_ms in levels for _ in range(length_ms)]
    truth += [truth[-1]] * (debounce_ms + 30)
    every, some = LevelFilter(debounce_ms / 1000), LevelFilter(debounce_ms / 1000)
    known = [None, None]
    times = range(0, len(truth), 10)
    for at_ms in times:
        for index, one in enumerate((every, some)):
            if index and at_ms in missed and at_ms < len(truth) - debounce_ms - 30:
                continue
            change = one.read(truth[at_ms], at_ms / 1000)
            known[index] = known[index] if change is None else change.active
    assert known[0] is known[1] is truth[-1]


def taken(state, count, gap_s, *, explained=False):
    begins = []
    for number in range(count):
        state.take(LevelChange(bool(number % 2), number * gap_s), explained=explained)
        begins.append(state.begins_to_flutter())
    return begins


def test_an_input_flutters_from_the_change_that_is_one_too_many():
    state = InputState(InputName.CONTACT)
    # The first level is no change.
    assert taken(state, FLUTTER_CHANGES + 3, 1.0) == [False] * (FLUTTER_CHANGES + 1) + [True, False]
    assert (state.health, state.word) == (InputHealth.FLUTTERS, "flutters")
    assert state.quiet_at_s == FLUTTER_CHANGES + 2 + FLUTTER_S
    state.calm()
    assert state.health is InputHealth.OK
    assert not state.begins_to_flutter()


@pytest.mark.parametrize(("gap_s", "explained"), [(3.1, False), (1.0, True)])
def test_slow_changes_and_expected_ones_are_no_flutter(gap_s, explained):
    state = InputState(InputName.CONTACT)
    assert not any(taken(state, 100, gap_s, explained=explained))


def test_the_words_of_status():
    state = InputState(InputName.EXIT)
    assert state.word == "ok"
    state.take(LevelChange(True, 1.0), explained=False)
    assert (state.word, state.level, state.since_s) == ("active", True, 1.0)
    state.health = InputHealth.STUCK
    assert state.word == "stuck"
