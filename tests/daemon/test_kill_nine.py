"""SIGKILL at random moments: every request has exactly one event in the end, and no pulse lacks one.

KILL_ROUNDS and KILL_SEED in the environment choose how many and which.
"""

import json
import os
import random
import sys
import threading
import time
from collections import Counter

from harness import AMPLE_MS, HANG, PINS

ROUNDS = int(os.environ.get("KILL_ROUNDS", "15"))
SEED = int(os.environ.get("KILL_SEED", "1"))

RELAY = PINS["main"]["relay"]

MEMBERS = [
    *("1000000000200", "1000000000001", "1000000000210", "1000000000211"),  # admitted
    *("1000000000453", "1000000000404", "1000000000500", "1000000000610"),  # declined, unknown, 500, reset
    HANG["wellhub"],
]
ADMITTED = set(MEMBERS[:4])
"""No two scans show the same card, and the card's code goes along as `custom_code`: so each request can be
identified."""

DEADLY_S = 0.15
"""Scans take some milliseconds here, so this is many of them."""


class Members:
    """Shows card after card, a few ahead of the daemon, in a thread of its own."""

    def __init__(self, gym, cards):
        self._gym = gym
        self._cards = cards
        self._free = threading.Semaphore(3)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        gym.partners.on_request = lambda _: self._free.release()

    def _run(self):
        while self._free.acquire() and not self._over.is_set():
            self._gym.scan(next(self._cards))

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._gym.partners.on_request = None
        self._over.set()
        self._free.release()
        self._thread.join()


def shown_card(request):
    return json.loads(request.body)["custom_code"]


def test_any_process_killed_in_between(gym, capsys):
    chance = random.Random(SEED)
    gym = gym({"wellhub": {"budget_ms": 60, "send_custom_code": True}})
    codes = {f"C{number:06}": chance.choice(MEMBERS) for number in range(400 * ROUNDS)}
    table = "".join(f"{code},wellhub,{member}\n" for code, member in codes.items())
    assert gym.run("cards", "import", "-", stdin=table).returncode == 0
    cards = iter(codes)
    runs = []
    for _ in range(ROUNDS):
        gym.spawn()
        runs.append(gym.pid)
        if chance.random() < 0.2:
            # In the middle of its start, which closes what the last one left.
            time.sleep(chance.uniform(0, 0.8))
            gym.kill9()
            continue
        gym.wait_for_notice("READY=1")
        with Members(gym, cards):
            time.sleep(chance.uniform(0, DEADLY_S))
            gym.kill9()
    gym.start()
    runs.append(gym.pid)
    assert gym.terminate() == 0

    events = gym.events()
    by_card = {event["credential"]: event for event in events}
    assert len(by_card) == len(events), "a scan has two events"
    requests = [request for request in gym.partners.requests if request.whole]
    assert set(Counter(map(shown_card, requests)).values()) <= {1}, "a scan was asked twice"
    assert {shown_card(request) for request in requests} <= set(by_card), "a request lacks its event"

    interrupted = [event for event in events if event["result"] == "unknown"]
    assert {event["fault"] for event in interrupted} <= {"interrupted"}
    assert {event["request"]["sent"] for event in interrupted} <= {None}
    # One door decides one scan at a time: a death interrupts one of them.
    assert len(interrupted) <= ROUNDS

    admitted = {event["credential"] for event in events if event["result"] == "admitted"}
    pulses = [opened_for(opening, requests) for opening in gym.openings()]
    assert len(set(pulses)) == len(pulses)
    assert admitted <= set(pulses), "an admission without a pulse"
    unknown = {event["credential"] for event in interrupted}
    assert set(pulses) <= admitted | unknown, "a pulse without its event"
    assert {codes[card] for card in pulses} <= ADMITTED

    for pid in runs:
        changes = gym.pins(pid=pid)
        # The first that a start does is to switch the relay off.
        assert not changes or (changes[0].pin, changes[0].level) == (RELAY, 0)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{ROUNDS} deaths: {len(requests)} requests, {len(events)} events, {len(interrupted)} of them"
            f" interrupted, {len(pulses)} pulses\n"
        )


def opened_for(opening, requests):
    """The card that the gate opened for: the last that was asked for before."""
    return shown_card(
        max((one for one in requests if one.last_byte < opening.at), key=lambda one: one.last_byte)
    )


def test_the_relay_that_a_death_left_on_is_off_before_anything_else(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}}).start()
    gym.ask("wellhub", "1000000000200")
    first = gym.pid
    gym.kill9()
    assert [change.level for change in gym.pins(RELAY, pid=first)] == [0, 1]
    connections = gym.partners.simulator.connections
    gym.fail("22=0:block")  # the start does not come further than the first lamp
    gym.spawn()
    restarted_at = time.monotonic()
    gym.until_pin(22, 0, restarted_at)
    change, *_ = gym.pins(pid=gym.pid)
    assert (change.pin, change.level) == (RELAY, 0)
    assert gym.partners.simulator.connections == connections
    gym.unblock()  # before the fault goes: the daemon may not have read it yet
    gym.fail()
    gym.wait_for_notice("READY=1")
    assert gym.terminate() == 0


def test_an_interrupted_scan_is_closed_once_and_logged(gym):
    gym = gym().start()
    gym.scan("wellhub:" + HANG["wellhub"])
    gym.partners.until(lambda: gym.partners.requests and gym.partners.requests[0].whole)
    gym.kill9()
    assert gym.events() == []
    gym.start()
    gym.logged("main: unknown", "(wellhub interrupted): Interrupted: the outcome was not recorded")
    event = gym.next_event()
    assert event["message"] == "Interrupted: the outcome was not recorded"
    assert (event["result"], event["verdict"], event["fault"]) == ("unknown", "none", "interrupted")
    assert (event["status"], event["reason"], event["gate"], event["outage"]) == (None, None, None, False)
    assert event["request"]["budget_ms"] == AMPLE_MS
    assert gym.terminate() == 0
    gym.start()
    assert gym.terminate() == 0
    assert gym.events() == [event]
