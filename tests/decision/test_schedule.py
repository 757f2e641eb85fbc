"""Schedules in local time: spans, exceptions, and the two days on which the clocks are set."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.schedule import DAY_MIN, Schedule

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE_US = 60_000_000


def at(text: str, fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)
    return round(moment.timestamp() * 1e6)


def every_day(*spans, **exceptions):
    days = {date.fromisoformat(day.strip("d").replace("_", "-")): spans for day, spans in exceptions.items()}
    return Schedule([list(spans)] * 7, days)


@pytest.mark.parametrize(
    ("moment", "on"),
    [
        ("2026-11-26T05:59:59", False),
        ("2026-11-26T06:00", True),
        ("2026-11-26T21:59:59", True),
        ("2026-11-26T22:00", False),
        ("2026-12-24T09:00", True),
        ("2026-12-24T15:00", False),
        ("2026-12-25T12:00", False),
    ],
)
def test_spans_and_exceptions(moment, on):
    schedule = every_day((360, 1320), d2026_12_24=[(540, 840)], d2026_12_25=[])
    assert schedule.is_on(at(moment), BERLIN) is on


def test_a_span_may_end_at_midnight_and_the_next_begin_there():
    schedule = every_day((0, DAY_MIN))
    assert schedule.is_on(at("2026-11-26T00:00"), BERLIN)
    assert schedule.is_on(at("2026-11-26T23:59:59"), BERLIN)
    assert schedule.next_change_us(at("2026-11-26T12:00"), BERLIN) is None


@pytest.mark.parametrize("moment", ["2026-11-26T06:00", "2026-11-26T21:59"])
def test_a_span_begins_at_its_first_moment(moment):
    assert every_day((360, 1320)).span_start_us(at(moment), BERLIN) == at("2026-11-26T06:00")


def test_the_next_change_of_a_weekly_span_may_be_a_week_ahead():
    mondays = Schedule([[(360, 420)], *([[]] * 6)], {})
    assert mondays.next_change_us(at("2026-11-23T07:00"), BERLIN) == at("2026-11-30T06:00")
    without = mondays._replace(exceptions={date(2026, 11, 30): []})
    assert without.next_change_us(at("2026-11-23T07:00"), BERLIN) == at("2026-12-07T06:00")


def test_a_time_that_does_not_exist_is_skipped():
    schedule = every_day((130, 170))  # 02:10 to 02:50; on 2026-03-29 the clock goes from 02:00 to 03:00
    assert schedule.next_change_us(at("2026-03-29T00:30"), BERLIN) == at("2026-03-30T02:10")


def test_a_time_that_comes_twice_counts_twice():
    schedule = every_day((130, 170))  # on 2026-10-25 02:00 to 03:00 comes twice
    now, changes = at("2026-10-25T00:30"), []
    for _ in range(4):
        now = schedule.next_change_us(now, BERLIN)
        changes.append(now)
    expected = [
        ("2026-10-25T02:10", 0),
        ("2026-10-25T02:50", 0),
        ("2026-10-25T02:10", 1),
        ("2026-10-25T02:50", 1),
    ]
    assert changes == [at(text, fold) for text, fold in expected]


def test_a_span_across_the_change_is_one_span():
    schedule = every_day((60, 240))
    assert schedule.next_change_us(at("2026-03-29T01:30"), BERLIN) == at("2026-03-29T04:00")
    assert schedule.span_start_us(at("2026-03-29T03:30"), BERLIN) == at("2026-03-29T01:00")


def test_a_schedule_without_an_end_began_two_days_ago():
    always = every_day((0, DAY_MIN))
    assert always.span_start_us(at("2026-06-03T12:00"), BERLIN) == at("2026-06-01T12:00")


SPANS = st.lists(st.integers(0, DAY_MIN), min_size=2, max_size=6, unique=True).map(
    lambda minutes: list(zip(*[iter(sorted(minutes)[: len(minutes) // 2 * 2])] * 2, strict=True))
)


@given(
    week=st.lists(SPANS, min_size=7, max_size=7),
    day=st.sampled_from(["2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25", "2026-06-01"]),
    minutes=st.integers(0, 2 * DAY_MIN),
)
def test_the_next_change_is_the_first_minute_that_differs(week, day, minutes):
    schedule = Schedule(week, {})
    start = round(
        (datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=minutes)).timestamp() * 1e6
    )
    on, change = schedule.is_on(start, BERLIN), schedule.next_change_us(start, BERLIN)
    end = start + 3 * DAY_MIN * MINUTE_US if change is None else min(change, start + 3 * DAY_MIN * MINUTE_US)
    for moment in range(start, end, 7 * MINUTE_US):
        assert schedule.is_on(moment, BERLIN) is on
    if change is not None:
        assert schedule.is_on(change - 1, BERLIN) is on
        assert schedule.is_on(change, BERLIN) is not on


def test_a_span_that_the_clock_begins_or_ends_changes_at_that_moment():
    spring = every_day((130, 240))  # from 02:10, which the clock leaps over at 02:00, to 04:00
    assert spring.next_change_us(at("2026-03-29T01:00"), BERLIN) == at("2026-03-29T03:00")
    assert spring.span_start_us(at("2026-03-29T03:30"), BERLIN) == at("2026-03-29T03:00")
    autumn = every_day((150, 175))  # 02:30 to 02:55, twice on 2026-10-25
    assert autumn.next_change_us(at("2026-10-25T02:40"), BERLIN) == at("2026-10-25T02:55")
    assert autumn.next_change_us(at("2026-10-25T02:56"), BERLIN) == at("2026-10-25T02:30", fold=1)
    until = every_day((0, 150))  # to 02:30: it is on again where the clock goes from 03:00 back to 02:00
    assert until.next_change_us(at("2026-10-25T02:40"), BERLIN) == at("2026-10-25T02:00", fold=1)
