"""`gatectl relay off`: every configured relay to its off level, without the daemon."""

from __future__ import annotations

import argparse
import os

from gatectl.devices import remembered


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`off` is the only thing that a relay is told by hand: opening goes on the record."""
    parser.add_argument("state", choices=["off"], help="switch them off")


def run(args: argparse.Namespace) -> int:
    """0 when every relay is off; a pin that another program holds is an error.

    As the service's last step it goes by what the daemon wrote down, else by the settings.
    """
    doors = None
    if args.config is None:
        try:
            doors = remembered.switch_off(os.environ)
        except Exception as error:  # noqa: BLE001 - drivers share no base class; the settings' way is left
            print(f"not by what the daemon wrote down ({error}); trying the settings")
    for door in _by_settings(args.config) if doors is None else doors:
        print(f"{door}: relay off")
    return 0


def _by_settings(config: str | None) -> list[str]:
    # Reading the settings takes longer than all the rest, and a gate may stand open.
    from gatectl.config.reader import find, load  # noqa: PLC0415
    from gatectl.daemon.gates import switch_off  # noqa: PLC0415

    return switch_off(load(find(config, os.environ)), os.environ)
