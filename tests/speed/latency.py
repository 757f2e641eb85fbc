"""1. The own time of a scan, and the plain script's: the part of a member's wait that is not the partner's.

From the code's last byte on the line to the request's last byte at the partner (the record's way to the disk
included), and from the answer's last byte to the relay's pin. The daemon and the script take turns, scan by
scan, against the same partner; the relay goes off between two scans.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from speed.rig import OPEN_MS, RELAY_PINS, Certificates, Gym, PartnerProcess, PlainScript, Plan
from speed.row import Row, quantile
from speed.timestamps import Stamps

REST_S = OPEN_MS / 2000 + 0.015
"""After a scan of either: when it is one's turn again, its relay is off."""


BUDGET_MS = 30_000
"""A disk that stalls must be seen in the figures, not end the measurement."""


@dataclass(frozen=True, slots=True)
class Size:
    scans: int
    warm_up: int


FULL, QUICK, TINY = Size(1000, 20), Size(100, 5), Size(4, 1)


class Side(Protocol):
    """The daemon, or the script."""

    stamps: Stamps
    scan: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Own:
    """The two halves of one scan, in seconds."""

    before: float
    after: float

    @property
    def whole(self) -> float:
        return self.before + self.after


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of both halves and of the whole, each with the script's."""
    certificates = Certificates(folder)
    with PartnerProcess(folder) as partner:
        plan = Plan([partner.url()], certificates.ca_file, budget_ms=BUDGET_MS)
        with (
            Gym(folder / "gym", plan) as gym,
            PlainScript(folder / "plain", partner.url(), certificates.ca_file) as plain,
        ):
            gym.start()
            gym.until_connected(1)
            ours, theirs = alternate(gym, plain, partner, size)
    yield from _rows(ours, theirs, _disk(folder, size))


def alternate(
    gym: Gym, plain: PlainScript, partner: PartnerProcess, size: Size
) -> tuple[list[Own], list[Own]]:
    """ABAB…, without the first ones, which make connections and fill caches."""
    series: tuple[list[Own], list[Own]] = ([], [])
    for number in range(size.warm_up + size.scans):
        for side, results in ((gym, series[0]), (plain, series[1])):
            results.append(_one(side, number, partner))
            time.sleep(REST_S)
    ours, theirs = series
    return ours[size.warm_up :], theirs[size.warm_up :]


def _one(side: Gym | PlainScript, number: int, partner: PartnerProcess) -> Own:
    typed = side.scan(number)
    opened = side.stamps.wait(
        lambda change: (change.pin, change.level) == (RELAY_PINS[0], 1) and change.at > typed
    )
    ((_, _, received, answered),) = partner.take()
    return Own(received - typed, opened.at - answered)


def _disk(folder: Path, size: Size) -> list[float]:
    """The disk's time to keep 4 KiB, in seconds: a safe record costs at least this, and the script keeps
    none."""
    took = []
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(size.scans):
            time.sleep(REST_S)
            began = time.monotonic()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            took.append(time.monotonic() - began)
    return took


def _rows(ours: list[Own], theirs: list[Own], disk: list[float]) -> Iterator[Row]:
    def at(share: float, series: list[Own]) -> float:
        return quantile([own.whole for own in series], share) * 1e3

    note = f"beside: the plain script; {len(ours)} scans each, in turn"
    ratio = at(0.5, ours) / at(0.5, theirs)
    yield Row("own time, p50 ÷ the plain script's", ratio, "", at_most=1.1, beside=1.0, note=note)
    record = quantile(disk, 0.5) * 1e3
    kept = at(0.5, ours) / (at(0.5, theirs) + record)
    yield Row("own time, p50 ÷ the script's and the disk's", kept, "", note="as if the script kept a record")
    yield Row("the disk alone, p50", record, "ms", note="4 KiB more in a file, and fdatasync")
    for share in (0.5, 0.9, 0.99, 1.0):
        name = "worst" if share == 1.0 else f"p{share * 100:g}"
        target = 5.0 if share == 0.99 else None
        yield Row(f"own time, {name}", at(share, ours), "ms", at_most=target, beside=at(share, theirs))
    for what, half in (("code to request", "before"), ("answer to relay", "after")):
        mine, other = ([getattr(own, half) * 1e3 for own in series] for series in (ours, theirs))
        yield Row(f"{what}, p50", quantile(mine, 0.5), "ms", beside=quantile(other, 0.5))
        yield Row(f"{what}, p99", quantile(mine, 0.99), "ms", beside=quantile(other, 0.99))
