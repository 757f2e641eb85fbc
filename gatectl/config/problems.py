"""Problems of the settings, each with its line, in the form that an installer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tomli

from gatectl.decision.toml_text import toml_key, toml_value
from gatectl.errors import GatectlError, visible

Where = tuple[str | int, ...]
"""The path to a setting: names of tables and keys, and indexes into lists."""


def monitor_hint(folder: Path = Path("/etc/gatectl")) -> str:
    """Return the hint with the way to set the monitor's password."""
    file = toml_value(str(folder / "monitor-password"))
    return f"put the password alone into a file with mode 640, and write password = {{ file = {file} }}"


class SettingIssue(NamedTuple):
    """A problem whose line is not known yet."""

    where: Where
    what: str
    hints: tuple[str, ...] = ()


class UnusableIssue(SettingIssue):
    """A partner's key or certificate that cannot be used now: the daemon does without that partner alone."""

    __slots__ = ()


class Problem(NamedTuple):
    """A problem with its place: `line` counts from 1, `key` is dotted, `what` has no full stop."""

    line: int
    key: str
    what: str
    hints: tuple[str, ...] = ()


class SettingsError(GatectlError):
    """The settings are wrong: every problem of the file, in the order of its lines."""

    exit_status = 78  # EX_CONFIG of sysexits.h

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        first = self.problems[0]
        super().__init__(self._line(first), *first.hints)

    def lines(self) -> list[str]:
        """Return for each problem `FILE:LINE: KEY: what is wrong`, then its `hint:` lines."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        for problem in self.problems:
            yield self._line(problem)
            yield from (visible(f"hint: {hint}") for hint in problem.hints)

    def _line(self, problem: Problem) -> str:
        return visible(f"{self.file}:{problem.line}: {problem.key}: {problem.what}")


def key_of(where: Where) -> str:
    """Return the dotted key, as in `doors.main.scanners[1].baud`; a name that TOML would quote is quoted."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{toml_key(part)}" if text else toml_key(part)
    return text


def listed(names: Sequence[str], word: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    head, last = names[:-1], names[-1]
    return f"{', '.join(head)} {word} {last}" if head else last


def key_hint(partner: str, key: str = "key") -> str:
    """Return the hint with the ways to set a partner's key, or another one of its settings that are keys."""
    stem = partner if key == "key" else f"{partner}-{key.removesuffix('_key')}"
    file = toml_value(f"/etc/gatectl/secrets/{stem}")
    return f"put the key alone into a file with mode 640, and write {key} = {{ file = {file} }}"


_VALUE_ENDS = ("]", "}", '"""', "'''")
"""Endings of values that run over several lines; only a comment may follow in the last line."""


class Lines:
    """The lines of a file's keys, counted from 1; made only for a message, as no TOML parser has them.

    The text must be valid TOML. It is split into statements, and each statement is parsed once by itself
    while the current table is tracked, so the work is linear in the size of the file.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[Where, int] = {}
        self._last: dict[Where, int] = {}  # of each array of tables, the index of its latest table
        table: Where = ()
        for line, header, tree in _statements(text):
            if header:
                table = self._enter(tree, line)
            else:
                self._note(table, tree, line)

    def of(self, where: Where) -> int:
        """Return the line of this key, or of the nearest enclosing table in the file."""
        for end in range(len(where), 0, -1):
            if (line := self._lines.get(where[:end])) is not None:
                return line
        return 1

    def _enter(self, tree: dict[str, Any], line: int) -> Where:
        """Follow a header to its table."""
        where: Where = ()
        node: Any = tree
        while isinstance(node, dict) and node:
            ((name, node),) = node.items()
            where = (*where, name)
            self._lines.setdefault(where, line)
            if isinstance(node, list):
                self._last[where] = self._last.get(where, -1) + 1
            if where in self._last:
                where = (*where, self._last[where])
                self._lines.setdefault(where, line)
        self._lines[where] = line  # its own header is a better place than that of a table inside it
        return where

    def _note(self, table: Where, tree: dict[str, Any], line: int) -> None:
        """Note every key and index in a statement's value."""
        rest: list[tuple[Where, Any]] = [(table, tree)]
        while rest:
            where, node = rest.pop()
            self._lines.setdefault(where, line)
            if isinstance(node, dict):
                rest.extend(((*where, name), value) for name, value in node.items())
            elif isinstance(node, list):
                rest.extend(((*where, index), value) for index, value in enumerate(node))


def _statements(text: str) -> Iterator[tuple[int, bool, dict[str, Any]]]:
    """Yield for each header or key its line, whether it is a header, and its parsed content."""
    pending: list[str] = []
    start = 1
    # Not splitlines(): it also splits at characters that are part of a string in TOML.
    for number, line in enumerate(text.split("\n"), start=1):
        if not pending:
            start = number
        pending.append(line)
        if len(pending) > 1 and not line.rstrip().endswith(_VALUE_ENDS) and "#" not in line:
            continue
        try:
            tree = tomli.loads("\n".join(pending))
        except tomli.TOMLDecodeError:
            continue  # the value goes on in the next line
        header = pending[0].lstrip().startswith("[")
        pending = []
        if tree:
            yield start, header, tree
