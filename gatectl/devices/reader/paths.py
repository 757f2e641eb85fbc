"""The kinds of settings that name a scanner's device, and the test for stable device names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from gatectl.validators.values import Validator, path_of, refuse, string

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

# Compiled only when needed: a start with the usual names does not need them.
_SERIAL = r"/dev/(?:tty.*|serial/.*|rfcomm\d+)"
_INPUT = r"/dev/input(?:/.*)?"
_HIDRAW = r"/dev/(?:usb/)?hid(?:raw|dev)\d+"
_OTHER_INPUT = r"/dev/input/(?:mouse\d+|mice|js\d+|by-(?:id|path)/.*-(?:mouse|joystick))"
_USB_BUS = r"/dev/bus/usb(?:/.*)?"
_FOLDER = r"/dev(?:/(?:input|serial))?(?:/by-(?:id|path))?/*|.*/"
_SERIAL_LINKS = ("/dev/serial/by-id/", "/dev/serial/by-path/")
_INPUT_LINKS = ("/dev/input/by-id/", "/dev/input/by-path/")
_UNSTABLE = r"/dev/input/event\d+|/dev/tty(?:USB|ACM)\d+"
"""Names with a number that the kernel gives in the order in which it finds devices."""

_BARE = r"(?:tty[A-Za-z]+\d+|rfcomm\d+|event\d+|hidraw\d+)"
_BARE_LINK = r"(?:usb|bluetooth|pci)-.+"
_WINDOWS = r"(?i)(?:\\\\\.\\)?COM\d+:?"
BLUETOOTH = r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}"
_USB_ID = r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}"
_ADDRESS = r"[A-Za-z][A-Za-z0-9+.-]*://.*|[\w.-]+:\d{1,5}"


def is_stable(path: Path) -> bool:
    """Whether this name leads to the same device after a restart and after plugging it in again."""
    return not re.fullmatch(_UNSTABLE, str(path))


def _port(value: object, folder: Path) -> Path:
    if isinstance(value, str) and value.startswith(_SERIAL_LINKS) and not value.endswith("/"):
        return path_of(value, folder)
    path, text = _device(value, folder, "/dev/serial/by-id")
    if re.fullmatch(_INPUT, text) or re.fullmatch(_HIDRAW, text):
        raise refuse("is not a serial port", _INPUT_HINT)
    return path


def _input(value: object, folder: Path) -> Path:
    if isinstance(value, str) and value.startswith(_INPUT_LINKS) and value.endswith("-kbd"):
        return path_of(value, folder)
    path, text = _device(value, folder, "/dev/input/by-id")
    if re.fullmatch(_SERIAL, text):
        raise refuse("is not an input device", _SERIAL_HINT)
    if re.fullmatch(_HIDRAW, text):
        raise refuse("is a raw HID device, not an input device", *_HIDRAW_HINTS)
    if re.fullmatch(_OTHER_INPUT, text):
        raise refuse("is not a keyboard; a reader types as one", _INPUT_HINT)
    return path


def _device(value: object, folder: Path, links: str) -> tuple[Path, str]:
    """Return the path, as Path and as text; `links` is the folder of the stable names."""
    path = path_of(value, folder)
    text = str(value)
    if re.fullmatch(_WINDOWS, text):
        raise refuse("is a name of Windows, not a path", f"on Linux it is below {links}; {_FIND}")
    if re.fullmatch(_USB_ID, text) or re.fullmatch(_USB_BUS, text):
        raise refuse("names a USB device as a whole, not what to read from", f"{_PATHS} {links}")
    if re.fullmatch(_ADDRESS, text):
        raise refuse(
            "must be the path of a device on this machine",
            "a reader in the network comes in through a pseudo-terminal that socat makes",
        )
    if re.fullmatch(_BARE, text) or re.fullmatch(_BARE_LINK, text):
        place = (
            links if re.fullmatch(_BARE_LINK, text) else "/dev/input" if text.startswith("event") else "/dev"
        )
        raise refuse("must be the whole path", f'write "{place}/{text}"')
    if re.fullmatch(_FOLDER, text):
        raise refuse("is a folder, not a device", f"{_PATHS} {links}")
    return path, text


def _bluetooth(value: object, _folder: Path) -> str:
    text = string(value)
    if not re.fullmatch(BLUETOOTH, text):
        raise refuse(
            "must be a Bluetooth address, such as 00:1A:7D:DA:71:13", "`bluetoothctl devices` lists them"
        )
    return text.upper()


BluetoothAddress = Annotated[str, Validator(_bluetooth, {"type": "string", "pattern": f"^{BLUETOOTH}$"})]
SerialPort = Annotated[Path, Validator(_port, {"type": "string", "minLength": 1})]
InputDevice = Annotated[Path, Validator(_input, {"type": "string", "minLength": 1})]
