"""SIGTERM, SIGINT, SIGHUP and SIGQUIT: the scan under way is finished and recorded, the relay is off,
the status is 0.
"""

import asyncio
import json
import signal
import socket
import sqlite3
import time
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest
from harness import BRIEF_MS, GOOD, HANG, PINS, code
from limits import NET_S
from virtual_loop import run_virtually

from gatectl.daemon import serve
from gatectl.decision.timestamps import FOREVER
from gatectl.sim.script import SLOW_S

RELAY, GREEN = PINS["main"]["relay"], PINS["main"]["green"]
SLOW = "1000000000212"  # good after SLOW_S


def off_at_the_end(gym):
    changes = gym.pins(RELAY)
    return [change.level for change in changes[-2:]] == [0, None]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_scan_under_way_is_finished(gym, number):
    gym = gym().start()
    gym.partners.on_request = lambda _: gym.signal(number)
    gym.scan(code("wellhub", SLOW))
    assert gym.wait() == 0
    (event,) = gym.events()
    assert event["result"] == "admitted"
    assert len(gym.openings()) == 1
    assert off_at_the_end(gym)
    (off, back) = gym.pins(RELAY)[-2:]
    assert not gym.socket.exists()
    (request,) = gym.partners.requests
    assert request.member == SLOW
    assert off.at - request.last_byte >= SLOW_S + 0.1  # the answer's pause, and a whole pulse
    assert back.at >= off.at


def test_the_scan_of_a_partner_that_hangs_ends_with_its_budget(gym):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}}).start()
    gym.partners.on_request = lambda _: gym.signal(signal.SIGTERM)
    gym.scan(code("wellhub", HANG["wellhub"]))
    assert gym.wait() == 0
    (event,) = gym.events()
    assert (event["fault"], event["request"]["sent"]) == ("timeout", True)
    assert event["request"]["elapsed_ms"] >= BRIEF_MS


def test_codes_that_wait_for_their_turn_are_not_asked_any_more(gym):
    gym = gym({"wellhub": {"budget_ms": 2 * BRIEF_MS}}).start()
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.until_state("asking")
    gym.scan(code("wellhub", GOOD["wellhub"]))
    gym.until_waiting()
    assert gym.terminate() == 0
    assert [event["member"] for event in gym.events()] == [HANG["wellhub"]]
    assert len(gym.partners.requests) == 1


def test_an_admitted_member_passes_before_the_end(gym):
    gym = gym(doors={"main": {"open_ms": 700}}).start()
    scanned_at = time.monotonic()
    gym.ask("wellhub", GOOD["wellhub"])
    assert gym.terminate() == 0
    (on,) = gym.openings()
    off = gym.until_pin(RELAY, 0, on.at)
    assert off.at - scanned_at >= 0.7
    assert off_at_the_end(gym)


def test_an_end_waits_for_a_passage_and_not_for_a_minute(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    begun = time.monotonic()
    assert gym.terminate() == 0
    off = gym.until_pin(RELAY, 0, begun)
    assert 1.9 < off.at - begun < 30  # not the minute
    assert off_at_the_end(gym)


def test_a_second_signal_hurries_an_open_gate(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    gym.signal(signal.SIGTERM)
    gym.wait_for_notice("STOPPING=1")
    assert gym.terminate() == 0
    assert off_at_the_end(gym)


class FreeDoor:
    """A door at which no scan is under way."""

    async def drain(self):
        pass


@pytest.mark.parametrize(("signals", "waits_s"), [(1, serve.PASSAGE_S), (2, 0.0)])
def test_a_second_signal_waits_for_no_passage(signals, waits_s):
    async def story():
        gate = SimpleNamespace(relay=SimpleNamespace(off_at=FOREVER))
        one = SimpleNamespace(_gates={"main": gate}, _stopped=asyncio.Event(), _second_signal=asyncio.Event())
        for _ in range(signals):
            serve._Daemon._stop(one)
        await serve._Daemon._let_through(one, [FreeDoor()])
        return asyncio.get_running_loop().time()

    assert run_virtually(story()) == waits_s


def test_a_second_signal_hurries_a_scan_which_the_next_start_closes(gym):
    gym = gym().start()
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.partners.until(lambda: gym.partners.requests and gym.partners.requests[0].whole)
    gym.signal(signal.SIGTERM)
    gym.wait_for_notice("STOPPING=1")
    assert gym.terminate() == 0
    assert gym.events() == []  # it did not wait for the budget
    gym.start()
    event = gym.next_event()
    assert (event["result"], event["fault"], event["verdict"]) == ("unknown", "interrupted", "none")
    assert event["request"]["sent"] is None
    assert event["member"] == HANG["wellhub"]
    assert gym.terminate() == 0
    assert gym.openings() == []


def test_an_end_without_work_is_quick_and_notifies_the_service_manager(gym):
    gym = gym().start()
    gym.signal(signal.SIGTERM)
    gym.wait_for_notice("STOPPING=1")
    assert gym.wait() == 0
    assert [change.level for change in gym.pins(RELAY)] == [0, 0, None]


def test_a_second_daemon_refuses_to_start_and_disturbs_nothing(gym):
    gym = gym(doors={"main": {"open_ms": 400}}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    before = len(gym.pins())
    second = gym.run("run")
    assert second.returncode == 1
    first_line, *hints = second.stderr.splitlines()
    assert "is running already" in first_line
    assert all(hint.startswith("hint: ") for hint in hints)
    assert {change.pid for change in gym.pins()[before:]} <= {gym.pid}
    assert gym.ask("wellhub", "1000000000001")["result"] == "admitted"
    assert gym.status()["pid"] == gym.pid
    assert gym.terminate() == 0
    # And the next start is free again.
    gym.start()
    assert gym.terminate() == 0


def test_a_second_daemon_on_the_same_journal_leaves_its_scans_alone(gym):
    gym = gym({"wellhub": {"budget_ms": 1500}}).start()
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.partners.until(lambda: gym.partners.requests and gym.partners.requests[0].whole)
    other = gym.folder / "other.toml"
    text = gym.settings.read_text("utf-8").replace('"control.sock"', '"other.sock"')
    other.write_text(text, "utf-8")
    second = gym.run("run", "-c", str(other))
    assert second.returncode == 1
    first_line, hint = second.stderr.splitlines()[-2:]
    assert "another gatectl writes this journal" in first_line
    assert hint == "hint: stop it first, or name another file at journal.path"
    assert gym.next_event()["fault"] == "timeout"
    assert gym.terminate() == 0


def test_a_control_socket_that_cannot_be_made_is_reported_without_a_traceback(gym):
    gym = gym()
    gym.write_settings()
    folder = gym.folder / ("d" * 108)  # one byte more than Linux takes for a socket's whole path
    text = gym.settings.read_text("utf-8")
    gym.settings.write_text(text.replace('"control.sock"', f'"{folder}/control.sock"'), "utf-8")
    run = gym.run("run")
    assert run.returncode == 1
    error, *hints = run.stderr.splitlines()[-2:]
    assert "the control socket cannot be made" in error
    assert hints[0].startswith("hint: control.socket")
    assert {change.level for change in gym.pins(RELAY)} == {0, None}


@contextmanager
def no_record(gym):
    """Another process holds the journal: no record gets to the disk."""
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def until_late(gym):
    """A record waits for the disk."""
    until = time.monotonic() + NET_S
    while not gym.call({"command": "status"})["journal"]["late"]:
        assert time.monotonic() < until


def end(gym):
    """When a signal has shut the gate: all that is under way is given up, but for the disk."""
    at = time.monotonic()
    gym.signal(signal.SIGTERM)
    return gym.until_pin(GREEN, 0, at).at


def test_a_second_try_that_gets_on_record_only_at_the_end_opens_nothing(gym):
    sensor = {"passage": {"pin": 27, "wait_ms": 100}}
    gym = gym(doors={"main": sensor}, journal={"patience_ms": 5000}).start()
    gym.ask("wellhub", GOOD["wellhub"])
    assert gym.next_event()["result"] == "not_passed"
    with no_record(gym):
        gym.scan(code("wellhub", GOOD["wellhub"]))
        until_late(gym)
        gym.signal(signal.SIGTERM)
        gym.wait_for_notice("STOPPING=1")
        shut_at = end(gym)
    assert gym.wait() == 0
    assert [opening for opening in gym.openings() if opening.at > shut_at] == []
    gym.start()
    assert gym.next_event()["of"] is not None


def test_a_hold_that_gets_on_record_only_at_the_end_moves_no_relay(gym):
    gym = gym(doors={"main": {"relay": {"continuous": True}}}, journal={"patience_ms": 5000}).start()
    with no_record(gym), socket.socket(socket.AF_UNIX) as person:
        person.connect(str(gym.socket))
        order = {"command": "hold", "door": "main", "seconds": 3600, "reason": "open day"}
        person.sendall(json.dumps(order).encode() + b"\n")
        until_late(gym)
        shut_at = end(gym)
    assert gym.wait() == 0
    assert [opening for opening in gym.openings() if opening.at > shut_at] == []
