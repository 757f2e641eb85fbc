import subprocess
import sys
import time

import pytest
from records import record

from gatectl.cli.main import main
from gatectl.journal.schema import open_store

SETTINGS = r"""
[journal]
path = "journal.db"
[control]
socket = "control.sock"

[partners.wellhub]
protocol = "wellhub"
gym_id = "1234"
key = { file = "a key that nobody can read" }
status_page = "https://status.example.com"
[partners.wellpass]
protocol = "perfectgym"
url = "https://localhost:1/check"
aggregator_id = "fitco-4711"
key = { file = "a key that nobody can read" }

[[routes]]
match = '\d{13}'
partner = "wellhub"

[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "evdev"
device = "/dev/input/by-id/usb-1"
"""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The path of a whole settings file; the journal next to it does not exist yet."""
    monkeypatch.delenv("GATECTL_CONFIG", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "gatectl.toml"
    path.write_text(SETTINGS, "utf-8")
    return path


@pytest.fixture
def write(settings):
    """Writes a scan as the daemon does."""
    store = open_store(settings.with_name("journal.db"))
    yield lambda *args, **fields: record(store, *args, **fields)
    store.close()


@pytest.fixture
def run(settings, capfd):
    """Runs a command line in this process: exit status, stdout, stderr."""

    def run_it(*args):
        status = main([*args, "-c", str(settings)])
        return status, *capfd.readouterr()

    return run_it


@pytest.fixture
def start(settings):
    """Starts a command line as a process of its own."""
    started = []

    def start_it(*args, **more):
        command = [sys.executable, "-m", "gatectl", "-c", str(settings), *args]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, encoding="utf-8", **pipes | more))
        return started[-1]

    yield start_it
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def in_berlin(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
