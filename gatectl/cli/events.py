"""`gatectl events`: the Event Monitor in the terminal, for people and, with --json, for programs."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatectl.config.reader import find, load
from gatectl.decision.verdict import Result
from gatectl.journal.reader import Filters, Reader

if TYPE_CHECKING:
    from gatectl.config.model import Settings
    from gatectl.decision.event import Event

_SCREENFUL = 20
"""Events shown to a person who did not say how many: the last ones are what he came for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AGO = re.compile(r"(\d{1,18})([smhd])", re.ASCII)  # longer ones do not fit a float
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", dest="newest", type=count, metavar="N", help=f"the last N (text: {_SCREENFUL}; --json: all)"
    )
    parser.add_argument("-f", dest="follow", action="store_true", help="go on with those to come")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument(
        "--since", type=moment, metavar="T", help="a time, a date, or how long ago: 90s, 15m, 2h, 7d"
    )
    parser.add_argument("--door", metavar="D", help="at this door")
    parser.add_argument("--partner", metavar="P", help="of this partner")
    parser.add_argument("--member", metavar="M", help="of the member with this number")
    parser.add_argument("--result", choices=[result.value for result in Result], help="with this result")


def run(args: argparse.Namespace) -> int:
    settings = load(find(args.config, os.environ))
    filters = Filters(
        since_us=args.since,
        door=args.door,
        partner=args.partner,
        member=args.member,
        result=Result(args.result) if args.result else None,
    )
    with Reader(settings.journal.path) as reader:
        if args.json:
            _print_json(_events(reader, filters, args.newest, follow=args.follow), flush=args.follow)
        else:
            newest = _SCREENFUL if args.newest is None else args.newest
            _print_text(_events(reader, filters, newest, follow=args.follow), settings)
    return 0


def count(text: str) -> int:
    """A number of events, 0 or more."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more, of at most 18 digits")
    return int(text)


def moment(text: str) -> int:
    """Microseconds since the epoch: of an RFC 3339 time, of a date, or so long before now.

    A time that names no zone is local.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        # An age beyond 1970 means everything.
        return max(0, int((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1_000_000))
    try:
        return (datetime.fromisoformat(text).astimezone() - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time such as 2026-11-22T19:35:00Z, no date, and no age such as 15m, 2h or 7d"
        ) from None


def _events(reader: Reader, filters: Filters, newest: int | None, *, follow: bool) -> Iterator[Event]:
    mark = reader.mark()
    yield from reader.query(filters, newest, until=mark)
    if follow:
        yield from reader.follow(filters, mark)


def _print_json(events: Iterator[Event], *, flush: bool) -> None:
    # JSON is UTF-8 wherever it travels (RFC 8259, section 8.1), whatever the terminal is set to.
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for event in events:
        line = json.dumps(event.to_json(), ensure_ascii=False)
        # Two characters that JSON leaves as they are and that end a line to Unicode: a code may hold them.
        print(line.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"), flush=flush)


def _print_text(events: Iterator[Event], settings: Settings) -> None:
    from gatectl.cli.render import EventList  # noqa: PLC0415 - it brings rich, which --json does not need

    pages = {name: partner.status_page for name, partner in settings.partners.items()}
    page = EventList(pages)
    for event in events:
        page.show(event)
    if page.is_empty:
        print("no events", file=sys.stderr)
