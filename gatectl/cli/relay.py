"""`gatectl relay off`: drive every configured relay to its off level, without the daemon."""

from __future__ import annotations

import argparse
import os
import sys

from gatectl.config.reader import find, load
from gatectl.daemon.gates import lines_of, switch_off
from gatectl.devices.gpio.lines_off import report_failures

HINT = "while gatectl runs it holds the pins, and `systemctl stop gatectl` switches the relays off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`off` is the only command for a relay without the daemon: an opening is recorded."""
    parser.add_argument("state", choices=["off"], help="switch them off")


def run(args: argparse.Namespace) -> int:
    """Return 0 when every relay is off; 1 if one is not, with a message on stderr.

    The service's last step runs `last_step` first, and this only if that did not work.
    """
    settings = load(find(args.config, os.environ))
    failed = switch_off(settings, os.environ)
    not_off = {door for (door, _, _), _ in failed}
    for door, _, _ in lines_of(settings):
        if door not in not_off:
            print(f"{door}: relay off")
    report_failures(failed)
    if failed:
        print(f"hint: {HINT}", file=sys.stderr)
    return 1 if failed else 0
