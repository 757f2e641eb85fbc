"""`gatectl status`: how the running daemon is doing."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from typing import Any

from gatectl.cli.control import call
from gatectl.config.reader import find, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The form of the answer."""
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(args: argparse.Namespace) -> int:
    """0 when the daemon answers."""
    settings = load(find(args.config, os.environ))
    status = call(settings.control.socket, {"command": "status"})
    if args.json:
        print(json.dumps(status, ensure_ascii=False))
        return 0
    from rich.console import Console  # noqa: PLC0415 - only people need it
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for well, line in _lines(status):
        mark = Text("  ok  ", "green") if well else Text("  !!  ", "bold red")
        console.print(Text.assemble(mark, line))
    return 0


def _lines(status: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    yield True, f"gatectl {status['version']}, process {status['pid']}, {status['cards']} card(s) enrolled"
    for name, door in status["doors"].items():
        yield from _door_lines(name, door)
    for name, partner in status["partners"].items():
        yield _partner_line(name, partner)
    journal = status["journal"]
    well = journal["error"] is None
    yield well, "journal: written" if well else f"journal: {journal['error']}; {journal['late']} records wait"
    event = status["last_event"]
    if event:
        yield True, f"last event: {event['at']} {event['door']}: {event['result']}: {event['message']}"


def _door_lines(name: str, door: dict[str, Any]) -> Iterator[tuple[bool, str]]:
    gate = "open" if door["gate"]["open"] else "shut"
    dropped = f", {door['dropped']} codes dropped" if door["dropped"] else ""
    yield True, f"door {name}: gate {gate}, {door['state']}{dropped}"
    for scanner in door["scanners"]:
        well = scanner["state"] == "ready"
        flaws = "".join(f", {count} {flaw.replace('_', ' ')}" for flaw, count in scanner["dropped"].items())
        state = "ready" if well else f"{scanner['state']} since {scanner['since']} ({scanner['cause']})"
        yield well, f"scanner {scanner['scanner']} of {name}: {state}, {scanner['codes']} codes{flaws}"


def _partner_line(name: str, partner: dict[str, Any]) -> tuple[bool, str]:
    state, lost = partner["state"], partner["unconnected"]
    connection = f"{partner['ready_connections']} connection(s) ready"
    if lost:
        connection = f"no connection ({lost['fault']}: {lost['detail']})"
    healthy = state == "healthy"
    since = "" if healthy else f" since {partner['since']}"
    return healthy and not lost, f"partner {name}: {state}{since}, {connection}"
