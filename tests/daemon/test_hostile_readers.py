"""Readers that stutter, flood and come and go, through the daemon: other doors and the memory bear it."""

import os
import random
import select
from pathlib import Path

from harness import GOOD, code

TWO_DOORS = {"main": {}, "side": {}}


def pour(scanner, data):
    """Writes all of it, as fast as the reader takes it."""
    line = scanner._ends[0]
    while data:
        select.select([], [line], [])
        data = data[os.write(line, data[:2048]) :]


def held(pid):
    """The process's open descriptors and threads."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), len(list(Path(f"/proc/{pid}/task").iterdir()))


def resident_kib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def reader_of(gym, door="main"):
    return gym.call({"command": "status"})["doors"][door]["scanners"][0]


def test_ten_thousand_codes_at_once(gym):
    gym = gym(doors=TWO_DOORS).start()
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    before = resident_kib(gym.pid)
    codes = (code("wellhub", f"{number:013}") for number in range(10_000))
    pour(gym.scanners["main"], "".join(f"{one}\r" for one in codes).encode())
    # The other door is served while these are read.
    gym.scan(code("wellhub", GOOD["wellhub"]), "side")
    while (event := gym.next_event())["door"] != "side":
        assert event["fault"] is None
    assert event["result"] == "admitted"
    while reader_of(gym)["codes"] < 10_000:
        pass
    door = gym.status()["doors"]["main"]
    assert door["dropped"] > 0  # four wait, the rest is dropped and counted
    assert door["scanners"][0]["dropped"] == {}
    assert resident_kib(gym.pid) - before < 8192
    assert gym.terminate() == 0
    assert gym.count_logged("too many codes at once") < door["dropped"] / 10


def test_a_reader_that_comes_and_goes_without_end(gym):
    gym = gym(doors=TWO_DOORS).start()
    scanner = gym.scanners["main"]
    chance = random.Random(7)
    gym.until_connected()  # which takes a thread and a descriptor for a moment
    before = held(gym.pid)
    for _ in range(15):
        if chance.random() < 0.5:
            scanner.send(chance.randbytes(chance.randrange(40)))
        scanner.unplug()
        while reader_of(gym)["state"] == "ready":
            pass
        scanner.plug()
        while reader_of(gym)["state"] != "ready":
            pass
    assert gym.ask("wellhub", GOOD["wellhub"], "side")["result"] == "admitted"
    scanner.send(b"\r")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    after = held(gym.pid)
    assert after[0] <= before[0] + 2
    assert after[1] == before[1]
    assert gym.terminate() == 0
    assert gym.count_logged(f"scanner {scanner.link}: lost") < 10


def test_a_code_in_single_bytes_and_a_code_in_pieces(gym):
    gym = gym().start()
    whole = code("wellhub", GOOD["wellhub"]).encode() + b"\r"
    for byte in whole:
        pour(gym.scanners["main"], bytes([byte]))
    assert gym.next_event()["result"] == "admitted"
    other = b"OTHER-4711\r"
    for piece in (whole[:3], whole[3:9], whole[9:] + other[:5], other[5:]):
        pour(gym.scanners["main"], piece)
        gym.call({"command": "status"})
    assert [event["credential"] for event in gym.next_events(2)] == [whole[:-1].decode(), "OTHER-4711"]
