"""`scripts/pi-rig`: build, boot, look around in, and test the emulated Pi."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from rig import host, terminal
from rig.build import ready_image
from rig.places import CHECKOUT

MOST_AT_ONCE = 4


def main() -> int:
    """The command line; an exit status. A machine that cannot is 1, and says so."""
    parser = argparse.ArgumentParser(prog="scripts/pi-rig", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="make the image and its booted snapshot, where they are not there")
    commands.add_parser("boot", help="a cold boot, with the console on the terminal")
    commands.add_parser("shell", help="a root shell in a Pi that starts from the snapshot")
    commands.add_parser("test", help="run tests/pi; further arguments go to pytest", add_help=False)
    args, rest = parser.parse_known_args()
    if rest and args.command != "test":
        parser.error(f"{args.command} takes no arguments")
    try:
        built = ready_image()
    except host.CannotError as error:
        print(f"{error}\nhint: {error.hint}", file=sys.stderr)  # noqa: T201 - printing is what a command is for
        return 1
    match args.command:
        case "boot":
            return terminal.boot(built)
        case "shell":
            return terminal.shell(built)
        case "test":
            return _test(rest)
        case _:
            return 0


def _test(arguments: list[str]) -> int:
    where = [] if any(argument.startswith("tests") for argument in arguments) else ["tests/pi"]
    # An emulated Pi takes a core whole, and a gigabyte.
    side_by_side = ["-n", str(min(os.cpu_count() or 1, MOST_AT_ONCE)), "--dist", "worksteal"]
    command = [sys.executable, "-m", "pytest", "--durations=0", *side_by_side, *arguments, *where]
    return subprocess.run(command, cwd=CHECKOUT, env=os.environ | {"GATECTL_PI": "1"}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
