"""A reader type that is registered in one place works in the settings, the commands and the daemon."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import GOOD, Gym, code

from gatectl.config.model import Settings
from gatectl.config.schema import InvalidError, read

RUN = "import sys, pipe_reader; from gatectl.cli.main import main; sys.exit(main())"


class PipeGym(Gym):
    """A gym whose gatectl has a further reader type."""

    @property
    def command(self):
        return [sys.executable, "-c", RUN, "-c", str(self.settings)]

    @property
    def environment(self):
        # It replaces the search path of the tests, on which the harness and the reader type are.
        mine = super().environment
        here = Path(__file__).parent
        return mine | {"PYTHONPATH": f"{mine['PYTHONPATH']}:{here}", "PIPES": str(self.folder / "pipe")}


def scanner(gym, **settings):
    return {"scanner": {"type": "pipe", "port": None, "pipe": str(gym.folder / "pipe"), **settings}}


@pytest.fixture
def gym(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with PipeGym(tmp_path) as gym:
        yield gym


def settle(gym, **settings):
    gym._doors = {"main": scanner(gym, **settings)}
    gym.write_settings()


def test_the_daemon_reads_it(gym):
    settle(gym, strip_prefix="#")
    gym.start()
    (gym.folder / "pipe").write_text(f"#{code('wellhub', GOOD['wellhub'])}\n")
    event = gym.next_event()
    assert (event["result"], event["scanner"]) == ("admitted", str(gym.folder / "pipe"))
    (reader,) = gym.status()["doors"]["main"]["scanners"]
    assert (reader["type"], reader["state"], reader["codes"]) == ("pipe", "ready", 1)
    assert "scanner" in gym.run("status").stdout
    assert gym.terminate() == 0


def test_check_tries_it_and_warns(gym):
    settle(gym, encoding="latin-1")
    checked = gym.run("check", "--devices")
    assert f"scanner {gym.folder / 'pipe'} of main (latin-1): opened" in checked.stdout
    assert "doors.main.scanners[0].pipe: is a toy" in checked.stdout + checked.stderr
    (gym.folder / "pipe").unlink()
    failed = gym.run("check", "--devices")
    assert (failed.returncode, "of main (latin-1): unplugged" in failed.stderr) == (1, True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"encoding": "ascii"}, "doors.main.scanners[0].encoding: must be 'utf-8' or 'latin-1'"),
        ({"baud": 9600}, "hint: it is a setting of serial"),
        ({"pipe": None}, "doors.main.scanners[0].pipe: is missing"),
        ({"type": "fifo"}, 'one that writes into a pipe is "pipe"'),
        ({"type": "pip"}, "must be 'serial', 'evdev' or 'pipe'"),
    ],
)
def test_its_settings_are_checked(gym, settings, problem):
    settle(gym, **settings)
    checked = gym.run("check")
    assert (checked.returncode, problem in checked.stderr) == (78, True), checked.stderr


def test_one_pipe_for_two_doors_is_refused(gym):
    gym._doors = {"main": scanner(gym), "side": scanner(gym)}
    gym.write_settings()
    assert "is the same device as doors.main.scanners[0].pipe" in gym.run("check").stderr


def test_devices_lists_it_and_prints_its_settings(gym, tmp_path):
    settle(gym)
    assert "Pipes\n" in gym.run("devices", "--no-wait").stdout
    with subprocess.Popen(
        [*gym.command, "devices", "--json"],
        env=gym.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as command:
        while b"scan something now" not in command.stderr.readline():
            pass
        (gym.folder / "pipe").write_text("4711\n")
        scan = json.loads(command.communicate()[0])["scan"]
    assert (scan["code"], scan["path"]) == ("4711", str(tmp_path / "pipe"))
    assert scan["toml"] == (
        f'[[doors.main.scanners]]\ntype = "pipe"\npipe = "{tmp_path / "pipe"}"\nencoding = "utf-8"\n'
    )


def test_the_registry_of_this_process_has_the_types_of_gatectl_alone(tmp_path):
    raw = {"doors": {"d": {"relay": {"pin": 1}, "scanners": [{"type": "pipe", "pipe": "p"}]}}}
    with pytest.raises(InvalidError, match="pipe"):
        read(Settings, raw, tmp_path)
