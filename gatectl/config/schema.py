"""Check values from TOML by the annotations of the model, and make the model's tables of them.

pydantic could do this. But importing its engine alone takes a tenth of the daemon's start and 5 MB of a small
memory, and each command would wait for it too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from gatectl.config.problems import Where
from gatectl.validators.values import (
    NotEmpty,
    Table,
    TableCheck,
    TaggedBy,
    Validator,
    ValueRefused,
    is_optional,
    settings_of,
)

MISSING: Final = "missing"
UNKNOWN: Final = "unknown"
NO_BOOL: Final = "no bool"
NO_TABLE: Final = "no table"
NO_LIST: Final = "no list"
EMPTY: Final = "empty"
NO_CHOICE: Final = "no choice"
NO_TAG: Final = "no tag"
REFUSED: Final = "refused"


class Flaw(NamedTuple):
    """Something wrong with a value; `kind` is one of the constants above."""

    kind: str
    where: Where
    """Its path; it has the name of the kind below a table of several kinds, and "[key]" below a name."""
    given: object
    """The value; for a missing or unknown setting, its table or its value."""
    what: str = ""
    """Only of a refused value: what is wrong, for the installer."""
    hints: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """Only of a wrong choice: the words to choose from."""


class InvalidError(Exception):
    """A value does not fit its annotation. `flaws` are all that is wrong."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__(flaws)
        self.flaws = flaws


def read(kind: Any, raw: object, folder: Path) -> Any:
    """Convert a value from TOML to this kind: a table's class or an annotation of the model.

    Relative paths start at `folder`. Raises InvalidError with all that is wrong.
    """
    reader = _Reader(folder)
    value = reader.read(kind, raw, ())
    if reader.flaws:
        raise InvalidError(reader.flaws)
    return value


def unpacked(kind: Any) -> tuple[Any, object]:
    """Return an annotation without `None` and without its mark, and the mark.

    TOML has no null: None is the value of a missing setting.
    """
    if get_origin(kind) in {Union, UnionType} and type(None) in get_args(kind):
        (kind,) = (part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Annotated:
        inner, mark = get_args(kind)
        return inner, mark
    return kind, None


def is_table(kind: object) -> bool:
    """Return whether a kind is the class of a table."""
    return isinstance(kind, type) and issubclass(kind, Table)


class _Reader:
    """Reads values, and keeps what is wrong with them. A value that is wrong is read as None."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.flaws: list[Flaw] = []

    def read(self, kind: Any, raw: Any, where: Where) -> Any:
        inner, mark = unpacked(kind)
        match mark:
            case Validator():
                return self._checked(lambda: mark.check(raw, self._folder), raw, where)
            case TableCheck():
                before = len(self.flaws)
                table = self.read(inner, raw, where)
                is_whole = len(self.flaws) == before
                return self._checked(lambda: mark.check(table), raw, where) if is_whole else None
            case TaggedBy():
                return self._tagged(mark, raw, where)
        if is_table(inner):
            return self._table(inner, raw, where)
        if inner is bool:
            return raw if isinstance(raw, bool) else self._wrong(NO_BOOL, where, raw)
        return self._of_parts(inner, raw, where, least=1 if isinstance(mark, NotEmpty) else 0)

    def _of_parts(self, kind: Any, raw: Any, where: Where, *, least: int) -> Any:
        parts, origin = get_args(kind), get_origin(kind)
        if origin is Literal:
            return raw if raw in parts else self._wrong(NO_CHOICE, where, raw, words=parts)
        if origin is tuple:
            return self._list(parts[0], raw, where, least)
        if origin is not None and issubclass(origin, Mapping):
            return self._tables(parts[0], parts[1], raw, where, least)
        raise TypeError(f"the settings have no values of the kind {kind}")

    def _checked(self, check: Any, raw: object, where: Where) -> Any:
        try:
            return check()
        except ValueRefused as error:
            self.flaws.append(Flaw(REFUSED, where, raw, error.what, error.hints))

    def _wrong(self, kind: str, where: Where, raw: object, words: tuple[str, ...] = ()) -> Any:
        """Keep what is wrong; returns None in place of the value."""
        self.flaws.append(Flaw(kind, where, raw, words=words))

    def _table(self, table: type[Table], raw: Any, where: Where) -> Any:
        if not isinstance(raw, dict):
            return self._wrong(NO_TABLE, where, raw)
        before, known = len(self.flaws), settings_of(table)
        values = dict(self._settings(table, known, raw, where))
        for name in raw:
            if name not in known:
                self._wrong(UNKNOWN, (*where, name), raw[name])
        return table(**values) if len(self.flaws) == before else None

    def _settings(
        self, table: type[Table], known: Mapping[str, Any], raw: Mapping[str, Any], where: Where
    ) -> Iterator[tuple[str, Any]]:
        for name, kind in known.items():
            if name in raw:
                yield name, self.read(kind, raw[name], (*where, name))
            elif not is_optional(table, name):
                self._wrong(MISSING, (*where, name), raw)

    def _tagged(self, mark: TaggedBy, raw: Any, where: Where) -> Any:
        if not isinstance(raw, dict):
            return self._wrong(NO_TABLE, where, raw)
        tag = raw.get(mark.key)
        if not isinstance(tag, str) or tag not in mark.names():
            return self._wrong(NO_TAG, where, raw)
        return self.read(mark.table(tag), raw, (*where, tag))

    def _list(self, kind: Any, raw: Any, where: Where, least: int) -> Any:
        if not isinstance(raw, list):
            return self._wrong(NO_LIST, where, raw)
        if len(raw) < least:
            self._wrong(EMPTY, where, raw)
        return tuple(self.read(kind, item, (*where, index)) for index, item in enumerate(raw))

    def _tables(self, name_kind: Any, kind: Any, raw: Any, where: Where, least: int) -> Any:
        if not isinstance(raw, dict):
            return self._wrong(NO_TABLE, where, raw)
        if len(raw) < least:
            self._wrong(EMPTY, where, raw)
        return {
            self.read(name_kind, name, (*where, name, "[key]")): self.read(kind, value, (*where, name))
            for name, value in raw.items()
        }
