"""The contact and the exit button, through a daemon and its pins: with edges, and without any."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from harness import HANG, PINS

from gatectl.cli.health import facts

RELAY, CONTACT, BUTTON, EXIT_RELAY = PINS["main"]["relay"], 5, 26, 16
BUTTON_SETTINGS = {"button": {"pin": BUTTON, "active": "low", "debounce_ms": 20}, "open_ms": 400}
CONTACT_SETTINGS = {"pin": CONTACT, "active": "high", "debounce_ms": 20, "held_s": 1}

edges = pytest.mark.parametrize("environment", [{}, {"PINS_EDGES": "none"}], ids=["edges", "no edges"])


def started(gym, environment=None, **doors):
    return gym(doors={"main": {"contact": CONTACT_SETTINGS, "exit": BUTTON_SETTINGS} | doors}).start(
        **(environment or {})
    )


@edges
def test_a_press_opens_and_is_on_record(gym, environment):
    gym = started(gym, environment)
    pressed_at = gym.drive(BUTTON, 0)
    gym.until_pin(RELAY, 1, pressed_at)
    gym.drive(BUTTON, 1)
    gym.until_pin(RELAY, 0, pressed_at)
    event = gym.next_event()
    assert (event["kind"], event["result"], event["basis"], event["message"]) == (
        "exit",
        "opened",
        "exit",
        "Exit",
    )
    assert event["door"] == "main"
    assert event["gate"]["open_ms"] == 400
    assert event["partner"] is event["member"] is event["request"] is None
    gym.told("main: opened: Exit")


def test_the_exit_has_a_relay_of_its_own(gym):
    gym = started(gym, exit=BUTTON_SETTINGS | {"relay": {"pin": EXIT_RELAY, "active_high": False}})
    assert gym.pins(EXIT_RELAY)[0].level == 1  # off at the start
    pressed_at = gym.drive(BUTTON, 0)
    gym.until_pin(EXIT_RELAY, 0, pressed_at)
    gym.drive(BUTTON, 1)
    gym.until_pin(EXIT_RELAY, 1, pressed_at)
    assert [change.level for change in gym.pins(RELAY)] == [0]


def test_after_a_kill_the_exits_relay_is_off(gym):
    gym = started(gym, exit=BUTTON_SETTINGS | {"open_ms": 60_000, "relay": {"pin": EXIT_RELAY}})
    pressed_at = gym.drive(BUTTON, 0)
    gym.until_pin(EXIT_RELAY, 1, pressed_at)
    killed = gym.pid
    gym.kill9()
    assert gym.until_pin(EXIT_RELAY, 0, pressed_at).pid != killed


@edges
def test_a_door_that_is_forced_and_stays_open(gym, environment):
    gym = started(gym, environment)
    gym.drive(CONTACT, 1)
    forced = gym.next_event()
    assert (forced["kind"], forced["result"], forced["message"]) == ("contact", "forced", "Door forced open")
    gym.told("main: forced: Door forced open")
    gym.drive(CONTACT, 0)
    closed = gym.next_event()
    assert (closed["result"], closed["of"]) == ("closed", forced["id"])
    assert closed["message"].startswith("Door closed again after ")


def test_a_member_opens_no_alarm_but_a_door_left_open_does(gym):
    gym = started(gym)
    admitted = gym.ask("wellhub", "1000000000200")
    assert admitted["result"] == "admitted"
    gym.drive(CONTACT, 1)
    passed, held = gym.next_events(2)
    assert (passed["kind"], passed["result"], passed["of"]) == ("passage", "passed", admitted["id"])
    assert (held["kind"], held["result"], held["message"]) == ("contact", "held", "Door held open")


def test_status_shows_the_inputs_and_a_lost_one(gym):
    gym = started(gym)
    gym.drive(CONTACT, 1)
    gym.next_event()
    inputs = gym.status()["doors"]["main"]["inputs"]
    assert list(inputs) == ["contact", "exit"]
    assert (inputs["contact"]["level"], inputs["contact"]["state"]) == (True, "active")
    assert (inputs["exit"]["level"], inputs["exit"]["state"]) == (False, "ok")
    screen = [fact.words.partition(", since")[0] for fact in facts(gym.status(), {}, datetime.now(UTC))]
    assert screen[2:4] == ["door contact of main: open", "exit button of main: not pressed"]
    gym.fail(f"{BUTTON}:unread")
    lost = gym.next_event()
    assert (lost["kind"], lost["result"], lost["message"]) == ("input", "lost", "The exit button is lost")
    assert lost["detail"] == f"GPIO{BUTTON} does not answer"
    assert gym.status()["doors"]["main"]["inputs"]["exit"]["state"] == "lost"
    assert gym.ask("wellhub", "1000000000200")["result"] == "admitted"  # the door goes on without it
    gym.fail()
    assert gym.next_event()["message"] == "The exit button works again"


def test_an_exit_needs_neither_disk_nor_partner(gym):
    """The scan under way hangs, and another process holds the journal: the way out opens all the same."""
    gym = started(gym)
    gym.scan("wellhub:" + HANG["wellhub"])
    gym.partners.until(lambda: gym.partners.requests and gym.partners.requests[0].whole)
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        pressed_at = gym.drive(BUTTON, 0)
        gym.until_pin(RELAY, 1, pressed_at)
