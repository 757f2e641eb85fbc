"""`gatectl backup` and `gatectl restore`, with a daemon that runs and one that does not."""

import os
import re
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
from harness import GOOD

MEMBERS = ["1000000000001", "1000000000002", "1000000000200"]


@pytest.fixture
def door(gym):
    """A running door with three events and a card."""
    gym = gym().start()
    for member in MEMBERS:
        assert gym.ask("wellhub", member)["result"] == "admitted"
    assert gym.run("cards", "add", "fob", "wellhub", GOOD["wellhub"]).returncode == 0
    gym.stop_following()
    return gym


def events_of(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT member FROM events ORDER BY seq")]


def back_up(gym, file):
    done = gym.run("backup", str(file))
    assert done.returncode == 0, done.stderr
    return file


def files_of(journal):
    return {file.name for file in journal.parent.iterdir()}


def test_a_backup_of_a_running_door_is_whole(door, tmp_path):
    file = back_up(door, tmp_path / "backup.db")
    assert events_of(file) == MEMBERS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith("backup")] == ["backup.db"]
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert connection.execute("SELECT code FROM cards").fetchall() == [("fob",)]
    assert door.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"


def test_a_file_that_is_there_is_refused_and_left_as_it_is(door, tmp_path):
    file = tmp_path / "backup.db"
    file.write_text("a backup of before")
    done = door.run("backup", str(file))
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == f"{file} is there already"
    assert file.read_text() == "a backup of before"


def test_no_half_backup_stays(door, tmp_path):
    assert door.terminate() == 0
    size = door.journal.stat().st_size
    with door.journal.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * (size // 4))
    done = door.run("backup", str(tmp_path / "backup.db"))
    assert done.returncode == 1
    assert "hint: " in done.stderr
    assert not (tmp_path / "backup.db").exists()


def test_a_door_that_runs_is_not_restored(door, tmp_path):
    file = back_up(door, tmp_path / "backup.db")
    before = files_of(door.journal)
    done = door.run("restore", str(file))
    assert done.returncode == 1
    assert "gatectl is running already" in done.stderr
    assert "hint: stop it first: systemctl stop gatectl" in done.stderr
    assert files_of(door.journal) == before


def test_a_stopped_door_goes_on_from_its_backup(door, tmp_path):
    file = back_up(door, tmp_path / "backup.db")
    assert door.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert door.run("cards", "remove", "fob").returncode == 0
    door.stop_following()
    door.kill9()  # so that the last records are in the log alone
    assert Path(f"{door.journal}-wal").stat().st_size > 0
    done = door.run("restore", str(file))
    assert done.returncode == 0, done.stderr
    assert events_of(door.journal) == MEMBERS
    found = [one for one in door.journal.parent.iterdir() if re.search(r"replaced-\d+$", one.name)]
    (aside,) = found
    assert str(aside) in done.stderr
    assert events_of(aside) == [*MEMBERS, GOOD["wellhub"]], "with its log"
    assert stat.S_IMODE(door.journal.stat().st_mode) == 0o640
    assert file.exists()
    door.start()
    status = door.status()
    assert (status["cards"], status["damaged"]) == (1, None)
    door.scan("fob")
    door.logged("admitted fob")
    assert door.terminate() == 0
    assert [event["member"] for event in door.events()] == [*MEMBERS, GOOD["wellhub"]]


def test_a_door_without_a_journal_gets_one(door, tmp_path):
    file = back_up(door, tmp_path / "backup.db")
    assert door.terminate() == 0
    shutil.rmtree(door.journal.parent)
    assert door.run("restore", str(file)).returncode == 0
    door.start()
    assert door.status()["cards"] == 1
    assert len(door.events()) == len(MEMBERS)


def test_the_store_belongs_to_whom_it_belonged(door, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make files for others")
    file = back_up(door, tmp_path / "backup.db")
    assert door.terminate() == 0
    os.chown(door.journal, 12345, 23456)
    assert door.run("restore", str(file)).returncode == 0
    found = door.journal.stat()
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def _text(path):
    path.write_text("a year of notes")


def _other(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE cards (key)")


def _torn(path):
    content = path.read_bytes()
    path.write_bytes(content[:20_000] + bytes(20_000) + content[40_000:])


def _newer(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("spoil", [_text, _other, _torn, _newer, Path.unlink])
def test_an_incomplete_backup_changes_nothing(door, tmp_path, spoil):
    file = back_up(door, tmp_path / "backup.db")
    if spoil in (_text, _other):
        file.unlink()
    spoil(file)
    assert door.terminate() == 0
    before, content = files_of(door.journal), door.journal.read_bytes()
    done = door.run("restore", str(file))
    assert done.returncode in {1, 78}
    assert done.stdout == ""
    assert str(file) in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert (files_of(door.journal), door.journal.read_bytes()) == (before, content)


@pytest.mark.parametrize("arguments", [[], ["some.db", "--undo-upgrade"]])
def test_one_of_a_file_and_undo_upgrade_is_needed(gym, arguments):
    done = gym().run("restore", *arguments)
    assert (done.returncode, done.stderr.startswith("gatectl restore: needs a FILE")) == (2, True)
