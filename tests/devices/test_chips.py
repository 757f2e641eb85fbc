"""Which GPIO chip the settings mean, among the chips of made-up machines."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.devices.gpio.chips import HEADER_LABELS, Chip, ChipError, chip_number, chips_of, read_info


def machine(*chips):
    """Chips as number and label, or number and the error that opening it gives."""
    return [
        Chip(f"/dev/gpiochip{number}", label, 54)
        if isinstance(label, str)
        else Chip(f"/dev/gpiochip{number}", problem=os.strerror(label).lower())
        for number, label in chips
    ]


OLD_PI_5 = machine((0, "gpio-brcmstb@107d508500"), (1, "gpio-brcmstb@107d508520"), (4, "pinctrl-rp1"))
NEW_PI_5 = machine((0, "pinctrl-rp1"), (10, "gpio-brcmstb@107d508500"))
NEWEST_PI_5 = machine((11, "gpio-brcmstb@107d508500"), (13, "pinctrl-rp1"), (15, "gpio-brcmstb@107d517c20"))
PI_4 = machine((0, "pinctrl-bcm2711"), (1, "raspberrypi-exp-gpio"))
PI_3 = machine((0, "pinctrl-bcm2835"), (1, "raspberrypi-exp-gpio"), (2, "mcp23017"))
ROCK = machine((0, "gpio0"), (1, "gpio1"))


@pytest.mark.parametrize(
    ("chips", "number"), [(OLD_PI_5, 4), (NEW_PI_5, 0), (NEWEST_PI_5, 13), (PI_4, 0), (PI_3, 0)]
)
def test_the_header_is_found_by_its_label(chips, number):
    assert chip_number("auto", lambda: chips) == number


@given(st.permutations([*OLD_PI_5, *machine((7, "mcp23017"))]))
def test_the_order_of_the_chips_does_not_matter(chips):
    assert chip_number("auto", lambda: chips) == 4


def test_a_number_is_the_drivers_to_refuse():
    assert chip_number(3, lambda: pytest.fail("nobody looks")) == 3


def test_any_chip_can_be_given_by_its_label():
    assert chip_number("mcp23017", lambda: PI_3) == 2


def test_a_path_may_be_a_link(tmp_path):
    (tmp_path / "gpiochip4").touch()
    (tmp_path / "header").symlink_to("gpiochip4")
    for name in ("gpiochip4", "header"):
        assert chip_number(str(tmp_path / name), list) == 4


@pytest.mark.parametrize("name", ["/dev/null", "/dev/gpiochip", "/dev/gpiochip0x"])
def test_a_path_that_is_no_chip(name):
    with pytest.raises(ChipError) as error:
        chip_number(name, lambda: PI_4)
    assert error.value.message == f"{name} is no GPIO chip"
    assert '/dev/gpiochip0 ("pinctrl-bcm2711", 54 lines)' in error.value.hints[0]


@pytest.mark.parametrize(
    ("chip", "what"),
    [
        ("auto", "there is no GPIO chip of a Raspberry Pi's header"),
        ("pinctrl-rp1", "there is no GPIO chip with the label 'pinctrl-rp1'"),
    ],
)
def test_the_chips_of_another_board_are_listed(chip, what):
    with pytest.raises(ChipError) as error:
        chip_number(chip, lambda: ROCK)
    assert error.value.message == what
    listed, known = error.value.hints
    assert listed == 'there are /dev/gpiochip0 ("gpio0", 54 lines), /dev/gpiochip1 ("gpio1", 54 lines)'
    assert all(label in known for label in HEADER_LABELS)


def test_without_any_chip_the_error_says_so():
    with pytest.raises(ChipError) as error:
        chip_number("auto", list)
    assert "there is no /dev/gpiochip* here" in error.value.hints[0]
    assert 'pin_factory = "mock"' in error.value.hints[1]


def test_chips_that_may_not_be_opened_are_listed_with_what_to_do():
    with pytest.raises(ChipError) as error:
        chip_number("auto", lambda: machine((0, errno.EACCES)))
    assert error.value.hints[0] == "there are /dev/gpiochip0 (permission denied)"
    assert "gatectl" in error.value.hints[1]


def test_two_chips_of_one_label_must_be_distinguished():
    with pytest.raises(ChipError) as error:
        chip_number("mcp23017", lambda: machine((0, "mcp23017"), (3, "mcp23017")))
    assert "/dev/gpiochip0, /dev/gpiochip3" in error.value.message
    assert "path" in error.value.hints[0]


def test_the_chips_of_a_folder(tmp_path):
    """In the order of their numbers; a udev link is the same chip, and what only looks like one is none."""
    for name in ("gpiochip10", "gpiochip2", "gpiochip", "gpiochips", "gpiomem"):
        (tmp_path / name).touch()
    (tmp_path / "gpiochip4").symlink_to("gpiochip2")

    def read(node):
        if node.name == "gpiochip10":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return "pinctrl-rp1", 54

    two, ten = chips_of(tmp_path, read)
    assert two == Chip(str(tmp_path / "gpiochip2"), "pinctrl-rp1", 54)
    assert (two.number, ten.number) == (2, 10)
    assert ten.problem == "permission denied"


def test_a_device_that_is_no_chip_is_refused_by_the_kernel(tmp_path):
    (tmp_path / "gpiochip0").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        read_info(tmp_path / "gpiochip0")
    (chip,) = chips_of(tmp_path)
    assert chip.problem == "inappropriate ioctl for device"
