"""`gatectl completion SHELL`: print a shell's completion script, made from the commands' parsers."""

from __future__ import annotations

import argparse
import sys

SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Write the script to standard output; 0."""
    sys.stdout.write(script(args.shell))
    return 0


def script(shell: str) -> str:
    """Return the completion script for one of SHELLS."""
    from gatectl.cli.completion import bash, fish, zsh  # noqa: PLC0415 - imports every command
    from gatectl.cli.completion.outline import outline  # noqa: PLC0415

    scripts = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}
    return scripts[shell](outline())
