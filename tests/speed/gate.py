"""8. A gate with inputs: wake-ups at idle, the exit button's time to the relay, the own time of a scan."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from speed import process
from speed.latency import BUDGET_MS, REST_S, Own
from speed.rig import INPUTS, RELAY_PINS, Certificates, Gym, PartnerProcess, Plan
from speed.row import Row, median, quantile

DOORS = 4


@dataclass(frozen=True, slots=True)
class Size:
    settle_s: float
    idle_s: float
    presses: int
    blocks: int
    scans: int
    """In each block."""


FULL = Size(8.0, 60.0, 200, 10, 50)
QUICK = Size(8.0, 10.0, 50, 4, 20)
TINY = Size(0.0, 0.2, 2, 1, 2)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of the three; the baselines are the same doors without inputs."""
    certificates = Certificates(folder)
    with PartnerProcess(folder) as partner:
        url, ca_file = partner.url(), certificates.ca_file
        lamps = ("green",)
        bare = Plan([url], ca_file, doors=DOORS, lamps=lamps)
        full = Plan([url], ca_file, doors=DOORS, lamps=lamps, inputs=INPUTS)
        without, all_inputs = (_idle(folder / name, plan, size) for name, plan in (("a", bare), ("b", full)))
        note = f"over {size.idle_s:.0f} s, all threads; beside: without inputs"
        figure = f"wake-ups at idle, {DOORS} doors, all inputs"
        yield Row(figure, all_inputs, "/s", at_most=2, beside=without, note=note)
        with (
            Gym(folder / "c", Plan([url], ca_file)) as plain,
            Gym(folder / "d", Plan([url], ca_file, inputs=("passage", "contact"))) as seen,
        ):
            yield from _scans(plain, seen, partner, size)
        exits = Plan([url], ca_file, budget_ms=BUDGET_MS, inputs=INPUTS)
        yield from _presses(folder / "e", exits, partner, size)


def _idle(folder: Path, plan: Plan, size: Size) -> float:
    with Gym(folder, plan) as gym:
        gym.start()
        gym.until_connected(DOORS)
        time.sleep(size.settle_s)
        before, began = process.used(gym.pid), time.monotonic()
        time.sleep(size.idle_s)
        return (process.used(gym.pid).wakeups - before.wakeups) / (time.monotonic() - began)


def _presses(folder: Path, plan: Plan, partner: PartnerProcess, size: Size) -> Iterator[Row]:
    """The partner hangs with a scan under way, and another process keeps the journal from being written."""
    with Gym(folder, plan) as gym:
        gym.start()
        gym.until_connected(1)
        with closing(sqlite3.connect(gym.journal, isolation_level=None)) as other, partner.stopped():
            other.execute("BEGIN IMMEDIATE")
            gym.scan(1)
            took = [_press(gym) for _ in range(size.presses)]
            other.execute("ROLLBACK")
    note = f"of {size.presses}; the partner hangs, and the disk is stalled"
    yield Row("exit button to relay, p50", median(took) * 1e3, "ms", note=note)
    yield Row("exit button to relay, worst", max(took) * 1e3, "ms", at_most=50, note=note)


def _press(gym: Gym) -> float:
    button = gym.input_pin(0, "exit")
    pressed = gym.drive(button, 0)

    def until(level: int, after: float) -> float:
        wanted = (RELAY_PINS[0], level)
        return gym.stamps.wait(lambda one: (one.pin, one.level) == wanted and one.at >= after).at

    on = until(1, pressed)
    until(0, gym.drive(button, 1))
    return on - pressed


def _scans(plain: Gym, seen: Gym, partner: PartnerProcess, size: Size) -> Iterator[Row]:
    series: dict[Gym, list[Own]] = {plain: [], seen: []}
    for gym in series:
        gym.start()
        gym.until_connected(1)
    number = 0
    for block in range(size.blocks + 1):
        for gym, results in series.items():
            for _ in range(size.scans):
                number += 1
                own = _one(gym, number, partner)
                if block:  # the first one makes connections and fills caches
                    results.append(own)
    without, beside = (quantile([own.whole for own in series[gym]], 0.5) for gym in (plain, seen))
    note = f"{size.blocks} blocks of {size.scans} scans each, in turn; beside: without"
    yield Row("own time with passage and contact, p50", beside * 1e3, "ms", beside=without * 1e3, note=note)
    yield Row("own time with passage and contact ÷ without", beside / without, "", at_most=1.05, beside=1.0)


def _one(gym: Gym, number: int, partner: PartnerProcess) -> Own:
    typed = gym.scan(number)
    opened = gym.stamps.wait(lambda one: (one.pin, one.level) == (RELAY_PINS[0], 1) and one.at > typed)
    ((_, _, received, answered),) = partner.take()
    if gym.plan.inputs:  # the member passes
        for level in (0, 1):
            gym.drive(gym.input_pin(0, "passage"), level)
    time.sleep(2 * REST_S)
    return Own(received - typed, opened.at - answered)
