"""`gatectl run`: the daemon."""

from __future__ import annotations

import argparse
import os

from gatectl.config import apart


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments beside `-c`."""


def run(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; 0 then."""
    reading = apart.begin(args.config, os.environ)
    from gatectl.daemon.gates import DoorPinsError  # noqa: PLC0415 - imported while the settings are read
    from gatectl.daemon.serve import run as serve  # noqa: PLC0415

    settings, keys = reading()
    try:
        serve(settings, keys, os.environ)
    except DoorPinsError as error:
        from gatectl.config.reader import find, located  # noqa: PLC0415 - what the daemon does without

        path = find(args.config, os.environ)
        raise located(path, error.where, error.message, error.hints) from error
    return 0
