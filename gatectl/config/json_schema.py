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
from typing import Any

from gatectl.config import model
from gatectl.config.schema import schema_of

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The draft that the editors' plugins for TOML support."""

Json = dict[str, Any]


def text() -> str:
    """Return the whole schema file."""
    schema = {"$schema": DIALECT, "title": "gatectl.toml"} | _json(schema_of(model.Settings))
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _json(schema: Any) -> Json:
    """Convert a schema of pydantic's engine to JSON Schema."""
    match schema:
        case {"type": "default", "schema": inner}:
            return _json(inner) | _default(schema)
        case {"type": "function-plain", "metadata": {"json": said}}:
            return dict(said)
        case {"type": "function-after", "schema": inner, "metadata": {"json": said}}:
            return _json(inner) | dict(said)
        case {"type": "bool"}:
            return {"type": "boolean"}
        case {"type": "literal", "expected": [only]}:
            return {"const": only}
        case {"type": "literal", "expected": words}:
            return {"enum": words}
        case {"type": "tuple", "items_schema": [item]}:
            return {"type": "array", "items": _json(item)} | _least("minItems", schema)
        case {"type": "dict", "keys_schema": names, "values_schema": values}:
            tables = {"type": "object", "propertyNames": _json(names), "additionalProperties": _json(values)}
            return tables | _least("minProperties", schema)
        case {"type": "tagged-union", "choices": choices, "discriminator": key}:
            words = {"type": "object", "properties": {key: {"enum": list(choices)}}, "required": [key]}
            return words | {"oneOf": [_json(choice) for choice in choices.values()]}
        case {"type": "dataclass", "cls": table, "schema": {"fields": fields}}:
            return _table(table, fields)
    raise TypeError(f"there is no JSON Schema for {schema['type']}")


def _default(schema: Json) -> Json:
    default = schema.get("default")
    if isinstance(default, Path):
        return {"default": str(default)}
    return {"default": default} if isinstance(default, bool | int | str) else {}


def _least(word: str, schema: Json) -> Json:
    return {word: schema["min_length"]} if "min_length" in schema else {}


def _table(table: type, fields: list[Any]) -> Json:
    descriptions = _descriptions(table)
    properties = {
        field["name"]: _json(field["schema"])
        | ({"description": descriptions[field["name"]]} if field["name"] in descriptions else {})
        for field in fields
    }
    required = [field["name"] for field in fields if field["schema"]["type"] != "default"]
    return {
        "description": inspect.getdoc(table),
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _descriptions(table: type) -> dict[str, str]:
    """Return each setting's description: the string below it in its class's source, else below its kind.

    A kind is described in the module of the class, or in one of a base class.
    """
    descriptions: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for part in reversed(table.__mro__[:-1]):
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
