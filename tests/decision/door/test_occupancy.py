"""How many are inside: counted in and out since four o'clock, over restarts and changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_door import CONTACT, EXIT, at_rest

from gatectl.decision.door.inputs import InputName
from gatectl.decision.door.modes import Mode, ModeRules
from gatectl.decision.door.occupancy import Occupancy
from gatectl.decision.door.passages import PassageRules

BERLIN = ZoneInfo("Europe/Berlin")
SENSOR = PassageRules(4.0, 120.0)
COUNTING = EXIT._replace(counts=True)


def us(moment):
    return round(moment.timestamp() * 1e6)


def at(hour, minute=0, day=26, month=11):
    return us(datetime(2026, month, day, hour, minute, tzinfo=BERLIN))


def counting(*before, zone=BERLIN, asked_us=None):
    occupancy = Occupancy(zone)
    occupancy.recall(before, at(12) if asked_us is None else asked_us)
    return occupancy


def test_in_minus_out():
    occupancy = counting()
    assert occupancy.inside(at(12)) == 0
    for _ in range(3):
        occupancy.came_in(at(12))
    occupancy.left(at(13))
    assert occupancy.inside(at(14)) == 2


def test_who_was_inside_before_four_takes_off_nobody_who_came_since():
    occupancy = counting()
    for _ in range(2):
        occupancy.left(at(4, 30))
    assert occupancy.inside(at(5)) == 0
    occupancy.came_in(at(6))
    assert occupancy.inside(at(6)) == 1


def test_it_is_not_known_before_the_journal_was_read():
    occupancy = Occupancy(BERLIN)
    occupancy.came_in(at(12))
    assert occupancy.inside(at(12)) is None
    occupancy.recall([True, True, False], at(12))
    assert occupancy.inside(at(12)) == 2


@pytest.mark.parametrize(
    "zone_day",
    [(month, day) for month, day in ((11, 26), (3, 29), (10, 25))],
    ids=["usual", "23 hours", "25 hours"],
)
def test_a_day_begins_at_four(zone_day):
    month, day = zone_day
    four = us(datetime(2026, month, day, 4, tzinfo=BERLIN))
    occupancy = counting(True, asked_us=four - 5 * 3_600_000_000)
    assert occupancy.inside(four - 1_000_000) == 1
    assert occupancy.day_start_us(four - 1_000_000) == us(
        datetime(2026, month, day, 4, tzinfo=BERLIN) - timedelta(days=1)
    )
    assert occupancy.inside(four) == 0
    assert occupancy.day_start_us(four) == four
    occupancy.came_in(four + 1)
    night = four + 19 * 3_600_000_000
    assert occupancy.inside(night) == 1


def test_an_hour_that_comes_twice_is_of_one_day():
    occupancy = counting(asked_us=at(1, day=25, month=10))
    first = us(datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN))
    occupancy.came_in(first)
    occupancy.came_in(first + 3_600_000_000)
    assert occupancy.inside(first + 3_600_000_000) == 2


def test_a_clock_that_is_set_back_begins_no_day_but_a_wrong_year_does_not_stay():
    occupancy = counting()
    occupancy.came_in(at(4, 1))
    assert occupancy.inside(at(3, 59)) == 1
    occupancy.came_in(us(datetime(2035, 1, 1, 12, tzinfo=UTC)))
    assert occupancy.inside(at(12)) == 0


def test_the_passages_of_yesterday_may_come_late_from_a_slow_disk():
    occupancy = Occupancy(BERLIN)
    occupancy.came_in(at(4, 1))
    occupancy.recall([True, True], at(3, 59))
    assert occupancy.inside(at(4, 2)) == 1


@given(st.lists(st.booleans()), st.lists(st.booleans()), st.integers(0, 30))
def test_a_restart_changes_nothing(before, since, read_after):
    whole, restarted = counting(), Occupancy(BERLIN)
    for is_in in before:
        (whole.came_in if is_in else whole.left)(at(12))
    for number, is_in in enumerate(since):
        if number == read_after:
            restarted.recall(before, at(12))
        for one in (whole, restarted):
            (one.came_in if is_in else one.left)(at(12))
    if read_after >= len(since):
        restarted.recall(before, at(12))
    assert restarted.inside(at(13)) == whole.inside(at(13)) >= 0


def signal(door):
    door.passage(active=True)
    door.passage(active=False)


def leave(door):
    door.level(InputName.EXIT_PASSAGE, True)
    door.level(InputName.EXIT_PASSAGE, False)


def inside(door):
    return door.machine.occupancy.inside(round(door.now * 1e6))


def test_a_turnstile_counts_who_passes_and_who_leaves():
    door = at_rest(contact=None, exits=COUNTING, passage=SENSOR)
    door.machine.occupancy.recall([], round(door.now * 1e6))
    door.scan("1")
    assert inside(door) == 0  # admitted is not inside
    signal(door)
    assert inside(door) == 1
    door.scan("2")
    door.until(door.now + 10)  # did not pass
    signal(door)  # without admission
    assert inside(door) == 2
    leave(door)
    assert inside(door) == 1
    door.button(is_pressed=True)
    signal(door)  # out by the way in
    assert inside(door) == 1


def test_a_held_turnstile_counts_who_walks_in():
    door = at_rest(contact=None, exits=COUNTING, passage=SENSOR, modes=ModeRules(zone=UTC))
    door.machine.occupancy.recall([], round(door.now * 1e6))
    door.order(Mode.HELD, "open day", for_s=3600)
    signal(door)
    assert inside(door) == 1
    assert [kind for kind, _, _ in door.words] == ["mode"]
    leave(door)
    assert inside(door) == 0


def test_a_contact_counts_the_admitted_members():
    door = at_rest(contact=CONTACT, exits=COUNTING, passage=SENSOR._replace(has_sensor=False, release="no"))
    door.machine.occupancy.recall([], round(door.now * 1e6))
    door.scan("1")
    door.contact(is_open=True)
    assert inside(door) == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"exits": None, "passage": SENSOR},
        {"exits": EXIT, "passage": SENSOR},
        {"exits": COUNTING, "passage": None},
    ],
)
def test_a_door_that_sees_one_way_alone_counts_nobody(rules):
    assert at_rest(contact=None, **rules).machine.occupancy is None
