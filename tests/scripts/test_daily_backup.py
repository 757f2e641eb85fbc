"""The daily backup, as its unit runs it: real stores, the real command."""

import subprocess
import sys

import pytest
from machines import SYSTEM

from gatectl.journal.schema import open_store

SETTINGS = """
[journal]
path = "journal.db"
[partners.wellhub]
protocol = "wellhub"
gym_id = "1234"
key = { file = "key" }
[[routes]]
match = '[0-9]{13}'
partner = "wellhub"
[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "evdev"
device = "/dev/input/by-id/usb-1"
"""


@pytest.fixture
def back_up(tmp_path, monkeypatch):
    """Runs the script into a folder; returns its exit status."""
    settings = tmp_path / "gatectl.toml"
    settings.write_text(SETTINGS)
    open_store(tmp_path / "journal.db").close()
    monkeypatch.setenv("GATECTL_CONFIG", str(settings))
    program = tmp_path / "gatectl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gatectl "$@"\n')
    program.chmod(0o755)

    def run(folder):
        command = [SYSTEM / "gatectl-backup", program, folder]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode

    return run


def test_the_newest_fourteen_are_kept_and_no_other_file_goes(back_up, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    older = [f"journal-2026-11-{day:02}T043000Z.db" for day in range(1, 16)]
    others = ["journal.db", "journal-mine.db"]
    for name in older + others:
        (folder / name).write_text("")
    assert back_up(folder) == 0
    left = sorted(path.name for path in folder.iterdir())
    new = set(left) - set(older) - set(others)
    assert set(left) == {*older[2:], *others, *new}
    (name,) = new
    assert (folder / name).read_bytes().startswith(b"SQLite format 3\0")


def test_nothing_is_deleted_where_no_backup_could_be_made(back_up, tmp_path):
    (tmp_path / "journal.db").write_text("no store")
    names = {f"journal-2026-11-{day:02}T043000Z.db" for day in range(1, 20)}
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in names:
        (folder / name).write_text("")
    assert back_up(folder) == 78
    assert {path.name for path in folder.iterdir()} == names
