"""Names of devices: what cannot be a scanner is refused with what to use, and what moves is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatectl.config.reader import load
from gatectl.config.warnings import warnings_of

PORT, DEVICE = 'port = "/dev/ttyS7"', 'device = "/dev/input/by-id/usb-X-event-kbd"'
FIND = "`gatectl devices` prints the path"
PATHS = "`gatectl devices` prints the paths below"
SERIAL = f'a serial port is type = "serial" with port = "/dev/serial/by-id/…"; {FIND}'
TYPES = f'a reader that types is type = "evdev" with device = "/dev/input/by-id/usb-…-event-kbd"; {FIND}'
NETWORK = "a reader in the network comes in through a pseudo-terminal that socat makes"
HIDRAW = (
    "the same reader types as /dev/input/by-id/usb-…-event-kbd: `gatectl devices` prints the path",
    "one in HID-POS mode has to be set to keyboard mode first, with a barcode of its manual",
)
WINDOWS = "is a name of Windows, not a path"
WHOLE_USB = "names a USB device as a whole, not what to read from"


@pytest.mark.parametrize(
    ("port", "what", "hints"),
    [
        ("COM3", WINDOWS, [f"on Linux it is below /dev/serial/by-id; {FIND}"]),
        (r"\\\\.\\COM10", WINDOWS, [f"on Linux it is below /dev/serial/by-id; {FIND}"]),
        ("tcp://192.168.1.20:51000", "must be the path of a device on this machine", [NETWORK]),
        ("rfc2217://moxa:4001", "must be the path of a device on this machine", [NETWORK]),
        ("192.168.1.20:51000", "must be the path of a device on this machine", [NETWORK]),
        ("/dev/input/event3", "is not a serial port", [TYPES]),
        ("/dev/hidraw1", "is not a serial port", [TYPES]),
        ("/dev/bus/usb/001/004", WHOLE_USB, [f"{PATHS} /dev/serial/by-id"]),
        ("1a86:7523", WHOLE_USB, [f"{PATHS} /dev/serial/by-id"]),
        ("ttyUSB0", "must be the whole path", ['write "/dev/ttyUSB0"']),
        ("usb-X-if00-port0", "must be the whole path", ['write "/dev/serial/by-id/usb-X-if00-port0"']),
        ("/dev/serial/by-id/", "is a folder, not a device", [f"{PATHS} /dev/serial/by-id"]),
        ("/dev", "is a folder, not a device", [f"{PATHS} /dev/serial/by-id"]),
    ],
)
def test_no_serial_port(write, refusal, port, what, hints):
    (problem,) = refusal(write(PORT, f'port = "{port}"')).problems
    assert (problem.line, problem.key) == (35, "doors.main.scanners[0].port")
    assert (problem.what, list(problem.hints)) == (what, hints)


@pytest.mark.parametrize(
    ("device", "what", "hints"),
    [
        ("/dev/hidraw0", "is a raw HID device, not an input device", [*HIDRAW]),
        ("/dev/usb/hiddev0", "is a raw HID device, not an input device", [*HIDRAW]),
        ("/dev/ttyUSB0", "is not an input device", [SERIAL]),
        ("/dev/serial/by-id/usb-X-if00-port0", "is not an input device", [SERIAL]),
        ("/dev/input/mice", "is not a keyboard; a reader types as one", [TYPES]),
        ("/dev/input/by-id/usb-X-mouse", "is not a keyboard; a reader types as one", [TYPES]),
        ("COM3", WINDOWS, [f"on Linux it is below /dev/input/by-id; {FIND}"]),
        ("05e0:1200", WHOLE_USB, [f"{PATHS} /dev/input/by-id"]),
        ("event4", "must be the whole path", ['write "/dev/input/event4"']),
        ("hidraw0", "must be the whole path", ['write "/dev/hidraw0"']),
        ("usb-X-event-kbd", "must be the whole path", ['write "/dev/input/by-id/usb-X-event-kbd"']),
        ("/dev/input/by-id", "is a folder, not a device", [f"{PATHS} /dev/input/by-id"]),
    ],
)
def test_no_input_device(write, refusal, device, what, hints):
    (problem,) = refusal(write(DEVICE, f'device = "{device}"')).problems
    assert (problem.line, problem.key) == (39, "doors.main.scanners[1].device")
    assert (problem.what, list(problem.hints)) == (what, hints)


@pytest.mark.parametrize(
    ("old", "name", "stays"),
    [
        (PORT, "/dev/ttyUSB0", False),
        (PORT, "/dev/ttyACM12", False),
        (PORT, "/dev/ttyAMA0", True),
        (PORT, "/dev/ttyS0", True),
        (PORT, "/dev/serial0", True),
        (PORT, "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0", True),
        (PORT, "/dev/serial/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0-port0", True),
        (PORT, "scanner", True),
        (DEVICE, "/dev/input/event0", False),
        (DEVICE, "/dev/input/by-path/pci-0000:00:14.0-usb-0:2:1.0-event-kbd", True),
        (DEVICE, "/dev/gate-reader", True),
    ],
)
def test_names_that_move_work_and_are_warned_of(write, old, name, stays):
    key = old.partition(" ")[0]
    settings = load(write(old, f'{key} = "{name}"'))
    scanners = {"port": 0, "device": 1}
    assert getattr(settings.doors["main"].scanners[scanners[key]], key).name == Path(name).name
    links = {"port": "/dev/serial/by-id", "device": "/dev/input/by-id"}[key]
    moves = (
        f"doors.main.scanners[{scanners[key]}].{key}: {name} may be another device after a restart: "
        f"`gatectl devices` prints its name below {links}, which stays"
    )
    about_devices = [warning for warning in warnings_of(settings) if "scanners" in warning]
    assert about_devices == ([] if stays else [moves])
