"""A turnstile with its passage sensor, through a daemon and its pins: with edges, and without any."""

import time
from contextlib import closing

import pytest
from harness import PINS
from limits import NET_S

from gatectl.journal.schema import open_store

RELAY, SENSOR, LEAVING = PINS["main"]["relay"], 27, 12
PASSAGE = {"pin": SENSOR, "debounce_ms": 20, "wait_ms": 600}
MEMBER = "1000000000200"

edges = pytest.mark.parametrize("environment", [{}, {"PINS_EDGES": "none"}], ids=["edges", "no edges"])


def started(gym, environment=None, **door):
    doors = {"main": {"passage": PASSAGE, "open_ms": 500} | door}
    return gym(doors=doors).start(**(environment or {}))


def requests(gym):
    return len(gym.partners.requests)


@edges
def test_a_member_passes_and_the_relay_goes_off_at_once(gym, environment):
    gym = started(gym, environment, open_ms=60_000, passage=PASSAGE | {"wait_ms": 60_000})
    scan = gym.ask("wellhub", MEMBER)
    passing_at = gym.drive(SENSOR, 0)
    passed = gym.next_event()
    assert (passed["kind"], passed["result"], passed["message"]) == ("passage", "passed", "Passed")
    assert (passed["of"], passed["member"]) == (scan["id"], MEMBER)
    assert gym.until_pin(RELAY, 0, passing_at).at - passing_at < 30
    gym.logged(f"main: passed wellhub:{MEMBER}: Passed")


def test_a_member_who_did_not_pass_comes_again_and_the_partner_is_asked_once(gym):
    gym = started(gym)
    scan = gym.ask("wellhub", MEMBER)
    not_passed = gym.next_event()
    assert (not_passed["result"], not_passed["message"]) == ("not_passed", "Admitted, but did not pass")
    assert not_passed["of"] == scan["id"]
    gym.scan(f"wellhub:{MEMBER}")
    again = gym.next_event()
    assert (again["basis"], again["of"], again["member"]) == ("again", scan["id"], MEMBER)
    assert again["gate"]["open_ms"] == 500
    assert requests(gym) == 1


def test_a_second_try_survives_a_power_cut(gym):
    gym = started(gym)
    scan = gym.ask("wellhub", MEMBER)
    gym.next_event()
    gym.kill9()
    gym.start()
    gym.scan(f"wellhub:{MEMBER}")
    again = gym.next_event()
    assert (again["basis"], again["of"]) == ("again", scan["id"])
    gym.next_event()  # not passed again, and so the member's last
    gym.kill9()
    gym.start()
    gym.scan(f"wellhub:{MEMBER}")
    assert gym.next_event()["basis"] == "partner"


def test_in_pulse_control_the_turnstile_itself_stays_open(gym):
    long = {"open_ms": 60_000, "passage": PASSAGE | {"wait_ms": 60_000}}
    gym = started(gym, relay={"control": "pulse", "pulse_ms": 100}, **long)
    scanned_at = time.monotonic()
    scan = gym.ask("wellhub", MEMBER)
    on = gym.until_pin(RELAY, 1)
    off = gym.until_pin(RELAY, 0, on.at)
    assert 0.1 <= off.at - scanned_at < 60
    assert scan["gate"]["open_ms"] == 60_000
    gym.drive(SENSOR, 0)
    assert gym.next_event()["result"] == "passed"


def test_status_shows_the_sensor(gym):
    gym = started(gym)
    assert gym.status()["doors"]["main"]["inputs"]["passage"]["state"] == "ok"


BOTH_WAYS = {
    "exit": {"passage": {"pin": LEAVING, "debounce_ms": 0}},
    "passage": PASSAGE | {"debounce_ms": 0, "wait_ms": 60_000},
    "open_ms": 60_000,
}


def inside(gym):
    return gym.status()["doors"]["main"]["inside"]


def until_free(gym):
    """Returns when the daemon has seen that nobody is in the sensor."""
    end = time.monotonic() + NET_S
    while gym.status()["doors"]["main"]["inputs"]["passage"]["level"]:
        assert time.monotonic() < end


def test_status_says_how_many_are_inside_and_a_power_cut_loses_nobody(gym):
    gym = started(gym, **BOTH_WAYS)
    assert inside(gym) == 0
    for member in (MEMBER, "1000000000200"):
        gym.ask("wellhub", member)
        gym.drive(SENSOR, 0)
        assert gym.next_event()["result"] == "passed"
        gym.drive(SENSOR, 1)
        until_free(gym)
    gym.drive(SENSOR, 0)
    assert gym.next_event()["result"] == "unexpected"
    assert inside(gym) == 3
    gym.drive(LEAVING, 0)
    assert gym.next_event()["result"] == "left"
    assert inside(gym) == 2
    assert ", 2 inside" in gym.run("status").stdout
    gym.kill9()
    gym.start()
    assert inside(gym) == 2
    gym.terminate()
    with closing(open_store(gym.journal)) as store:  # 30 hours pass
        store.execute("DROP TRIGGER attempts_are_final")
        store.execute("UPDATE attempts SET at_us = at_us - 30 * 3600000000")
    gym.start()
    assert inside(gym) == 0


def test_a_door_that_does_not_count_both_ways_says_nothing(gym):
    gym = started(gym)
    assert inside(gym) is None
    assert "inside" not in gym.run("status").stdout
