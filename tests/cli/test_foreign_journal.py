"""A file of another program at journal.path: each command refuses it as a settings error, and leaves it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

ID = "01a2177c-7cfc-7c6a-96fc-04e7bda70d21"

COMMANDS = [
    ["check"],
    ["events"],
    ["events", "-f", "--json"],
    ["grace"],
    ["report", ID],
    ["route", "1234567890123"],
    ["cards", "list"],
    ["cards", "export"],
    ["cards", "add", "x", "wellpass", "1"],
    ["cards", "remove", "x"],
    ["cards", "import", "cards.csv"],
    ["erase", "--member", "1"],
    ["backup", "copy.db"],
    ["restore", "backup.db"],
]


def notes(path):
    path.write_text("a year of notes\n" * 500)


def database(path):
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE attempts (seq)")
        other.execute("PRAGMA user_version = 1")


def content(path):
    return None if path.is_dir() else path.read_bytes()


@pytest.fixture
def readable_keys(settings):
    """The settings with keys that `check` can read."""
    key = settings.with_name("key")
    key.write_text("s3cr3t")
    key.chmod(0o640)
    settings.write_text(settings.read_text().replace("a key that nobody can read", "key"))


@pytest.mark.usefixtures("readable_keys")
@pytest.mark.parametrize("make", [notes, database, Path.mkdir])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_each_command_names_the_setting(run, settings, monkeypatch, command, make):
    monkeypatch.chdir(settings.parent)
    Path("cards.csv").write_text("x,wellpass,1\n")
    if command[0] == "restore":
        run("cards", "add", "x", "wellpass", "1")
        assert run("backup", "backup.db")[0] == 0
        for file in settings.parent.glob("journal.db*"):
            file.unlink()
    journal = settings.with_name("journal.db")
    make(journal)
    before = content(journal)
    status, out, err = run(*command)
    line, *hints = err.splitlines()
    assert (status, out) == (78, "")
    assert line == f"{settings}:3: journal.path: {journal} is not a gatectl store"
    assert hints == ["hint: name another file at journal.path; this one was left as it is"]
    assert content(journal) == before
