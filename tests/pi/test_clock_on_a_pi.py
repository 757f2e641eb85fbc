"""A Pi has no clock of its own: years forward at the first synchronisation, and an hour back."""

from __future__ import annotations

from datetime import datetime, timedelta

from rig import pins

GOOD, SILENT, UNKNOWN = "1000000000200", "1000000000600", "1000000000404"
LIMIT_S = 300.0
BUDGET_MS = 10_000
LATE_MS = 8_000
"""The end of a budget is a step of a busy event loop, while `date` starts: in the emulation that takes long.
The clock is set by hours and years.
"""
OPEN_S = 3.0


def test_a_clock_that_is_set_changes_nothing_but_names(door, partners):
    door.change_settings("repeat_ms = 0", "repeat_ms = 60000")

    # Years forward, while a partner is asked: the budget is what it was.
    door.scan(SILENT)
    partners.until(lambda: partners.asked_for(SILENT) == 1)
    door.check("date --set '+3 years +2 days'")
    door.until_logged(f"rejected {SILENT} (wellhub timeout")
    door.until_logged("the clock was set forward by 3 years")

    # An hour back, while the gate is open and a repeat is one.
    with door.watch() as relay:
        door.scan(GOOD)
        on = relay.wait(energised=True, limit_s=LIMIT_S)
        door.check("date --set '-1 hour'")
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
        shortest, longest = pins.between(on, off)
        assert longest >= OPEN_S, relay.changes
        assert shortest < OPEN_S + LATE_MS / 1000, relay.changes
        door.scan(GOOD)
        door.scan(SILENT)
        door.until_logged("the clock was set back by ")
        # And forward again: what was read a moment ago is still the same scan.
        door.check("date --set '+1 day'")
        door.scan(GOOD)
        door.scan(UNKNOWN)
        door.until_logged(f"rejected {UNKNOWN}")
        assert len(relay.changes) == 3, relay.changes
    door.until_logged("the clock was set forward by ", times=2)

    events = door.events()
    assert [event["credential"] for event in events] == [SILENT, GOOD, UNKNOWN]
    assert [partners.asked_for(event["credential"]) for event in events] == [1, 1, 1]
    asked, admitted, last = events
    assert BUDGET_MS <= asked["request"]["elapsed_ms"] < BUDGET_MS + LATE_MS
    assert admitted["gate"]["open_ms"] == 3000
    opened = datetime.fromisoformat(admitted["gate"]["opened_at"])
    assert (opened - _at(admitted)) / timedelta(milliseconds=1) == admitted["gate"]["after_ms"]
    assert _at(admitted) - _at(asked) > timedelta(days=3 * 365)
    assert timedelta(hours=22) < _at(last) - _at(admitted) < timedelta(hours=24)

    said = [entry for entry in door.journal() if "the clock was set" in entry["MESSAGE"]]
    assert [entry["PRIORITY"] for entry in said] == ["5", "5", "5"]
    text = door.check("gatectl events")
    assert text.count("-- the clock was set forward by ") == 2, text
    assert "-- the clock was set forward by 3 years " in text


def _at(event):
    return datetime.fromisoformat(event["at"])
