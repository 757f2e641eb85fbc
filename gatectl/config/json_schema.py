"""Write the model as JSON Schema, with which editors complete and check the settings.

    python -m gatectl.config.json_schema >config/gatectl.schema.json

The schema accepts every valid file. It leaves to `gatectl check` what JSON Schema cannot express: conditions
beyond a value's text, and conditions between settings.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from gatectl.config import model
from gatectl.config.schema import is_table, unpacked
from gatectl.validators.values import (
    NotEmpty,
    Table,
    TableCheck,
    TaggedBy,
    Validator,
    default_of,
    is_optional,
    settings_of,
)

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The draft that the editors' plugins for TOML support."""

Json = dict[str, Any]


def text() -> str:
    """Return the whole schema file."""
    schema = {"$schema": DIALECT, "title": "gatectl.toml"} | _json(model.Settings)
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _json(kind: Any) -> Json:
    """Convert an annotation of the model to JSON Schema."""
    inner, mark = unpacked(kind)
    match mark:
        case Validator():
            return dict(mark.json)
        case TableCheck():
            return _json(inner) | dict(mark.json)
        case TaggedBy():
            names = list(mark.names())
            words = {"type": "object", "properties": {mark.key: {"enum": names}}, "required": [mark.key]}
            return words | {"oneOf": [_json(mark.table(name)) for name in names]}
    if inner is bool:
        return {"type": "boolean"}
    return _table(inner) if is_table(inner) else _several(inner, least=isinstance(mark, NotEmpty))


def _several(kind: Any, *, least: bool) -> Json:
    """Convert a choice of words, a list, or tables by their names."""
    parts, origin = get_args(kind), get_origin(kind)
    if origin is Literal:
        return {"const": parts[0]} if len(parts) == 1 else {"enum": list(parts)}
    if origin is tuple:
        return {"type": "array", "items": _json(parts[0])} | ({"minItems": 1} if least else {})
    tables = {"type": "object", "propertyNames": _json(parts[0]), "additionalProperties": _json(parts[1])}
    return tables | ({"minProperties": 1} if least else {})


def _setting(table: type[Table], name: str, kind: Any) -> Json:
    default = default_of(table, name) if is_optional(table, name) else None
    if isinstance(default, Path):
        return _json(kind) | {"default": str(default)}
    return _json(kind) | ({"default": default} if isinstance(default, bool | int | str) else {})


def _table(table: type[Table]) -> Json:
    descriptions, settings = _descriptions(table), settings_of(table)
    return {
        "description": inspect.getdoc(table),
        "type": "object",
        "properties": {
            name: _setting(table, name, kind)
            | ({"description": descriptions[name]} if name in descriptions else {})
            for name, kind in settings.items()
        },
        "required": [name for name in settings if not is_optional(table, name)],
        "additionalProperties": False,
    }


def _descriptions(table: type[Table]) -> dict[str, str]:
    """Return each setting's description: the string below it in its class's source, else below its kind.

    A kind is described in the module of the class, or in one of a base class.
    """
    descriptions: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for part in reversed(table.__mro__[:-2]):
        parsed = ast.parse(inspect.getsource(sys.modules[part.__module__]))
        kinds |= dict(_descriptions_below(parsed.body))
        bodies = {node.name: node.body for node in parsed.body if isinstance(node, ast.ClassDef)}
        for node in bodies[part.__name__]:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names = [name.id for name in ast.walk(node.annotation) if isinstance(name, ast.Name)]
                descriptions.update((node.target.id, kinds[name]) for name in names if name in kinds)
        descriptions |= dict(_descriptions_below(bodies[part.__name__]))
    return descriptions


def _descriptions_below(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node, below in pairwise(body):
        match node, below:
            case (
                ast.Assign(targets=[ast.Name(name)]) | ast.AnnAssign(target=ast.Name(name)),
                ast.Expr(ast.Constant(str(words))),
            ):
                yield name, inspect.cleandoc(words).replace("\n", " ")


if __name__ == "__main__":
    print(text(), end="")  # noqa: T201 - the output of this command
