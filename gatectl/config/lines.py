"""Where a setting stands in its file. Needed for error messages alone: no parser of TOML says it.

The text is known to be valid TOML. It is cut into its statements, each parsed once by itself, while
the tables that the headers open are followed: the work grows with the file, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tomli

from gatectl.config.problems import Where

_VALUE_ENDS = ("]", "}", '"""', "'''")
"""What ends a value that runs over lines: its last line ends with one of them, but for a comment."""


class Lines:
    """The lines, counted from 1, on which the keys of a text stand."""

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
        """The line of this key, or of the nearest table around it that the file has."""
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
        self._lines[where] = line  # its own header tells more than that of a table inside it
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
    """The line of each header or key, whether it is a header, and what it says by itself."""
    pending: list[str] = []
    start = 1
    # Not splitlines(): TOML knows no other line end, and other characters may stand in its strings.
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
