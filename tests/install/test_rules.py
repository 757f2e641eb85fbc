"""The udev rules: their syntax, their place in the order, and which devices are gatectl's."""

import subprocess
from itertools import pairwise

import pytest
from machines import SYSTEMD, tool

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
    text = (SYSTEMD / "gatectl-is-scanner").read_text()
    script = tmp_path / "gatectl-is-scanner"
    script.write_text(text.replace("/etc/gatectl/gatectl.toml", str(settings)))

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


def test_without_settings_nothing_is_a_scanner(is_scanner, tmp_path):
    (tmp_path / "gatectl.toml").unlink()
    assert not is_scanner("ttyS0", "serial0")


def test_the_syntax():
    rules = sorted(SYSTEMD.glob("*.rules"))
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
    assert {path.name for path in SYSTEMD.glob("*.rules")} <= set(order)
    assert all(before < after for before, after in pairwise(order))
