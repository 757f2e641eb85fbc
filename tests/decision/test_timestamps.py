"""Steps of the clock between two moments on two clocks."""

import pytest

from gatectl.decision.timestamps import Timestamp, describe_change, format_duration

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BEFORE = Timestamp(50 * DAY, "a" * 32, 5 * HOUR)


def later(by_us, set_by_us=0, boot=BEFORE.boot):
    return Timestamp(BEFORE.at_us + by_us + set_by_us, boot, BEFORE.since_boot_us + by_us)


@pytest.mark.parametrize("by_us", [0, SECOND, 3 * 365 * DAY])
def test_time_alone_is_no_news(by_us):
    assert describe_change(BEFORE, later(by_us)) is None


@pytest.mark.parametrize("set_by_us", [-2 * SECOND, -SECOND, SECOND, 2 * SECOND])
def test_a_leap_second_is_no_news(set_by_us):
    assert describe_change(BEFORE, later(HOUR, set_by_us)) is None
    assert later(HOUR, set_by_us).clock_step_since(BEFORE) == 0


@pytest.mark.parametrize(
    ("set_by_us", "words"),
    [
        ((3 * 365 + 2) * DAY, "the clock was set forward by 3 years 2 days"),
        (-HOUR, "the clock was set back by 1 h"),
        (2 * SECOND + 1, "the clock was set forward by 2 s"),
        (-3 * SECOND, "the clock was set back by 3 s"),
    ],
)
def test_a_clock_that_was_set(set_by_us, words):
    after = later(10 * DAY, set_by_us)
    assert describe_change(BEFORE, after) == words
    assert after.clock_step_since(BEFORE) == set_by_us
    assert after.clock_step_since(later(20 * DAY, set_by_us)) == 0


def test_a_restart():
    assert describe_change(BEFORE, Timestamp(51 * DAY, "b" * 32, SECOND)) == "restarted"
    assert Timestamp(900 * DAY, "b" * 32, SECOND).clock_step_since(BEFORE) == 0


def test_a_restart_without_a_clock():
    after = Timestamp(BEFORE.at_us - 3 * HOUR, "b" * 32, SECOND)
    assert describe_change(BEFORE, after) == "restarted, the clock back by at least 3 h"


@pytest.mark.parametrize(
    ("length_us", "words"),
    [
        (0, "0 s"),
        (SECOND // 2, "1 s"),
        (59 * SECOND, "59 s"),
        (60 * SECOND, "1 min"),
        (HOUR - SECOND // 4, "1 h"),
        (HOUR + 5 * SECOND, "1 h 5 s"),
        (2 * HOUR + 61 * SECOND, "2 h 1 min"),
        (DAY, "1 day"),
        (2 * DAY + 3 * HOUR + 5 * SECOND, "2 days 3 h"),
        (365 * DAY, "1 year"),
        (3 * 365 * DAY + 2 * DAY + HOUR, "3 years 2 days"),
    ],
)
def test_lengths_of_time_in_words(length_us, words):
    assert format_duration(length_us) == words
