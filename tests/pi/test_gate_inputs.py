"""Inputs whose levels are driven through the SoC's registers, and power cuts that find a gate in the middle.

The emulation has no edges, so every change here is one whose edge was lost.
"""

from __future__ import annotations

import pytest
from test_network import LINK

LIMIT_S = 300.0
BOOT_S = 900.0
TAIL_S = 2.0
"""A contact is excused for 1.5 s after the relay."""
GOOD, GOOD_TOO, ALSO_GOOD = "1000000000200", "1000000000001", "1000000000002"

RELAY = "relay = { pin = 17, open_ms = 3000 }"
CONTACT, FIRE, BUTTON, SENSOR = 5, 6, 26, 27
WIRED = """relay = { pin = 17, open_ms = 3000 }
contact = { pin = 5, active = "high" }
fire = { pin = 6, active = "high" }
exit = { button = { pin = 26 }, open_ms = 1000 }"""
TURNSTILE = """relay = { pin = 17, open_ms = 60000 }
passage = { pin = 27, debounce_ms = 20, wait_ms = 60000 }"""
"""The window for a passage is longer than anything takes here."""


def wire(pi, settings):
    """Wires the gate, with every contact at rest."""
    pi.drive(BUTTON, high=True)
    pi.drive(SENSOR, high=True)
    pi.change_settings(RELAY, settings)


def kinds(events):
    return [(event["kind"], event["result"]) for event in events]


def test_button_contact_and_fire_alarm_are_read_by_their_levels(pi, measured):
    wire(pi, WIRED)
    with pi.watch() as relay:
        pressed_at = pi.seconds()
        pi.drive(BUTTON, high=False)
        on = relay.wait(energised=True, limit_s=LIMIT_S)
        measured("exit button to relay without edges, on the emulated clock", on.at - pressed_at)
        pi.drive(BUTTON, high=True)
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
        pi.until_logged(": Exit")
        while pi.seconds() < off.at + TAIL_S:
            pass
        pi.drive(CONTACT, high=True)
        pi.until_logged("Door forced open")
        pi.drive(CONTACT, high=False)
        pi.until_logged("Door closed again")
        assert len(relay.changes) == 3, "nothing but the button moved the relay"
        pi.drive(FIRE, high=True)
        relay.wait(energised=True, limit_s=LIMIT_S, after=3)
        pi.until_logged("Fire alarm")
        pi.drive(FIRE, high=False)
        relay.wait(energised=False, limit_s=LIMIT_S, after=4)
        pi.until_logged("Normal again")
    assert kinds(pi.events()) == [
        ("exit", "opened"),
        ("contact", "forced"),
        ("contact", "closed"),
        ("mode", "fire"),
        ("mode", "normal"),
    ]


def test_who_passes_the_turnstile_ends_the_opening(door, measured):
    wire(door, TURNSTILE)
    with door.watch() as relay:
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.until_logged(f"admitted {GOOD}")
        passing_at = door.seconds()
        door.drive(SENSOR, high=False)
        off = relay.wait(energised=False, limit_s=LIMIT_S, after=1)
        measured("passage to relay off without edges, on the emulated clock", off.at - passing_at)
    door.until_logged("Passed")
    scan, passage = door.events()
    assert (passage["kind"], passage["result"], passage["of"]) == ("passage", "passed", scan["id"])


def cut_and_boot(door):
    """The power goes; it comes back with the contacts at rest, before the first instruction."""
    door.cut()
    door.boot(paused=True)
    door.drive(BUTTON, high=True)
    door.drive(SENSOR, high=True)


def until_ready(door):
    door.go_on()
    door.agent.wait_ready()
    door.until_logged("is ready", limit_s=BOOT_S)
    door.until_scanner_is_open()


def started_at(pi):
    """When the daemon's process began, on the clock that the relay is seen by."""
    return int(pi.check("systemctl show --value --property=ExecMainStartTimestampMonotonic gatectl")) / 1e6


def test_nothing_follows_from_a_power_cut_within_the_window_of_a_passage(door, partners):
    wire(door, TURNSTILE)
    with door.watch() as relay:
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.until_logged(f"admitted {GOOD}")
        assert door.energised()
        cut_and_boot(door)
    with door.watch() as relay:
        until_ready(door)
        assert not relay.ever_energised, "the opening does not come back"
        assert kinds(door.events()) == [("scan", "admitted")], "neither passed nor not passed"
        door.connect(partners)
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.until_logged(f"admitted {GOOD}")
        assert len(relay.changes) == 2, "one opening"
    _, again = door.events()
    assert again["basis"] == "partner", "no second try without a `not passed`"
    assert partners.asked_for(GOOD) == 2


def test_a_hold_goes_on_after_a_power_cut_and_no_earlier_than_the_daemon(pi):
    wire(pi, "relay = { pin = 17, open_ms = 3000, continuous = true }")
    with pi.watch() as relay:
        pi.check("gatectl hold main --for 2h --reason delivery")
        relay.wait(energised=True, limit_s=LIMIT_S)
        cut_and_boot(pi)
    with pi.watch() as relay:
        assert not relay.ever_energised
        until_ready(pi)
        on = relay.wait(energised=True, limit_s=LIMIT_S)
        assert on.at > started_at(pi)
        pi.check("gatectl normal main")
        relay.wait(energised=False, limit_s=LIMIT_S, after=1)
        assert len(relay.changes) == 3
    assert kinds(pi.events()) == [("mode", "held"), ("mode", "normal")]


BUDGET = "budget_ms = 10000  # the emulation is ten times slower than a Pi"
GRACE = """budget_ms = 10000
[partners.wellhub.grace]
visits = 1
admissions = 2
per_member_h = 1"""


@pytest.mark.long
def test_the_caps_of_grace_outlast_a_power_cut_within_an_outage(door):
    door.change_settings(BUDGET, GRACE)
    for member in (GOOD, GOOD_TOO, ALSO_GOOD):
        door.scan(member)
        door.until_logged(f"admitted {member}")
    door.check(LINK.format(state="down"))
    door.until_logged("partner wellhub: no connection (network")
    for member in (GOOD, GOOD_TOO):
        door.scan(member)
        door.until_logged(f"rejected {member} (wellhub network")
    door.scan(ALSO_GOOD)  # with this third member the outage begins
    door.until_logged(f"admitted {ALSO_GOOD}", times=2)
    cut_and_boot(door)
    with door.watch() as relay:
        until_ready(door)
        door.scan(ALSO_GOOD)
        door.until_logged(f"rejected {ALSO_GOOD}")
        assert not relay.ever_energised
        door.scan(GOOD)
        relay.wait(energised=True, limit_s=LIMIT_S)
        door.until_logged(f"admitted {GOOD}")
        door.scan(GOOD_TOO)
        door.until_logged(f"rejected {GOOD_TOO}")
        relay.wait(energised=False, limit_s=LIMIT_S, after=1)
        assert len(relay.changes) == 3, "one opening"
    before, again, last, none_left = door.events()[-4:]
    assert [event["basis"] for event in (before, again, last, none_left)] == ["grace", None, "grace", None]
    assert "(per_member_h)" in again["detail"]
    assert "(admissions)" in none_left["detail"]
