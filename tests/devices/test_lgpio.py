"""The level of a line after its process has ended, with a part of lgpio that records the last request.

The driver's own rules hold here too: a line that is an output already is not claimed again, and its pull is
taken up with the claim alone.
"""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

LGPIO = """
import json, os, pathlib
import gpiozero.pins.local
gpiozero.pins.local.get_pi_revision = lambda: {revision}  # a Raspberry Pi's, in its device tree

SET_PULL_UP, SET_PULL_DOWN, SET_PULL_NONE = 32, 64, 128
BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
error = OSError
lines = {{}}

def kept():
    pathlib.Path(os.environ["LINES"]).write_text(json.dumps(lines))

def gpiochip_open(chip):
    if chip != {chip}: raise error("can not open gpiochip")
    return 5

def claim(pin, way, level, pull):
    line = lines.setdefault(str(pin), {{}})
    if line.get("way") == way and line["held"]: return
    line |= {{"way": way, "level": level, "pull": pull, "held": True}}
    kept()

def gpio_claim_input(handle, pin, flags=0): claim(pin, "in", None, flags)

def gpio_claim_output(handle, pin, level=0, flags=0):
    if flags and not {pulls}: raise error("bad GPIO flags")
    claim(pin, "out", level, flags)

def gpio_free(handle, pin):
    if not lines[str(pin)]["held"]: raise error("GPIO not allocated")
    lines[str(pin)]["held"] = False
    kept()

def gpio_write(handle, pin, level):
    lines[str(pin)]["level"] = int(level)
    kept()

def gpio_read(handle, pin): return lines[str(pin)]["level"]
def gpio_get_mode(handle, pin): return 2 if lines[str(pin)]["way"] == "out" else 0

def gpiochip_close(handle):
    for line in lines.values(): line["held"] = False
    kept()
"""

SETTINGS = """
[site]
tenant = "T"
studio = "S"
[gpio]
chip = 4
[journal]
path = "journal.db"
[control]
socket = "control.sock"
[doors.main]
relay = { pin = 17 }
signals = { red = 23 }
scanners = [{ type = "evdev", device = "/dev/input/by-id/usb-1" }]
[doors.side]
relay = { pin = 5, active_high = false }
scanners = [{ type = "evdev", device = "/dev/input/by-id/usb-2" }]
"""

DOWN, UP = 64, 32
OFF = {"17": (0, DOWN), "5": (1, UP)}
"""A relay's level when it is off, and its pull, which holds that level where nothing drives it."""


@pytest.fixture
def machine(tmp_path):
    def machine(*arguments, revision=0xD04170, chip=4, pulls=True):
        (tmp_path / "lgpio.py").write_text(LGPIO.format(revision=revision, chip=chip, pulls=pulls))
        (tmp_path / "gatectl.toml").write_text(SETTINGS)
        return subprocess.Popen(
            [sys.executable, "-m", "gatectl", "-c", tmp_path / "gatectl.toml", *arguments],
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=str(tmp_path), LINES=str(tmp_path / "lines.json"), NO_COLOR="1")
            | {"NOTIFY_SOCKET": str(tmp_path / "notify")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return machine


@pytest.fixture
def left(tmp_path):
    """The lines as their processes left them: the outputs' levels and pulls."""

    def left():
        lines = json.loads((tmp_path / "lines.json").read_text())
        assert not [pin for pin, line in lines.items() if line["held"]]
        return {pin: (line["level"], line["pull"]) for pin, line in lines.items() if line["way"] == "out"}

    return left


@pytest.mark.parametrize("arguments", [["relay", "off"], ["check", "--devices"]])
def test_by_hand_every_relay_is_left_off_with_its_pull_towards_off(machine, left, arguments):
    with machine(*arguments) as process:
        process.communicate()
    assert left() == OFF


@pytest.mark.parametrize("pulls", [True, False])
def test_the_daemons_end_leaves_every_pin_off_with_its_pull_towards_off(machine, left, tmp_path, pulls):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        with machine("run", pulls=pulls) as process:
            while notified.recv(4096) != b"READY=1":
                pass
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate()
    assert process.returncode == 0, errors
    expected = OFF | {"23": (0, DOWN)}
    assert left() == {pin: (level, pull if pulls else 0) for pin, (level, pull) in expected.items()}


@pytest.mark.parametrize("arguments", [["relay", "off"], ["check", "--devices"], ["run"]])
def test_a_chip_that_is_not_there(machine, arguments):
    with machine(*arguments, chip=0) as process:
        _, errors = process.communicate()
    assert process.returncode == (78 if arguments == ["run"] else 1)
    first, *hints = errors.splitlines()
    assert "can not open gpiochip" in first
    assert any("/dev/gpiochip" in hint for hint in hints)
    assert "Traceback" not in errors


def test_a_board_that_is_no_pi(machine):
    with machine("run", revision='(_ for _ in ()).throw(gpiozero.PinUnknownPi("no revision"))') as process:
        _, errors = process.communicate()
    assert process.returncode == 78
    first, hint = errors.splitlines()
    assert "gpio.pin_factory: this board is no Raspberry Pi" in first
    assert hint.startswith("hint: another board needs a gpiozero pin factory of its own")
