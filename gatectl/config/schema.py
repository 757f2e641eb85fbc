"""Check values from TOML by the model's annotations, with pydantic's engine, and make the model's tables.

The engine, pydantic_core, is used without pydantic itself, whose import takes five times as long and 7 MB of
a small memory, at every start of the daemon and at every command: more than half a second on a Raspberry Pi.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, Union, get_args, get_origin

from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, SchemaValidator, ValidationError
from pydantic_core import core_schema as core

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
UNKNOWN: Final = "extra_forbidden"
NO_BOOL: Final = "bool_type"
NO_TABLE: Final = "dict_type"
NO_LIST: Final = "tuple_type"
EMPTY: Final = "too_short"
NO_CHOICE: Final = "literal_error"
NO_TAG: Final = "no_tag"
REFUSED: Final = "refused"
"""Kinds of flaws: the last two are ours, the others the engine's own."""


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
    try:
        return _validator(kind).validate_python(raw, context=folder)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # The engine counts only valid items; each invalid one has its own flaw.
        flaws = [_flaw(one) for one in details if one["type"] != EMPTY or not one["input"]]
        raise InvalidError(flaws) from None


def _flaw(details: ErrorDetails) -> Flaw:
    context = details.get("ctx", {})
    flaw = Flaw(details["type"], details["loc"], details["input"])
    if flaw.kind == REFUSED:
        return flaw._replace(what=context["what"], hints=context["hints"])
    if flaw.kind == NO_CHOICE:
        return flaw._replace(words=tuple(re.findall(r"'([^']*)'", context["expected"])))
    return flaw


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


# --- The engine's schema ---------------------------------------------------------------------------


@cache
def _validator(kind: Any) -> SchemaValidator:
    return SchemaValidator(_schema_of(kind))


def _schema_of(kind: Any) -> CoreSchema:
    inner, mark = unpacked(kind)
    match mark:
        case Validator(check=check):
            return core.with_info_plain_validator_function(
                lambda raw, info: _refusing(check, raw, info.context)
            )
        case TableCheck(check=check):
            return core.no_info_after_validator_function(
                lambda table: _refusing(check, table), _schema_of(inner)
            )
        case TaggedBy():
            return _tagged(mark)
    if is_table(inner):
        return _table(inner)
    if inner is bool:
        return core.bool_schema(strict=True)
    return _of_parts(inner, least=1 if isinstance(mark, NotEmpty) else None)


def _refusing(check: Callable[..., Any], *values: object) -> Any:
    """Call a check, and put its refusal into the engine's form."""
    try:
        return check(*values)
    except ValueRefused as error:
        raise PydanticCustomError(REFUSED, "{what}", {"what": error.what, "hints": error.hints}) from None


def _of_parts(kind: Any, least: int | None) -> CoreSchema:
    """Return the schema of a choice of words, a list, or tables by their names."""
    parts, origin = get_args(kind), get_origin(kind)
    if origin is Literal:
        return core.literal_schema(list(parts))
    if origin is tuple:
        return core.tuple_schema([_schema_of(parts[0])], variadic_item_index=0, min_length=least)
    if origin is not None and issubclass(origin, Mapping):
        return core.dict_schema(_schema_of(parts[0]), _schema_of(parts[1]), min_length=least, strict=True)
    raise TypeError(f"the settings have no values of the kind {kind}")


def _table(table: type[Table]) -> CoreSchema:
    fields = {
        name: core.typed_dict_field(_schema_of(kind), required=not is_optional(table, name))
        for name, kind in settings_of(table).items()
    }
    known = core.typed_dict_schema(fields, extra_behavior="forbid")
    return core.no_info_after_validator_function(lambda values: table(**values), known)


def _tagged(mark: TaggedBy) -> CoreSchema:
    """Return the schema of tables of several kinds: a kind is loaded at its first use."""

    @cache
    def choice(tag: str) -> SchemaValidator:
        return SchemaValidator(core.tagged_union_schema({tag: _schema_of(mark.table(tag))}, mark.key))

    def check(raw: Any, info: core.ValidationInfo) -> Any:
        if not isinstance(raw, dict):
            raise PydanticCustomError(NO_TABLE, "no table")
        tag = raw.get(mark.key)
        if not isinstance(tag, str) or tag not in mark.names():
            raise PydanticCustomError(NO_TAG, "no tag")
        return choice(tag).validate_python(raw, context=info.context)

    return core.with_info_plain_validator_function(check)
