"""Find a setting's line in its file. Used for error messages only: no TOML parser reports it.

The text must be valid TOML. It is split into statements, and each statement is parsed once by itself while
the current table is tracked, so the work is linear in the size of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomli

from gatectl.config.problems import Where

_VALUE_ENDS = ("]", "}", '"""', "'''")
"""Endings of values that run over several lines; only a comment may follow in the last line."""


class Lines:
    """The lines of a text's keys, counted from 1."""

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
