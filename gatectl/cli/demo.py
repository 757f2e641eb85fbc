"""`gatectl demo`: run a whole door on this machine, without hardware and without a partner."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.text import Text

from gatectl.cli.render import EventList, TextConsole, show_table
from gatectl.decision.event import Event
from gatectl.decision.reader.reading import Code, reading_of_text
from gatectl.errors import GatectlError, UsageError, visible
from gatectl.journal.reader import Filters, Reader
from gatectl.sim.simulated_door import SimulatedDoor

EVENT_S = 10.0
"""The demo's longest budget is 2 s; the rest is for slow, emulated machines."""

LOOK_S = 0.02
"""Between two looks at the journal's index: too short for a person to notice."""

SCANS = (
    ("1000000000200", "Wellhub: good"),
    ("1000000000453", "Wellhub: declined, the check-in is expired"),
    ("1000000000404", "Wellhub: unknown, no check-in in the app yet"),
    ("1000000000600", "Wellhub: hangs; the budget ends after 2 s"),
    ("WP-1001/293123213", "PerfectGym: good; the member's number and the customer's"),
    ("WP-1001", "PerfectGym: good; one number for both"),
    ("WP-1403", "PerfectGym: declined"),
    ("WP-1600", "PerfectGym: hangs; the budget ends after 750 ms"),
    ("CAP-GOOD-1", "Capitan: good"),
    ("CAP-ALERTS", "Capitan: declined, no waiver"),
    ("hello", "no route takes it: nobody is asked"),
)
"""Codes to type, a choice from the simulator's catalogue (`gatectl sim` prints it)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the codes; without any, the user types them."""
    parser.add_argument(
        "--scan", action="append", default=[], metavar="CODE", help="scan this and end; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when every scan has its event."""
    codes = [_code(text) for text in args.scan]
    with tempfile.TemporaryDirectory(prefix="gatectl-demo-") as folder:
        console = TextConsole()
        door = SimulatedDoor(
            Path(folder), lambda line: console.print(Text(f"journal: {visible(line)}", "bright_black"))
        )
        with door, Reader(door.journal) as reader:
            played = _Play(door, reader, console)
            if codes:
                played.all(codes)
            else:
                show_table(("Type", "What happens"), SCANS)
                print("Then Enter, as a scanner does. Ctrl-D ends.")
                print(f"As web pages, from another terminal: gatectl monitor -c {door.settings}")
                played.all(_typed())
    return 0


def _code(text: str) -> str:
    if not isinstance(reading_of_text(text), Code):
        raise UsageError("gatectl demo: this is no code: 1 to 512 characters without control characters")
    return text


def _typed() -> Iterator[str]:
    while True:
        print("scan> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            print()
            return
        code = line.strip()
        if isinstance(reading_of_text(code), Code):
            yield code


class _Play:
    """Scans one code after the other, and shows each result."""

    def __init__(self, door: SimulatedDoor, reader: Reader, console: TextConsole) -> None:
        self._door = door
        self._reader = reader
        self._console = console
        self._list = EventList({})

    def all(self, codes: Iterable[str]) -> None:
        for code in codes:
            mark = self._reader.mark()
            self._door.type_code(code)
            self._show(self._event_after(mark, code))

    def _event_after(self, mark: int, code: str) -> Event:
        until = time.monotonic() + EVENT_S

        def wait() -> None:
            if time.monotonic() >= until:
                raise GatectlError(f"no event came of {code!r}")
            time.sleep(LOOK_S)

        return next(self._reader.follow(Filters(), mark, wait))

    def _show(self, event: Event) -> None:
        self._list.show(event)
        words = "the gate stays shut"
        gate = event.outcome.gate
        if gate:
            words = f"the gate opens {gate.after_ms:.1f} ms after the scan, for {gate.open_ms / 1000:g} s"
        self._console.print(Text(f"         {words}", "bold"))
