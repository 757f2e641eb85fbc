"""CSV as spreadsheets write and read it: separators, encodings, formulas, and numbers that they spoil.

Sources: RFC 4180; OWASP, "CSV Injection" (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_SEPARATORS = (",", ";", "\t")

_INVISIBLE = "\ufeff\u200b"
"""Characters that `str.strip` leaves at the ends of a cell: the byte order mark, the zero-width space."""

_FORMULA = re.compile(r"'*(?:\s*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")
"""A cell that a spreadsheet takes for a formula, or that looks as if it had been protected from that already.

The full-width forms count in East Asian versions.
"""

_SHORTENED = re.compile(r"\d+[.,]\d*[Ee][+-]?\d+|\d+[Ee]\+\d+", re.ASCII)
"""A long number as a spreadsheet shows it, `6.5E+09`. A hex number such as `12E034` has no sign."""


_ZEROS = 3
"""Leading zeros that a number may have lost: one that lacks more is rather another number."""


class NotTextError(ValueError):
    """The content has none of the encodings that are understood."""


class NotCsvError(ValueError):
    """The text is no CSV from this line on, counted from 1."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"not CSV: {what}")
        self.line = line


class BadLine(NamedTuple):
    """A line of CSV that cannot be taken, and why; `line` counts from 1."""

    line: int
    what: str


class Columns(NamedTuple):
    """The columns of a list, which a header may have in another order."""

    names: tuple[str, ...]
    least: int
    """So many of them, from the first, are needed."""
    headings: Mapping[str, str]
    """The column's name for each other word for it in a header, in lower case."""
    shape: str
    """A line for people."""

    def is_header(self, cells: Sequence[str]) -> bool:
        """Return whether a row names the first column and, if it has more cells, another one."""
        known = [name for cell in cells if (name := self._named(cell)) in self.names[: max(self.least, 2)]]
        return self.names[0] in known and len(known) >= min(len(cells), 2)

    def in_header(self, cells: Sequence[str]) -> list[str]:
        """Return the columns' names in the order of a header, which has them in other words."""
        return [self._named(cell) for cell in cells]

    def header_flaw(self, names: Sequence[str]) -> str | None:
        """Return the objection to a header."""
        for name in filter(None, names):
            if name not in self.names:
                return f"the column {name!r} is none of {', '.join(self.names)}"
            if names.count(name) > 1:
                return f"two columns are the {name}"
        missing = [name for name in self.names[: self.least] if name not in names]
        return f"there is no column {missing[0]}" if missing else None

    def _named(self, cell: str) -> str:
        return next(
            (name for name in self.names if name == cell.casefold()), self.headings.get(cell.casefold(), cell)
        )


def decoded(content: bytes) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, else Windows-1252; raises NotTextError.

    What Excel calls Unicode text is UTF-16, which always begins with its byte order mark.
    """
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf_16 else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise NotTextError


def rows(text: str, widths: Collection[int]) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank with the number of its last line, counted from 1; raises NotCsvError.

    The separator is comma, semicolon or tab, whichever gives the first row one of these widths. Cells come
    without blanks at their ends and without the `'` that protects from formulas.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text, widths), strict=True)
    try:
        for row in reader:
            cells = [plain(cell) for cell in row]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        # Quotes that do not close swallow what follows: nothing after this line can be trusted.
        raise NotCsvError(reader.line_num, str(error)) from error


def bad_lines(
    text: str, columns: Columns, take: Callable[[int, dict[str, str]], str | None]
) -> list[BadLine]:
    """Pass the number and the values of each line to `take`, which may object; return all that is wrong.

    A header is optional. After one that is wrong no line is taken.
    """
    bad: list[BadLine] = []
    names: Sequence[str] = columns.names
    try:
        for number, (line, cells) in enumerate(rows(text, range(columns.least, len(columns.names) + 1))):
            if number == 0 and columns.is_header(cells):
                names = columns.in_header(cells)
                flaw = columns.header_flaw(names)
                if flaw is not None:
                    return [BadLine(line, flaw)]
                continue
            while len(cells) > columns.least and not cells[-1]:
                cells.pop()  # a spreadsheet gives each row as many cells as the longest has
            if columns.least <= len(cells) <= len(names):
                problem = take(line, dict(zip(names, cells, strict=False)))
            else:
                problem = f"{len(cells)} columns instead of {columns.shape}"
            if problem is not None:
                bad.append(BadLine(line, problem))
    except NotCsvError as error:
        bad.append(BadLine(error.line, str(error)))
    return bad


def plain(cell: str) -> str:
    """A cell as it was meant."""
    cell = cell.strip().strip(_INVISIBLE).strip()
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell


def protected(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `plain` takes the `'` off."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def written(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The rows as lines of CSV: comma-separated, quoted where needed, protected from formulas."""
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\n")
    for row in rows:
        writer.writerow([protected(cell) for cell in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def shortened(cell: str) -> str | None:
    """The objection to a number that a spreadsheet has spoiled, with the remedy; None where it is none."""
    if not _SHORTENED.fullmatch(cell):
        return None
    return (
        f"{cell!r} is a number that a spreadsheet has shortened: format the column as text there,"
        " enter the number again and save the file again"
    )


def zeros_lost(cell: str, pattern: re.Pattern[str]) -> tuple[str, ...]:
    """The hint for a number that would fit with zeros in front, which a spreadsheet takes away."""
    whole = (cell.zfill(length) for length in range(len(cell) + 1, len(cell) + 1 + _ZEROS))
    if pattern.fullmatch(cell) or not (cell.isascii() and cell.isdigit()):
        return ()
    return tuple(
        f"did a spreadsheet take zeros away from {one!r}? Format the column as text there"
        for one in whole
        if pattern.fullmatch(one)
    )[:1]


def _separator(text: str, widths: Collection[int]) -> str:
    counts = {separator: _first_width(text, separator) for separator in _SEPARATORS}
    fitting = [separator for separator in _SEPARATORS if counts[separator] in widths]
    return max(fitting or _SEPARATORS, key=counts.__getitem__)


def _first_width(text: str, separator: str) -> int:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        return next((len(row) for row in rows if any(map(str.strip, row))), 0)
    except csv.Error:
        return 0
