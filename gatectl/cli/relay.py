"""`gatectl relay off`: drive every configured relay to its off level, without the daemon.

The service's last step runs it, and after a kill a gate may be open until it has run. Python's start and its
imports are nearly all of the time that it takes, so this module imports only what a relay needs to go off.
"""

from __future__ import annotations

import os
import sys

from gatectl.devices.gpio.lines_off import cause_of, report_failures, saved_lines_off

TYPE_CHECKING = False  # as typing's own, whose import takes longer than the relay
if TYPE_CHECKING:
    import argparse

HINT = "while gatectl runs it holds the pins, and `systemctl stop gatectl` switches the relays off"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`off` is the only command for a relay without the daemon: an opening is recorded."""
    parser.add_argument("state", choices=["off"], help="switch them off")


def run(args: argparse.Namespace) -> int:
    """Return 0 when every relay is off; 1 if one is not, with a message on stderr.

    `off_from_saved_lines` ran before it and had no list of the relays: take them from the settings.
    """
    from gatectl.config.reader import find, load  # noqa: PLC0415 - see above
    from gatectl.daemon.gates import lines_of, switch_off  # noqa: PLC0415

    settings = load(find(args.config, os.environ))
    failed = switch_off(settings, os.environ)
    not_off = {door for (door, _, _), _ in failed}
    for door in dict.fromkeys(door for door, _, _ in lines_of(settings)):
        if door not in not_off:
            print(f"{door}: relay off")
    report_failures(failed)
    if failed:
        print(f"hint: {HINT}", file=sys.stderr)
    return 1 if failed else 0


def off_from_saved_lines() -> int | None:
    """Drive every relay of the daemon's saved list off; return 0, or 1 with a message if one is not.

    Returns None if the relays have to come from the settings.
    """
    try:
        done = saved_lines_off(os.environ)
    except Exception as error:  # noqa: BLE001 - drivers share no base class; the settings' way is left
        print(f"the daemon's list of relays cannot be used ({cause_of(error)}); trying the settings")
        return None
    if done is None:
        return None
    doors, failed = done
    for door in doors:
        print(f"{door}: relay off")
    report_failures(failed)
    return 1 if failed else 0
