"""Two names in the settings that lead to one device."""

import os
from functools import partial

import pytest

from gatectl.devices.reader import contention
from gatectl.devices.reader.port import DeviceLost


@pytest.fixture
def dev(tmp_path):
    for node in ("ttyUSB0", "ttyUSB1"):
        (tmp_path / node).touch()
    (tmp_path / "by-id").symlink_to("ttyUSB0")
    (tmp_path / "by-path").symlink_to("ttyUSB1")
    return tmp_path


def claims_of(paths):
    return contention.Claims({path: partial(os.path.realpath, path) for path in paths})


def led_to(dev, name, node):
    (dev / name).unlink()
    (dev / name).symlink_to(node)


def test_each_has_its_own(dev):
    claims = claims_of([str(dev / "by-id"), str(dev / "by-path")])
    assert claims.take(str(dev / "by-id")) == str(dev / "ttyUSB0")
    assert claims.take(str(dev / "by-path")) == str(dev / "ttyUSB1")


def test_a_name_that_moves_to_a_device_that_is_open_is_the_fault_of_its_own_scanner(dev):
    claims = claims_of([str(dev / "by-id"), str(dev / "by-path")])
    claims.release(claims.take(str(dev / "by-id")))
    other = claims.take(str(dev / "by-path"))
    led_to(dev, "by-id", "ttyUSB1")
    with pytest.raises(DeviceLost, match=f"^the same device as {dev}/by-path$"):
        claims.take(str(dev / "by-id"))
    claims.release(other)
    assert claims.take(str(dev / "by-id")) == str(dev / "ttyUSB1")


def test_without_an_owner_the_first_in_the_settings_gets_the_device_in_any_order_of_claims(dev):
    led_to(dev, "by-path", "ttyUSB0")
    claims = claims_of([str(dev / "by-id"), str(dev / "by-path")])
    for _ in range(2):
        with pytest.raises(DeviceLost, match=f"^the same device as {dev}/by-id$"):
            claims.take(str(dev / "by-path"))
        claims.release(claims.take(str(dev / "by-id")))


def test_a_scanner_that_has_another_device_keeps_no_one_away(dev):
    claims = claims_of([str(dev / "by-id"), str(dev / "by-path")])
    claims.take(str(dev / "by-id"))
    led_to(dev, "by-id", "ttyUSB1")
    assert claims.take(str(dev / "by-path")) == str(dev / "ttyUSB1")


def test_a_device_that_cannot_be_opened_is_not_kept(dev):
    claims = claims_of([str(dev / "by-id"), str(dev / "ttyUSB0")])

    def fail(_node):
        raise DeviceLost("permission denied")

    with pytest.raises(DeviceLost, match="permission denied"):
        claims.opened(str(dev / "by-id"), fail)
    led_to(dev, "by-id", "ttyUSB1")
    assert claims.take(str(dev / "ttyUSB0")) == str(dev / "ttyUSB0")
