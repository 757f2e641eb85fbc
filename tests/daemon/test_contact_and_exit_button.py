"""The contact and the exit button, through a daemon and its pins: with edges, and without any."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime

import pytest
from harness import GOOD, HANG, PINS, code

from gatectl.cli.health import facts
from gatectl.journal.schema import open_ours

RELAY, CONTACT, BUTTON, EXIT_RELAY = PINS["main"]["relay"], 5, 26, 16
BUZZER = PINS["main"]["buzzer"]
SIDE_RELAY, OTHER_BUTTON = PINS["side"]["relay"], 25
BUTTON_SETTINGS = {"button": {"pin": BUTTON, "active": "low", "debounce_ms": 20}, "open_ms": 400}
OTHER_BUTTON_SETTINGS = BUTTON_SETTINGS | {"button": BUTTON_SETTINGS["button"] | {"pin": OTHER_BUTTON}}
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
    gym.logged("main: opened: Exit")


def test_the_exit_has_a_relay_of_its_own(gym):
    gym = started(gym, exit=BUTTON_SETTINGS | {"relay": {"pin": EXIT_RELAY, "active_high": False}})
    assert gym.pins(EXIT_RELAY)[0].level == 1  # off at the start
    pressed_at = gym.drive(BUTTON, 0)
    gym.until_pin(EXIT_RELAY, 0, pressed_at)
    gym.drive(BUTTON, 1)
    gym.until_pin(EXIT_RELAY, 1, pressed_at)
    assert [change.level for change in gym.pins(RELAY)] == [0]


def test_an_exits_relay_that_is_out_of_order_is_said_and_lets_members_in(gym):
    gym = started(gym, exit=BUTTON_SETTINGS | {"relay": {"pin": EXIT_RELAY}})
    gym.fail(f"{EXIT_RELAY}=1")
    gym.drive(BUTTON, 0)
    press = gym.next_event()
    assert (press["kind"], press["fault"], press["message"]) == ("exit", "gate", "Gate out of order")
    door = gym.status()["doors"]["main"]
    assert (door["gate"]["state"], door["exit_gate"]["state"]) == ("ready", "out of order")
    assert door["exit_gate"]["cause"].startswith("the exit relay cannot be energised")
    assert "exit of main: out of order, since" in " ".join(gym.run("status").stdout.split())
    assert gym.ask("wellhub", "1000000000200")["result"] == "admitted"


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
    gym.logged("main: forced: Door forced open")
    gym.drive(CONTACT, 0)
    closed = gym.next_event()
    assert (closed["result"], closed["of"]) == ("closed", forced["id"])
    assert closed["message"].startswith("Door closed again after ")


def test_a_member_opens_no_alarm_but_a_door_left_open_does(gym):
    gym = started(gym, open_ms=60_000)
    admitted = gym.ask("wellhub", "1000000000200")
    assert admitted["result"] == "admitted"
    gym.drive(CONTACT, 1)
    passed, held = gym.next_events(2)
    assert (passed["kind"], passed["result"], passed["of"]) == ("passage", "passed", admitted["id"])
    assert (held["kind"], held["result"], held["message"]) == ("contact", "held", "Door held open")


def test_the_buzzer_warns_until_the_door_is_closed(gym):
    gym = gym(doors={"main": {"contact": CONTACT_SETTINGS | {"held_s": 3600, "warn_s": 3600}}})
    gym.drive(CONTACT, 1)
    gym.start()
    warns = gym.until_pin(BUZZER, 1)
    gym.drive(CONTACT, 0)
    gym.until_pin(BUZZER, 0, warns.at)


def test_status_shows_the_inputs_and_a_lost_one(gym):
    gym = started(gym)
    gym.drive(CONTACT, 1)
    gym.next_event()
    inputs = gym.status()["doors"]["main"]["inputs"]
    assert list(inputs) == ["contact", "exit"]
    assert (inputs["contact"]["level"], inputs["contact"]["state"]) == (True, "active")
    assert (inputs["exit"]["level"], inputs["exit"]["state"]) == (False, "ok")
    screen = [fact.words.partition(", since")[0] for fact in facts(gym.status(), {}, datetime.now(UTC))]
    assert screen[2:5] == [
        "main: Door forced open",
        "door contact of main: open",
        "exit button of main: not pressed",
    ]
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


def test_the_way_out_is_open_before_the_disk_answers(gym):
    """Another process has the journal for itself, which has the effect of a stalled disk: the start waits."""
    gym = gym(doors={"main": {"exit": BUTTON_SETTINGS}})
    gym.journal.parent.mkdir()
    with closing(open_ours(gym.journal)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        pressed_at = gym.drive(BUTTON, 0)
        gym.spawn()
        gym.until_pin(RELAY, 1, pressed_at)
        lines = [gym.logged("main: opened: Exit"), gym.logged("the enrolled cards", "cannot be read yet")]
        assert [line for line in gym.lines_so_far() if line in lines] == lines, "the exit comes first"


INSIDE = {"main": {}, "side": {"scanner": {"direction": "out"}}}


def test_a_code_on_the_inside_lets_out_and_asks_nobody(gym):
    gym = gym(doors=INSIDE).start()
    member = GOOD["wellhub"]
    gym.scan(code("wellhub", member), "side")
    gym.until_pin(SIDE_RELAY, 1)
    event = gym.next_event()
    assert (event["kind"], event["result"], event["basis"], event["message"]) == (
        *("exit", "opened"),
        *("exit", "Exit"),
    )
    assert (event["credential"], event["partner"], event["member"]) == (
        *(code("wellhub", member), "wellhub"),
        member,
    )
    assert (event["gate"]["open_ms"], event["request"]) == (5000, None)
    assert gym.partners.requests == []


@edges
def test_a_pin_that_hangs_holds_up_no_other_door(gym, environment):
    doors = {"main": {"exit": BUTTON_SETTINGS}, "side": {"exit": OTHER_BUTTON_SETTINGS}}
    gym = gym(doors=doors).start(**environment)
    gym.fail(f"{BUTTON}:hang")
    gym.drive(BUTTON, 0)
    for _ in range(2):
        pressed_at = gym.drive(OTHER_BUTTON, 0)
        gym.until_pin(SIDE_RELAY, 1, pressed_at)
        gym.drive(OTHER_BUTTON, 1)
        gym.until_pin(SIDE_RELAY, 0, pressed_at)
    events = [gym.next_event() for _ in range(3)]
    (lost,) = (event for event in events if event["kind"] == "input")
    assert (lost["door"], lost["message"]) == ("main", "The exit button is lost")
    assert lost["detail"] == "the pin's driver does not come back"
    gym.logged("main: lost: The exit button is lost")
    inputs = {name: door["inputs"]["exit"]["state"] for name, door in gym.status()["doors"].items()}
    assert inputs == {"main": "lost", "side": "ok"}
    gym.fail()
    gym.unblock()  # the driver comes back: the button is pressed meanwhile
    assert gym.next_event()["message"] == "The exit button works again"
    assert (gym.next_event()["kind"], gym.status()["doors"]["main"]["gate"]["open"]) == ("exit", True)
