"""Keyboard layouts: which character a key of a scanner types.

Keys are numbered as in the kernel's `linux/input-event-codes.h`, row by row as they lie on a
keyboard. The layouts are `us` and `de` without dead keys, as in xkeyboard-config.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal, NamedTuple, get_args

LayoutName = Literal["us", "de"]


class Key(IntEnum):
    """The keys that do more than type a character; `KEY_…` in the kernel's header."""

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
    LEFTMETA = 125
    RIGHTMETA = 126


_NAMES = {
    1: "Esc",
    14: "Backspace",
    70: "Scroll Lock",
    99: "Print",
    102: "Home",
    103: "Up",
    104: "Page Up",
    105: "Left",
    106: "Right",
    107: "End",
    108: "Down",
    109: "Page Down",
    110: "Insert",
    111: "Delete",
    119: "Pause",
    **{59 + n: f"F{n + 1}" for n in range(10)},
    87: "F11",
    88: "F12",
}


def key_name(code: int) -> str:
    """A key's name for a technician: its label on keyboards, and the kernel's number."""
    name = _NAMES.get(code)
    return f"key {code} ({name})" if name else f"key {code}"


class Cap(NamedTuple):
    """The characters of one key: alone, with Shift, with AltGr (empty: none)."""

    plain: str
    shifted: str
    third: str = ""

    @property
    def is_letter(self) -> bool:
        """Whether Caps Lock inverts it: where Shift makes a capital of it."""
        return self.plain != self.shifted == self.plain.upper()


class Layout(NamedTuple):
    """A layout: its keys, those whose character is the same whatever is held, and AltGr if it has one."""

    caps: Mapping[int, Cap]
    keypad: Mapping[int, str]
    has_altgr: bool


def layout_of(name: str) -> Layout:
    """The layout of a `LayoutName`; ValueError for any other word."""
    if name not in _LAYOUTS:
        raise ValueError(f"layout {name!r} is none of {', '.join(get_args(LayoutName))}")
    return _LAYOUTS[name]


# The first keys of the rows: KEY_1, KEY_Q, KEY_A (up to KEY_GRAVE), KEY_BACKSLASH (on to KEY_SLASH).
_DIGITS, _UPPER, _HOME, _LOWER = 2, 16, 30, 43
_SPACE, _102ND = 57, 86


def _row(first: int, plain: str, shifted: str, third: Mapping[str, str] | None = None) -> dict[int, Cap]:
    """Neighbouring keys; `third` is from the plain character to the one with AltGr."""
    pairs = zip(plain, shifted, strict=True)
    return {first + i: Cap(low, high, (third or {}).get(low, "")) for i, (low, high) in enumerate(pairs)}


def _keypad(decimal: str) -> dict[int, str]:
    """The keypad as it types with Num Lock on: a scanner means the digits, whatever the lock's state."""
    rows = {71: "789-", 75: "456+", 79: "1230"}  # KEY_KP7, KEY_KP4, KEY_KP1
    typed = {first + i: char for first, row in rows.items() for i, char in enumerate(row)}
    # KEY_KPASTERISK, KEY_KPDOT, KEY_KPSLASH, KEY_KPEQUAL, KEY_KPCOMMA
    return typed | {55: "*", 83: decimal, 98: "/", 117: "=", 121: ","}


_US = {
    **_row(_DIGITS, "1234567890-=", "!@#$%^&*()_+"),
    **_row(_UPPER, "qwertyuiop[]", "QWERTYUIOP{}"),
    **_row(_HOME, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    **_row(_LOWER, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    _SPACE: Cap(" ", " "),
    _102ND: Cap("<", ">"),
}

_DE_DIGITS = {"2": "²", "3": "³", "7": "{", "8": "[", "9": "]", "0": "}", "ß": "\\"}
_DE = {
    **_row(_DIGITS, "1234567890ß\N{ACUTE ACCENT}", '!"§$%&/()=?`', _DE_DIGITS),
    **_row(_UPPER, "qwertzuiopü+", "QWERTZUIOPÜ*", {"q": "@", "e": "€", "+": "~"}),
    **_row(_HOME, "asdfghjklöä^", "ASDFGHJKLÖÄ°"),
    **_row(_LOWER, "#yxcvbnm,.-", "'YXCVBNM;:_", {"m": "µ"}),
    _SPACE: Cap(" ", " "),
    _102ND: Cap("<", ">", "|"),
}

_LAYOUTS: Mapping[str, Layout] = {
    "us": Layout(_US, _keypad("."), has_altgr=False),
    "de": Layout(_DE, _keypad(","), has_altgr=True),
}
