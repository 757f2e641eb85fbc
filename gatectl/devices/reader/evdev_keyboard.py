"""Read a scanner that acts as a keyboard: the kernel's input events, with the device grabbed.

Only the device's file is used. Its name is not read, since it may not be UTF-8.

Source: the kernel's linux/input.h and Documentation/input/input.rst.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from functools import partial
from typing import Protocol, Unpack

from gatectl.decision.log import Log
from gatectl.decision.reader.keys import KeyDecoder, KeyEvent
from gatectl.decision.reader.reading import Affixes, Reading
from gatectl.devices.reader.claims import Claims
from gatectl.devices.reader.holders import holders
from gatectl.devices.reader.supervisor import DeviceLost, LossCause, OnCode, Scanner, cause_of

EVENT_FORMAT = struct.Struct("@llHHi")
"""`struct input_event`: seconds, microseconds, type, code, value."""
_EVENTS = 64
"""Events per read: as many as the kernel buffers for a keyboard's reader."""

_WRITE, _READ = 1, 2


def _ioctl(direction: int, number: int, size: int) -> int:
    """Return a request's number, by the kernel's asm-generic/ioctl.h: x86, Arm and RISC-V."""
    return direction << 30 | size << 16 | ord("E") << 8 | number


_INT = struct.Struct("i")
_LEDS_BYTES = 2
_LED_CAPSL = 1
GET_VERSION = _ioctl(_READ, 0x01, _INT.size)
GET_LEDS = _ioctl(_READ, 0x19, _LEDS_BYTES)
GRAB = _ioctl(_WRITE, 0x90, _INT.size)


class KeyEvents(Protocol):
    """An open keyboard, real or virtual."""

    caps_lock: bool
    """The lock's state when the keyboard was opened."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def read(self) -> list[KeyEvent]:
        """Return the waiting events; never blocks. DeviceLost if the device is gone."""

    def close(self) -> None:
        """Close the device; may block, never raises."""


class Keyboard:
    """An input device, grabbed, so that no other program gets its keys. DeviceLost if that fails."""

    def __init__(self, path: str) -> None:
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error
        try:
            self._identify()
            # The kernel only checks whether the argument is 0, which a pointer never is.
            fcntl.ioctl(self._fd, GRAB, _INT.pack(1))
            leds = fcntl.ioctl(self._fd, GET_LEDS, bytes(_LEDS_BYTES))
        except OSError as error:
            self.close()
            raise DeviceLost(cause_of(error.errno)) from error
        except BaseException:
            self.close()
            raise
        self.caps_lock = bool(leds[0] >> _LED_CAPSL & 1)

    def _identify(self) -> None:
        """Raise DeviceLost if this is not an input device."""
        try:
            fcntl.ioctl(self._fd, GET_VERSION, bytes(_INT.size))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                raise DeviceLost(LossCause.NO_SCANNER) from error
            raise

    def fileno(self) -> int:
        return self._fd

    def read(self) -> list[KeyEvent]:
        try:
            data = os.read(self._fd, _EVENTS * EVENT_FORMAT.size)
        except BlockingIOError:
            return []
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error
        if not data:
            raise DeviceLost(LossCause.UNPLUGGED)
        return [(kind, code, value) for _, _, kind, code, value in EVENT_FORMAT.iter_unpack(data)]

    def close(self) -> None:
        """Close the device, which ends the grab too."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


class KeyboardConnection:
    """A keyboard with its decoder."""

    def __init__(self, keyboard: KeyEvents, decoder: KeyDecoder, close: Callable[[], None]) -> None:
        self._keyboard = keyboard
        self.decoder = decoder
        self.fileno = keyboard.fileno
        self.close = close

    def read(self) -> list[Reading]:
        return self.decoder.feed(self._keyboard.read())


def keyboard_scanner(
    device: str,
    *,
    layout: str,
    idle_s: float,
    claims: Claims,
    on_code: OnCode,
    log: Log,
    connect: Callable[[str], KeyEvents] = Keyboard,
    on_unreadable: Callable[[], None] = lambda: None,
    **affixes: Unpack[Affixes],
) -> Scanner:
    """Make the scanner of a `type = "evdev"` table; `layout` is a `LayoutName`."""

    def connection() -> KeyboardConnection:
        keyboard, close = claims.opened(device, lambda: connect(device))
        decoder = KeyDecoder(layout, caps_lock=keyboard.caps_lock, **affixes)
        return KeyboardConnection(keyboard, decoder, close)

    return Scanner(
        device,
        "evdev",
        connection,
        idle_s,
        on_code,
        log,
        holders=partial(holders, device),
        on_unreadable=on_unreadable,
    )
