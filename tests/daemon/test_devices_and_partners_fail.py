"""A scanner, a door or a partner that fails is logged once, and disturbs no other."""

import os
import random
import select
import socket
import sys
import time
from pathlib import Path

import pytest
from harness import BRIEF_MS, GOOD, HANG, code

from gatectl.sim.server import Authority


def test_unplugged_in_the_middle_of_a_code(gym):
    gym = gym().start()
    scanner = gym.scanners["main"]
    scanner.send(b"wellhub:10000000")
    scanner.unplug()
    gym.logged(f"scanner {scanner.link}: lost (unplugged)")
    gone = gym.status()["doors"]["main"]["scanners"][0]
    assert (gone["state"], gone["cause"], gone["codes"]) == ("lost", "unplugged", 0)
    scanner.plug()
    gym.logged(f"scanner {scanner.link}: ready")
    # The rest of that code is no code, and no ending.
    scanner.send(b"00200\r")
    event = gym.next_event()
    assert (event["credential"], event["message"]) == ("00200", "Credential not recognised")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert gym.terminate() == 0
    assert gym.count_logged(f"scanner {scanner.link}: lost") == 1
    assert gym.count_logged(f"scanner {scanner.link}: ready") == 1


def test_a_scanner_that_is_absent_at_the_start(gym):
    gym = gym(doors={"main": {}, "side": {}})
    scanner = gym.scanners["main"]
    scanner.unplug()
    gym.start()
    gym.logged(f"scanner {scanner.link}: absent (unplugged)")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["door"] == "side"
    assert gym.status()["doors"]["main"]["scanners"][0]["state"] == "absent"
    scanner.plug()
    gym.logged(f"scanner {scanner.link}: ready")
    assert gym.ask("wellhub", GOOD["wellhub"])["door"] == "main"
    assert gym.terminate() == 0
    assert gym.count_logged(f"scanner {scanner.link}") == 2


def test_another_door_goes_on_while_a_scanner_is_gone(gym):
    gym = gym(doors={"main": {}, "side": {}}).start()
    gym.scanners["main"].unplug()
    gym.logged(f"scanner {gym.scanners['main'].link}: lost")
    for _ in range(3):
        assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    assert len(gym.openings("side")) == 3
    assert gym.openings("main") == []


def test_codes_typed_while_the_daemon_was_down_open_nothing(gym):
    gym = gym()
    gym.scan(code("wellhub", GOOD["wellhub"]))
    gym.start()
    assert gym.ask("wellhub", "1000000000001")["member"] == "1000000000001"
    gym.kill9()
    gym.scan(code("wellhub", GOOD["wellhub"]))
    gym.start()
    assert gym.ask("wellhub", "1000000000002")["member"] == "1000000000002"
    assert len(gym.openings()) == 2


def test_doors_do_not_wait_for_each_other(gym):
    gym = gym(doors={"main": {}, "side": {}}).start()
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.until_state("asking")
    quick = [gym.ask("wellhub", GOOD["wellhub"], "side") for _ in range(3)]
    assert [(event["door"], event["result"]) for event in quick] == [("side", "admitted")] * 3
    gym.until_state("asking")


@pytest.fixture
def dead_end():
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_other_partners_are_down(gym, dead_end, closed_port):
    gym = gym(
        {
            "wellhub": {},
            "wellhub-closed": {"url": f"https://127.0.0.1:{closed_port}"},
            "wellhub-silent": {"url": f"https://127.0.0.1:{dead_end}", "budget_ms": BRIEF_MS},
            "wellhub-unknown": {"url": "https://nobody.invalid"},
        },
        {"main": {}, "side": {}},
    ).start()
    gym.logged("partner wellhub-closed: no connection (network: ")
    gym.scan(code("wellhub-silent", GOOD["wellhub"]))
    gym.until_state("asking")
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    silent = gym.next_event()
    assert silent["fault"] == "timeout"
    assert silent["request"]["sent"] is False
    assert silent["request"]["budget_ms"] == BRIEF_MS <= silent["request"]["elapsed_ms"]
    for partner in ("wellhub-closed", "wellhub-unknown"):
        event = gym.ask(partner, GOOD["wellhub"])
        assert event["fault"] == "network"
        assert event["request"]["sent"] is False
        assert event["request"]["sent_at"] is None
    good = gym.ask("wellhub", GOOD["wellhub"])
    assert (good["result"], good["request"]["connection"]) == ("admitted", "warm")
    state = gym.status()["partners"]
    assert state["wellhub"]["unconnected"] is None
    assert state["wellhub-closed"]["unconnected"]["fault"] == "network"
    assert gym.terminate() == 0
    assert gym.count_logged("partner wellhub-closed: no connection") == 1


def test_a_certificate_of_another_authority(gym, tmp_path):
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    gym = gym({"wellhub": {"ca_file": str(other)}}).start()
    event = gym.ask("wellhub", GOOD["wellhub"])
    assert (event["result"], event["verdict"], event["fault"]) == ("rejected", "none", "tls")
    assert event["request"]["sent"] is False
    assert gym.partners.requests == []
    assert gym.openings() == []


def test_a_partner_that_closes_its_idle_connections(gym):
    gym = gym().start()
    simulator = gym.partners.simulator
    gym.until_connected()
    assert gym.ask("wellhub", GOOD["wellhub"])["request"]["connection"] == "warm"
    for drop in (simulator.close_idle, simulator.drop_all):
        expected = simulator.handshakes + len(gym.status()["partners"])
        gym.partners.call(drop)
        # Each partner's is replaced without anybody having scanned.
        gym.partners.until(lambda expected=expected: simulator.handshakes >= expected)
        gym.until_connected()
        event = gym.ask("wellhub", GOOD["wellhub"])
        assert (event["result"], event["request"]["connection"]) == ("admitted", "warm")
    assert len(gym.partners.requests) == 3


@pytest.mark.parametrize("protocol", ["perfectgym", "wellhub", "capitan", "http"])
def test_no_answer_outlives_its_budget(gym, protocol):
    gym = gym({protocol: {"budget_ms": 120}}).start()
    drips = {"perfectgym": "1601", "wellhub": "1000000000601", "capitan": "DRIP", "http": "DRIP"}[protocol]
    for member in (HANG[protocol], drips) * 3:
        event = gym.ask(protocol, member)
        assert event["fault"] == "timeout"  # and none of them lives to see the whole of a dripping answer
        assert event["request"]["elapsed_ms"] >= 120


def resident_kib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def pour(scanner, data):
    """Writes all of it, as fast as the reader takes it."""
    line = scanner._ends[0]
    while data:
        select.select([], [line], [])
        data = data[os.write(line, data[:2048]) :]


def test_a_megabyte_of_random_bytes(gym, capsys):
    gym = gym(doors={"main": {}, "side": {}}).start()
    scanner = gym.scanners["main"]
    chance = random.Random(1)

    def settle():
        scanner.send(b"\r")
        marker = f"wellhub:{chance.randrange(10**12, 10**13)}"
        while True:
            gym.scan(marker)  # the queue may be full of noise
            event = gym.next_event()
            if event["credential"] == marker:
                break
        return event

    pour(scanner, chance.randbytes(200_000))
    settle()
    before = resident_kib(gym.pid)
    begun = time.monotonic()
    pour(scanner, chance.randbytes(1_000_000))
    settle()
    took = time.monotonic() - begun
    after = resident_kib(gym.pid)
    with capsys.disabled():
        sys.stdout.write(
            f"\n1 MB of random bytes: {took:.1f} s, resident {before} KiB before, {after} KiB after\n"
        )
    assert after - before < 4096
    while gym.ask("wellhub", GOOD["wellhub"])["member"] != GOOD["wellhub"]:
        pass
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    scanner_state = gym.status()["doors"]["main"]["scanners"][0]
    assert scanner_state["state"] == "ready"
    assert scanner_state["dropped"]["undecodable"] > 1000
    assert gym.terminate() == 0
    assert gym.count_logged("input dropped (undecodable)") == 1
