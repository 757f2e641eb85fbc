"""6. Throughput: how many scans a second go through, and where the time goes.

Every door has as many codes before it as its queue holds, all the time: no gym has that, so what counts is
how far off it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speed import process
from speed.rig import RELAY_PINS, Certificates, Gym, PartnerProcess, PlainScript, Plan
from speed.row import Row
from speed.timestamps import LOOK_S, PATIENCE_S, NothingHappened, Stamps

AHEAD = 4
"""Codes typed before their answer: the one being decided, and three that wait, so that none is dropped."""

TARGET_DOORS = 8

PROFILE = "profile.txt"
"""Written into the folder: where the time goes with most doors."""


@dataclass(frozen=True, slots=True)
class Size:
    doors: tuple[int, ...]
    lasts_s: float


FULL, QUICK, TINY = Size((1, 4, 8), 20.0), Size((1, 4, 8), 4.0), Size((1, 2), 0.3)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of scans a second, with the daemon's CPU time for each; and of the plain scripts, one per door."""
    certificates = Certificates(folder)
    with PartnerProcess(folder) as partner:
        for doors in size.doors:
            theirs = _plain(folder / f"plain-{doors}", partner, certificates, doors, size.lasts_s)
            ours, cpu_s = _daemon(folder / f"gym-{doors}", partner, certificates, doors, size.lasts_s)
            yield Row(
                f"scans a second, {doors} door{'s' if doors > 1 else ''}",
                ours,
                "/s",
                at_least=600 if doors == TARGET_DOORS else None,
                beside=theirs,
                note=f"over {size.lasts_s:.0f} s, {AHEAD} codes ahead; beside: a plain script for each door",
            )
            yield Row(f"CPU a scan, {doors} door{'s' if doors > 1 else ''}", cpu_s * 1e3, "ms")
        doors = size.doors[-1]
        profile = folder / PROFILE
        _daemon(folder / "gym-profile", partner, certificates, doors, size.lasts_s, profile)


@dataclass(slots=True)
class _Lane:
    """One line of members before a door."""

    scan: Callable[[int], float]
    stamps: Stamps
    relay_pin: int
    waiting: int = 0


def _daemon(
    folder: Path,
    partner: PartnerProcess,
    certificates: Certificates,
    doors: int,
    lasts_s: float,
    profile: Path | None = None,
) -> tuple[float, float]:
    """Scans a second, and the CPU seconds of each. Every event is in the journal, or this fails."""
    plan = Plan([partner.url()], certificates.ca_file, doors=doors, lamps=("green",), profile=profile)
    with Gym(folder, plan) as gym:
        gym.start()
        gym.until_connected(doors)
        before = process.used(gym.pid).cpu_s
        lanes = [_Lane(partial(gym.scan, door=door), gym.stamps, RELAY_PINS[door]) for door in range(doors)]
        a_second, typed = _drive(lanes, lasts_s)
        gym.until_finished(typed)
        return a_second, (process.used(gym.pid).cpu_s - before) / typed


def _plain(
    folder: Path, partner: PartnerProcess, certificates: Certificates, doors: int, lasts_s: float
) -> float:
    """Scans a second of as many plain scripts."""
    with ExitStack() as stack:
        lanes = []
        for door in range(doors):
            script = PlainScript(folder / f"{door}", partner.url(), certificates.ca_file, open_s=0.0)
            stack.enter_context(script)
            lanes.append(_Lane(script.scan, script.stamps, RELAY_PINS[0]))
        return _drive(lanes, lasts_s)[0]


def _drive(lanes: Sequence[_Lane], lasts_s: float) -> tuple[float, int]:
    """Keeps every lane full for so long; openings a second in that time, and how many codes were typed."""
    by_pin = {(id(lane.stamps), lane.relay_pin): lane for lane in lanes}
    all_stamps = {id(lane.stamps): lane.stamps for lane in lanes}
    typed = opened = 0
    began = last_at = time.monotonic()
    a_second = 0.0
    while True:
        now = time.monotonic()
        is_over = now - began >= lasts_s
        for key, stamps in all_stamps.items():
            for change in stamps.new():
                lane = by_pin.get((key, change.pin))
                if lane is not None and lane.waiting and change.level:
                    lane.waiting -= 1
                    opened += 1
                    last_at = now
        if is_over and not a_second:
            a_second = opened / (now - began)
        if is_over and not any(lane.waiting for lane in lanes):
            return a_second, typed
        for lane in lanes:
            while not is_over and lane.waiting < AHEAD:
                lane.scan(typed)
                lane.waiting += 1
                typed += 1
        if now - last_at > PATIENCE_S:
            raise NothingHappened("a door opens no more")
        time.sleep(LOOK_S)
