"""`gatectl open DOOR --reason TEXT`: open a gate by hand, with an event in the journal."""

from __future__ import annotations

import argparse
import os

from gatectl.cli.control import call
from gatectl.config.reader import find, load
from gatectl.daemon.control import REASON_CHARS
from gatectl.errors import GatectlError, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The door, and the reason."""
    parser.add_argument("door", metavar="DOOR", help="as it is called in the settings")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="is kept in the event")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the gate is open."""
    reason = " ".join(args.reason.split())
    if not reason or len(reason) > REASON_CHARS or not reason.isprintable():
        raise UsageError(f"gatectl open: the reason must be a line of 1 to {REASON_CHARS} characters")
    settings = load(find(args.config, os.environ))
    event = call(settings.control.socket, {"command": "open", "door": args.door, "reason": reason})
    if event["result"] != "admitted":
        cause = event["detail"] or "gatectl stops"
        raise GatectlError(
            f"{args.door}: the gate did not open: {cause}",
            f"gatectl report {event['id']} collects what Support needs",
        )
    print(f"{args.door}: open for {event['gate']['open_ms'] / 1000:g} s, recorded as {event['id']}")
    return 0
