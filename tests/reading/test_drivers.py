"""The real drivers where no device answers as it should, and the virtual devices' own manners."""

from __future__ import annotations

import contextlib
import errno
import os

import evdev
import pytest
import serial
from evdev import ecodes

from gatectl.devices.keyboard import Keyboard, KeyboardConnection
from gatectl.devices.scanner import DeviceLost
from gatectl.devices.serial_port import SerialPort
from gatectl.sim.keyboard import VirtualKeyboard
from gatectl.sim.scanner import VirtualSerialScanner


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
def test_what_is_no_device(opening, name, cause, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "null").symlink_to("/dev/null")
    with pytest.raises(DeviceLost) as lost:
        opening(tmp_path / name)
    assert lost.value.cause == cause


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
@pytest.mark.parametrize("opening", [open_serial, open_keyboard])
def test_what_may_not_be_opened(opening, tmp_path):
    (tmp_path / "device").touch(mode=0)
    with pytest.raises(DeviceLost, match="permission denied"):
        opening(tmp_path / "device")


def test_a_baud_rate_that_is_refused(monkeypatch, tmp_path):
    def refuse(*_args, **_settings):
        raise ValueError("Failed to set custom baud rate")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(DeviceLost, match="12345 baud refused"):
        SerialPort(str(tmp_path), 12345)


def test_a_port_without_input_is_not_a_port_that_is_gone(tmp_path):
    with (
        VirtualSerialScanner(tmp_path / "scanner") as scanner,
        contextlib.closing(open_serial(scanner.link)) as port,
    ):
        assert port.read() == b""
        scanner.unplug()
        with pytest.raises(DeviceLost, match="unplugged"):
            port.read()


class Input:
    """The system's side of an evdev device."""

    fd = 99

    def __init__(self, fails=None, number=0):
        self._fails = fails
        self._number = number
        self.closed = False

    def _call(self, name, answer):
        if name == self._fails:
            raise OSError(self._number, os.strerror(self._number))
        return answer

    def grab(self):
        self._call("grab", None)

    def leds(self):
        return self._call("leds", [ecodes.LED_NUML, ecodes.LED_CAPSL])

    def active_keys(self):
        return self._call("active_keys", [ecodes.KEY_LEFTSHIFT])

    def read(self):
        yield from self._call("read", [evdev.InputEvent(1, 2, ecodes.EV_KEY, ecodes.KEY_A, 1)])

    def close(self):
        self.closed = True
        self._call("close", None)


@pytest.mark.parametrize(
    ("call", "number", "cause"),
    [
        ("grab", errno.EBUSY, "held by another process"),
        ("grab", errno.ENODEV, "unplugged"),
        ("leds", errno.ENODEV, "unplugged"),
        ("read", errno.ENODEV, "unplugged"),
        ("active_keys", errno.ENODEV, "unplugged"),
    ],
)
def test_how_a_keyboard_is_lost(monkeypatch, call, number, cause):
    device = Input(call, number)
    monkeypatch.setattr(evdev, "InputDevice", lambda _: device)

    def use():
        keyboard = open_keyboard("/dev/input/event0")
        keyboard.read()
        keyboard.held_keys()

    with pytest.raises(DeviceLost) as lost:
        use()
    assert lost.value.cause == cause
    assert device.closed == (call in ("grab", "leds"))


def test_a_keyboard_as_the_system_shows_it(monkeypatch):
    monkeypatch.setattr(evdev, "InputDevice", lambda _: Input("close", errno.ENODEV))
    keyboard = open_keyboard("/dev/input/event0")
    assert keyboard.fileno() == Input.fd
    assert keyboard.caps_lock
    assert keyboard.read() == [(ecodes.EV_KEY, ecodes.KEY_A, 1)]
    assert keyboard.held_keys() == {ecodes.KEY_LEFTSHIFT}
    keyboard.close()
    monkeypatch.setattr(evdev, "InputDevice", lambda _: Input("read", errno.EAGAIN))
    assert open_keyboard("/dev/input/event0").read() == []


def test_caps_lock_as_it_was_when_the_keyboard_was_opened():
    with (
        VirtualKeyboard("us", caps_lock=True) as keyboard,
        contextlib.closing(KeyboardConnection(keyboard.connect(""), "us")) as connection,
    ):
        keyboard.type_code("a1")
        (code,) = connection.read()
        assert code.text == "A1"


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
        keyboard.tap(ecodes.KEY_A)  # nobody has it open: lost
