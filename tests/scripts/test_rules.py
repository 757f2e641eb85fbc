"""The udev rules: their syntax, their place in the order, and which devices are gatectl's."""

import runpy
import subprocess
from itertools import pairwise
from types import SimpleNamespace

import pytest
from machines import UDEV, tool

from gatectl.devices.gpio import chips

SETTINGS = """
[[doors.main.scanners]]
type = "evdev"
device = "/dev/input/by-id/usb-Scanner_1-event-kbd"  # not "/dev/ttyS3"
[[doors.main.scanners]]
port = '/dev/serial0'
#device = "/dev/ttyS1"
    # device = "/dev/ttyS2"
[[doors.side]]
scanners = [{ type = "serial", port = "/dev/ttyACM0" }]
note = "see /dev/ttyACM1"
port = "/dev/ttyAMA0\""""


@pytest.fixture
def is_scanner(tmp_path):
    """Asks the script as udev does, about settings of our own."""
    settings = tmp_path / "gatectl.toml"
    settings.write_text(SETTINGS)
    text = (UDEV / "gatectl-is-scanner").read_text()
    script = tmp_path / "gatectl-is-scanner"
    text = text.replace("/etc/gatectl/gatectl.toml", str(settings))
    script.write_text(text.replace("/sys/class/input", str(tmp_path / "sys")))

    def ask(*names):
        return subprocess.run(["/bin/sh", script, *names], check=False).returncode == 0

    return ask


@pytest.mark.parametrize(
    "names",
    [
        ["event3", "input/by-path/x-event-kbd", "input/by-id/usb-Scanner_1-event-kbd"],
        ["ttyS0", "serial0"],
        ["ttyACM0"],
        ["ttyAMA0"],
    ],
)
def test_a_device_that_the_settings_name(is_scanner, names):
    assert is_scanner(*names)


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["event4", "input/by-id/usb-Keyboard-event-kbd"],
        ["input/by-id/usb-Scanner_1"],
        ["input/by-id/usb-Scanner_*-event-kbd"],
        ["serial"],
        ["ttyACM1"],
        ["ttyS1"],
        ["ttyS2"],
        ["ttyS3"],
    ],
)
def test_a_device_that_they_do_not_name(is_scanner, names):
    assert not is_scanner(*names)


@pytest.mark.parametrize(
    ("own", "address", "is_ours"),
    [
        ("BT Scanner", "", True),
        ("BT Scanner 2", "", False),
        ("BT", "", False),
        ("Scanner", "00:1a:7d:da:71:13", True),
        ("Scanner", "00:1a:7d:da:71:14", False),
        ("Commented", "", False),
        ("", "", False),
        ("*", "", False),
    ],
)
def test_a_keyboard_that_the_settings_name_by_its_own_name_or_address(
    is_scanner, tmp_path, own, address, is_ours
):
    device = tmp_path / "sys/event5/device"
    device.mkdir(parents=True)
    (device / "name").write_text(f"{own}\n")
    (device / "uniq").write_text(f"{address}\n")
    settings = tmp_path / "gatectl.toml"
    with settings.open("a") as file:
        file.write('\nname = "BT Scanner"\nbluetooth = "00:1A:7d:DA:71:13"\n#name = "Commented"\n')
    assert is_scanner("input/event5") is is_ours
    assert is_scanner("event5") is is_ours
    assert not is_scanner("event6")


def test_without_settings_nothing_is_a_scanner(is_scanner, tmp_path):
    (tmp_path / "gatectl.toml").unlink()
    assert not is_scanner("ttyS0", "serial0")


@pytest.fixture(scope="module")
def chip():
    """The script that udev asks about a chip, as a module."""
    return SimpleNamespace(**runpy.run_path(str(UDEV / "gatectl-is-chip")))


LABELS = {
    "gpiochip0": "gpio-brcmstb@107d508500",
    "gpiochip4": "pinctrl-rp1",
    "gpiochip10": "gpio-expander",
    "gpiochip11": "",
}


@pytest.mark.parametrize(
    ("gpio", "used"),
    [
        ("", ["gpiochip4"]),
        ("[gpio]", ["gpiochip4"]),
        ('[gpio]\nchip = "auto"', ["gpiochip4"]),
        ("[gpio]\nchip = 0", ["gpiochip0"]),
        ('[gpio]\nchip = "gpio-expander"', ["gpiochip10"]),
        ('[gpio]\nchip = "/dev/gpiochip11"', ["gpiochip11"]),
        ('[gpio]\nchip = "/dev/gpio-header"', ["gpiochip4"]),
        ("[gpio]\nchip = 1", []),
        ("[gpio]\nchip = 1.5", []),
        ('[gpio]\npin_factory = "mock"', []),
        ("[[gpio]]", ["gpiochip4"]),
        ("not TOML", ["gpiochip4"]),
    ],
)
def test_only_the_chip_that_the_settings_use_is_gatectls(chip, tmp_path, gpio, used):
    settings = tmp_path / "gatectl.toml"
    settings.write_text(gpio)
    found = [
        name
        for name in LABELS
        if chip.is_used(
            chip.gpio_of(settings), [name, *(["gpio-header"] if name == "gpiochip4" else [])], LABELS.get
        )
    ]
    assert found == used


def test_without_settings_the_headers_chip_is_gatectls(chip, tmp_path):
    assert chip.gpio_of(tmp_path / "none") == {}
    assert chip.is_used({}, ["gpiochip4"], LABELS.get)


def test_the_registers_are_gatectls_where_pins_are_driven(chip):
    assert chip.is_used({}, ["gpiomem0"])
    assert not chip.is_used({"pin_factory": "mock"}, ["gpiomem0"])


def test_it_knows_the_headers_as_the_daemon_does(chip):
    assert chip.HEADER_LABELS == chips.HEADER_LABELS
    assert chip.GPIO_GET_CHIPINFO_IOCTL == chips.GPIO_GET_CHIPINFO_IOCTL


@pytest.mark.parametrize(("name", "status"), [("gpiochip99", 1), (None, 1)])
def test_a_chip_that_is_not_there_is_nobodys(name, status):
    command = ["/usr/bin/python3", "-IS", UDEV / "gatectl-is-chip", *([name] if name else [])]
    assert subprocess.run(command, check=False).returncode == status


def test_the_syntax():
    rules = sorted(UDEV.glob("*.rules"))
    done = subprocess.run(
        [tool("udevadm"), "verify", "--resolve-names=never", *rules],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Unknown command" in done.stderr:
        pytest.skip("this udev cannot verify rules (before 254)")
    assert done.returncode == 0, done.stderr


def test_their_place_among_the_others():
    order = [
        "60-persistent-input.rules",  # makes the names
        "70-power-switch.rules",  # sets the tags
        "71-seat.rules",
        "72-gatectl-scanners.rules",
        "73-seat-late.rules",  # acts on them
        "99-com.rules",  # Raspberry Pi OS: groups, serial0
        "99-gatectl.rules",
    ]
    assert {path.name for path in UDEV.glob("*.rules")} <= set(order)
    assert all(before < after for before, after in pairwise(order))
