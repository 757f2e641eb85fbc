"""`gatectl completion SHELL`: print the completion script for a shell."""

from __future__ import annotations

import argparse
import sys

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Write the script to standard output; 0."""
    from gatectl.cli.shells.__main__ import scripts  # noqa: PLC0415 - imports every command

    sys.stdout.write(scripts()[f"gatectl.{args.shell}"])
    return 0
