"""Schedules and inputs in the settings: how they are written, and what is refused."""

import datetime as dt

import pytest

from gatectl.config.problems import SettingsError
from gatectl.config.reader import load
from gatectl.decision.schedule import DAY_MIN

SETTINGS = """
[doors.main]
relay = {{ pin = 17{relay} }}
scanners = [{{ type = "serial", port = "/dev/serial/by-id/usb-X" }}]
{door}
"""


def written(tmp_path, schedule="", relay="", door=""):
    path = tmp_path / "gatectl.toml"
    path.write_text(schedule + SETTINGS.format(relay=relay, door=door))
    return path


def test_days_spans_and_exceptions(tmp_path):
    schedule = """
[schedules.staffed]
mon-wed = ["06:00-12:00", "13:00-22:00"]
sun = ["00:00-24:00"]
except = { "2026-12-24" = ["09:00-14:00"], "2026-12-25" = [] }
"""
    found = load(written(tmp_path, schedule)).schedules["staffed"]
    whole = [(360, 720), (780, 1320)]
    assert [list(day) for day in found.week] == [whole, whole, whole, [], [], [], [(0, DAY_MIN)]]
    assert found.exceptions == {dt.date(2026, 12, 24): [(540, 840)], dt.date(2026, 12, 25): []}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('mom = ["06:00-12:00"]', "knows no day 'mom'"),
        ('fri-mon = ["06:00-12:00"]', "fri-mon ends before it begins"),
        ('mon = "06:00-12:00"', "mon must be a list of spans"),
        ('mon = ["6-12"]', "mon: '6-12' is no span"),
        ('mon = ["22:00-06:00"]', "mon: '22:00-06:00' ends before it begins"),
        ('mon = ["06:00-06:00"]', "mon: '06:00-06:00' ends before it begins"),
        ('mon = ["06:00-24:01"]', "mon: '06:00-24:01' is no time of a day"),
        ('mon = ["06:61-12:00"]', "mon: '06:61-12:00' is no time of a day"),
        ('mon = ["06:00-12:00"]\nmon-tue = []', "has mon twice"),
        ('except = { "25.12.2026" = [] }', "except: '25.12.2026' is no date"),
        ('mon = []\nmon-tue = ["06:00-12:00"]', "has mon twice"),
        ("except = { 20261225 = [] }", "except: '20261225' is no date"),
        ('except = { "2026-02-30" = [] }', "except: '2026-02-30' is no date"),
        ("except = []", "except must be a table of dates"),
    ],
)
def test_what_is_no_schedule_is_refused(tmp_path, line, what):
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, f"[schedules.staffed]\n{line}\n"))
    assert any(what in said for said in refused.value.lines())


@pytest.mark.parametrize(
    ("relay", "door", "what"),
    [
        ("", 'closed = "night"', "there is no schedule 'night'"),
        ("", 'hold_open = "staffed"', "needs a relay that may stay on for hours"),
        (', control = "pulse"', 'hold_open = "staffed"', "cannot hold a gate in pulse control open"),
        (
            ", open_ms = 3000",
            "passage = { pin = 27, wait_ms = 2000 }",
            "must be at least relay.open_ms, which is 3000",
        ),
        ("", "contact = { pin = 5, warn_s = 10 }", "warns with the buzzer, and this door has none"),
        (
            "",
            "contact = { pin = 5, held_s = 5, warn_s = 10 }\nsignals = { buzzer = 24 }",
            "must be at most held_s",
        ),
        ("", "contact = { pin = 5 }\nfire = { pin = 5 }", "pin 5 is already used by doors.main.contact.pin"),
        ("", "contact = { pin = 0 }\nfire = { pin = 0 }", "pin 0 is already used by doors.main.contact.pin"),
        (
            "",
            "contact = { pin = 53 }\nfire = { pin = 53 }",
            "pin 53 is already used by doors.main.contact.pin",
        ),
        ("", "passage = { pin = 27, wait = 5 }", "is not a known key"),
        ("", "return_min = 1", "doors.main.return_min: needs to know who passed"),
        ("", "fire = { pin = 5 }\nreturn_min = 30", "doors.main.return_min: needs to know who passed"),
        ("", "contact = { pin = 5 }\nreturn_min = 1441", "must be a whole number, 0 to 1440"),
    ],
)
def test_contradictions_are_refused(tmp_path, relay, door, what):
    staffed = '[schedules.staffed]\nmon = ["06:00-22:00"]\n'
    with pytest.raises(SettingsError) as refused:
        load(written(tmp_path, staffed, relay, door))
    assert any(what in said for said in refused.value.lines())


def test_a_relay_that_may_stay_on_is_held_by_schedule(tmp_path):
    staffed = '[schedules.staffed]\nmon = ["06:00-22:00"]\n'
    assert (
        load(written(tmp_path, staffed, ", continuous = true", 'hold_open = "staffed"'))
        .doors["main"]
        .hold_open
    )


@pytest.mark.parametrize("seen", ["passage = { pin = 27 }", "contact = { pin = 5 }"])
def test_members_come_back_where_it_is_seen_who_passed(tmp_path, seen):
    assert load(written(tmp_path, door=f"return_min = 30\n{seen}")).doors["main"].return_min == 30
    assert load(written(tmp_path, door="return_min = 0")).doors["main"].return_min == 0
