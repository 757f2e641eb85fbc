"""A scanner that is a keyboard: the kernel's input events, with the device grabbed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

import evdev
from evdev import ecodes

from gatectl.decision.keys import KeyDecoder, KeyEvent
from gatectl.decision.notice import Tell
from gatectl.decision.reading import Reading
from gatectl.devices.scanner import DeviceLost, OnCode, Scanner, cause_of


class KeySource(Protocol):
    """An open keyboard, real or virtual."""

    caps_lock: bool
    """The lock's state when it was opened."""

    def fileno(self) -> int:
        """The descriptor to wait for."""

    def read(self) -> list[KeyEvent]:
        """The events that are there; never blocks. DeviceLost where the device is gone."""

    def held_keys(self) -> set[int]:
        """The keys that are held right now. DeviceLost where the device is gone."""

    def close(self) -> None:
        """Lets go of the device; never blocks, never raises."""


class Keyboard:
    """An input device, grabbed: what it types reaches nobody else. DeviceLost where it cannot be."""

    def __init__(self, path: str) -> None:
        try:
            self._device = evdev.InputDevice(path)
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error
        try:
            self._device.grab()
            self.caps_lock = ecodes.LED_CAPSL in self._device.leds()
        except OSError as error:
            self.close()
            raise DeviceLost(cause_of(error.errno)) from error

    def fileno(self) -> int:
        return self._device.fd

    def read(self) -> list[KeyEvent]:
        try:
            return [(event.type, event.code, event.value) for event in self._device.read()]
        except BlockingIOError:
            return []
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error

    def held_keys(self) -> set[int]:
        try:
            return set(self._device.active_keys())
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error

    def close(self) -> None:
        """Closing lets go of the grab, too."""
        with contextlib.suppress(OSError):
            self._device.close()


class KeyboardConnection:
    """A keyboard with its decoder."""

    def __init__(self, keyboard: KeySource, layout: str, *, strip_aim: bool = False) -> None:
        self._keyboard = keyboard
        self._decoder = KeyDecoder(layout, caps_lock=keyboard.caps_lock, strip_aim=strip_aim)
        self.fileno = keyboard.fileno
        self.silence = self._decoder.silence
        self.close = keyboard.close

    @property
    def pending(self) -> bool:
        return self._decoder.pending

    def read(self) -> list[Reading]:
        readings = self._decoder.feed(self._keyboard.read())
        if self._decoder.stale:
            self._decoder.resynchronise(self._keyboard.held_keys())
        return readings


def keyboard_scanner(
    device: str,
    *,
    layout: str,
    idle_s: float,
    strip_aim: bool,
    on_code: OnCode,
    tell: Tell,
    connect: Callable[[str], KeySource] = Keyboard,
) -> Scanner:
    """The scanner of a `type = "evdev"` table; `layout` is a `LayoutName`."""

    def connection() -> KeyboardConnection:
        return KeyboardConnection(connect(device), layout, strip_aim=strip_aim)

    return Scanner(device, "evdev", connection, idle_s, on_code, tell)
