"""`gatectl backup`: copy the whole store into one file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gatectl.config.reader import find, load
from gatectl.journal.backup import back_up


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the new file."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a new file; one that is there is refused")


def run(args: argparse.Namespace) -> int:
    """Return 0 when the copy is made, checked and on disk."""
    path = load(find(args.config, os.environ)).journal.path
    back_up(path, args.file)
    size = args.file.stat().st_size / 1e6
    print(f"{args.file}: all events and cards of {path}, {size:.1f} MB", file=sys.stderr)
    return 0
