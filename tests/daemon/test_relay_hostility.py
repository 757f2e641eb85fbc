"""Relays that do not obey, and ends of every kind, at once: no relay stays on for another's fault."""

import os
import random
import signal
import time
from pathlib import Path

import contract
import pytest
from harness import GOOD, PINS, code

RELAY = {door: pins["relay"] for door, pins in PINS.items()}
OTHER = {"main": "side", "side": "main"}


def failsafe_of(pid):
    (failsafe,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(failsafe)


@pytest.fixture
def open_ms():
    """The gates stay open until something shuts them."""
    return 60_000


@pytest.fixture
def gym(gym, open_ms):
    return gym({"wellhub": {}}, {door: {"open_ms": open_ms} for door in PINS})


def open_both(gym):
    for door in PINS:
        assert gym.ask("wellhub", GOOD["wellhub"], door)["result"] == "admitted"


def off_by(gym, door, pid, after):
    change = gym.until_pin(RELAY[door], 0, after)
    assert change.pid == pid


@pytest.mark.parametrize("seed", range(3))
def test_kills_with_one_line_that_is_stuck_leave_no_other_on(gym, seed):
    """After each kill the other relay goes off, and the next start runs the other door alone."""
    chance = random.Random(seed)
    for _ in range(3):
        gym.start()
        open_both(gym)
        stuck = chance.choice(list(PINS))
        gym.fail(str(RELAY[stuck]))
        failsafe, killed_at = failsafe_of(gym.pid), time.monotonic()
        if chance.random() < 0.5:
            gym.scan(code("wellhub", GOOD["wellhub"]), OTHER[stuck])
        gym.kill9()
        off_by(gym, OTHER[stuck], failsafe, killed_at)
        assert f"{stuck}: the relay is not off: pin {RELAY[stuck]} cannot be driven" in "\n".join(gym.stderr)
        gym.start()
        gym.pass_over()
        assert gym.ask("wellhub", GOOD["wellhub"], stuck)["message"] == contract.OUT_OF_ORDER
        assert gym.ask("wellhub", GOOD["wellhub"], OTHER[stuck])["result"] == "admitted"
        gym.fail()
        gym.logged(f"{stuck}: the gate is in order again")
        assert {change.level for change in gym.pins(RELAY[stuck], gym.pid)} == {0}
        gym.signal(signal.SIGTERM)
        assert gym.terminate() == 0  # the second signal: do not wait for a passage


def test_a_stopped_daemon_with_a_stuck_line_is_killed_and_the_other_relay_goes_off(gym):
    """systemd's watchdog sends SIGABRT to both processes; a stopped one cannot take it."""
    gym.start()
    open_both(gym)
    gym.fail("17")
    failsafe, stopped_at = failsafe_of(gym.pid), time.monotonic()
    gym.signal(signal.SIGSTOP)
    os.kill(failsafe, signal.SIGABRT)
    off_by(gym, "side", failsafe, stopped_at)
    assert gym.wait() == -signal.SIGKILL


def test_a_driver_that_hangs_while_it_opens_starves_the_watchdog_and_the_kill_switches_all_off(gym):
    gym.start(WATCHDOG_USEC="600000")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    gym.fail("17=1:block")
    gym.scan(code("wellhub", GOOD["wellhub"]), "main")
    gym.until_pin(RELAY["main"], 1)
    gym.entries(0)
    assert gym.entries(1.2) == []
    failsafe, killed_at = failsafe_of(gym.pid), time.monotonic()
    gym.kill9()  # as systemd does
    for door in PINS:
        off_by(gym, door, failsafe, killed_at)


def test_at_an_end_in_order_a_relay_that_does_not_go_off_keeps_no_other_on(gym):
    gym.start()
    open_both(gym)
    gym.fail("17=0")
    ended_at = time.monotonic()
    gym.signal(signal.SIGTERM)
    gym.wait_for_notice("STOPPING=1")
    assert gym.terminate() == 0
    gym.until_pin(RELAY["side"], 0, ended_at)
    assert gym.count_logged("main: the relay does not go off at the end") == 1


@pytest.mark.parametrize("open_ms", [200])
def test_a_relay_that_does_not_go_off_after_its_time_keeps_no_other_on(gym):
    gym.start()
    gym.fail("17=0", "17")
    scanned_at = time.monotonic()
    for door in PINS:
        gym.scan(code("wellhub", GOOD["wellhub"]), door)
    on = gym.until_pin(RELAY["side"], 1)
    off = gym.until_pin(RELAY["side"], 0, on.at)
    assert off.at - scanned_at >= 0.2
    gym.logged("main: THE RELAY DOES NOT GO OFF")  # still: nobody has repaired it
    gym.fail()
    gym.logged("main: the gate is in order again")
    assert gym.terminate() == 0
