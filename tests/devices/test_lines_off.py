"""Switching off what the daemon drives, without the settings."""

import importlib
import json
import subprocess
import sys

import pytest

from gatectl.devices.gpio.lines_off import FILE, FOLDER, save_lines, saved_lines_off

LINES = [("main", 17, 0), ("side", 27, 1)]


@pytest.fixture
def factory(tmp_path, monkeypatch):
    """A pin factory that is installed under the name `kept`, with relays that are on."""
    info = tmp_path / "installed" / "kept_pins-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kept-pins\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[gpiozero_pin_factories]\nkept = kept_pins:made\n")
    (info.parent / "kept_pins.py").write_text(
        "from gpiozero.pins.mock import MockFactory\nfactory = MockFactory()\ndef made(): return factory\n"
    )
    monkeypatch.syspath_prepend(info.parent)
    factory = importlib.import_module("kept_pins").factory
    factory.pin(17).output_with_state(True)
    factory.pin(27).output_with_state(False)
    yield factory
    del sys.modules["kept_pins"]


def test_saved_lines_are_switched_off(tmp_path, factory):
    environ = {FOLDER: str(tmp_path)}
    save_lines(environ, "kept", 0, LINES)
    assert saved_lines_off(environ) == (["main", "side"], [])
    assert [factory.pin(number).state for number in (17, 27)] == [False, True]
    assert factory.pin(17).function == "output"


def test_a_pin_that_does_not_follow_is_named_and_holds_up_no_other(tmp_path, factory):
    environ = {FOLDER: str(tmp_path)}
    save_lines(environ, "kept", 0, LINES)
    stuck = factory.pin(17)
    stuck.output_with_state = lambda _state: None
    assert saved_lines_off(environ) == (["side"], [(("main", 17, 0), "the pin did not follow")])
    assert factory.pin(27).state


def test_without_a_place_nothing_is_written(tmp_path):
    save_lines({}, "mock", 0, LINES)
    assert saved_lines_off({}) is None
    assert saved_lines_off({FOLDER: str(tmp_path)}) is None


@pytest.mark.parametrize("text", ["", "{", "{}", '{"factory": "mock", "chip": 0, "lines": [{}]}', "[]"])
def test_an_unreadable_list_counts_as_none(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert saved_lines_off({FOLDER: str(tmp_path)}) is None


def relay_off(folder, environ, options=("-X", "importtime")):
    return subprocess.run(
        [sys.executable, *options, "-m", "gatectl", "relay", "off"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def imported(done):
    """The modules that `-X importtime` lists."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def test_the_command_needs_no_settings_for_it(tmp_path):
    save_lines({FOLDER: str(tmp_path)}, "mock", 0, LINES)
    done = relay_off(tmp_path, {FOLDER: str(tmp_path), "GATECTL_CONFIG": str(tmp_path / "broken.toml")})
    assert (done.returncode, done.stdout) == (0, "main: relay off\nside: relay off\n")
    assert "gatectl.config.model" not in imported(done), "the settings take longer than all the rest"


LGPIO = """
import os
SET_PULL_UP, SET_PULL_DOWN = 32, 64
def say(*words): print("lgpio:", *words)
def gpiochip_open(chip): say("open", chip); return 5
def gpio_claim_output(handle, pin, level, flags=0):
    if str(pin) == os.environ.get("BUSY"): raise OSError("GPIO busy")
    say("claim", handle, pin, level, flags)
def gpiochip_close(handle): say("close", handle)
"""
"""As much of the driver as switches a relay off; the real one wants a chip, and imports what it likes."""


SLOW = {"argparse", "dataclasses", "importlib.metadata", "gpiozero", "pathlib", "tempfile", "typing"}


def test_with_lgpio_nothing_is_imported_that_it_does_not_need(tmp_path):
    (tmp_path / "lgpio.py").write_text(LGPIO)
    save_lines({FOLDER: str(tmp_path)}, "lgpio", 4, LINES)
    done = relay_off(tmp_path, {FOLDER: str(tmp_path), "PYTHONPATH": str(tmp_path)})
    claims = ["lgpio: claim 5 17 0 64", "lgpio: claim 5 27 1 32"]
    doors = ["main: relay off", "side: relay off"]
    assert done.stdout.splitlines() == ["lgpio: open 4", *claims, "lgpio: close 5", *doors]
    assert not SLOW & imported(done), "a gate may stand open meanwhile"


def test_a_line_that_is_busy_leaves_no_other_on(tmp_path):
    (tmp_path / "lgpio.py").write_text(LGPIO)
    save_lines({FOLDER: str(tmp_path)}, "lgpio", 4, LINES)
    done = relay_off(tmp_path, {FOLDER: str(tmp_path), "PYTHONPATH": str(tmp_path), "BUSY": "17"}, options=())
    off = ["lgpio: open 4", "lgpio: claim 5 27 1 32", "lgpio: close 5", "side: relay off"]
    assert done.stdout.splitlines() == off
    assert done.stderr == "main: the relay is not off: pin 17 cannot be driven: GPIO busy\n"
    assert done.returncode == 1


def test_without_the_chip_the_settings_are_tried(tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"factory": "lgpio", "chip": 99, "lines": []}))
    done = relay_off(tmp_path, {FOLDER: str(tmp_path), "GATECTL_CONFIG": str(tmp_path / "absent.toml")})
    assert done.returncode == 78
    assert "trying the settings" in done.stdout


def test_importing_lgpio_leaves_nothing_behind(tmp_path):
    script = "from gatectl.devices.gpio.pins import import_lgpio; import_lgpio()"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []
