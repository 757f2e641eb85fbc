"""Problems of the settings, in the form that an installer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gatectl.decision.toml_text import toml_key, toml_value
from gatectl.errors import GatectlError, visible

Where = tuple[str | int, ...]
"""The path to a setting: names of tables and keys, and indexes into lists."""

MONITOR_HINT = (
    "put the password alone into a file with mode 640, and write "
    'password = { file = "/etc/gatectl/monitor-password" }'
)
"""Hint: the ways to set the monitor's password."""


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
