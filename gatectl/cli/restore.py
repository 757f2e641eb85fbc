"""`gatectl restore`: replace the store by a backup, and keep the old store."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gatectl.config.reader import find, load
from gatectl.daemon.lock import stopped
from gatectl.errors import UsageError
from gatectl.journal.backup import copy_to_take_back, restore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the backup, or for the copy that an upgrade left."""
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="what `gatectl backup` made")
    parser.add_argument(
        "--undo-upgrade",
        action="store_true",
        help="instead of FILE: the copy from before an upgrade, if this gatectl is too old for the journal",
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when the store is restored, or if there is no upgrade to undo."""
    if (args.file is None) is not args.undo_upgrade:
        raise UsageError("gatectl restore: needs a FILE, or --undo-upgrade alone")
    settings = load(find(args.config, os.environ))
    path = settings.journal.path
    with stopped(settings.control.socket):
        file = copy_to_take_back(path) if args.undo_upgrade else args.file
        if file is None:
            print(f"{path}: there is nothing to take back", file=sys.stderr)
            return 0
        aside = restore(path, file)
    kept = f"; the one before is {aside} now" if aside else ""
    print(f"{path}: restored from {file}{kept}", file=sys.stderr)
    return 0
