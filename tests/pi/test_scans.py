"""From the scanner's keys to the relay and the record."""

from __future__ import annotations

from rig import pins
from rig.pi import FASTEST_S, KeysLostError

GOOD, UNKNOWN, CANCELLED = "1000000000200", "1000000000404", "1000000000451"
LIMIT_S = 300.0
OPEN_S = 3.0
ATTEMPTS = 10
INCOMPLETE_S = 3.0
"""A code whose end takes longer is dropped, and a busy machine types slowly."""
LATE_S = 0.5
"""The emulation's event loop has this time to come to it."""


def test_a_good_code_opens_for_open_ms_and_is_on_record(door, partners):
    with door.watch() as relay:
        door.scan(GOOD)
        on = relay.wait(energised=True, limit_s=LIMIT_S)
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
    shortest, longest = pins.between(on, off)
    assert longest >= OPEN_S, relay.changes
    assert shortest < OPEN_S + LATE_S, relay.changes
    door.until_logged(f"admitted {GOOD}")
    (event,) = door.events()
    assert (event["credential"], event["member"], event["partner"]) == (GOOD, GOOD, "wellhub")
    assert (event["result"], event["verdict"], event["status"]) == ("admitted", "allowed", 200)
    assert event["request"]["sent"] is True
    assert event["gate"]["open_ms"] == 3000
    assert partners.asked_for(GOOD) == 1


def test_a_code_that_the_partner_declines_does_not_open(door, partners):
    with door.watch() as relay:
        for code in (UNKNOWN, CANCELLED):
            door.scan(code)
            door.until_logged(f"rejected {code}")
    assert not relay.ever_energised
    unknown, cancelled = door.events()
    assert (unknown["verdict"], cancelled["verdict"]) == ("not_found", "not_allowed")
    assert unknown["gate"] is cancelled["gate"] is None
    assert len(partners.requests) == 2


def test_capital_letters_arrive_as_such(door):
    with door.watch() as relay:
        door.scan("GOOD-1")
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.scan("good-1")
        door.until_logged("rejected good-1")
    assert [event["credential"] for event in door.events()] == ["GOOD-1", "good-1"]


def test_a_long_code_typed_without_a_pause_is_whole(door, partners, measured):
    code = "Aa0" * 10
    for _ in range(ATTEMPTS):
        begin = door.seconds()
        try:
            door.scan(code, gap_s=FASTEST_S)
        except KeysLostError:  # at this rate the emulated keyboard has room for a sixth of a second
            door.scan("")  # an Enter, to end what there is of it
            continue
        took = door.seconds() - begin
        if took < INCOMPLETE_S:
            break
    measured("30 characters typed, shift on every third, on the emulated clock", took)
    door.until_logged(f"rejected {code}")
    assert partners.asked_for(code) == 1


def test_a_german_scanner(door):
    door.change_settings('layout = "us"', 'layout = "de"')
    code = "Zy-7/ß_Ö"
    door.scan(code, "de")
    door.until_logged(f"rejected {code}")
    assert [event["credential"] for event in door.events()] == [code]


def test_the_signals_show_the_verdict(door):
    with door.watch(pins.GREEN) as green:
        door.scan(GOOD)
        green.wait(energised=True, limit_s=LIMIT_S)
        green.wait(energised=False, limit_s=LIMIT_S, after=1)
    with door.watch(pins.RED) as red:
        door.scan(UNKNOWN)
        red.wait(energised=True, limit_s=LIMIT_S)
        red.wait(energised=False, limit_s=LIMIT_S, after=1)
