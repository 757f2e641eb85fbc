"""5. The journal as it grows: what a record costs, what a question costs, and pruning while scans go on."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gatectl.journal.store import Store
from speed import history
from speed.rig import RELAY_PINS, Certificates, Gym, PartnerProcess, Plan, environment_for, member
from speed.row import Row, median, quantile
from speed.timestamps import Stamps

SCAN_EVERY_S = 1.0
"""A door in a hurry: no turnstile's cycle is shorter than 1.7 s."""

LEAST_SCANS = 3
"""The first of them makes connections and fills caches, and does not count."""


@dataclass(frozen=True, slots=True)
class Size:
    events: tuple[int, ...]
    """How full the journals are; the last is what the targets are for."""
    inserts: int
    commands: int
    prune_s: float
    """Pruning is watched for so long at most."""


FULL = Size((0, 100_000, 1_000_000), 1000, 15, 600.0)
QUICK = Size((0, 20_000, 100_000), 200, 5, 20.0)
TINY = Size((0, 300), 5, 1, 3.0)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of inserts and file sizes, of whole commands, and of pruning."""
    paths = {events: folder / f"{events}" / "journal.db" for events in size.events}
    for events, path in paths.items():
        history.fill(path, events)
    yield from _sizes(paths)
    yield from _inserts(paths, size)
    yield from _commands(folder, paths, size)
    yield from _pruning(folder, paths[size.events[-1]], size)


def _sizes(paths: dict[int, Path]) -> Iterator[Row]:
    empty = paths[0].stat().st_size
    for events, path in paths.items():
        if events:
            each = (path.stat().st_size - empty) / events
            yield Row(f"file size an event, of {events:,}", each, "B")


# Inserts.


def _inserts(paths: dict[int, Path], size: Size) -> Iterator[Row]:
    taken = asyncio.run(_insert_in_turn(paths, size.inserts))
    first, last = size.events[0], size.events[-1]
    p50 = {events: median(times) for events, times in taken.items()}
    note = f"both records of an event, each on disk; {size.inserts} in turn"
    for events, times in taken.items():
        beside = None if events == first else p50[first] * 1e3
        yield Row(f"insert at {events:,}, p50", p50[events] * 1e3, "ms", beside=beside, note=note)
        yield Row(f"insert at {events:,}, p99", quantile(times, 0.99) * 1e3, "ms")
    yield Row(
        f"insert at {last:,} ÷ at {first:,}",
        p50[last] / p50[first],
        "",
        at_most=1.2,
        beside=1.0,
        note="of the p50",
    )


async def _insert_in_turn(paths: dict[int, Path], inserts: int) -> dict[int, list[float]]:
    """Seconds for each, through the daemon's own store; ABCABC…"""
    stores = {events: Store(path, 0, lambda _notice: None) for events, path in paths.items()}
    chance = random.Random(2)
    taken: dict[int, list[float]] = {events: [] for events in stores}
    for store in stores.values():
        store.start()
        await store.opened
    for _ in range(inserts):
        for events, store in stores.items():
            attempt, outcome = history.event(chance, time.time_ns() // 1000)
            began = time.perf_counter()
            on_disk = asyncio.Event()
            store.record(attempt, on_disk.set)
            await on_disk.wait()
            store.finish(attempt.id, outcome)
            await store.ask(lambda _connection: None)
            taken[events].append(time.perf_counter() - began)
    for store in stores.values():
        await store.stop(10.0)
    return taken


# Whole commands.


def _commands(folder: Path, paths: dict[int, Path], size: Size) -> Iterator[Row]:
    last = size.events[-1]
    questions = {
        "events -n 20": ["events", "-n", "20"],
        "events by member": ["events", "--member", member(7)],
        "events by time": ["events", "--since", "2h"],
        "--version": ["--version"],
    }
    settings = {events: _settings(folder, path) for events, path in paths.items()}
    with closing(Stamps()) as stamps:
        environment = environment_for(folder, stamps)
        taken: dict[tuple[str, int], list[float]] = {}
        for _ in range(size.commands + 1):  # the first one warms the caches up
            for name, arguments in questions.items():
                for events in (0, last):
                    command = [sys.executable, "-m", "gatectl", "-c", str(settings[events]), *arguments]
                    began = time.perf_counter()
                    subprocess.run(command, check=True, env=environment, capture_output=True)
                    taken.setdefault((name, events), []).append(time.perf_counter() - began)
    for name in questions:
        at_last, at_none = (median(taken[name, events][1:]) * 1e3 for events in (last, 0))
        if name == "--version":
            yield Row("gatectl --version, whole", at_last, "ms", note="no journal: the interpreter's share")
            continue
        target = 200 if name in ("events -n 20", "events by member") else None
        note = f"median of {size.commands}; beside: the same with an empty journal"
        yield Row(f"{name} at {last:,}, whole", at_last, "ms", at_most=target, beside=at_none, note=note)


def _settings(folder: Path, journal: Path) -> Path:
    """Settings for a reader alone: nothing in them is opened but the journal."""
    path = journal.with_name("gatectl.toml")
    key = folder / "key"
    key.touch(mode=0o600)
    key.write_text("a-key-for-the-measurements\n", "utf-8")
    path.write_text(
        f'[site]\ntenant = "FitCo GmbH"\nstudio = "Speed"\n[gpio]\npin_factory = "mock"\n'
        f'[journal]\npath = "{journal}"\n[partners.p0]\nprotocol = "wellhub"\ngym_id = "1234"\n'
        f'key = {{ file = "{key}" }}\n[[routes]]\nmatch = \'\\d{{13}}\'\npartner = "p0"\n'
        "[doors.door0]\nrelay = { pin = 17 }\n"
        '[[doors.door0.scanners]]\ntype = "serial"\nport = "/dev/serial/by-id/usb-none"\n',
        "utf-8",
    )
    return path


# Pruning.


def _pruning(folder: Path, full: Path, size: Size) -> Iterator[Row]:
    """A scan every second, first with nothing to prune, then with all of it."""
    certificates = Certificates(folder)
    with PartnerProcess(folder) as partner:
        quiet = _watched(folder / "quiet", partner, certificates, full, keep_days=0, size=size)
        pruned = _watched(folder / "pruned", partner, certificates, full, keep_days=1, size=size)
    events = size.events[-1]
    beside = max(quiet.scans) * 1e3
    note = f"{len(pruned.scans)} scans, one a second; beside: {len(quiet.scans)} with nothing to prune"
    yield Row("worst scan while pruning", max(pruned.scans) * 1e3, "ms", beside=beside, note=note)
    beside = median(quiet.scans) * 1e3
    yield Row("scan while pruning, p50", median(pruned.scans) * 1e3, "ms", beside=beside)
    each_s = pruned.lasted_s / max(pruned.gone, 1)
    yield Row("pruned", pruned.gone, "", note=f"of {events:,}, in {pruned.lasted_s:.0f} s")
    yield Row("pruning a million beside the scans would take", each_s * 1e6 / 60, "min")


@dataclass(slots=True)
class _Watched:
    scans: list[float]
    """Seconds from the code's last byte to the relay."""
    gone: int
    lasted_s: float


def _watched(
    folder: Path,
    partner: PartnerProcess,
    certificates: Certificates,
    full: Path,
    *,
    keep_days: int,
    size: Size,
) -> _Watched:
    plan = Plan([partner.url()], certificates.ca_file, journal={"keep_days": keep_days})
    with Gym(folder, plan) as gym:
        shutil.copy(full, gym.journal)
        os.sync()
        gym.start()
        gym.until_connected(1)
        began = time.monotonic()
        scans: list[float] = []
        lasts_s = size.prune_s if keep_days else size.prune_s / 4
        gone = 0
        # Of a year's events those of one day stay.
        while len(scans) < LEAST_SCANS or (
            time.monotonic() - began < lasts_s and gone < size.events[-1] * 0.99
        ):
            typed = gym.scan(len(scans))
            opened = gym.stamps.wait(lambda change: (change.pin, change.level) == (RELAY_PINS[0], 1))
            scans.append(opened.at - typed)
            time.sleep(max(typed + SCAN_EVERY_S - time.monotonic(), 0))
            gone = _gone(gym.journal)
        return _Watched(scans[1:], gone, time.monotonic() - began)


def _gone(path: Path) -> int:
    """How many events were pruned: the oldest go first, and each has its number."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        oldest: int = connection.execute("SELECT min(seq) FROM attempts").fetchone()[0]
    return oldest - 1
