"""The keys that a keyboard scanner presses for a text: QEMU's names, on a US or a German keyboard.

The keys are named by their place on a US keyboard, in either layout: a scanner that is set to German presses
`y` for a Z.
"""

from __future__ import annotations

from string import ascii_lowercase, digits
from typing import Any

Stroke = tuple[str, str | None]
"""A key, and the modifier that is held meanwhile."""

_PLACES_US = {
    "minus": "-_",
    "equal": "=+",
    "bracket_left": "[{",
    "bracket_right": "]}",
    "semicolon": ";:",
    "apostrophe": "'\"",
    "grave_accent": "`~",
    "backslash": "\\|",
    "comma": ",<",
    "dot": ".>",
    "slash": "/?",
    "spc": "  ",
}
_PLACES_DE = {
    "minus": "ß?",
    "bracket_left": "üÜ",
    "bracket_right": "+*",
    "semicolon": "öÖ",
    "apostrophe": "äÄ",
    "backslash": "#'",
    "comma": ",;",
    "dot": ".:",
    "slash": "-_",
    "less": "<>",
    "spc": "  ",
}
_SHIFTED_DIGITS = {"us": ")!@#$%^&*(", "de": '=!"§$%&/()'}
_THIRD_DE = {"q": "@", "7": "{", "8": "[", "9": "]", "0": "}", "minus": "\\", "less": "|", "e": "€"}


def _layout(name: str) -> dict[str, Stroke]:
    swapped = {"y": "z", "z": "y"} if name == "de" else {}
    strokes: dict[str, Stroke] = {}
    for letter in ascii_lowercase:
        key = swapped.get(letter, letter)
        strokes[letter], strokes[letter.upper()] = (key, None), (key, "shift")
    for digit, shifted in zip(digits, _SHIFTED_DIGITS[name], strict=True):
        strokes[digit], strokes[shifted] = (digit, None), (digit, "shift")
    for key, (plain, shifted) in (_PLACES_DE if name == "de" else _PLACES_US).items():
        strokes.setdefault(plain, (key, None))
        strokes.setdefault(shifted, (key, "shift"))
    if name == "de":
        strokes |= {char: (key, "alt_r") for key, char in _THIRD_DE.items()}
    return strokes


_LAYOUTS = {name: _layout(name) for name in ("us", "de")}


def events(text: str, layout: str = "us") -> list[dict[str, Any]]:
    """The `input-send-event` events that type this text; KeyError for what the layout lacks."""
    typed: list[dict[str, Any]] = []
    for char in text:
        key, modifier = ("ret", None) if char == "\n" else _LAYOUTS[layout][char]
        held = [] if modifier is None else [modifier]
        typed += [_event(name, down=True) for name in (*held, key)]
        typed += [_event(name, down=False) for name in (key, *held)]
    return typed


def held(modifier: str, *names: str) -> list[dict[str, Any]]:
    """The events of keys that are tapped while a modifier is held, by QEMU's names."""
    return [_event(modifier, down=True), *taps(*names), _event(modifier, down=False)]


def taps(*names: str) -> list[dict[str, Any]]:
    """The events of keys that are tapped in turn, by QEMU's names."""
    return [_event(name, down=down) for name in names for down in (True, False)]


def _event(key: str, *, down: bool) -> dict[str, Any]:
    return {"type": "key", "data": {"down": down, "key": {"type": "qcode", "data": key}}}
