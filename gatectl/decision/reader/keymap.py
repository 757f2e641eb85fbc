"""Keys and keyboard layouts: the characters that the keys of a scanner type.

Keys are numbered as in the kernel's `linux/input-event-codes.h`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal, NamedTuple

# fmt: off
LayoutName = Literal[
    "us", "gb", "de", "ch", "at", "fr", "be", "es", "it", "pt", "br",
    "nl", "se", "no", "dk", "fi", "pl", "cz", "sk", "hu", "tr",
]
# fmt: on

CapsLock = Literal["ignore", "follow"]


class Key(IntEnum):
    """The keys that do more than type a character; `KEY_…` in the kernel's header."""

    ESC = 1
    TAB = 15
    ENTER = 28
    LEFTCTRL = 29
    LEFTSHIFT = 42
    RIGHTSHIFT = 54
    LEFTALT = 56
    CAPSLOCK = 58
    NUMLOCK = 69
    KPENTER = 96
    RIGHTCTRL = 97
    RIGHTALT = 100
    UP = 103
    LEFT = 105
    RIGHT = 106
    DOWN = 108
    LEFTMETA = 125
    RIGHTMETA = 126


F_KEYS = frozenset({*range(59, 69), 87, 88, *range(183, 195)})
"""F1 to F24."""

_NAMES = {
    14: "Backspace",
    70: "Scroll Lock",
    99: "Print",
    102: "Home",
    104: "Page Up",
    107: "End",
    109: "Page Down",
    110: "Insert",
    111: "Delete",
    119: "Pause",
}


def key_name(code: int) -> str:
    """A key's name for a technician: its label on keyboards, and the kernel's number."""
    name = _NAMES.get(code)
    return f"key {code} ({name})" if name else f"key {code}"


SPACING_ACCENTS: Mapping[str, str] = {
    "\u0300": "`",
    "\u0301": "\N{ACUTE ACCENT}",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "\N{MACRON}",
    "\u0306": "\N{BREVE}",
    "\u0307": "\N{DOT ABOVE}",
    "\u0308": "\N{DIAERESIS}",
    "\u030a": "\N{DEGREE SIGN}",
    "\u030b": "\N{DOUBLE ACUTE ACCENT}",
    "\u030c": "\N{CARON}",
    "\u0327": "\N{CEDILLA}",
    "\u0328": "\N{OGONEK}",
}
"""The accents of dead keys, and the characters that they type with the space bar."""


class Layout(NamedTuple):
    """A layout, as xkeyboard-config has it."""

    keys: Mapping[int, tuple[str, ...]]
    """The characters of each key: alone, with Shift, with AltGr, with both; and the same four with Caps Lock
    where that makes others. Empty where there is none. A combining mark is the accent of a dead key."""
    keypad: Mapping[int, str]
    """The keypad as it types with Num Lock on: a scanner means the digits in either state of the lock."""
    has_altgr: bool

    def alone(self) -> dict[int, str]:
        """Return the keys that type a character by themselves, the keypad's too; without the dead ones."""
        typed = {code: levels[0] for code, levels in self.keys.items()} | dict(self.keypad)
        return {code: char for code, char in typed.items() if char and char not in SPACING_ACCENTS}

    def character(self, code: int, *, shift: bool, altgr: bool, caps_lock: bool) -> str:
        """Return the character of a key while these are held; empty for none."""
        levels = self.keys.get(code)
        if levels is None:
            return ""
        level = shift | altgr << 1
        return levels[level + 4] if caps_lock and len(levels) > 4 else levels[level]
