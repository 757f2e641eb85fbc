"""3. The budget held: hostile partners at all doors at once, and not one answer that counts too late."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from speed.answers import HOSTILE
from speed.rig import RELAY_PINS, Certificates, Gym, PartnerProcess, Plan, member
from speed.row import Row, quantile
from speed.timestamps import LOOK_S, PATIENCE_S, Change, NothingHappened

SEED = 1
BUDGET_MS = 150
"""Short, so that ten thousand fit into minutes; what comes after its end does not depend on its length."""

LAMPS = ("green", "red")
"""In the order in which a gate darkens them."""


@dataclass(frozen=True, slots=True)
class Size:
    answers: int
    doors: int


FULL, QUICK, TINY = Size(10_000, 8), Size(800, 8), Size(16, 2)


@dataclass(slots=True)
class _Line:
    """One door in the run: what was scanned last, and when; when each scan was decided."""

    door: int
    typed: float = 0.0
    under_way: int | None = None
    decided: dict[int, float] = field(default_factory=dict)
    """Scan → seconds from its last byte to the lamp or the relay."""
    openings: int = 0


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """The latest decisions past the budget, false openings, missing events."""
    certificates = Certificates(folder)
    hostile = ["--seed", str(SEED), "--hostile", str(BUDGET_MS)]
    with PartnerProcess(folder, options=hostile) as partner:
        plan = Plan([partner.url()], certificates.ca_file, doors=size.doors, budget_ms=BUDGET_MS, lamps=LAMPS)
        with Gym(folder / "gym", plan) as gym:
            gym.start()
            gym.until_connected(size.doors)
            lines = _run(gym, size)
            gym.end()
            yield from _rows(gym, lines, {stamp[0]: stamp for stamp in partner.take()}, size)


def _run(gym: Gym, size: Size) -> list[_Line]:
    """Each door scans again as soon as it has decided."""
    lines = [_Line(door) for door in range(size.doors)]
    relays = {RELAY_PINS[line.door]: line for line in lines}
    darkened = {(gym.lamp_pin(line.door, "green"), gym.lamp_pin(line.door, "red")): line for line in lines}
    number, last_at = 0, time.monotonic()
    before: Change | None = None
    while True:
        for change in gym.stamps.new():
            if change.level and change.pin in relays:
                relays[change.pin].openings += 1
            # A decision's signal begins with all lamps dark; blinking darkens one alone.
            line = darkened.get((before.pin, change.pin)) if before else None
            if line is not None and before is not None and not (before.level or change.level):
                _note(line, change.at)
                last_at = time.monotonic()
            before = change
        for line in lines:
            if line.under_way is None and number < size.answers:
                line.typed, line.under_way = gym.scan(number, line.door), number
                number += 1
        if number == size.answers and all(line.under_way is None for line in lines):
            return lines
        if time.monotonic() - last_at > PATIENCE_S:
            raise NothingHappened("a door decides nothing any more")
        time.sleep(LOOK_S)


def _note(line: _Line, at: float) -> None:
    if line.under_way is not None and at > line.typed:
        line.decided[line.under_way] = at - line.typed
        line.under_way = None


def _rows(gym: Gym, lines: list[_Line], stamps: dict[str, list[object]], size: Size) -> Iterator[Row]:
    with Reader(gym.journal) as reader:
        events = [event.to_json() for event in reader.query(Filters())]
    # Every one of them, also those that ended long before: a share of all answers.
    past = [event["request"]["elapsed_ms"] - BUDGET_MS for event in events if event["request"]]
    met = Counter(str(stamp[1]) for stamp in stamps.values())
    note = f"{size.answers} answers over {size.doors} doors, budget {BUDGET_MS} ms, seed {SEED}"
    yield Row("decision past the budget, p99.9", quantile(past, 0.999), "ms", at_most=10, note=note)
    yield Row("decision past the budget, worst", max(past, default=float("nan")), "ms", at_most=25)
    seen = [(line.decided[number] * 1e3 - BUDGET_MS) for line in lines for number in line.decided]
    note = "from the last byte on the line to the lamp or the relay, the pty included"
    yield Row("seen from outside, p99.9", quantile(seen, 0.999), "ms", at_most=10, note=note)
    yield Row("seen from outside, worst", max(seen, default=float("nan")), "ms", at_most=25)
    good = {name for name, stamp in stamps.items() if stamp[1] == "good"}
    admitted = [event for event in events if event["result"] == "admitted"]
    false = sum(event["member"] not in good for event in admitted)
    false += abs(sum(line.openings for line in lines) - len(admitted))
    met_all = ", ".join(f"{met[kind]} {kind}" for kind in (*HOSTILE, "good"))
    yield Row("false openings", false, "", at_most=0, note=met_all)
    credentials = {event["credential"] for event in events}
    missing = sum(member(number) not in credentials for number in range(size.answers))
    yield Row("events missing", missing + len(events) - len(credentials), "", at_most=0)
    late = len(good) - len(admitted)
    yield Row("good answers that did not open", late, "", note="0 but where the machine itself was too slow")
