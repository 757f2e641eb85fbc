import contextlib
import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.local_time import NotATimeError, clock_text, local, offset_text, parsed

BERLIN = ZoneInfo("Europe/Berlin")


def micros(text):
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000)


NOW = micros("2026-11-26T09:30:00+01:00")


@pytest.fixture(params=["zone", "system"])
def zone(request, monkeypatch):
    """Berlin, as the gym's own setting or as the system has it."""
    if request.param == "zone":
        monkeypatch.setenv("TZ", "America/Lima")
        time.tzset()
        yield BERLIN
    else:
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield None
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-22T19:35:01.000042Z", "2025-11-22T19:35:01.000042+00:00"),
        ("2025-11-22T20:35:01", "2025-11-22T19:35:01+00:00"),
        ("2025-11-22 20:35", "2025-11-22T19:35:00+00:00"),
        ("2025-11-22", "2025-11-21T23:00:00+00:00"),
        ("12:00", "2026-11-26T11:00:00+00:00"),
        ("9:05:07", "2026-11-26T08:05:07+00:00"),
        ("yesterday", "2026-11-24T23:00:00+00:00"),
        ("90s", "2026-11-26T08:28:30+00:00"),
        ("90m", "2026-11-26T07:00:00+00:00"),
        ("2h", "2026-11-26T06:30:00+00:00"),
        ("7d", "2026-11-19T08:30:00+00:00"),
        ("999999999999999999d", "1970-01-01T00:00:00+00:00"),
        ("2026-10-25T02:30:00", "2026-10-25T00:30:00+00:00"),  # comes twice
        ("2026-10-25", "2026-10-24T22:00:00+00:00"),
    ],
)
def test_times_as_people_write_them(text, expected, zone):
    assert parsed(text, NOW, zone) == micros(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-22", "2025-11-22T22:59:59.999999+00:00"),
        ("2026-10-25", "2026-10-25T22:59:59.999999+00:00"),  # 25 hours long
        ("2026-03-29", "2026-03-29T21:59:59.999999+00:00"),  # 23 hours long
        ("2026-10-25T02:30:00", "2026-10-25T01:30:00+00:00"),
        ("yesterday", "2026-11-24T23:00:00+00:00"),
        ("12:00", "2026-11-26T11:00:00+00:00"),
        ("2h", "2026-11-26T06:30:00+00:00"),
    ],
)
def test_ends_of_spans_as_people_write_them(text, expected, zone):
    assert parsed(text, NOW, zone, is_end=True) == micros(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "25:00",
        "12:60",
        "-5m",
        "5",
        "5w",
        "٣m",
        "0001-01-01",
        "9999-12-31",
        "2026-02-30",
        "12:00Z",
    ],
)
def test_texts_that_are_no_time(text, zone):
    with pytest.raises(NotATimeError):
        parsed(text, NOW, zone, is_end=True)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_value_error(text):
    with contextlib.suppress(NotATimeError):
        assert isinstance(parsed(text, NOW, BERLIN, is_end=True), int)


def test_each_hour_around_the_change_of_clocks_is_distinguished(zone):
    begin = micros("2026-10-25T01:30:00+02:00")
    moments = [local(begin + half_hours * 1_800_000_000, zone) for half_hours in range(6)]
    assert [clock_text(moment, zone) for moment in moments] == [
        "01:30:00",
        "02:00:00+02:00",
        "02:30:00+02:00",
        "02:00:00+01:00",
        "02:30:00+01:00",
        "03:00:00",
    ]
    assert [offset_text(moment) for moment in moments] == ["+02:00"] * 3 + ["+01:00"] * 3


def test_no_hour_is_marked_where_the_clocks_go_forward(zone):
    begin = micros("2026-03-29T01:30:00+01:00")
    moments = [local(begin + half_hours * 1_800_000_000, zone) for half_hours in range(3)]
    assert [clock_text(moment, zone) for moment in moments] == ["01:30:00", "03:00:00", "03:30:00"]


@given(st.integers(0, 2**32))
def test_a_moment_is_the_same_on_every_clock(at_s):
    at_us = at_s * 1_000_000
    shown = local(at_us, BERLIN)
    assert shown.timestamp() * 1_000_000 == at_us
    assert parsed(f"{shown:%Y-%m-%dT%H:%M:%S}{offset_text(shown)}", NOW, BERLIN) == at_us
