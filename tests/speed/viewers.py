"""7. The own time of a scan with browsers connected, and without.

By turns, a block of scans without viewers, and one with the real `gatectl monitor` next to the daemon, at the
priority that its unit gives it, and ten lists and ten displays open, each read as it comes.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from speed.latency import BUDGET_MS, REST_S, Own
from speed.rig import RELAY_PINS, TESTS, Certificates, Gym, PartnerProcess, Plan, environment_for
from speed.row import Row, quantile

VIEWERS = 20

MONITOR_NICE = "10"
"""As systemd/units/gatectl-monitor.service has it."""


@dataclass(frozen=True, slots=True)
class Size:
    blocks: int
    scans: int
    """In a block."""
    warm_up: int


FULL, QUICK, TINY = Size(20, 25, 3), Size(6, 20, 3), Size(2, 2, 1)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of the own time with viewers, each with the time without them."""
    certificates = Certificates(folder)
    alone: list[Own] = []
    watched: list[Own] = []
    shown = 0
    with PartnerProcess(folder) as partner:
        plan = Plan([partner.url()], certificates.ca_file, budget_ms=BUDGET_MS)
        with Gym(folder / "gym", plan) as gym:
            gym.start()
            gym.until_connected(1)
            scans = Scans(gym, partner)
            for _ in range(size.blocks):
                alone += scans.block(size)
                with _monitor(gym) as address, _browsers(address) as browsers:
                    watched += scans.block(size)
                    shown += _shown(browsers)
    if not shown:
        raise RuntimeError("the viewers were shown nothing")
    yield from _rows(alone, watched, shown / (size.blocks * (size.warm_up + size.scans)))


class BlockSize(Protocol):
    """The scans of a block, and how many before them do not count."""

    @property
    def scans(self) -> int: ...

    @property
    def warm_up(self) -> int: ...


class Scans:
    """Scans one after the other, each by a member of its own."""

    def __init__(self, gym: Gym, partner: PartnerProcess) -> None:
        self._gym = gym
        self._partner = partner
        self._number = 0

    def block(self, size: BlockSize) -> list[Own]:
        """Without the first ones: what was just opened is just settling."""
        return [self._one() for _ in range(size.warm_up + size.scans)][size.warm_up :]

    def _one(self) -> Own:
        self._number += 1
        typed = self._gym.scan(self._number)
        opened = self._gym.stamps.wait(
            lambda change: (change.pin, change.level) == (RELAY_PINS[0], 1) and change.at > typed
        )
        ((_, _, received, answered),) = self._partner.take()
        time.sleep(2 * REST_S)  # both sides' there, this one's alone here: its relay is off again
        return Own(received - typed, opened.at - answered)


@contextmanager
def _monitor(gym: Gym) -> Iterator[str]:
    """Its address."""
    process = subprocess.Popen(
        [
            *("nice", "-n", MONITOR_NICE, sys.executable, "-m", "gatectl"),
            *gym.arguments("monitor", "--listen", "127.0.0.1:0"),
        ],
        stderr=subprocess.PIPE,
        env=environment_for(gym.folder, gym.stamps),
        encoding="utf-8",
        cwd=TESTS,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", said)
        if found is None:
            raise RuntimeError(f"the monitor does not start: {said}{process.stderr.read()}")
        yield found[0]
    finally:
        process.terminate()
        process.communicate()


@contextmanager
def _browsers(address: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "speed.browsers", address, "door0", str(VIEWERS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        cwd=TESTS,
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the monitor does not answer its viewers")
        yield process
    finally:
        process.kill()
        process.wait()


def _shown(browsers: subprocess.Popen[str]) -> int:
    return int(browsers.communicate()[0])


def _rows(alone: list[Own], watched: list[Own], shown: float) -> Iterator[Row]:
    def at(share: float, series: list[Own]) -> float:
        return quantile([own.whole for own in series], share) * 1e3

    note = f"beside: no viewer; {len(watched)} scans each, in blocks by turns"
    ratio = at(0.5, watched) / at(0.5, alone)
    name = f"own time, {VIEWERS} viewers"
    yield Row(f"{name}, p50 ÷ none", ratio, "", at_most=1.05, beside=1.0, note=note)
    for share in (0.5, 0.99):
        yield Row(f"{name}, p{share * 100:g}", at(share, watched), "ms", beside=at(share, alone))
    for what, half in (("code to request", "before"), ("answer to relay", "after")):
        mine, other = ([getattr(own, half) * 1e3 for own in series] for series in (watched, alone))
        yield Row(f"{what}, {VIEWERS} viewers, p50", quantile(mine, 0.5), "ms", beside=quantile(other, 0.5))
    yield Row("rows and screens shown, a scan", shown, "")
