"""Turn the key events of a scanner that is a keyboard into codes. No clock, no I/O.

Scanners type for a host with Windows: Alt with the keypad's digits types a character by its number, Ctrl
with a letter a control character, Ctrl with Alt is AltGr, and an accent of a dead key is joined with the next
letter.

Source: the kernel's Documentation/input/event-codes.rst.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Unpack

from gatectl.decision.reader.keymap import F_KEYS, SPACING_ACCENTS, Key, Layout, key_name
from gatectl.decision.reader.reading import (
    ENDINGS,
    MAX_CHARS,
    ROOM,
    Affixes,
    Dropped,
    DropReason,
    Reading,
    reading_of_text,
)

KeyEvent = tuple[int, int, int]
"""Type, code and value, as in the kernel's `struct input_event`."""

EV_SYN, EV_KEY, EV_LED = 0, 1, 0x11
SYN_REPORT, SYN_DROPPED = 0, 3
LED_CAPSL = 1
RELEASED, PRESSED = 0, 1  # 2 is autorepeat: not a further character of a code

_ENDS: dict[int, str] = {
    Key.ENTER: "Enter",
    Key.KPENTER: "the keypad's Enter",
    Key.TAB: "Tab",
    Key.UP: "the arrow up",
    Key.LEFT: "the arrow left",
    Key.RIGHT: "the arrow right",
    Key.DOWN: "the arrow down",
}
_WITHOUT_CHARACTER = frozenset({Key.NUMLOCK, Key.ESC, *F_KEYS})
"""Keys that scanners send in front of a code or within it, and that mean nothing."""

_SHIFTS = frozenset({Key.LEFTSHIFT, Key.RIGHTSHIFT})
_CTRLS = frozenset({Key.LEFTCTRL, Key.RIGHTCTRL})
_ALTS = frozenset({Key.LEFTALT, Key.RIGHTALT})
_METAS = frozenset({Key.LEFTMETA, Key.RIGHTMETA})
_MODIFIERS: frozenset[int] = _SHIFTS | _CTRLS | _ALTS | _METAS
_HELD_NAMES = {
    "Ctrl": _CTRLS,
    "Alt": {Key.LEFTALT},
    "AltGr": {Key.RIGHTALT},
    "Shift": _SHIFTS,
    "Meta": _METAS,
}

_ALT_DIGITS = 4
"""A number has at most three digits, or four with a leading zero."""
_BYTES = 256
_CONTROLS = frozenset("@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_")
"""The characters that make a control character with Ctrl, by their five low bits (ASCII)."""


class KeyDecoder:
    """The codes in a stream of key events. Raises for no input.

    A code ends at Enter, Tab, an arrow, a control character that ends lines, or a silence. One that cannot be
    known whole (the kernel dropped events, a key types no character) gives one `Dropped` at its end: never
    half a code. `caps_lock` is the state of the host's lamp, for scanners that look at it and type
    accordingly; None for all others.
    """

    def __init__(self, layout: Layout, *, caps_lock: bool | None = None, **affixes: Unpack[Affixes]) -> None:
        self._layout = layout
        self._alone = layout.alone()  # for nearly all keys of nearly all codes
        self._follows_lamp = caps_lock is not None
        self._caps_lock = bool(caps_lock)
        self._affixes = affixes
        self._held: set[int] = set()
        self._text = ""
        self._alt_number = ""  # the digits typed since Alt was pressed
        self._accent = ""  # of a dead key that waits for the next character
        self._flaw: Dropped | None = None
        self._ignoring = False  # from SYN_DROPPED to the next SYN_REPORT
        self.discarding = False
        """True while the rest of a code that was dropped is passed over, up to its end or a silence."""
        self.begun = 0
        """Codes that have begun so far. After a change, the pending keys began with the last `feed`."""
        self.ended_by = ""
        """The ending of the last code, in words; empty for a silence."""

    @property
    def pending(self) -> bool:
        """True while a code has begun and not ended: the caller has to time it."""
        typed = self._text or self._alt_number or self._accent
        return bool(typed) or self._flaw is not None or self.discarding

    def feed(self, events: Iterable[KeyEvent]) -> list[Reading]:
        """Take further events; return what they complete, in order."""
        readings: list[Reading] = []
        for kind, code, value in events:
            if kind == EV_SYN:
                self._synchronise(code)
            elif kind == EV_KEY and not self._ignoring:
                readings += self._key(code, value)
            elif kind == EV_LED and code == LED_CAPSL and self._follows_lamp:
                self._caps_lock = value != 0
        return readings

    def silence(self) -> list[Reading]:
        """End a code whose reader sends no ending, and return it."""
        return self._end("")

    def give_up(self) -> list[Reading]:
        """Drop the code that has begun and not ended in time, with what still follows of it."""
        if self.discarding or not self.pending:
            return []
        dropped = self._flaw or Dropped(DropReason.INCOMPLETE)
        self._clear()
        self.discarding = True
        return [dropped]

    def _end(self, by: str) -> list[Reading]:
        if self._alt_number:
            self._damage(Dropped(DropReason.KEY, f"Alt {self._alt_number}, without its end"))
        self._join_accent("")
        self.ended_by = by
        text, flaw, discarding = self._text, self._flaw, self.discarding
        self._clear()
        if discarding:
            return []
        reading = flaw or reading_of_text(text, **self._affixes)
        return [reading] if reading else []

    def _clear(self) -> None:
        self._text = self._alt_number = self._accent = ""
        self._flaw, self.discarding = None, False

    def _synchronise(self, code: int) -> None:
        """Pass over what the kernel kept of a report that it dropped.

        The keys that are held are not asked for, since an ioctl may block: a scanner holds none from one
        code to the next, and this code is worthless up to its end.
        """
        if code == SYN_DROPPED:
            self._ignoring = True
            self._held.clear()
            self._damage(Dropped(DropReason.LOST))
            self._alt_number = ""
        elif code == SYN_REPORT:
            self._ignoring = False

    def _damage(self, dropped: Dropped) -> None:
        """Drop this code up to its end. Lost events take precedence over other flaws: they explain them."""
        self.begun += not self.pending
        if self._flaw is None or dropped.flaw is DropReason.LOST:
            self._flaw = dropped

    def _key(self, code: int, value: int) -> list[Reading]:
        if code in _MODIFIERS:
            return self._hold(code, value)
        if value != PRESSED:
            return []
        if code in self._alone and not (self._held or self._caps_lock or self._accent):
            self._add(self._alone[code])
            return []
        if code in _WITHOUT_CHARACTER:  # Num Lock does not matter here
            return []
        if code == Key.CAPSLOCK:
            self._caps_lock = not self._caps_lock
            return []
        if code in _ENDS:
            return self._end(_ENDS[code])
        return self._character_key(code)

    def _hold(self, code: int, value: int) -> list[Reading]:
        if value == PRESSED:
            self._held.add(code)
        elif value == RELEASED:
            self._held.discard(code)
            if self._alt_number and not self._has_alt():
                return self._end_alt_number()
        return []

    def _has_alt(self) -> bool:
        return bool(self._held & (_ALTS - {Key.RIGHTALT} if self._layout.has_altgr else _ALTS))

    def _has_altgr(self) -> bool:
        is_windows_altgr = Key.LEFTALT in self._held and bool(self._held & _CTRLS)
        return self._layout.has_altgr and (Key.RIGHTALT in self._held or is_windows_altgr)

    def _character_key(self, code: int) -> list[Reading]:
        digit = self._layout.keypad.get(code, "")
        if self._held & _METAS:
            return self._unknown(code)
        if self._has_altgr():
            return self._type(self._typed_by(code), code)
        if self._has_alt():
            return self._alt_digit(digit, code)
        if self._held & _CTRLS:
            return self._type(self._control(code), code)
        return self._type(digit or self._typed_by(code), code)

    def _typed_by(self, code: int) -> str:
        shift = bool(self._held & _SHIFTS)
        altgr, caps_lock = self._has_altgr(), self._caps_lock
        return self._layout.character(code, shift=shift, altgr=altgr, caps_lock=caps_lock)

    def _control(self, code: int) -> str:
        """Return the control character of a key with Ctrl; empty if it has none."""
        shift = bool(self._held & _SHIFTS)
        for shifted in (shift, False):
            char = self._layout.character(code, shift=shifted, altgr=False, caps_lock=False).upper()
            if char in _CONTROLS:
                return chr(ord(char) & 0x1F)
        return ""

    def _alt_digit(self, digit: str, code: int) -> list[Reading]:
        if not digit.isdecimal() or len(self._alt_number) == _ALT_DIGITS:
            self._alt_number = ""
            return self._unknown(code)
        self.begun += not self.pending
        self._alt_number += digit
        return []

    def _end_alt_number(self) -> list[Reading]:
        """Type the character of a number: of Windows-1252 with a leading zero, else of code page 437."""
        digits, number = self._alt_number, int(self._alt_number)
        encoding = "cp1252" if digits.startswith("0") else "cp437"
        char = bytes([number]).decode(encoding, "ignore") if number < _BYTES else ""
        if not char:
            self._damage(Dropped(DropReason.KEY, f"Alt {digits}"))
        readings = self._put(char) if char else []
        self._alt_number = ""
        return readings

    def _unknown(self, code: int) -> list[Reading]:
        self._damage(Dropped(DropReason.KEY, self._pressed(code)))
        return []

    def _type(self, char: str, code: int) -> list[Reading]:
        return self._put(char) if char else self._unknown(code)

    def _put(self, char: str) -> list[Reading]:
        """Add a typed character to the code, or end it where the character ends lines."""
        if char in ENDINGS:
            self._alt_number = ""
            return self._end(ENDINGS[char])
        if char in SPACING_ACCENTS:
            self.begun += not self.pending
            self._join_accent("")
            self._accent = char
        elif self._accent:
            self._join_accent(char)
        else:
            self._add(char)
        return []

    def _add(self, text: str) -> None:
        if not self._text:
            self.begun += not self.pending
        if len(self._text) + len(text) > MAX_CHARS + ROOM:
            self._damage(Dropped(DropReason.TOO_LONG))
        else:
            self._text += text

    def _join_accent(self, char: str) -> None:
        """Add the accent that waits, if one does, with its character; with a blank, or none, it is alone."""
        if not self._accent:
            return
        alone = SPACING_ACCENTS[self._accent]
        joined = unicodedata.normalize("NFC", char + self._accent)
        if char in {"", " "}:
            self._add(alone)
        else:
            self._add(joined if len(joined) == 1 else alone + char)
        self._accent = ""

    def _pressed(self, code: int) -> str:
        """The key with what is held, for a technician."""
        held = [name for name, keys in _HELD_NAMES.items() if self._held & keys]
        return " + ".join([*held, key_name(code)])
