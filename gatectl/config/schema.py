"""Build the schema for pydantic's engine from the model's annotations.

pydantic itself would build the same schema. But importing it takes five times as long as this module, and
7 MB of a small memory, at every start of the daemon and at every command: more than half a second on a
Raspberry Pi.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic_core import CoreSchema, SchemaValidator
from pydantic_core import core_schema as core

from gatectl.validators.values import NotEmpty, TableCheck, TaggedBy, Validator


def read(kind: Any, raw: object, folder: Path) -> Any:
    """Convert a value from TOML to this kind: a class or an annotation of the model.

    Relative paths start at `folder`. Raises pydantic_core.ValidationError with all that is wrong.
    """
    return _validator(kind).validate_python(raw, context=folder)


@cache
def _validator(kind: Any) -> SchemaValidator:
    return SchemaValidator(schema_of(kind))


def schema_of(kind: Any) -> CoreSchema:
    """Return the schema of an annotation of the model."""
    if dataclasses.is_dataclass(kind):
        return _table(kind)
    if kind is bool:
        return core.bool_schema(strict=True)
    parts = get_args(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        return _marked(*parts)
    if origin is Literal:
        return core.literal_schema(list(parts))
    if origin in {Union, UnionType}:
        # TOML has no null: None is the value of a missing key.
        (only,) = (part for part in parts if part is not type(None))
        return schema_of(only)
    return _several(kind, None)


def _several(kind: Any, least: int | None) -> CoreSchema:
    """Return the schema of a list, or of tables by their names."""
    parts = get_args(kind)
    if get_origin(kind) is tuple:
        return core.tuple_schema([schema_of(parts[0])], variadic_item_index=0, min_length=least)
    if get_origin(kind) is dict:
        return core.dict_schema(schema_of(parts[0]), schema_of(parts[1]), min_length=least)
    raise TypeError(f"the settings have no values of the kind {kind}")


def _marked(kind: Any, mark: object) -> CoreSchema:
    match mark:
        case Validator(check, json):
            return core.with_info_plain_validator_function(_in_folder(check), metadata={"json": json})
        case TaggedBy(key, choices):
            tables = choices() if choices else {_word(choice, key): choice for choice in get_args(kind)}
            return core.tagged_union_schema({word: schema_of(choice) for word, choice in tables.items()}, key)
        case NotEmpty():
            return _several(kind, 1)
        case TableCheck(check, json):
            return core.no_info_after_validator_function(check, schema_of(kind), metadata={"json": json})
    raise TypeError(f"the settings know no mark {mark}")


def _in_folder(check: Callable[[object, Path], Any]) -> core.WithInfoValidatorFunction:
    return lambda value, info: check(value, info.context)


def _word(choice: Any, key: str) -> str:
    (word,) = get_args(get_type_hints(choice)[key])
    return str(word)


def _table(table: Any) -> CoreSchema:
    hints = get_type_hints(table, include_extras=True)
    fields = dataclasses.fields(table)
    parts = [
        core.dataclass_field(field.name, _field(field, hints[field.name]), kw_only=True) for field in fields
    ]
    arguments = core.dataclass_args_schema(table.__name__, parts, extra_behavior="forbid")
    return core.dataclass_schema(table, arguments, [field.name for field in fields], frozen=True)


def _field(field: dataclasses.Field[Any], hint: Any) -> CoreSchema:
    schema = schema_of(hint)
    if field.default is not dataclasses.MISSING:
        return core.with_default_schema(schema, default=field.default)
    if field.default_factory is not dataclasses.MISSING:
        return core.with_default_schema(schema, default_factory=field.default_factory)
    return schema
