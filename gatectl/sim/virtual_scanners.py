"""Simulate scanners: a serial one by a pty, for the real driver to read, and one that types by a pipe."""

from __future__ import annotations

import os
import struct
import threading
import tty
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from gatectl.decision.reader.keymap import SPACING_ACCENTS, Key, Layout
from gatectl.decision.reader.keys import (
    EV_KEY,
    EV_LED,
    EV_SYN,
    LED_CAPSL,
    PRESSED,
    RELEASED,
    SYN_DROPPED,
    SYN_REPORT,
    KeyEvent,
)
from gatectl.devices.reader.layouts import layout_of
from gatectl.devices.reader.port import DeviceLost, LossCause

_EVENT = struct.Struct("=HHi")  # `struct input_event` without its time
_CHUNK = 64 * _EVENT.size
"""Bytes per read: 64 events, as with the real driver."""


class _Plugged(ABC):
    """A context manager, which unplugs the device at its end."""

    @abstractmethod
    def unplug(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()


class VirtualSerialScanner(_Plugged):
    """A scanner at `link`, plugged in until `unplug`; a context manager, which unplugs it at the end."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._ends: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        """Plug it in (again) under the same path, as a new device. FileExistsError if the path is taken."""
        if self._ends is not None:
            return
        # Keep the device's end open here too, so that bytes sent before the first reader wait in the buffer.
        scanner, device = os.openpty()
        os.set_blocking(scanner, False)
        tty.setraw(device)  # no echo, also before the driver has set its mode
        self._ends = scanner, device
        self.link.symlink_to(os.ttyname(device))

    def unplug(self) -> None:
        """Unplug it as the kernel would: remove the path first, then hang up on its reader."""
        ends, self._ends = self._ends, None  # first, as another thread may unplug it too
        if ends is None:
            return
        self.link.unlink(missing_ok=True)
        for end in ends:
            os.close(end)

    def send(self, data: bytes) -> None:
        """Send bytes. BlockingIOError if the line is full, FileNotFoundError if unplugged."""
        if self._ends is None:
            raise FileNotFoundError(f"the virtual scanner {self.link} is unplugged")
        while data:
            data = data[os.write(self._ends[0], data) :]

    def type_code(self, code: str, ending: bytes = b"\r") -> None:
        """Send a code, as a scanner that is set to this ending would."""
        self.send(code.encode() + ending)


class VirtualKeyboard(_Plugged):
    """A keyboard that types in `layout`, plugged in until `unplug`; a context manager.

    Pass `connect` to `KeyboardDriver` in place of the real devices.
    """

    def __init__(self, layout: str, *, caps_lock: bool = False) -> None:
        self.caps_lock = caps_lock
        self.held: set[int] = set()
        self._strokes = _strokes(layout_of(layout))
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
        """Type characters, as the layout has them; KeyError for a character that it lacks."""
        for char in text:
            for key, modifiers in self._strokes[char]:
                self.type_with(modifiers, key)

    def type_with(self, modifiers: Sequence[int], *keys: int) -> None:
        """Tap keys while modifiers are held."""
        for modifier in modifiers:
            self.press(modifier)
        for key in keys:
            self.tap(key)
        for modifier in reversed(modifiers):
            self.release(modifier)

    def type_alt_number(self, digits: str) -> None:
        """Type a character by its number: Alt with the keypad's digits."""
        keypad = {char: key for key, char in layout_of("us").keypad.items()}
        self.type_with([Key.LEFTALT], *(keypad[digit] for digit in digits))

    def light_caps_lock(self, *, on: bool) -> None:
        """Switch the lamp, as the host does."""
        self.caps_lock = on
        self.send((EV_LED, LED_CAPSL, int(on)), (EV_SYN, SYN_REPORT, 0))

    def type_code(self, code: str, ending: int = Key.ENTER) -> None:
        """Type a code and the key that ends it."""
        self.type_text(code)
        self.tap(ending)

    def overflow(self, *released: int) -> None:
        """Report dropped events, as the kernel does. The releases of these keys were among them."""
        self.held.difference_update(released)
        self.send((EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0))


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


Strokes = list[tuple[int, list[int]]]
"""Keys to tap in turn, each with the modifiers to hold."""


def _strokes(layout: Layout) -> dict[str, Strokes]:
    """Map each character to its first way: a key alone, or behind the accent of a dead key."""
    held: list[list[int]] = [[], [Key.LEFTSHIFT]]
    if layout.has_altgr:
        held += [[Key.RIGHTALT], [Key.RIGHTALT, Key.LEFTSHIFT]]
    typed: dict[str, Strokes] = {}
    for level, modifiers in enumerate(held):
        for key, levels in layout.keys.items():
            if levels[level]:
                typed.setdefault(levels[level], [(key, modifiers)])
    accents = {char: typed.pop(char) for char in list(typed) if char in SPACING_ACCENTS}
    for accent, strokes in accents.items():
        typed.setdefault(SPACING_ACCENTS[accent], [*strokes, *typed[" "]])
        for char in list(typed):
            joined = unicodedata.normalize("NFC", char + accent)
            if len(char) == len(joined) == 1 and len(typed[char]) == 1 and char != " ":
                typed.setdefault(joined, [*strokes, *typed[char]])
    return typed
