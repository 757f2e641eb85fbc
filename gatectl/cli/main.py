"""The command line: finds the command, imports it alone, and turns its end into an exit status.

A command's module has `add_arguments(parser)` and `run(args) -> int`; `args.config` is what `-c` gave,
or None. Exit statuses: 0 done; 1 it failed; 2 wrong usage; 78 the settings are wrong; as a shell counts
the signals, 130 interrupted from the keyboard and 141 nobody reads our output any more.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from gatectl import __version__
from gatectl.errors import SUDO, GatectlError, UsageError, visible

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("gatectl.cli.run", "the daemon"),
    "check": ("gatectl.cli.check", "validate the settings; on request the devices and the partners too"),
    "devices": (
        "gatectl.cli.devices",
        "input devices and serial ports; scan once and it prints the settings",
    ),
    "demo": ("gatectl.cli.demo", "a whole door on this machine, without hardware"),
    "sim": ("gatectl.cli.sim", "the partner simulator alone"),
    "events": ("gatectl.cli.events", "what happened at the doors, and whose fault it was"),
    "report": ("gatectl.cli.report", "what Support asks for about an event, in one folder"),
    "monitor": ("gatectl.cli.monitor", "the Event Monitor and the member's display as web pages"),
    "route": ("gatectl.cli.route", "which card or route takes a code, and to whom; asks nobody"),
    "status": ("gatectl.cli.status", "the running daemon: devices, partners, gates, the last event"),
    "open": ("gatectl.cli.open", "open a door by hand, on the record"),
    "cards": ("gatectl.cli.cards", "enrol cards: add, remove, list, import, export"),
    "erase": ("gatectl.cli.erase", "take one member's data out of all events and cards"),
    "backup": (
        "gatectl.cli.backup",
        "copy all events and cards into one file, also while gatectl runs",
    ),
    "restore": ("gatectl.cli.restore", "put a backup into the journal's place, with gatectl stopped"),
    "codes": ("gatectl.cli.codes", "Wellhub custom codes: create, update, delete, there and here"),
    "relay": ("gatectl.cli.relay", "switch every relay off, without the daemon"),
}
"""Name, module and one line of help; the help is here so that showing it imports no command."""


class Parser(argparse.ArgumentParser):
    """Knows `-c`; its mistakes are UsageErrors; a command's arguments are added when it is called.

    A command that has commands of its own gets this class for them too, so that `-c` may be anywhere.
    """

    def __init__(self, *, module: str | None = None, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._module = module
        self.add_argument(
            "-c",
            "--config",
            metavar="FILE",
            default=argparse.SUPPRESS,  # or one that was given before the command would be forgotten
            help="the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)",
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Adds the arguments of a command: argparse calls this on the parser of the given command alone."""
        if self._module:
            command = importlib.import_module(self._module)
            command.add_arguments(self)
            self.set_defaults(run=command.run)
            self._module = None
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Instead of argparse's page of usage: one line, and where the page is."""
        raise UsageError(f"{self.prog}: {message}", f"`{self.prog} --help` shows the usage")


def build_parser(names: Iterable[str] = COMMANDS) -> Parser:
    """These commands with their help; none of them is imported yet."""
    parser = Parser(prog="gatectl", description="Reads a member's code, asks the partner, opens the gate.")
    parser.set_defaults(config=None)
    parser.add_argument("--version", action="version", version=f"gatectl {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in names:
        module, summary = COMMANDS[name]
        commands.add_parser(name, module=module, help=summary, description=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (`sys.argv` if None); what is returned is the exit status."""
    try:
        try:
            words = _as_text(sys.argv[1:] if argv is None else argv)
            # The others' parsers are a tenth of what the service's check takes, at each of its starts.
            named = [word for word in words[:1] if word in COMMANDS]
            args = build_parser(named or COMMANDS).parse_args(words)
            gc.enable()
            status: int = args.run(args)
            return status
        finally:
            sys.stdout.flush()  # here, where a reader who has gone is still ours to take quietly
    except GatectlError as error:
        print(*error.lines(), sep="\n", file=sys.stderr)
        return error.exit_status
    except PermissionError as error:
        if error.filename is None:
            raise
        print(
            f"{visible(str(error.filename))}: permission denied", f"hint: {SUDO}", sep="\n", file=sys.stderr
        )
        return 1
    except BrokenPipeError:
        _forget_stdout()
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _as_text(argv: Sequence[str]) -> Sequence[str]:
    # Python smuggles bytes that are not text through as lone surrogates, which neither the store nor a
    # request can hold.
    if any("\ud800" <= char <= "\udfff" for arg in argv for char in arg):
        raise UsageError("gatectl: the arguments are not UTF-8 text", "check the terminal's character set")
    return argv


def _forget_stdout() -> None:
    """The interpreter flushes stdout once more at its end; let that go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
