"""Write keys and values as TOML (https://toml.io/en/v1.0.0), for settings that an installer pastes."""

from __future__ import annotations

import json
import re

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """Return a key, bare where TOML allows it, else quoted."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: str | int) -> str:
    """Return a number, a boolean or a basic string.

    TOML writes them as JSON does, but for the character DEL, which only TOML escapes.
    """
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
