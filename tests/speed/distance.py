"""2. The first scan after idle, over a real distance: in round trips, after four things that idle lines meet.

Fifteen trials at each distance take place side by side, twice: every door has a partner of its own, whose
connections are its own, so every door's next scan is a first one. The distances run side by side too. The
scans themselves come one after the other, so that none waits for another. More at once would measure how
two cores get through hundreds of handshakes.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from speed.line import FAR, Line
from speed.rig import RELAY_PINS, Certificates, Gym, PartnerProcess, Plan
from speed.row import Row, median

DOORS = 3
"""Of each daemon: each of its partners has a connection ready for each door."""

BETWEEN_S = 0.02
"""Between two scans: each takes the daemon a few milliseconds, in which no other begins."""

BACK_S = 2.0
"""How long the line, or the partner, was back before the scan."""

AFTER_S = 3.0
"""The end of a scan's budget, with or without an answer."""

MACHINE_S = 0.005
"""In addition to the round trips: the journal's disk, TLS, and the pin."""


@dataclass(frozen=True, slots=True)
class Size:
    daemons: int
    """At each distance."""
    delays_ms: tuple[float, ...]
    idle_s: float
    down_s: float
    rounds: int


FULL, QUICK = Size(5, (20, 60, 150), 30, 60, 2), Size(2, (20, 60, 150), 5, 30, 1)
TINY = Size(1, (5,), 0.1, 0.2, 1)


@dataclass(slots=True)
class _Place:
    """The gyms at one distance from their partners."""

    line: Line
    partner: PartnerProcess
    gyms: list[Gym]
    round_trip_s: float


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """For each cause and distance, the median and the worst. Raises Unavailable without namespaces."""
    certificates = Certificates(folder, FAR)
    with ExitStack() as stack:
        places = [
            _place(stack, number, delay_ms, folder, certificates, size)
            for number, delay_ms in enumerate(size.delays_ms)
        ]
        for place in places:
            for gym in place.gyms:
                gym.until_connected(DOORS * DOORS)
        causes: dict[str, Callable[[], None]] = {
            f"{size.idle_s:g} s idle": lambda: time.sleep(size.idle_s),
            "the partner closed": lambda: _closed(places),
            "the partner restarted": lambda: _restarted(places),
            f"the line was down for {size.down_s:g} s": lambda: _line_down(places, size.down_s),
        }
        members = itertools.count()
        for cause, happens in causes.items():
            taken: dict[float, list[float]] = {delay_ms: [] for delay_ms in size.delays_ms}
            for _ in range(size.rounds):
                happens()
                _scan_all(places, members, taken)
            for place in places:
                yield from _rows(cause, place, taken[place.line.delay_ms])


def _place(
    stack: ExitStack, number: int, delay_ms: float, folder: Path, certificates: Certificates, size: Size
) -> _Place:
    line = stack.enter_context(Line(number, delay_ms))
    partner = stack.enter_context(
        PartnerProcess(folder, address=FAR, ports=size.daemons * DOORS, before=line.far)
    )
    gyms = []
    for index in range(size.daemons):
        urls = [partner.url(index * DOORS + door) for door in range(DOORS)]
        plan = Plan(urls, certificates.ca_file, doors=DOORS, before=line.near)
        gyms.append(stack.enter_context(Gym(folder / f"{number}-{index}", plan)))
        gyms[-1].start()
    return _Place(line, partner, gyms, line.round_trip_s(partner.ports[0]))


def _closed(places: list[_Place]) -> None:
    for place in places:
        place.partner.close_all()
    time.sleep(BACK_S)


def _restarted(places: list[_Place]) -> None:
    for place in places:
        place.partner.kill()
    for place in places:
        place.partner.start()
    time.sleep(BACK_S)


def _line_down(places: list[_Place], down_s: float) -> None:
    for place in places:
        place.line.down()
    time.sleep(down_s)
    for place in places:
        place.line.up()
    time.sleep(BACK_S)


def _scan_all(places: list[_Place], members: Iterator[int], taken: dict[float, list[float]]) -> None:
    """Adds the seconds from each scan to its open gate, by the place's delay; infinite if it did not open."""
    typed: dict[tuple[float, int, int], float] = {}
    for door in range(DOORS):
        for index in range(len(places[0].gyms)):
            for place in places:
                typed[place.line.delay_ms, index, door] = place.gyms[index].scan(next(members), door)
                time.sleep(BETWEEN_S)
    time.sleep(AFTER_S)
    for place in places:
        for index, gym in enumerate(place.gyms):
            opened = {change.pin: change.at for change in reversed(list(gym.stamps.new())) if change.level}
            for door in range(DOORS):
                began = typed[place.line.delay_ms, index, door]
                at = opened.get(RELAY_PINS[door], math.inf)
                taken[place.line.delay_ms].append(at - began if at > began else math.inf)


def _rows(cause: str, place: _Place, taken: list[float]) -> Iterator[Row]:
    where = f"{cause}, {place.line.delay_ms:g} ms"
    shut = sum(math.isinf(seconds) for seconds in taken)
    note = f"{len(taken)} trials; a round trip took {place.round_trip_s * 1e3:.1f} ms ({place.line.how})"
    note += f"; {shut} did not open" if shut else ""
    yield Row(f"first scan, {where}, p50", median(taken) / place.round_trip_s, "round trips", note=note)
    worst = (max(taken) - MACHINE_S) / place.round_trip_s
    yield Row(f"first scan, {where}, worst less 5 ms", worst, "round trips", at_most=1.1)
