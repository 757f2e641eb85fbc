"""`gatectl open`, `hold`, `lockdown` and `normal`: what a person does at a door, on the record first."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from typing import Any

from gatectl.cli.control import call
from gatectl.config.reader import find, load
from gatectl.daemon.control import REASON_CHARS
from gatectl.errors import GatectlError, UsageError

_DURATION = re.compile(r"(\d{1,6})([smh])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> int | None:
    """Return the seconds of `90s`, `15m` or `2h`; None if the text is no duration, or one of no length."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] or None if found else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The door, and for `hold` and `lockdown` the reason; `hold` also wants its time."""
    command = parser.prog.rpartition(" ")[2]
    parser.add_argument("door", metavar="DOOR", help="as it is called in the settings")
    if command == "hold":
        parser.add_argument(
            "--for", dest="length", metavar="TIME", required=True, help="90s, 15m or 2h; at most 24h"
        )
    if command != "normal":
        parser.add_argument("--reason", metavar="TEXT", required=True, help="is kept in the event")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the gate is open, or the mode counts."""
    request: dict[str, Any] = {"command": args.command, "door": args.door}
    if args.command == "hold":
        request["seconds"] = seconds_of(args.length)
        if request["seconds"] is None:
            raise UsageError(f"gatectl hold: {args.length!r} is no time", "it looks like 90s, 15m or 2h")
    if args.command != "normal":
        request["reason"] = " ".join(args.reason.split())
        reason = request["reason"]
        if not reason or len(reason) > REASON_CHARS or not reason.isprintable():
            what = f"the reason must be a line of 1 to {REASON_CHARS} characters"
            raise UsageError(f"gatectl {args.command}: {what}")
    settings = load(find(args.config, os.environ))
    event = call(settings.control.socket, request)
    if args.command == "open" and event["fault"] == "lockdown":
        hint = f"`gatectl normal {shlex.quote(args.door)}` ends that"
        raise GatectlError(f"{args.door} is locked down", hint)
    if args.command == "open" and event["result"] != "admitted":
        cause = event["detail"] or "gatectl stops"
        raise GatectlError(
            f"{args.door}: the gate did not open: {cause}",
            f"gatectl report {event['id']} collects what Support needs",
        )
    if args.command == "open":
        print(f"{args.door}: open for {event['gate']['open_ms'] / 1000:g} s, recorded as {event['id']}")
    else:
        print(f"{args.door}: {event['message']}, recorded as {event['id']}")
    return 0
