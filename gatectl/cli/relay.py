"""`gatectl relay off`: every configured relay to its off level, without the daemon."""

from __future__ import annotations

import argparse
import os

from gatectl.config.reader import find, load
from gatectl.daemon.gates import switch_off


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`off` is the only thing that a relay is told by hand: opening goes on the record."""
    parser.add_argument("state", choices=["off"], help="switch them off")


def run(args: argparse.Namespace) -> int:
    """0 when every relay is off; a pin that another program holds is an error.

    As the service's last step the command is `last_step`, and this only where that did not do.
    """
    for door in switch_off(load(find(args.config, os.environ)), os.environ):
        print(f"{door}: relay off")
    return 0
