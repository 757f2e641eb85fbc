"""Read the commands with their options and arguments from their parsers, as values."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from gatectl.cli.main import COMMANDS, Parser, build_parser

KINDS = {
    "FILE": "file",
    "CSR": "file",
    "DIR": "folder",
    "D": "door",
    "DOOR": "door",
    "P": "partner",
    "PARTNER": "partner",
}
"""The kinds of arguments, by the names that the help gives them; all others are free text."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an option or an argument: `kind` is one of KINDS', `words` or `text`."""

    name: str
    kind: str
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """An option; `flags` are its spellings, such as `-n` and `--number`."""

    flags: tuple[str, ...]
    help: str
    value: Value | None
    """None for a switch."""
    is_repeatable: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A positional argument."""

    value: Value
    help: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command; `path` is its words, `gatectl` first."""

    path: tuple[str, ...]
    summary: str
    options: tuple[Option, ...]
    places: tuple[Place, ...]
    commands: tuple[Command, ...] = ()

    @property
    def line(self) -> str:
        """The command as it is typed, without options."""
        return " ".join(self.path)

    def all(self) -> Iterator[Command]:
        """Yield this command, and every command below it."""
        yield self
        for command in self.commands:
            yield from command.all()


def outline() -> Command:
    """Return gatectl's whole command line."""
    commands = []
    for name, (module, summary) in COMMANDS.items():
        parser = Parser(prog=f"gatectl {name}")
        importlib.import_module(module).add_arguments(parser)
        commands.append(_command(("gatectl", name), summary, parser))
    parser = build_parser()
    return Command(("gatectl",), str(parser.description), _options(parser), (), tuple(commands))


def _command(path: tuple[str, ...], summary: str, parser: argparse.ArgumentParser) -> Command:
    return Command(
        path,
        summary,
        _options(parser),
        tuple(Place(_value(action), action.help or "") for action in _places(parser)),
        tuple(
            _command((*path, name), help_, below)
            for action in _actions(parser)
            if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001 - argparse has no public view of itself
            for name, help_, below in _below(action)
        ),
    )


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - as above


def _below(
    action: argparse._SubParsersAction[argparse.ArgumentParser],
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
    for name, parser in action.choices.items():
        yield name, helps[name], parser


def _places(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in _actions(parser):
        if not action.option_strings and not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            yield action


def _options(parser: argparse.ArgumentParser) -> tuple[Option, ...]:
    return tuple(
        Option(
            tuple(action.option_strings),
            action.help or "",
            None if action.nargs == 0 else _value(action),
            is_repeatable=isinstance(action, argparse._AppendAction),  # noqa: SLF001 - as above
        )
        for action in _actions(parser)
        if action.option_strings
    )


def _value(action: argparse.Action) -> Value:
    name = str(action.metavar or action.dest.upper())
    if action.choices is not None:
        return Value(name, "words", tuple(map(str, action.choices)))
    return Value(name, KINDS.get(name, "text"))
