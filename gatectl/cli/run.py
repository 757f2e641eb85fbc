"""`gatectl run`: the daemon."""

from __future__ import annotations

import argparse
import os

from gatectl.config.reader import find, load_with_keys, located
from gatectl.daemon.gates import DoorPinsError
from gatectl.daemon.serve import run as serve


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """No arguments beside `-c`."""


def run(args: argparse.Namespace) -> int:
    """Runs until SIGTERM or SIGINT; 0 then."""
    path = find(args.config, os.environ)
    settings, keys = load_with_keys(path, os.environ)
    try:
        serve(settings, keys, os.environ)
    except DoorPinsError as error:
        raise located(path, error.where, error.message, error.hints) from error
    return 0
