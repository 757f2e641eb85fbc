"""The kinds of settings that are a scanner's device, and which names of devices stay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from gatectl.config.kinds import Kind, path_of, refuse

_FIND = "`gatectl devices` prints the path"
_PATHS = "`gatectl devices` prints the paths below"
_SERIAL_HINT = 'a serial port is type = "serial" with port = "/dev/serial/by-id/…"; ' + _FIND
_INPUT_HINT = (
    'a reader that types is type = "evdev" with device = "/dev/input/by-id/usb-…-event-kbd"; ' + _FIND
)
_HIDRAW_HINTS = (
    "the same reader types as /dev/input/by-id/usb-…-event-kbd: `gatectl devices` prints the path",
    "one in HID-POS mode has to be set to keyboard mode first, with a barcode of its manual",
)

_SERIAL = re.compile(r"/dev/(?:tty.*|serial/.*|rfcomm\d+)")
_INPUT = re.compile(r"/dev/input(?:/.*)?")
_HIDRAW = re.compile(r"/dev/(?:usb/)?hid(?:raw|dev)\d+")
_OTHER_INPUT = re.compile(r"/dev/input/(?:mouse\d+|mice|js\d+|by-(?:id|path)/.*-(?:mouse|joystick))")
_USB_BUS = re.compile(r"/dev/bus/usb(?:/.*)?")
_FOLDER = re.compile(r"/dev(?:/(?:input|serial))?(?:/by-(?:id|path))?/*|.*/")
_UNSTABLE = re.compile(r"/dev/input/event\d+|/dev/tty(?:USB|ACM)\d+")
"""Numbers that the kernel gives in the order in which devices are found."""

_BARE = re.compile(r"(?:tty[A-Za-z]+\d+|rfcomm\d+|event\d+|hidraw\d+)")
_BARE_LINK = re.compile(r"(?:usb|bluetooth|pci)-.+")
_WINDOWS = re.compile(r"(?:\\\\\.\\)?COM\d+:?", re.IGNORECASE)
_USB_ID = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.*|[\w.-]+:\d{1,5}", re.ASCII)


def stays(path: Path) -> bool:
    """Does this name lead to the same device after a restart and after plugging it in again?"""
    return not _UNSTABLE.fullmatch(str(path))


def _port(value: object, folder: Path) -> Path:
    path, text = _device(value, folder, "/dev/serial/by-id")
    if _INPUT.fullmatch(text) or _HIDRAW.fullmatch(text):
        raise refuse("is not a serial port", _INPUT_HINT)
    return path


def _input(value: object, folder: Path) -> Path:
    path, text = _device(value, folder, "/dev/input/by-id")
    if _SERIAL.fullmatch(text):
        raise refuse("is not an input device", _SERIAL_HINT)
    if _HIDRAW.fullmatch(text):
        raise refuse("is a raw HID device, not an input device", *_HIDRAW_HINTS)
    if _OTHER_INPUT.fullmatch(text):
        raise refuse("is not a keyboard; a reader types as one", _INPUT_HINT)
    return path


def _device(value: object, folder: Path, links: str) -> tuple[Path, str]:
    """The path, as such and as text; `links` is where the names are that stay."""
    path = path_of(value, folder)
    text = str(value)
    if _WINDOWS.fullmatch(text):
        raise refuse("is a name of Windows, not a path", f"on Linux it is below {links}; {_FIND}")
    if _USB_ID.fullmatch(text) or _USB_BUS.fullmatch(text):
        raise refuse("names a USB device as a whole, not what to read from", f"{_PATHS} {links}")
    if _ADDRESS.fullmatch(text):
        raise refuse(
            "must be the path of a device on this machine",
            "a reader in the network comes in through a pseudo-terminal that socat makes",
        )
    if _BARE.fullmatch(text) or _BARE_LINK.fullmatch(text):
        place = links if _BARE_LINK.fullmatch(text) else "/dev/input" if text.startswith("event") else "/dev"
        raise refuse("must be the whole path", f'write "{place}/{text}"')
    if _FOLDER.fullmatch(text):
        raise refuse("is a folder, not a device", f"{_PATHS} {links}")
    return path, text


SerialPort = Annotated[Path, Kind(_port, {"type": "string", "minLength": 1})]
InputDevice = Annotated[Path, Kind(_input, {"type": "string", "minLength": 1})]
