"""Turns the key events of a scanner that is a keyboard into codes. No clock, no I/O.

Source: the kernel's Documentation/input/event-codes.rst.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from gatectl.decision.reader.keymap import Key, key_name, layout_of
from gatectl.decision.reader.reading import (
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

EV_SYN, EV_KEY = 0, 1
SYN_REPORT, SYN_DROPPED = 0, 3
RELEASED, PRESSED = 0, 1  # 2 is autorepeat: not a further character of a code

_ENDS = frozenset({Key.ENTER, Key.KPENTER, Key.TAB})
_SHIFTS = frozenset({Key.LEFTSHIFT, Key.RIGHTSHIFT})
_COMMANDS = frozenset({Key.LEFTCTRL, Key.RIGHTCTRL, Key.LEFTALT, Key.LEFTMETA, Key.RIGHTMETA})
_HELD_NAMES = {
    "Ctrl": {Key.LEFTCTRL, Key.RIGHTCTRL},
    "Alt": {Key.LEFTALT},
    "AltGr": {Key.RIGHTALT},
    "Shift": _SHIFTS,
    "Meta": {Key.LEFTMETA, Key.RIGHTMETA},
}
_MODIFIERS: frozenset[int] = _SHIFTS | _COMMANDS | {Key.RIGHTALT}


class KeyDecoder:
    """The codes in a stream of key events. Never raises, whatever the events.

    A code ends at Enter, Tab or a silence. One that cannot be known whole (the kernel dropped events,
    a key types no character) gives one `Dropped` at its end: never half a code. `caps_lock` is the
    lock's state before the first event.
    """

    def __init__(self, layout: str, *, caps_lock: bool = False, **affixes: Unpack[Affixes]) -> None:
        self._layout = layout_of(layout)
        self._commands = _COMMANDS if self._layout.has_altgr else _COMMANDS | {Key.RIGHTALT}
        self._caps_lock = caps_lock
        self._affixes = affixes
        self._held: set[int] = set()
        self._text = ""
        self._flaw: Dropped | None = None
        self._ignoring = False  # from SYN_DROPPED to the next SYN_REPORT
        self.discarding = False
        """True while the rest of a code that was dropped is passed over, up to its end or a silence."""
        self.begun = 0
        """Codes that have begun so far. After a change, the pending keys began with the last `feed`."""

    @property
    def pending(self) -> bool:
        """True while a code has begun and not ended: the caller has to time it."""
        return bool(self._text) or self._flaw is not None or self.discarding

    def feed(self, events: Iterable[KeyEvent]) -> list[Reading]:
        """Takes further events; returns what they complete, in order."""
        readings: list[Reading] = []
        for kind, code, value in events:
            if kind == EV_SYN:
                self._synchronise(code)
            elif kind == EV_KEY and not self._ignoring:
                readings += self._key(code, value)
        return readings

    def silence(self) -> list[Reading]:
        """Ends a code whose reader sends no ending, and returns it."""
        text, flaw, discarding = self._text, self._flaw, self.discarding
        self._text, self._flaw, self.discarding = "", None, False
        if discarding:
            return []
        reading = flaw or reading_of_text(text, **self._affixes)
        return [reading] if reading else []

    def give_up(self) -> list[Reading]:
        """Drops the code that has begun and not ended in time, with what still follows of it."""
        if self.discarding or not self.pending:
            return []
        dropped = self._flaw or Dropped(DropReason.INCOMPLETE)
        self._text, self._flaw, self.discarding = "", None, True
        return [dropped]

    def _synchronise(self, code: int) -> None:
        """Passes over what the kernel kept of a report that it dropped.

        The keys that are held are not asked for, since an ioctl may block: a scanner holds none from one
        code to the next, and this code is worthless up to its end.
        """
        if code == SYN_DROPPED:
            self._ignoring = True
            self._held.clear()
            self._damage(Dropped(DropReason.LOST))
        elif code == SYN_REPORT:
            self._ignoring = False

    def _damage(self, dropped: Dropped) -> None:
        """Makes this code worthless up to its end. Lost events explain whatever else is wrong with it."""
        self.begun += not self.pending
        if self._flaw is None or dropped.flaw is DropReason.LOST:
            self._flaw = dropped

    def _key(self, code: int, value: int) -> list[Reading]:
        if code in _MODIFIERS:
            self._hold(code, value)
        elif value != PRESSED or code == Key.NUMLOCK:  # the keypad types digits whatever the lock
            pass
        elif code == Key.CAPSLOCK:
            self._caps_lock = not self._caps_lock
        elif code in _ENDS:
            return self.silence()
        else:
            self._type(code, self._char(code))
        return []

    def _hold(self, code: int, value: int) -> None:
        if value == PRESSED:
            self._held.add(code)
        elif value == RELEASED:
            self._held.discard(code)

    def _type(self, code: int, char: str) -> None:
        if not char:
            self._damage(Dropped(DropReason.KEY, self._pressed(code)))
        elif len(self._text) == MAX_CHARS + ROOM:
            self._damage(Dropped(DropReason.TOO_LONG))
        else:
            self.begun += not self.pending
            self._text += char

    def _pressed(self, code: int) -> str:
        """The key with what is held, for a technician."""
        held = [name for name, keys in _HELD_NAMES.items() if self._held & keys]
        return " + ".join([*held, key_name(code)])

    def _char(self, code: int) -> str:
        """The character that this key types now; empty where it types none."""
        if self._held & self._commands:
            return ""
        if code in self._layout.keypad:
            return self._layout.keypad[code]
        cap = self._layout.caps.get(code)
        if cap is None:
            return ""
        shift = bool(self._held & _SHIFTS)
        if Key.RIGHTALT in self._held:
            return "" if shift else cap.third
        return cap.shifted if shift != (self._caps_lock and cap.is_letter) else cap.plain
