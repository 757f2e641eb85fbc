"""Many custom codes at once: the list of changes, and the report from which an interrupted run resumes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from gatectl.decision import spreadsheet
from gatectl.decision.spreadsheet import BadLine, Columns, bad_lines
from gatectl.errors import GatectlError
from gatectl.partners.wellhub.codes import Action, Change

_COLUMNS: Final = ("action", "wellhub_id", "code", "outcome", "what")

DONE = "done"

Check = Callable[[Change], str | None]
"""An objection to a change, or None."""


def changes(text: str, action: Action, check: Check) -> tuple[list[Change], list[BadLine]]:
    """Return the changes of a CSV file `wellhub_id,code`, and all its errors; a header line is optional.

    A deletion may leave out the code.
    """
    columns = Columns(
        names=("wellhub_id", "code"),
        least=1 if action == "delete" else 2,
        headings={},
        shape="wellhub_id,code",
    )
    found: dict[str, tuple[int, Change]] = {}

    def take(line: int, values: dict[str, str]) -> str | None:
        change = Change(action, values["wellhub_id"], values.get("code", ""))
        problem = check(change)
        if problem is not None:
            return problem
        first, other = found.setdefault(change.wellhub_id, (line, change))
        return None if other == change else f"{change.wellhub_id} is in line {first} with another code"

    bad = bad_lines(text, columns, take)
    return [change for _, change in found.values()], bad


class Report:
    """The report of changes that were made: a line each, on disk as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done = {row[:3] for row in self._rows() if row[3] == DONE}

    def has(self, change: Change) -> bool:
        """Return whether this change was done before."""
        return (change.action, change.wellhub_id, change.code) in self._done

    def _rows(self) -> Iterator[tuple[str, ...]]:
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                for row in csv.reader(file):
                    if len(row) == len(_COLUMNS):  # the last line of an interrupted run may be incomplete
                        yield tuple(map(spreadsheet.plain, row))
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise GatectlError(
                f"{self._path}: not a report of gatectl codes: {error}", "--report names it"
            ) from error

    @contextmanager
    def writing(self) -> Iterator[Callable[[Change, str, str], None]]:
        """Open the report; yield a function that records a change, its outcome and a remark."""
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                if file.tell() == 0:
                    writer.writerow(_COLUMNS)
                else:
                    file.write("\n")  # after an incomplete line

                def write(change: Change, outcome: str, what: str) -> None:
                    cells = (change.action, change.wellhub_id, change.code, outcome, what)
                    writer.writerow(map(spreadsheet.protected, cells))
                    file.flush()

                yield write
        except OSError as error:
            raise GatectlError(f"{self._path}: {error.strerror}", "--report names another place") from error
