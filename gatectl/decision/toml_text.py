"""Write keys and values as TOML (https://toml.io/en/v1.0.0), for settings that an installer pastes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeAlias

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """Return a key, bare where TOML allows it, else quoted."""
    return name if _BARE.fullmatch(name) else toml_value(name)


Value: TypeAlias = "str | int | Mapping[str, Value]"


def toml_value(value: Value) -> str:
    """Return a number, a boolean, a basic string, or an inline table.

    TOML writes strings as JSON does, but for the character DEL, which only TOML escapes.
    """
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{toml_key(key)} = {toml_value(one)}' for key, one in value.items())} }}"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
