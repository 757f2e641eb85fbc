"""Simulate a scanner that acts as a keyboard: key events over a pipe."""

from __future__ import annotations

import os
import struct
import threading
from types import TracebackType
from typing import Self

from gatectl.decision.reader.keymap import Key, layout_of
from gatectl.decision.reader.keys import (
    EV_KEY,
    EV_SYN,
    PRESSED,
    RELEASED,
    SYN_DROPPED,
    SYN_REPORT,
    KeyEvent,
)
from gatectl.devices.reader.supervisor import DeviceLost, LossCause

_EVENT = struct.Struct("=HHi")  # `struct input_event` without its time
_CHUNK = 64 * _EVENT.size
"""Bytes per read: 64 events, as with the real driver."""


class VirtualKeyboard:
    """A keyboard that types in `layout`, plugged in until `unplug`; a context manager.

    Pass `connect` to `KeyboardDriver` in place of the real devices.
    """

    def __init__(self, layout: str, *, caps_lock: bool = False) -> None:
        self.caps_lock = caps_lock
        self.held: set[int] = set()
        self._strokes = _strokes(layout)
        self._plugged = False
        self._line: int | None = None
        self._reader: VirtualKeySource | None = None
        self._lock = threading.RLock()  # its reader's thread opens and closes it
        self.plug()

    def plug(self) -> None:
        """Plug it in (again), as a new device."""
        self._plugged = True

    def unplug(self) -> None:
        """Unplug it, with a hang-up for its reader."""
        with self._lock:
            self._plugged = False
            self.held.clear()
            self._hang_up()

    def connect(self, _path: str) -> VirtualKeySource:
        """Open it, for one reader at a time; DeviceLost if that is impossible."""
        with self._lock:
            if not self._plugged:
                raise DeviceLost(LossCause.UNPLUGGED)
            if self._line is not None:
                raise DeviceLost(LossCause.HELD)
            end, self._line = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            self._reader = VirtualKeySource(self, end)
            return self._reader

    def released(self, reader: VirtualKeySource) -> None:
        """Note that its reader has closed it."""
        with self._lock:
            if reader is self._reader:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._line is not None:
            os.close(self._line)
        self._line = self._reader = None

    def send(self, *events: KeyEvent) -> None:
        """Send raw events; they are lost without a reader. BlockingIOError if 8000 wait to be read."""
        with self._lock:
            if self._line is None:
                return
            os.write(self._line, b"".join(_EVENT.pack(*event) for event in events))

    def press(self, key: int) -> None:
        """Hold a key down."""
        self.held.add(key)
        self.send((EV_KEY, key, PRESSED), (EV_SYN, SYN_REPORT, 0))

    def release(self, key: int) -> None:
        """Release a key."""
        self.held.discard(key)
        self.send((EV_KEY, key, RELEASED), (EV_SYN, SYN_REPORT, 0))

    def tap(self, key: int) -> None:
        """Press and release a key."""
        self.press(key)
        self.release(key)

    def type_text(self, text: str) -> None:
        """Type characters, with the layout's Shift and AltGr; KeyError for a character that it lacks."""
        for char in text:
            key, modifier = self._strokes[char]
            if modifier is None:
                self.tap(key)
            else:
                self.press(modifier)
                self.tap(key)
                self.release(modifier)

    def type_code(self, code: str, ending: int = Key.ENTER) -> None:
        """Type a code and the key that ends it."""
        self.type_text(code)
        self.tap(ending)

    def overflow(self, *released: int) -> None:
        """Report dropped events, as the kernel does. The releases of these keys were among them."""
        self.held.difference_update(released)
        self.send((EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()


class VirtualKeySource:
    """A virtual keyboard, opened by its reader."""

    def __init__(self, keyboard: VirtualKeyboard, end: int) -> None:
        self._keyboard = keyboard
        self._end = end
        self.caps_lock = keyboard.caps_lock

    def fileno(self) -> int:
        return self._end

    def read(self) -> list[KeyEvent]:
        try:
            data = os.read(self._end, _CHUNK)
        except BlockingIOError:
            return []
        if not data:
            raise DeviceLost(LossCause.UNPLUGGED)
        return list(_EVENT.iter_unpack(data))  # whole events: one write to a pipe is atomic

    def close(self) -> None:
        os.close(self._end)
        self._keyboard.released(self)


def _strokes(layout: str) -> dict[str, tuple[int, int | None]]:
    """Map each character to its first key and the modifier to hold."""
    strokes: dict[str, tuple[int, int | None]] = {}
    for key, cap in layout_of(layout).caps.items():
        levels = ((cap.plain, None), (cap.shifted, Key.LEFTSHIFT), (cap.third, Key.RIGHTALT))
        for char, modifier in levels:
            if char:
                strokes.setdefault(char, (key, modifier))
    return strokes
