"""`gatectl grace`: list who was let in during a partner's outages, for settling with the partner."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gatectl.cli.events import TIMES, require_known, time_text
from gatectl.config.reader import find, load
from gatectl.decision.event import timestamp
from gatectl.decision.local_time import local, parsed
from gatectl.decision.verdict import Basis
from gatectl.decision.words.event_words import counted_of
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader

if TYPE_CHECKING:
    from datetime import tzinfo

    from gatectl.decision.event import Event

_SHORT = {"perhaps counted": "perhaps", "not counted": "no"}
"""Short enough for a terminal of 80 columns."""

_HEADINGS = ("Time", "Door", "Partner", "Member", "Credential", "Fault", "Counted")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the filters, and the form of the list."""
    parser.add_argument("--since", type=time_text, metavar="T", help=f"from this time on: {TIMES}")
    parser.add_argument("--partner", metavar="P", help="without this partner")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one object a line")
    forms.add_argument("--csv", action="store_true", help="a table for spreadsheets")


def run(args: argparse.Namespace) -> int:
    """Print the admissions with basis `grace`, the oldest first."""
    settings = load(find(args.config, os.environ))
    zone = settings.site.zone
    since_us = None if args.since is None else parsed(args.since, time.time_ns() // 1000, zone)
    with Reader(settings.journal.path) as reader:
        require_known("partner", args.partner, settings.partners, reader)
        events = reader.query(Filters(since_us=since_us, partner=args.partner, basis=Basis.GRACE))
        if args.json:
            _print_json(events)
        elif args.csv:
            _print_csv(events, zone)
        else:
            _print_table(list(events), zone)
    return 0


def _print_json(events: Iterable[Event]) -> None:
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for event in events:
        attempt = event.attempt
        line = {
            "id": attempt.id,
            "at": timestamp(attempt.at_us),
            "door": attempt.door,
            "partner": attempt.partner,
            "member": attempt.member,
            "credential": attempt.credential,
            "fault": event.outcome.fault,
            "counted": counted_of(event)[0],
        }
        print(json.dumps(line))


def _print_csv(events: Iterable[Event], zone: tzinfo | None) -> None:
    from gatectl.decision.event_csv import GRACE_COLUMNS, lines  # noqa: PLC0415 - only --csv needs it

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in lines(events, zone, GRACE_COLUMNS):
        print(line, end="")


def _print_table(events: list[Event], zone: tzinfo | None) -> None:
    from gatectl.cli.render import show_table  # noqa: PLC0415 - it imports rich, which --json does not need

    if events:
        show_table(_HEADINGS, [_row(event, zone) for event in events])
    else:
        print("nobody was let in without a partner", file=sys.stderr)


def _row(event: Event, zone: tzinfo | None) -> tuple[str, ...]:
    attempt = event.attempt
    moment = local(attempt.at_us, zone)
    return (
        f"{moment:%Y-%m-%d %H:%M}",
        attempt.door,
        attempt.partner or "",
        attempt.member or "",
        attempt.credential or "",
        event.outcome.fault or "",
        _SHORT[counted_of(event)[0]],
    )
