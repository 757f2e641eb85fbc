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
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.simulated_door import SimulatedDoor

EVENT_S = 10.0
"""The demo's longest budget is 2 s; the rest is for slow, emulated machines."""

POLL_S = 0.02
"""Between two looks at the journal's index: too short for a person to notice."""

NO_ROUTE = ("hello", "no route takes it: nobody is asked")


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
            scans = _Scans(door, reader, console)
            if codes:
                scans.scan_all(codes)
            else:
                show_table(("Type", "What happens"), _examples())
                print("Then Enter, as a scanner does. Ctrl-D ends.")
                print(f"As web pages, from another terminal: gatectl monitor -c {door.settings}")
                scans.scan_all(_typed())
    return 0


def _examples() -> Iterator[tuple[str, str]]:
    """Give codes to type, a choice from the simulator's scenarios (`gatectl sim` prints them all)."""
    for protocol in PROTOCOLS.values():
        yield from protocol.examples
    yield NO_ROUTE


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


class _Scans:
    """Scans one code after the other, and shows each result."""

    def __init__(self, door: SimulatedDoor, reader: Reader, console: TextConsole) -> None:
        self._door = door
        self._reader = reader
        self._console = console
        self._list = EventList({})

    def scan_all(self, codes: Iterable[str]) -> None:
        for code in codes:
            mark = self._reader.mark()
            self._door.type_code(code)
            self._show(self._event_after(mark, code))

    def _event_after(self, mark: int, code: str) -> Event:
        until = time.monotonic() + EVENT_S

        def wait() -> None:
            if time.monotonic() >= until:
                raise GatectlError(f"no event came of {code!r}")
            time.sleep(POLL_S)

        return next(self._reader.follow(Filters(), mark, wait))

    def _show(self, event: Event) -> None:
        self._list.show(event)
        words = "the gate stays shut"
        gate = event.outcome.gate
        if gate:
            words = f"the gate opens {gate.after_ms:.1f} ms after the scan, for {gate.open_ms / 1000:g} s"
        self._console.print(Text(f"         {words}", "bold"))
