"""The command line: find the command, import only that, and turn its result into an exit status.

A command's module has `add_arguments(parser)` and `run(args) -> int`; `args.config` is the value of `-c`, or
None. Exit statuses: 0 done; 1 failed; 2 wrong usage; 78 wrong settings; and by the shell's convention for
signals, 130 interrupted from the keyboard and 141 output closed by its reader.
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
    "grace": ("gatectl.cli.grace", "who was let in during a partner's outage, for settling with it"),
    "report": ("gatectl.cli.report", "what Support asks for about an event, in one folder"),
    "monitor": ("gatectl.cli.monitor", "the Event Monitor and the member's display as web pages"),
    "uplink": ("gatectl.cli.uplink", "send events and health to the head office of a fleet"),
    "route": ("gatectl.cli.route", "which card or route takes a code, and to whom; asks nobody"),
    "status": ("gatectl.cli.status", "the running daemon: devices, partners, gates, the last event"),
    "open": ("gatectl.cli.door_commands", "open a door by hand, on the record"),
    "hold": ("gatectl.cli.door_commands", "hold a door open for a while, on the record"),
    "lockdown": (
        "gatectl.cli.door_commands",
        "let nobody in until `gatectl normal`; exit and fire still open",
    ),
    "normal": ("gatectl.cli.door_commands", "end a hold or a lockdown"),
    "cards": ("gatectl.cli.cards", "enrol cards: add, remove, list, import, export"),
    "erase": ("gatectl.cli.erase", "take one member's data out of all events and cards"),
    "backup": (
        "gatectl.cli.backup",
        "copy all events and cards into one file, also while gatectl runs",
    ),
    "restore": ("gatectl.cli.backup", "put a backup into the journal's place, with gatectl stopped"),
    "codes": ("gatectl.cli.codes", "Wellhub custom codes: create, update, delete, there and here"),
    "relay": ("gatectl.cli.relay", "switch every relay off, without the daemon"),
    "fleet": ("gatectl.cli.fleet", "head office: take in the events of many gates"),
    "completion": ("gatectl.cli.completion", "the completion script for bash, zsh or fish"),
}
"""Name, module and one line of help; the help is here so that it can be shown without importing a command."""


_OF_GATE = "the settings (else $GATECTL_CONFIG, else /etc/gatectl/gatectl.toml)"
_OF_FLEET = "the settings of head office (else /etc/gatectl-fleet/fleet.toml)"


class Parser(argparse.ArgumentParser):
    """A parser with `-c` that raises UsageError, and adds a command's arguments when the command is used.

    A command that has commands of its own gets this class for them too, so that `-c` may be anywhere.
    """

    def __init__(self, *, module: str | None = None, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._module = module
        self.add_argument(
            "-c",
            "--config",
            metavar="FILE",
            default=argparse.SUPPRESS,  # else it would overwrite one given before the command
            help=_OF_FLEET if self.prog.startswith("gatectl fleet") else _OF_GATE,
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Add the arguments of a command: argparse calls this on the parser of the given command alone."""
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
        """Raise a one-line error with a hint where the usage is, instead of argparse's page of usage."""
        raise UsageError(f"{self.prog}: {message}", f"`{self.prog} --help` shows the usage")


def build_parser(names: Iterable[str] = COMMANDS) -> Parser:
    """Make the parser of these commands with their help, without importing them."""
    parser = Parser(prog="gatectl", description="Reads a member's code, asks the partner, opens the gate.")
    parser.set_defaults(config=None)
    parser.add_argument("--version", action="version", version=f"gatectl {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for name in names:
        module, summary = COMMANDS[name]
        commands.add_parser(name, module=module, help=summary, description=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (`sys.argv` if None); return the exit status."""
    args = argparse.Namespace(config=None)
    try:
        try:
            words = _as_text(sys.argv[1:] if argv is None else argv)
            # The other commands' parsers would take a tenth of the service's check, at each start.
            args = build_parser(_command_of(words) or COMMANDS).parse_args(words)
            gc.enable()
            status: int = args.run(args)
            return status
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be handled
    except GatectlError as error:
        print(*_located(error, args.config).lines(), sep="\n", file=sys.stderr)
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


def _command_of(words: Sequence[str]) -> Sequence[str]:
    """Return the command alone, if nothing but `-c FILE` is before it; else nothing."""
    first = 2 if words[:1] in (["-c"], ["--config"]) else 0
    return [word for word in words[first : first + 1] if word in COMMANDS]


def _located(error: GatectlError, given: str | None) -> GatectlError:
    """Return the error with the line of the setting at fault, where it has one."""
    if not error.setting:
        return error
    from gatectl.config.problems import SettingIssue  # noqa: PLC0415 - few errors have one
    from gatectl.config.reader import find, located  # noqa: PLC0415

    return located(find(given, os.environ), SettingIssue(error.setting, error.message, error.hints))


def _as_text(argv: Sequence[str]) -> Sequence[str]:
    # Python represents bytes that are not text as lone surrogates, which neither the store nor a request
    # can hold.
    if any("\ud800" <= char <= "\udfff" for arg in argv for char in arg):
        raise UsageError("gatectl: the arguments are not UTF-8 text", "check the terminal's character set")
    return argv


def _forget_stdout() -> None:
    """Redirect stdout to nowhere, since the interpreter flushes it once more at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
