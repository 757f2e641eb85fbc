"""4. What a door costs the machine: memory, threads, wake-ups and CPU at idle, time to ready, CPU a scan."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speed import latency, process
from speed.rig import PINS, Certificates, Gym, PartnerProcess, PlainScript, Plan
from speed.row import Row, median

TARGET_DOORS = 4
"""The machine that the targets are for."""


@dataclass(frozen=True, slots=True)
class Size:
    doors: tuple[int, ...]
    starts: int
    settle_s: float
    """After the start, before idle is idle."""
    idle_s: float
    scans: int


FULL = Size((1, 4, 16), 10, 8.0, 60.0, 200)
QUICK = Size((1, 4, 16), 3, 8.0, 10.0, 30)
TINY = Size((1, 4), 1, 0.0, 0.2, 2)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows for each number of doors; a bare interpreter and the plain script are the baselines."""
    certificates = Certificates(folder)
    with PartnerProcess(folder) as partner:
        for doors in size.doors:
            plan = Plan([partner.url()], certificates.ca_file, doors=doors, lamps=_lamps(doors))
            with Gym(folder / f"gym-{doors}", plan) as gym:
                yield from _starts(gym, size)
                yield from _idle(gym, doors, size)
        yield from _a_scan(folder, partner, certificates, size)


def _lamps(doors: int) -> tuple[str, ...]:
    """As many as there are pins for."""
    return ("green", "red", "buzzer")[: (PINS - doors) // doors]


def _starts(gym: Gym, size: Size) -> Iterator[Row]:
    doors = gym.plan.doors
    ready, bare = [], []
    gym.start()  # the first one compiles, and makes the journal
    gym.end()
    for _ in range(size.starts):
        ready.append(gym.start())
        gym.end()
        bare.append(_bare_start())
    yield Row(
        f"start to ready, {_doors(doors)}",
        median(ready) * 1e3,
        "ms",
        at_most=400 if doors == TARGET_DOORS else None,
        beside=median(bare) * 1e3,
        note=f"median of {size.starts}; beside: python -c pass, to its end",
    )


def _bare_start() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - began


def _idle(gym: Gym, doors: int, size: Size) -> Iterator[Row]:
    gym.start()
    gym.until_connected(doors)
    time.sleep(size.settle_s)
    before, began = process.used(gym.pid), time.monotonic()
    time.sleep(size.idle_s)
    after, lasted = process.used(gym.pid), time.monotonic() - began
    resident, proportional = process.memory_mb(gym.pid)
    where = _doors(doors)
    target = doors == TARGET_DOORS
    yield Row(f"resident memory, {where}", resident, "MB", at_most=45 if target else None)
    yield Row(f"proportional memory, {where}", proportional, "MB")
    yield Row(f"threads, {where}", process.threads(gym.pid), "")
    wakeups = (after.wakeups - before.wakeups) / lasted
    note = f"over {lasted:.0f} s, all threads, no watchdog"
    yield Row(f"wake-ups at idle, {where}", wakeups, "/s", at_most=2 if target else None, note=note)
    yield Row(f"CPU at idle, {where}", (after.cpu_s - before.cpu_s) / lasted * 1e3, "ms/s")
    gym.end()


def _a_scan(folder: Path, partner: PartnerProcess, certificates: Certificates, size: Size) -> Iterator[Row]:
    plan = Plan([partner.url()], certificates.ca_file)
    with (
        Gym(folder / "gym-scans", plan) as gym,
        PlainScript(folder / "plain", partner.url(), certificates.ca_file) as plain,
    ):
        gym.start()
        gym.until_connected(1)
        latency.alternate(gym, plain, partner, latency.Size(1, 4))
        pids = gym.pid, plain.pid
        before = [process.used(pid) for pid in pids]
        latency.alternate(gym, plain, partner, latency.Size(size.scans, 0))
        ours, theirs = (
            (process.used(pid).cpu_s - then.cpu_s) / size.scans * 1e3
            for pid, then in zip(pids, before, strict=True)
        )
    note = "the whole scan: record, request, signals, relay off again; beside: the plain script"
    yield Row("CPU a scan", ours, "ms", beside=theirs, note=note)


def _doors(doors: int) -> str:
    return f"{doors} door{'s' if doors > 1 else ''}"
