"""Keyboards that are found by their name or their Bluetooth address, since no path of theirs stays."""

from functools import partial

import pytest
from device_trees import POWER_BUTTON_KEYS, Trees
from reader_rigs import Harness, on_shifted_clock

from gatectl.devices.reader.contention import Claims
from gatectl.devices.reader.driver import scanner_of
from gatectl.devices.reader.evdev_keyboard import KeyboardDriver
from gatectl.devices.reader.port import DeviceLost
from gatectl.devices.reader.reader_types import EvdevScanner
from gatectl.sim.virtual_scanners import VirtualKeyboard

ADDRESS = "00:1A:7D:DA:71:13"
BY_NAME = EvdevScanner(type="evdev", name="BT Scanner")
BY_ADDRESS = EvdevScanner(type="evdev", bluetooth=ADDRESS)


@pytest.fixture
def trees(tmp_path):
    trees = Trees(tmp_path)
    trees.keyboard(1, "Some Keyboard")
    trees.keyboard(2, "BT Scanner", keys=POWER_BUTTON_KEYS, uniq=ADDRESS.lower())  # its buttons
    return trees


@pytest.mark.parametrize("settings", [BY_NAME, BY_ADDRESS])
def test_it_is_found_wherever_it_is(trees, settings):
    driver = KeyboardDriver(places=trees.places)
    with pytest.raises(DeviceLost, match="unplugged"):
        driver.locate(settings)
    node = trees.keyboard(5, "BT Scanner", uniq=ADDRESS.lower())
    assert driver.locate(settings) == str(node)
    node.unlink()
    node = trees.keyboard(6, "BT Scanner", uniq=ADDRESS.lower())
    assert driver.locate(settings) == str(node)


def test_of_two_with_one_name_none_is_taken(trees):
    trees.keyboard(5, "BT Scanner", uniq=ADDRESS.lower())
    trees.keyboard(6, "BT Scanner", uniq="00:1a:7d:da:71:14")
    driver = KeyboardDriver(places=trees.places)
    with pytest.raises(DeviceLost, match="several devices have this name"):
        driver.locate(BY_NAME)
    assert driver.locate(BY_ADDRESS) == str(trees.places.dev / "input/event5")


@on_shifted_clock
async def test_a_scanner_that_comes_back_as_another_event(trees):
    keyboard = VirtualKeyboard("us")
    driver = KeyboardDriver(keyboard.connect, places=trees.places)
    claims = Claims({BY_NAME.path: partial(driver.locate, BY_NAME)})
    node = trees.keyboard(5, "BT Scanner")
    async with Harness(partial(scanner_of, BY_NAME, claims, drivers={"evdev": driver})) as harness:
        await harness.ready()
        keyboard.type_code("1")
        await harness.code("1")
        node.unlink()
        keyboard.unplug()
        await harness.until(lambda: harness.scanner.status.state == "lost")
        await harness.retry()
        assert harness.scanner.status.cause == "unplugged"
        trees.keyboard(6, "BT Scanner")
        keyboard.plug()
        await harness.retry()
        await harness.ready()
        keyboard.type_code("2")
        await harness.code("2")
        assert harness.scanner.status.path == "BT Scanner"
