"""Read a scanner that acts as a keyboard: the kernel's input events, with the device grabbed.

Only the device's file is used. Its name is not read, since it may not be UTF-8.

Source: the kernel's linux/input.h and Documentation/input/input.rst.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import math
import os
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatectl.decision.reader.keys import EV_KEY, EV_LED, LED_CAPSL, PRESSED, KeyDecoder, KeyEvent
from gatectl.devices.reader.layouts import all_layouts, layout_of
from gatectl.devices.reader.paths import BLUETOOTH
from gatectl.devices.reader.port import Decoder, DeviceLost, LossCause, cause_of
from gatectl.devices.reader.reader_types import EvdevScanner
from gatectl.devices.reader.system import DeviceClass, SystemPaths, by_number, text_of

if TYPE_CHECKING:
    from gatectl.decision.reader.detect import DetectedFormat, NotRecognised
    from gatectl.devices.reader.driver import Input

EVENT_FORMAT = struct.Struct("@llHHi")
"""`struct input_event`: seconds, microseconds, type, code, value."""
_EVENTS = 64
"""Events per read: as many as the kernel buffers for a keyboard's reader."""

_KEYS_OF_A_SCANNER = (*range(2, 12), 28)
"""KEY_1 to KEY_0 and KEY_ENTER: power buttons, mice and remote controls lack some of them."""

_WORD = 8 * struct.calcsize("l")
"""Bits of a `long`, as the kernel shows it to this process."""

_WRITE, _READ = 1, 2


def _ioctl(direction: int, number: int, size: int) -> int:
    """Return a request's number, by the kernel's asm-generic/ioctl.h: x86, Arm and RISC-V."""
    return direction << 30 | size << 16 | ord("E") << 8 | number


_INT = struct.Struct("i")
_LEDS_BYTES = 2
GET_VERSION = _ioctl(_READ, 0x01, _INT.size)
GET_LEDS = _ioctl(_READ, 0x19, _LEDS_BYTES)
GRAB = _ioctl(_WRITE, 0x90, _INT.size)


class KeyEvents(Protocol):
    """An open keyboard, real or virtual."""

    caps_lock: bool
    """The state of the lamp, as it was when last looked at."""

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
        self.caps_lock = bool(leds[0] >> LED_CAPSL & 1)

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


class SharedKeyboard(Keyboard):
    """An input device that stays shared. DeviceLost if another program has grabbed it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        fcntl.ioctl(self._fd, GRAB, 0)


def _nodes(places: SystemPaths) -> Iterator[Path]:
    for node in sorted((places.dev / "input").glob("event*"), key=by_number):
        if _types_codes(places.sys / "class/input" / node.name):
            yield node.resolve()


def _types_codes(device: Path) -> bool:
    """Whether it has a scanner's keys, by the kernel's bit map: `long` words in hex, the highest first."""
    bits = 0
    for word in text_of(device / "device/capabilities/key").split():
        bits = bits << _WORD | int(word, 16)
    return all(bits >> key & 1 for key in _KEYS_OF_A_SCANNER)


def _fact(node: Path, places: SystemPaths, name: str) -> str:
    """Return what the kernel says of a device: its `name`, or its address (`uniq`) if it has one."""
    return text_of(places.sys / "class/input" / node.name / "device" / name)


def _name_of(node: Path, places: SystemPaths) -> str:
    return _fact(node, places, "name")


def _other_name_of(node: Path, places: SystemPaths) -> tuple[str, str] | None:
    """Return the setting that finds a device without a stable path, if one does."""
    address = _fact(node, places, "uniq").upper()
    if re.fullmatch(BLUETOOTH, address):
        return "bluetooth", address
    name = _name_of(node, places)
    is_alone = [_name_of(other, places) for other in _nodes(places)].count(name) == 1
    return ("name", name) if name and name.isprintable() and is_alone else None


_CLASS = DeviceClass(
    heading="Input devices",
    folder="input",
    links="*-event-*",
    sys_class="input",
    nodes=_nodes,
    name_of=_name_of,
    is_fixed=lambda _: False,
    other_name_of=_other_name_of,
)


class KeyboardDriver:
    """The driver of `type = "evdev"`."""

    device_class = _CLASS
    is_exclusive = True
    quiet_s = 0.5
    longest_s = math.inf

    def __init__(
        self,
        grabbed: Callable[[str], KeyEvents] = Keyboard,
        shared: Callable[[str], KeyEvents] = SharedKeyboard,
        places: SystemPaths | None = None,
    ) -> None:
        """`grabbed` and `shared` open a keyboard by its path; `places` are searched for names."""
        self._places = places or SystemPaths()
        self._grabbed = grabbed
        self._shared = shared

    def describe(self, settings: EvdevScanner) -> str:
        return f"layout {settings.layout}"

    def locate(self, settings: EvdevScanner) -> str:
        if settings.device is not None:
            return os.path.realpath(settings.device)
        if settings.name is not None:
            return self._search("name", settings.name)
        return self._search("uniq", str(settings.bluetooth))

    def _search(self, fact: str, wanted: str) -> str:
        """Return the node of the only keyboard of which the kernel says this."""
        events = (self._places.dev / "input").glob("event*")
        same = [node for node in events if _fact(node, self._places, fact).casefold() == wanted.casefold()]
        found = [node for node in same if _types_codes(self._places.sys / "class/input" / node.name)]
        if not found:
            raise DeviceLost(LossCause.UNPLUGGED)
        if len(found) > 1:
            raise DeviceLost(LossCause.SEVERAL)
        return str(found[0])

    def open(self, _settings: EvdevScanner, node: str) -> KeyEvents:
        return self._grabbed(node)

    def decoder(self, settings: EvdevScanner, keyboard: KeyEvents) -> Decoder:
        # Load these here, in the device's thread: an Alt code must not wait for the disk.
        codecs.lookup("cp437")
        codecs.lookup("cp1252")
        caps_lock = keyboard.caps_lock if settings.caps_lock == "follow" else None
        return KeyDecoder(layout_of(settings.layout), caps_lock=caps_lock, **settings.affixes)

    def open_shared(self, path: str, _baud: int) -> KeyEvents:
        """Do not grab the keyboard: it may be the technician's own."""
        return self._shared(path)

    def recognise(self, scan: Input, _baud: int) -> list[DetectedFormat] | NotRecognised | None:
        from gatectl.decision.reader.detect import (  # noqa: PLC0415 - not for `run`
            TYPED_BY_HAND,
            detect_keys,
            is_by_hand,
        )

        events = [event for chunk in scan.chunks for event in chunk]
        pressed = sum(kind == EV_KEY and value == PRESSED for kind, _, value in events)
        if is_by_hand(pressed, scan.seconds):
            return TYPED_BY_HAND
        before = scan.port.caps_lock
        for kind, code, value in events:  # a shared keyboard's lamp is the host's
            if kind == EV_LED and code == LED_CAPSL:
                scan.port.caps_lock = value != 0
        return detect_keys(events, all_layouts(), caps_lock=before, gap_s=scan.gap_s)


DRIVER = KeyboardDriver()
