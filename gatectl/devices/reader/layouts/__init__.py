"""The keyboard layouts, one file each, written by `scripts/layouts` out of xkeyboard-config."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import get_args

from gatectl.decision.reader.keymap import Layout, LayoutName


@cache
def layout_of(name: str) -> Layout:
    """Return the layout of a `LayoutName`; the first call reads its file."""
    table = json.loads(Path(__file__).with_name(f"{name}.json").read_text("ascii"))
    return Layout(
        {int(key): tuple(levels) for key, levels in table["keys"].items()},
        {int(key): char for key, char in table["keypad"].items()},
        table["altgr"],
    )


def all_layouts() -> dict[str, Layout]:
    """Return all layouts by their names."""
    return {name: layout_of(name) for name in get_args(LayoutName)}
