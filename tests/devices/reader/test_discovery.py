import os

import pytest
from device_trees import POWER_BUTTON_KEYS, Trees

from gatectl.devices.reader import discovery
from gatectl.devices.reader.driver import all_drivers


@pytest.fixture
def trees(tmp_path):
    return Trees(tmp_path)


def devices(places):
    return discovery.devices(places, all_drivers())


def shown(trees):
    dev = str(trees.places.dev)
    return [(one.type, one.path.removeprefix(dev + "/"), one.stability) for one in devices(trees.places)]


def test_a_machine_without_any(tmp_path):
    trees = Trees(tmp_path)
    assert devices(trees.places) == []


def test_the_best_name_is_shown(trees):
    trees.keyboard(10, "ten")
    trees.keyboard(2, "two", by_id="usb-Two-event-kbd", by_path="platform-2-event-kbd")
    trees.keyboard(3, "three", by_path="platform-3-event-kbd")
    trees.port("ttyUSB0", by_id="usb-Reader-if00", by_path="platform-0")
    trees.port("ttyACM1", by_path="platform-1")
    trees.port("ttyAMA0")
    assert shown(trees) == [
        ("evdev", "input/by-id/usb-Two-event-kbd", "by-id"),
        ("evdev", "input/by-path/platform-3-event-kbd", "by-path"),
        ("evdev", "input/event10", "none"),
        ("serial", "serial/by-id/usb-Reader-if00", "by-id"),
        ("serial", "serial/by-path/platform-1", "by-path"),
        ("serial", "ttyAMA0", "none"),
    ]


READER = ("0403", "6001")


def test_of_twins_each_is_named_by_its_socket(trees):
    # udev leads the one name to one of them, and to the other when that one is unplugged.
    trees.port("ttyUSB0", by_id="usb-FTDI_00", by_path="socket-1", usb=("1-1", READER, "A1"))
    trees.port("ttyUSB1", by_path="socket-2", usb=("1-2", READER, "A1"))
    trees.port("ttyUSB2", by_id="usb-FTDI_A2", by_path="socket-3", usb=("1-3", READER, "A2"))
    trees.keyboard(1, "one", by_id="usb-S-event-kbd", by_path="s-4-event-kbd", usb=("1-4", ("ffff", "35")))
    trees.keyboard(2, "two", by_path="s-5-event-kbd", usb=("1-5", ("ffff", "35")))
    assert shown(trees) == [
        ("evdev", "input/by-path/s-4-event-kbd", "by-path"),
        ("evdev", "input/by-path/s-5-event-kbd", "by-path"),
        ("serial", "serial/by-path/socket-1", "by-path"),
        ("serial", "serial/by-id/usb-FTDI_A2", "by-id"),
        ("serial", "serial/by-path/socket-2", "by-path"),
    ]
    assert [one.has_twin for one in devices(trees.places)] == [True, True, True, False, True]


def test_two_interfaces_of_one_device_are_no_twins(trees):
    for number, interface in ((1, "00"), (2, "01")):
        usb = ("1-1", READER, "A1", interface)
        trees.keyboard(number, "both", by_id=f"usb-S-if{interface}-event-kbd", usb=usb)
    assert [one.stability for one in devices(trees.places)] == ["by-id", "by-id"]


def test_devices_that_cannot_type_a_code_are_left_out(trees):
    trees.keyboard(0, "Power Button", keys=POWER_BUTTON_KEYS)
    trees.keyboard(1, "half a keyboard", keys=sum(1 << key for key in range(2, 12)))
    assert devices(trees.places) == []


@pytest.mark.parametrize("name", ["ttySC0", "ttymxc3", "ttyTHS1", "ttyO4", "rfcomm0", "ttyS10"])
def test_ports_of_all_boards_are_found(trees, name):
    trees.port(name)
    (found,) = devices(trees.places)
    assert (found.type, found.path) == ("serial", str(trees.places.dev / name))
    assert found.may_change_name is (name == "rfcomm0")


def test_ports_that_are_not_there_are_left_out(trees):
    trees.port("ttyS1", kind="0")
    trees.port("tty1")
    trees.port("ttyprintk")
    (trees.places.dev / "serial/by-id/usb-gone").symlink_to("../../ttyUSB7")
    trees.port("ttyS0")
    assert shown(trees) == [("serial", "ttyS0", "none")]


def test_the_console_is_reported(trees):
    trees.console("tty1 ttyAMA0")
    trees.port("ttyAMA0")
    trees.port("ttyAMA1")
    assert [one.is_console for one in devices(trees.places)] == [True, False]


def test_the_names_that_they_give_themselves(trees):
    trees.keyboard(0, "Honeywell 1450g")
    trees.port("ttyUSB0", product=("1a86", "USB Serial"))
    trees.port("ttyUSB1")
    assert [one.name for one in devices(trees.places)] == [
        "Honeywell 1450g",
        "1a86 USB Serial",
        "",
    ]


def test_programs_that_have_it_open(trees):
    node = trees.keyboard(0, "scanner", by_id="usb-1-event-kbd")
    trees.process(12, "Xorg", "/dev/null", node, node)
    trees.process(7, "evtest", node)
    trees.process(os.getpid(), "gatectl", node)
    (trees.places.proc / "99").mkdir()
    (found,) = devices(trees.places)
    assert found.held_by == ("evtest (7)", "Xorg (12)")
