"""`gatectl events`: list events in the terminal, for people, programs and spreadsheets."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gatectl.config.reader import find, load
from gatectl.decision.cause import NEIGHBOURS, Past
from gatectl.decision.local_time import NotATimeError, parsed
from gatectl.decision.outcomes import KINDS
from gatectl.decision.reader.reading import bare
from gatectl.decision.verdict import Result
from gatectl.decision.words.event_words import is_part
from gatectl.errors import GatectlError, near
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Named, Reader

if TYPE_CHECKING:
    from gatectl.config.model import Settings
    from gatectl.decision.cause import Around
    from gatectl.decision.event import Event

_SCREENFUL = 20
"""Events shown to a person without a given number: usually the last ones matter."""

_LOOK_AHEAD = 500
"""A passage is looked for among so many events after its scan: it follows within a minute."""

TIMES = "2026-11-22T19:35:00Z, 2026-11-22, 12:00, yesterday, 90m, 2h, 7d"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        dest="newest",
        type=count,
        metavar="N",
        help=f"the last N (text: {_SCREENFUL}; --json, --csv: all)",
    )
    parser.add_argument("-f", dest="follow", action="store_true", help="go on with those to come")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="one object a line")
    forms.add_argument("--csv", action="store_true", help="a table for spreadsheets")
    parser.add_argument("--since", type=time_text, metavar="T", help=f"from this time on: {TIMES}")
    parser.add_argument("--until", type=time_text, metavar="T", help="to this time; of a date, to its end")
    parser.add_argument("--door", metavar="D", help="at this door")
    parser.add_argument("--partner", metavar="P", help="of this partner")
    parser.add_argument("--member", metavar="M", help="of the member with this number")
    parser.add_argument("--code", metavar="C", help="with this code; of a card, any of its numbers")
    parser.add_argument("--result", choices=[result.value for result in Result], help="with this result")
    parser.add_argument("--kind", metavar="K", help=f"of this kind: {', '.join(KINDS)}")


def run(args: argparse.Namespace) -> int:
    settings = load(find(args.config, os.environ))
    zone, now_us = settings.site.zone, time.time_ns() // 1000
    filters = Filters(
        since_us=None if args.since is None else parsed(args.since, now_us, zone),
        until_us=None if args.until is None else parsed(args.until, now_us, zone, is_end=True),
        door=args.door,
        partner=args.partner,
        member=args.member,
        code=args.code and bare(args.code),
        result=Result(args.result) if args.result else None,
        kind=args.kind,
    )
    with Reader(settings.journal.path) as reader:
        require_known("door", args.door, settings.doors, reader)
        require_known("partner", args.partner, settings.partners, reader)
        require_known("kind", args.kind, KINDS, reader)
        is_text = not args.json and not args.csv
        newest = _SCREENFUL if is_text and args.newest is None else args.newest
        events = _events(reader, filters, newest, follow=args.follow)
        if args.json:
            _print_json(events, flush=args.follow)
        elif args.csv:
            _print_csv(events, settings, flush=args.follow)
        else:
            _print_text(events, reader, settings, follow=args.follow)
    return 0


def count(text: str) -> int:
    """Parse a number of events, 0 or more."""
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number, 0 or more, of at most 18 digits")
    return int(text)


def time_text(text: str) -> str:
    """Check that a time is valid; its meaning depends on the gym's time zone, so it is resolved later."""
    try:
        parsed(text, time.time_ns() // 1000, None)
    except NotATimeError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as {TIMES}") from None
    return text


def _events(reader: Reader, filters: Filters, newest: int | None, *, follow: bool) -> Iterator[Event]:
    mark = reader.mark()
    yield from reader.query(filters, newest, until=mark)
    if follow:
        yield from reader.follow(filters, mark)


def _print_json(events: Iterator[Event], *, flush: bool) -> None:
    # JSON between systems is UTF-8 (RFC 8259, section 8.1), also if the terminal is set to something else.
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for event in events:
        line = json.dumps(event.to_json(), ensure_ascii=False)
        # A code may hold the two characters that end a line in Unicode but need no escape in JSON.
        print(line.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"), flush=flush)


def _print_csv(events: Iterator[Event], settings: Settings, *, flush: bool) -> None:
    from gatectl.decision.event_csv import lines  # noqa: PLC0415 - only --csv needs it

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    for line in lines(events, settings.site.zone):
        print(line, end="", flush=flush)


def _print_text(events: Iterator[Event], reader: Reader, settings: Settings, *, follow: bool) -> None:
    from gatectl.cli.render import EventList  # noqa: PLC0415 - it imports rich, which --json does not need

    pages = {name: partner.status_page for name, partner in settings.partners.items()}
    page = EventList(pages, zone=settings.site.zone, around=_Nearby(reader).around)
    for event, parts in _grouped(events, 0 if follow else _LOOK_AHEAD):
        page.show(event, reader.find(event.attempt.of) if is_part(event) and event.attempt.of else None)
        for part in parts:
            page.show_part(part)
    if page.is_empty:
        print("no events", file=sys.stderr)


def _grouped(events: Iterator[Event], look_ahead: int) -> Iterator[tuple[Event, list[Event]]]:
    """Each event with its parts, which are taken out of their own places as far as they come soon after."""
    waiting: dict[str, tuple[Event, list[Event]]] = {}
    for event in events:
        if is_part(event) and event.attempt.of in waiting:
            waiting[event.attempt.of][1].append(event)
            continue
        waiting[event.attempt.id] = event, []
        if len(waiting) > look_ahead:
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


class _Nearby:
    """The evidence about each listed event from those before it, also from those that the list leaves out."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._past = Past()
        self._last: str | None = None

    def around(self, event: Event) -> Around:
        """Return the context of the next listed event."""
        between = self._reader.before(event.attempt.id, NEIGHBOURS, self._last)
        if len(between) == NEIGHBOURS:
            self._past = Past()  # older ones do not count
        for other in between:
            self._past.take(other)
        self._last = event.attempt.id
        return self._past.take(event)


def require_known(what: Named, name: str | None, set_up: Iterable[str], reader: Reader) -> None:
    """Raise GatectlError for a name that is neither set up nor in the journal; None is any name."""
    if name is None or name in (known := list(set_up)):
        return
    known = sorted({*known, *reader.names(what)})
    if name not in known:
        hints = near(name, known) or (f"there are: {', '.join(known) or 'none'}",)
        raise GatectlError(f"there is no {what} {name!r}, neither in the settings nor in the journal", *hints)
