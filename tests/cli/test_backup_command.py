"""`gatectl backup` and `gatectl restore`, with a real store and, where one has to run, its lock."""

import os
import sqlite3
import stat

import pytest

from gatectl.daemon.lock import alone


@pytest.fixture
def journal(settings):
    return settings.with_name("journal.db")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "backup.db"


def codes(run):
    _, out, _ = run("events", "--csv")
    return [line.split(",")[7] for line in out.splitlines()[1:]]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_backup_of_a_store_that_is_written_has_all_of_it(run, write, journal, file):
    for number in (1, 2, 3):
        write(number, credential=f"code-{number}")
    # A plain copy would miss these records, which are in the log.
    assert journal.with_name("journal.db-wal").stat().st_size > journal.stat().st_size
    assert run("backup", str(file))[0] == 0
    assert mode(file) == 0o600
    write(4, credential="code-4")
    journal.rename(journal.with_name("gone.db"))
    for ending in ("-wal", "-shm"):
        journal.with_name(f"journal.db{ending}").unlink()
    assert run("restore", str(file))[0] == 0
    assert codes(run) == ["code-1", "code-2", "code-3"]


def test_a_file_that_is_there_is_no_place_for_a_backup(run, write, file):
    write(1)
    file.write_text("mine")
    status, _, err = run("backup", str(file))
    assert (status, err) == (
        1,
        f"{file} is there already\nhint: name another file, or move that one away\n",
    )
    assert file.read_text() == "mine"


def test_a_restored_store_is_complete_and_the_former_one_is_kept_whole(run, journal, file):
    run("cards", "add", "CARD-1", "wellhub", "1000000000200")
    assert run("backup", str(file))[0] == 0
    run("cards", "add", "CARD-2", "wellhub", "1000000000201")
    # A kill leaves a log next to the store; it must not be taken for the restored store's.
    left = sqlite3.connect(journal, isolation_level=None)
    left.execute("PRAGMA wal_autocheckpoint = 0")
    left.execute("UPDATE cards SET member = '1000000000299' WHERE code = 'CARD-1'")
    log = journal.with_name("journal.db-wal").read_bytes()
    left.close()
    journal.with_name("journal.db-wal").write_bytes(log)

    status, _, err = run("restore", str(file))
    assert status == 0
    aside = next(path for path in journal.parent.glob("journal.db.replaced-*") if path.name[-1].isdigit())
    assert err == f"{journal}: restored from {file}; the one before is {aside} now\n"
    assert mode(journal) == 0o640
    assert not journal.with_name("journal.db-wal").exists()
    assert run("cards", "export")[1] == "code,partner,member\nCARD-1,wellhub,1000000000200\n"
    with sqlite3.connect(aside) as kept:
        assert kept.execute("SELECT count(*) FROM cards").fetchone() == (2,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_store_that_is_restored_where_none_was_belongs_to_whom_its_folder_belongs(
    run, write, journal, file
):
    write(1)
    run("backup", str(file))
    os.chown(journal.parent, 12345, 23456)
    journal.unlink()
    assert run("restore", str(file))[0] == 0
    assert (journal.stat().st_uid, journal.stat().st_gid) == (12345, 23456)


def test_nothing_is_restored_while_the_daemon_runs(run, write, settings, file):
    write(1)
    run("backup", str(file))
    with alone(settings.with_name("control.sock")):
        status, _, err = run("restore", str(file))
    assert status == 1
    assert err.endswith("hint: stop it first: systemctl stop gatectl\n")


@pytest.mark.parametrize("kind", ["text", "another program's", "cut", "not there"])
def test_no_other_file_takes_the_stores_place(run, write, journal, file, kind):
    for number in range(1, 6):
        write(number, credential=f"code-{number}")
    run("backup", str(file))
    whole = file.read_bytes()
    file.unlink()
    match kind:
        case "text":
            file.write_text("[site]\n" * 100)
        case "another program's":
            with sqlite3.connect(file) as other:
                other.execute("CREATE TABLE other (one)")
        case "cut":
            file.write_bytes(whole[: len(whole) // 2])
    status, _, err = run("restore", str(file))
    # The settings are right: it is FILE that is wrong.
    assert (status, err.count("\n")) == (1, 2)
    assert str(file) in err
    assert "journal.path" not in err
    assert "sudo" not in err
    assert len(codes(run)) == 5
    assert not list(journal.parent.glob("journal.db.re*"))


def test_what_is_not_there_is_neither_copied_nor_restored(run, journal, file):
    status, _, err = run("backup", str(file))
    assert (status, err.splitlines()) == (
        1,
        [
            f"{journal}: there is no such store",
            "hint: gatectl run makes it at its first start; journal.path says where",
        ],
    )
    status, _, err = run("restore", str(file))
    assert (status, err.splitlines()) == (
        1,
        [f"{file}: there is no such store", "hint: name a file that `gatectl backup` made"],
    )
    assert not journal.exists()
    assert not file.exists()
