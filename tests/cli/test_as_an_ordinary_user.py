"""The commands of an ordinary user on an installed door: what cannot be read, and what to do about it."""

import os
import subprocess
import sys
from contextlib import closing

import pytest

from gatectl.journal.schema import open_store

EVENT = "0199f0c6-0000-7000-8000-000000000001"
SETTINGS = """\
[site]
[gpio]
pin_factory = "mock"
[journal]
path = "{door}/lib/journal.db"
[control]
socket = "{door}/run/control.sock"
[partners.wellhub]
protocol = "wellhub"
gym_id = "1234"
key = {{ file = "{door}/etc/secrets/wellhub" }}
[[routes]]
match = '\\d{{13}}'
partner = "wellhub"
[doors.main]
relay = {{ pin = 17 }}
[[doors.main.scanners]]
type = "serial"
port = "{door}/scanner"
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

COMMANDS = [
    *("check", "check --devices", "check --connect", "status", "events", "events --json", "route 123"),
    *("cards list", "cards add 1 wellhub 1234567890123", "cards remove 1", "cards export"),
    *(f"report {EVENT}", "open main --reason x", "codes create 1234567890123 A", "run", "erase --member 1"),
    *("backup {door}/copy", "restore {door}/copy", "monitor link main"),
]


@pytest.fixture
def door(open_folder):
    """A door as the installer leaves it, but for its owner, who is root here."""
    for name in ("etc", "etc/secrets", "lib", "run"):
        (open_folder / name).mkdir(mode=0o750)
    (open_folder / "etc/gatectl.toml").write_text(SETTINGS.format(door=open_folder))
    (open_folder / "etc/secrets/wellhub").write_text("k3y")
    (open_folder / "etc/secrets/wellhub").chmod(0o640)
    with closing(open_store(open_folder / "lib/journal.db")):
        pass
    return open_folder


AS_NOBODY = """
import encodings, importlib, os, pkgutil, sys
import gatectl

# The Python of the tests may lie in root's own folder, where nobody else can import from.
for package in (encodings, gatectl):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.rpartition(".")[2] not in ("__main__", "mbcs", "oem"):
            importlib.import_module(module.name)
os.chdir("/")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
from gatectl.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def as_nobody(door, command):
    """Exit status, stdout and stderr of the command as that user runs it."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            AS_NOBODY,
            "-c",
            door / "etc/gatectl.toml",
            *command.format(door=door).split(),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def says_what_to_do(err):
    lines = err.splitlines()
    hints = [line for line in lines if line.startswith("hint: ")]
    return "Traceback" not in err and lines[0] not in hints and any("sudo" in hint for hint in hints)


@pytest.mark.parametrize("command", COMMANDS)
def test_settings_that_an_ordinary_user_cannot_read(door, command):
    status, out, err = as_nobody(door, command)
    assert (status, out) == (78, "")
    assert "gatectl.toml" in err.splitlines()[0]
    assert says_what_to_do(err), err
    assert "usermod -aG gatectl" in err


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_readable_settings_with_unreadable_files_next_to_them(door, command):
    (door / "etc").chmod(0o755)
    status, out, err = as_nobody(door, command)
    assert status in (1, 78)
    assert out == ""
    assert "ermission denied" in err
    assert says_what_to_do(err), err


@pytest.mark.parametrize("mode", [0o750, 0o755])
def test_devices_are_shown_all_the_same(door, mode):
    (door / "etc").chmod(mode)
    status, out, err = as_nobody(door, "devices --no-wait")
    assert (status, out.splitlines()[0]) == (0, "Input devices")
    assert "Serial ports" in out
    for line in err.splitlines():
        assert line.startswith("note: ")
        assert "sudo" in line
    assert {0o750: "the settings cannot be read", 0o755: "the journal cannot be read"}[mode] in err


def test_an_unexpectedly_unreadable_file_is_named(door):
    (door / "etc").chmod(0o755)
    (door / "lib").chmod(0o755)
    (door / "lib/journal.db").chmod(0o600)
    _, _, err = as_nobody(door, "events")
    assert "journal.db" in err.splitlines()[0]
    assert says_what_to_do(err), err
