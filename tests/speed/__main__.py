"""`scripts/bench [NAME…] [--quick] [--json]`: runs the measurements, all of them or the named ones."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from speed import machine, table, throughput
from speed.row import Row, Unavailable

MEASUREMENTS = {
    "latency": "1. The own time of a scan, beside the plain script's",
    "distance": "2. The first scan after idle, over a real distance",
    "budget": "3. The budget held against hostile partners",
    "cost": "4. What it costs the machine",
    "journal": "5. The journal as it grows",
    "throughput": "6. Throughput",
    "viewers": "7. The own time of a scan while browsers look on",
    "gate": "8. A gate with inputs: idle, the way out, a scan",
    "uplink": "9. The own time of a scan while an uplink sends, and the idle uplink",
}
"""Module → title, in the order in which they run."""

FOLDER = Path("/var/tmp")
"""Outlives a start, so that it lies on the disk: /tmp may be in memory, which takes a record in no time."""


def main() -> int:
    """The exit status: 0, or 1 where a target was missed."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="How fast a door is, and against what. All of it takes 25 minutes."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="small counts: minutes, and rough figures")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help=f"where the journals are made: their disk ({FOLDER})"
    )
    parser.add_argument("--profile", type=Path, help="keep throughput's profile in this file")
    given = parser.parse_args()
    unknown = set(given.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    console = Console(width=None if sys.stdout.isatty() else 160)
    described = machine.describe(given.folder)
    if not given.json:
        table.heading(console, described)
    results: dict[str, Any] = {}
    all_rows: list[Row] = []
    for name in given.names or MEASUREMENTS:
        began = time.monotonic()
        rows, skipped, profile = _measured(name, given.folder, quick=given.quick)
        all_rows += rows
        results[name] = {"rows": [row.to_json() for row in rows], "skipped": skipped}
        results[name]["took_s"] = round(time.monotonic() - began, 1)
        if profile is not None and given.profile is not None:
            given.profile.write_text(profile, "utf-8")
        if not given.json:
            table.table(console, MEASUREMENTS[name], rows)
        if skipped is not None:
            print(f"{name} was skipped: {skipped}", file=sys.stderr)
    if given.json:
        print(json.dumps({"machine": described, "measurements": results}, ensure_ascii=False, indent=1))
    return int(any(row.reached is False for row in all_rows))


def _measured(name: str, folder: Path, *, quick: bool) -> tuple[list[Row], str | None, str | None]:
    """The rows, why there are none, and the profile where one was made."""
    module = importlib.import_module(f"speed.{name}")
    size = module.QUICK if quick else module.FULL
    with tempfile.TemporaryDirectory(dir=folder, prefix="gatectl-speed-") as own:
        try:
            rows = list(module.measure(size, Path(own)))
        except Unavailable as reason:
            return [], str(reason), None
        profile = Path(own) / throughput.PROFILE
        return rows, None, profile.read_text("utf-8") if profile.exists() else None


if __name__ == "__main__":
    sys.exit(main())
