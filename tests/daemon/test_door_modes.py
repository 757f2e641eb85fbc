"""Modes of a door through a daemon: commands on record first, fire by its pin, restarts, schedules."""

import sqlite3
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from harness import PINS
from limits import CLOCKS_S, NET_S

RELAY, FIRE, BUTTON = PINS["main"]["relay"], 6, 26
MEMBER = "wellhub:1000000000200"
CONTINUOUS = {"relay": {"continuous": True}}


def ran(gym, *arguments):
    done = gym.run(*arguments)
    return done.returncode, done.stdout, done.stderr


def ordered(gym, *arguments):
    """A command that follows, and the event of it."""
    status, said, complained = ran(gym, *arguments)
    assert (status, complained) == (0, "")
    event = gym.next_event()
    assert event["id"] in said
    return event


def test_a_lockdown_by_a_person_survives_a_kill_and_is_ended_by_one(gym):
    gym = gym().start()
    event = ordered(gym, "lockdown", "main", "--reason", "threat")
    assert (event["kind"], event["result"], event["message"]) == ("mode", "lockdown", "Locked down: threat")
    gym.kill9()
    gym.start()
    assert gym.status()["doors"]["main"]["mode"]["name"] == "lockdown"
    assert "door main: locked down: threat, gate shut" in ran(gym, "status")[1]
    gym.scan(MEMBER)
    refused = gym.next_event()
    assert (refused["result"], refused["fault"], refused["message"]) == (
        "rejected",
        "lockdown",
        "Locked down",
    )
    assert gym.partners.requests == []
    status, _, complained = ran(gym, "open", "main", "--reason", "x")
    assert (status, complained.splitlines()[0]) == (1, "main is locked down")
    assert ordered(gym, "normal", "main")["message"] == "Normal again"
    gym.scan(MEMBER)
    assert gym.next_event()["basis"] == "partner"


def test_a_lockdown_survives_a_restart_while_the_disk_takes_no_record(gym):
    gym = gym(journal={"patience_ms": 100}).start()
    ordered(gym, "lockdown", "main", "--reason", "threat")
    gym.kill9()
    gym.stop_following()
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        gym.start()
        end = time.monotonic() + NET_S
        while gym.call({"command": "status"})["doors"]["main"]["mode"]["name"] != "lockdown":
            assert time.monotonic() < end
        gym.scan(MEMBER)
        gym.logged(f"main: rejected {MEMBER}: Locked down")
    assert gym.next_event()["fault"] == "lockdown"
    assert gym.partners.requests == []


def test_a_lockdown_while_the_partner_is_asked_keeps_the_gate_shut(gym):
    gym = gym(partners={"wellhub": {"budget_ms": 30_000}}).start()
    asked, is_locked = threading.Event(), threading.Event()

    def hold_back(_request):
        asked.set()
        is_locked.wait(NET_S)

    gym.partners.on_request = hold_back
    gym.scan(MEMBER)
    assert asked.wait(NET_S)
    assert ran(gym, "lockdown", "main", "--reason", "threat")[0] == 0
    is_locked.set()
    events = {event["kind"]: event for event in gym.next_events(2)}
    scan = events["scan"]
    assert (scan["result"], scan["fault"], scan["verdict"]) == ("rejected", "lockdown", "allowed")
    assert (scan["basis"], scan["gate"], scan["request"]["sent"]) == (None, None, True)
    assert gym.openings() == []
    assert "The door was locked down while wellhub was asked" in " ".join(gym.run("events").stdout.split())


def test_a_lockdown_ends_an_opening_by_hand_whose_relay_is_tried_once_more(gym):
    gym = gym(doors={"main": {}, "side": {}})
    gym.fail(f"{RELAY}")
    gym.start()
    gym.fail(f"{RELAY}=0:block")
    done = []
    opening = threading.Thread(target=lambda: done.append(ran(gym, "open", "main", "--reason", "x")))
    opening.start()
    with gym.blocked_pin(), closing(sqlite3.connect(gym.journal)) as journal:
        until = time.monotonic() + NET_S
        while not journal.execute("SELECT 1 FROM attempts WHERE kind = 'manual'").fetchone():
            assert time.monotonic() < until
        assert gym.call({"command": "lockdown", "door": "main", "reason": "threat"})["result"] == "lockdown"
        gym.fail()
    opening.join(NET_S)
    ((status, said, complained),) = done
    (manual,) = gym.events("--kind", "manual")
    assert (status, said, manual["result"], gym.openings()) == (1, "", "rejected", [])
    if manual["fault"] != "gate":  # else the second that it waits was over before the lockdown came
        assert (manual["fault"], manual["message"]) == ("lockdown", "Locked down")
        assert complained.splitlines()[0] == "main is locked down"


def test_a_hold_keeps_the_relay_on_and_ends_with_the_daemon(gym):
    gym = gym(doors={"main": CONTINUOUS}).start()
    event = ordered(gym, "hold", "main", "--for", "2h", "--reason", "open day")
    assert event["result"] == "held"
    assert event["message"].startswith("Held open until ")
    assert event["message"].endswith(": open day")
    assert gym.pins(RELAY)[-1].level == 1
    mode = gym.status()["doors"]["main"]["mode"]
    left = datetime.fromisoformat(mode["until"]) - datetime.fromisoformat(mode["since"])
    assert (mode["name"], mode["reason"]) == ("held", "open day")
    assert timedelta(hours=2) - timedelta(seconds=CLOCKS_S) < left <= timedelta(hours=2)
    gym.scan(MEMBER)
    assert gym.next_event()["result"] == "admitted"
    first = gym.pid
    assert gym.terminate() == 0
    assert gym.pins(RELAY, pid=first)[-2].level == 0
    gym.start()
    assert gym.pins(RELAY, pid=gym.pid)[-1].level == 1  # its end lies ahead


def test_after_a_kill_a_held_relay_is_off(gym):
    gym = gym(doors={"main": CONTINUOUS}).start()
    ordered(gym, "hold", "main", "--for", "2h", "--reason", "open day")
    on = gym.until_pin(RELAY, 1)
    gym.kill9()
    assert gym.until_pin(RELAY, 0, on.at).pid != on.pid


def test_a_relay_that_is_not_made_for_it_is_not_held(gym):
    gym = gym().start()
    status, said, complained = ran(gym, "hold", "main", "--for", "2h", "--reason", "open day")
    assert (status, said) == (1, "")
    assert complained.splitlines()[0] == "main cannot be held open: its relay is not made to stay on"
    assert "continuous" in complained


@pytest.mark.parametrize("length", ["", "2", "2d", "0s", "25h", "-1h"])
def test_a_time_that_is_none_is_refused(gym, length):
    gym = gym(doors={"main": CONTINUOUS}).start()
    status, said, complained = ran(gym, "hold", "main", f"--for={length}", "--reason", "open day")
    assert status in {1, 2}
    assert said == ""
    assert "24 hours" in complained or "90s, 15m or 2h" in complained


@pytest.mark.parametrize("environment", [{}, {"PINS_EDGES": "none"}], ids=["edges", "no edges"])
def test_the_fire_input_opens_the_gate(gym, environment):
    gym = gym(doors={"main": {"fire": {"pin": FIRE, "active": "high", "debounce_ms": 20}}}).start(
        **environment
    )
    fire_at = gym.drive(FIRE, 1)
    gym.until_pin(RELAY, 1, fire_at)
    event = gym.next_event()
    shown = ran(gym, "status")[1]
    assert "door main: fire alarm, gate open, free" in shown
    assert "fire input of main: active" in shown
    assert (event["kind"], event["result"], event["message"]) == ("mode", "fire", "Fire alarm")
    gym.scan(MEMBER)
    scan = gym.next_event()
    assert (scan["basis"], scan["verdict"], scan["request"]) == ("fire", None, None)
    quiet_at = gym.drive(FIRE, 0)
    assert gym.next_event()["message"] == "Normal again"
    gym.until_pin(RELAY, 0, quiet_at)


def test_the_end_of_a_fire_leaves_no_gap_in_a_hold(gym):
    fire = {"fire": {"pin": FIRE, "active": "high", "debounce_ms": 0}}
    gym = gym(doors={"main": CONTINUOUS | fire}).start()
    ordered(gym, "hold", "main", "--for", "2h", "--reason", "open day")
    for level, message in ((1, "Fire alarm"), (0, "Held open until ")):
        gym.drive(FIRE, level)
        assert gym.next_event()["message"].startswith(message)
    levels = [change.level for change in gym.pins(RELAY)]
    assert levels.count(0) == 1, "off at the start alone"


def test_a_lockdown_lets_an_exit_end_and_no_admission(gym):
    way_out = {"exit": {"button": {"pin": BUTTON, "debounce_ms": 0}, "open_ms": 3000}}
    gym = gym(doors={"main": way_out | {"open_ms": 60_000}}).start()
    pressed_at = gym.drive(BUTTON, 0)
    assert gym.next_event()["kind"] == "exit"
    gym.drive(BUTTON, 1)
    gym.scan(MEMBER)
    assert gym.next_event()["basis"] == "partner"
    assert gym.call({"command": "lockdown", "door": "main", "reason": "threat"})["result"] == "lockdown"
    gate = gym.status()["doors"]["main"]["gate"]
    assert not gate["open"] or gate["closes_in_ms"] <= 3000
    assert gym.until_pin(RELAY, 0, pressed_at).at - pressed_at >= 2.999, "it has its whole time"


def test_a_hold_that_began_with_an_admission_goes_on_after_a_kill(gym):
    always = {"mon-sun": ["00:00-24:00"]}
    door = CONTINUOUS | {"hold_open": "staffed", "first_in": True}
    gym = gym(doors={"main": door}, schedules={"staffed": always}).start()
    assert gym.status()["doors"]["main"]["mode"]["name"] == "normal"
    gym.scan(MEMBER)
    assert {gym.next_event()["message"] for _ in range(2)} == {
        "Aggregator member checked in",
        "Held open by schedule staffed",
    }
    gym.kill9()
    gym.start()
    assert gym.next_event()["message"] == "Held open by schedule staffed"
    assert gym.pins(RELAY, pid=gym.pid)[-1].level == 1


def test_a_schedule_closes_the_door(gym):
    always = {"mon-sun": ["00:00-24:00"]}
    gym = gym(doors={"main": {"closed": "night"}}, schedules={"night": always}).start()
    assert gym.next_event()["message"] == "Closed by schedule night"
    gym.scan(MEMBER)
    refused = gym.next_event()
    assert (refused["fault"], refused["message"]) == ("closed", "Closed at this time")
    assert gym.partners.requests == []
