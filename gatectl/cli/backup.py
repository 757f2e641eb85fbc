"""`gatectl backup` and `gatectl restore`: copy the whole store into one file, and bring it back from it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gatectl.config.model import Settings
from gatectl.config.reader import find, load
from gatectl.daemon.lock import stopped
from gatectl.errors import UsageError
from gatectl.journal.backup import back_up, copy_to_take_back, restore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the new file; for `restore` the backup, or the copy that an upgrade left."""
    if parser.prog.endswith(" backup"):
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="a new file; one that is there is refused"
        )
        return
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="what `gatectl backup` made")
    parser.add_argument(
        "--undo-upgrade",
        action="store_true",
        help="instead of FILE: the copy from before an upgrade, if this gatectl is too old for the journal",
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 when the copy is made, checked and on disk, or is restored; also with no upgrade to undo."""
    if args.command == "restore" and (args.file is None) is not args.undo_upgrade:
        raise UsageError("gatectl restore: needs a FILE, or --undo-upgrade alone")
    settings = load(find(args.config, os.environ))
    if args.command == "restore":
        _restore(settings, args.file)
    else:
        _back_up(settings.journal.path, args.file)
    return 0


def _back_up(path: Path, file: Path) -> None:
    back_up(path, file)
    size = file.stat().st_size / 1e6
    print(f"{file}: all events and cards of {path}, {size:.1f} MB", file=sys.stderr)


def _restore(settings: Settings, given: Path | None) -> None:
    """Put a copy in the store's place, and keep the old store; without a path, undo an upgrade."""
    path = settings.journal.path
    with stopped(settings.control.socket):
        file = given or copy_to_take_back(path)
        if file is None:
            print(f"{path}: there is nothing to take back", file=sys.stderr)
            return
        aside = restore(path, file)
    kept = f"; the one before is {aside} now" if aside else ""
    print(f"{path}: restored from {file}{kept}", file=sys.stderr)
