"""The real drivers where no device answers as it should, and the virtual devices' own manners."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import termios
from pathlib import Path

import pytest
import serial
from evdev import ecodes
from fuse_device import FuseDevice, needs_fuse
from limits import NET_S

from gatectl.devices.reader.driver import Input
from gatectl.devices.reader.evdev_keyboard import (
    EVENT_FORMAT,
    GET_LEDS,
    GET_VERSION,
    GRAB,
    Keyboard,
    KeyboardDriver,
)
from gatectl.devices.reader.port import DeviceLost
from gatectl.devices.reader.reader_types import EvdevScanner
from gatectl.devices.reader.serial_port import SerialPort
from gatectl.sim.virtual_scanners import VirtualKeyboard, VirtualSerialScanner

TCGETS, TCSETS, TCFLSH, TIOCMBIS, TIOCMBIC = 0x5401, 0x5402, 0x540B, 0x5416, 0x5417
GET_NAME = 0x81004506  # EVIOCGNAME(256)
NOT_UTF_8 = b"\xe6\x89\xab\xe7\xa0\x81\xe6\x9e\0"


def open_serial(path):
    return SerialPort(str(path), 9600)


def open_keyboard(path):
    return Keyboard(str(path))


@pytest.mark.parametrize("opening", [open_serial, open_keyboard])
@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("nothing", "unplugged"),
        ("folder", "not a device of this type"),
        ("file", "not a device of this type"),
        ("null", "not a device of this type"),
    ],
)
def test_paths_that_are_no_device(opening, name, cause, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(DeviceLost) as lost:
        opening(tmp_path / name)
    assert lost.value.cause == cause


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
@pytest.mark.parametrize("opening", [open_serial, open_keyboard])
def test_devices_that_may_not_be_opened(opening, tmp_path):
    (tmp_path / "device").touch(mode=0)
    with pytest.raises(DeviceLost, match="permission denied"):
        opening(tmp_path / "device")


def test_a_baud_rate_that_is_refused(monkeypatch, tmp_path):
    def refuse(*_args, **_settings):
        raise ValueError("Failed to set custom baud rate")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(DeviceLost, match="12345 baud refused"):
        SerialPort(str(tmp_path), 12345)


@pytest.mark.parametrize(
    ("mode", "flags"),
    [
        ("8N1", 0),
        ("7E2", termios.CSTOPB),
        ("7O1", termios.PARODD),
        ("8M1", serial.serialposix.CMSPAR | termios.PARODD),
        ("8S2", serial.serialposix.CMSPAR | termios.CSTOPB),
    ],
)
def test_the_mode_of_the_line(mode, flags, tmp_path):
    # A pty keeps these flags as they were set; character size and parity itself it has none.
    kept = termios.CSTOPB | termios.PARODD | serial.serialposix.CMSPAR
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        contextlib.closing(SerialPort(str(scanner.link), 9600, mode=mode)) as port,
    ):
        assert termios.tcgetattr(port.fileno())[2] & kept == flags


@pytest.mark.parametrize(
    ("flow", "hardware", "software"),
    [("none", False, False), ("rts-cts", True, False), ("xon-xoff", False, True)],
)
def test_the_flow_control_of_the_line(flow, hardware, software, tmp_path):
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        contextlib.closing(SerialPort(str(scanner.link), 9600, flow=flow)) as port,
    ):
        iflag, _, cflag, *_ = termios.tcgetattr(port.fileno())
        assert bool(cflag & termios.CRTSCTS) is hardware
        assert bool(iflag & termios.IXON) is software


def test_seven_bits_are_read_without_their_parity(tmp_path):
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        contextlib.closing(SerialPort(str(scanner.link), 9600, mode="7E1")) as port,
    ):
        scanner.send(bytes.fromhex("b1 b2 33 8d"))
        assert select.select([port.fileno()], [], [], NET_S)[0]
        assert port.read() == b"123\r"


@needs_fuse
@pytest.mark.parametrize(("dtr", "calls"), [(True, [TIOCMBIS] * 2), (False, [TIOCMBIC] * 2)])
def test_dtr_and_rts_rise_at_the_opening_unless_the_settings_say_otherwise(dtr, calls, tmp_path):
    with FuseDevice(tmp_path / "serial") as device:
        device.ioctls = {TCGETS: b"", TCSETS: b"", TIOCMBIS: b"", TIOCMBIC: b"", TCFLSH: b""}
        with contextlib.suppress(DeviceLost), contextlib.closing(SerialPort(str(device.path), 9600, dtr=dtr)):
            pass
        assert [call for call in device.asked if call in {TIOCMBIS, TIOCMBIC}] == calls


def test_a_port_without_input_is_not_a_port_that_is_gone(tmp_path):
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        contextlib.closing(open_serial(scanner.link)) as port,
    ):
        assert port.read() == b""
        scanner.unplug()
        with pytest.raises(DeviceLost, match="unplugged"):
            port.read()


LEDS = bytes([1 << ecodes.LED_NUML | 1 << ecodes.LED_CAPSL, 0])
EVENT = (ecodes.EV_KEY, ecodes.KEY_A, 1)


@pytest.fixture
def device(tmp_path):
    """An input device by its driver's side: its name is no UTF-8, as that of some scanners."""
    with FuseDevice(tmp_path / "input") as made:
        made.ioctls = {GET_VERSION: b"\1\0\1\0", GET_LEDS: LEDS, GRAB: b"", GET_NAME: NOT_UTF_8}
        yield made


@needs_fuse
@pytest.mark.parametrize(
    ("call", "number", "cause"),
    [
        (GET_VERSION, errno.EINVAL, "not a device of this type"),
        (GET_VERSION, errno.ENODEV, "unplugged"),
        (GRAB, errno.EBUSY, "held by another process"),
        (GRAB, errno.ENODEV, "unplugged"),
        (GET_LEDS, errno.ENODEV, "unplugged"),
    ],
)
def test_how_a_keyboard_cannot_be_opened(device, call, number, cause):
    device.ioctls[call] = number
    with pytest.raises(DeviceLost) as lost:
        Keyboard(str(device.path))
    assert lost.value.cause == cause
    device.until_asked("close")


@needs_fuse
def test_a_keyboard_as_the_kernel_shows_it(device):
    keyboard = Keyboard(str(device.path))
    assert device.asked == ["open", GET_VERSION, GRAB, GET_LEDS]
    assert keyboard.caps_lock
    assert keyboard.read() == []
    device.send(EVENT_FORMAT.pack(1, 2, *EVENT))
    assert select.select([keyboard.fileno()], [], [], NET_S)[0]
    assert keyboard.read() == [EVENT]
    device.unplug()
    with pytest.raises(DeviceLost, match="unplugged"):
        keyboard.read()
    keyboard.close()
    device.until_asked("close")


@needs_fuse
def test_a_keyboard_without_caps_lock(device):
    device.ioctls[GET_LEDS] = bytes(2)
    with contextlib.closing(Keyboard(str(device.path))) as keyboard:
        assert not keyboard.caps_lock


def test_the_numbers_of_the_requests_are_the_kernels():
    assert (GET_VERSION, GRAB) == (0x80044501, 0x40044590)  # EVIOCGVERSION, EVIOCGRAB
    assert GET_LEDS == 0x80024519  # EVIOCGLED(2)


@pytest.mark.parametrize(("caps_lock", "codes"), [("ignore", ["a1", "a1"]), ("follow", ["A1", "a1"])])
def test_the_lamp_of_caps_lock_counts_for_a_scanner_that_follows_it(caps_lock, codes):
    settings = EvdevScanner(type="evdev", device=Path("x"), layout="us", caps_lock=caps_lock)
    with VirtualKeyboard("us", caps_lock=True) as keyboard:
        driver = KeyboardDriver(keyboard.connect)
        with contextlib.closing(driver.open(settings, "")) as source:
            decoder = driver.decoder(settings, source)
            keyboard.type_code("a1")
            keyboard.light_caps_lock(on=False)
            keyboard.type_code("a1")
            assert [one.text for one in decoder.feed(source.read())] == codes


def test_an_unknown_keyboard_is_recognised_by_the_lamp_as_it_is_now():
    driver = KeyboardDriver(shared=(keyboard := VirtualKeyboard("us")).connect)
    with keyboard, contextlib.closing(driver.open_shared("", 9600)) as source:
        keyboard.light_caps_lock(on=True)
        assert driver.recognise(Input(source, [source.read()], 0.0, 0.0), 9600) is None
        keyboard.type_code("ab")
        seen = driver.recognise(Input(source, [source.read()], 0.0, 0.0), 9600)
        assert ("AB", "follow") in [(one.code, one.settings.get("caps_lock")) for one in seen]


def test_a_virtual_scanner_that_is_unplugged_sends_nothing(tmp_path):
    with VirtualSerialScanner(tmp_path / "scanner") as scanner:
        scanner.unplug()
        scanner.unplug()
        assert not scanner.link.is_symlink()
        with pytest.raises(FileNotFoundError, match="is unplugged"):
            scanner.type_code("4711")
        scanner.plug()
        scanner.plug()
        scanner.type_code("4711")
    assert not scanner.link.is_symlink()


def test_a_virtual_scanner_never_blocks(tmp_path):
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        pytest.raises(BlockingIOError),
    ):
        scanner.send(b"x" * 1_000_000)


def test_a_virtual_keyboard_is_opened_by_one_at_a_time():
    with VirtualKeyboard("us") as keyboard:
        first = keyboard.connect("")
        with pytest.raises(DeviceLost, match="held by another process"):
            keyboard.connect("")
        keyboard.unplug()
        with pytest.raises(DeviceLost, match="unplugged"):
            keyboard.connect("")
        keyboard.plug()
        second = keyboard.connect("")
        first.close()  # late: it must not hang up the second
        keyboard.tap(ecodes.KEY_A)
        assert second.read()[0] == (ecodes.EV_KEY, ecodes.KEY_A, 1)
        second.close()
        keyboard.tap(ecodes.KEY_A)  # no process has it open: lost
