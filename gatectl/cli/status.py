"""`gatectl status`: show the state of the running daemon on one screen."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from typing import Any

from gatectl.cli.control import call
from gatectl.config.reader import find, load
from gatectl.errors import visible


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the option for the form of the answer."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object")
    form.add_argument("--openmetrics", action="store_true", help="metrics as text, for Prometheus")
    parser.add_argument(
        "--acknowledge",
        action="store_true",
        help="you know that the journal was damaged",
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when the daemon answers."""
    settings = load(find(args.config, os.environ))
    if args.acknowledge:
        call(settings.control.socket, {"command": "acknowledge"})
    if args.openmetrics:
        from gatectl.cli.uplink import link_status  # noqa: PLC0415
        from gatectl.monitor import openmetrics  # noqa: PLC0415 - loads prometheus-client

        found = call(settings.control.socket, {"command": "metrics"})
        print(openmetrics.text(found, link_status(settings)), end="")
        return 0
    status = call(settings.control.socket, {"command": "status"})
    if args.json:
        print(json.dumps(status, ensure_ascii=False))
    else:
        pages = {name: partner.status_page for name, partner in settings.partners.items()}
        show(status, pages, datetime.now(UTC))
    return 0


def show(status: dict[str, Any], pages: dict[str, str | None], now: datetime) -> None:
    """Print the screen: first whether all is well, then the details."""
    # Only the output for people needs these, and rich.
    from rich.padding import Padding  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from gatectl.cli.health import facts, since  # noqa: PLC0415
    from gatectl.cli.render import TextConsole  # noqa: PLC0415

    console = TextConsole()
    found = facts(status, pages, now)
    bad = sum(not fact.is_well for fact in found)
    if bad:
        console.print("1 thing is not well" if bad == 1 else f"{bad} things are not well", style="bold red")
    else:
        console.print("All is well", style="bold green")
    for fact in found:
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=2)
        row.add_column(overflow="fold")
        mark = Text("ok", "green") if fact.is_well else Text("!!", "bold red")
        row.add_row(mark, Text(visible(fact.words)))
        if fact.advice:
            row.add_row("", Text(visible(fact.advice), "yellow"))
        console.print(Padding(row, (0, 0, 0, 2)))
    event = status["last_event"]
    if event:
        words = (
            f"last event {since(event['at'], now)}: {event['door']}: {event['result']}: {event['message']}"
        )
        console.print(Padding(Text(visible(words)), (1, 0, 0, 2)))
