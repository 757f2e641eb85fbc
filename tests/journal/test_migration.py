"""A store that a newer version brings up to date: nothing of it is lost, and it takes what is new.

There is one version of the schema so far: a copy of the package with a made-up second one is the newer
gatectl.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import gatectl
from gatectl.decision.event import Attempt, Outcome, RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Basis, Result, Verdict
from gatectl.journal.backup import CopyError, copy_to_take_back, restore
from gatectl.journal.schema import copy_before_upgrade_to, migrations, open_store, version_of
from gatectl.journal.statements import attempt_statement, outcome_statement
from gatectl.journal.store_file import StoreError

NEXT = len(migrations()) + 1
NEXT_SCHEMA = """
ALTER TABLE outcomes ADD COLUMN mood TEXT;
CREATE TABLE moods (name TEXT NOT NULL) STRICT;
"""
OPEN = """
import sys
from contextlib import closing
from pathlib import Path
from gatectl.decision.event import Outcome
from gatectl.decision.verdict import Result
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from gatectl.journal.statements import close_interrupted
from gatectl.journal.schema import open_store

path = Path(sys.argv[1])
with closing(open_store(path)) as store, Reader(path) as reader:
    close_interrupted(store)
    import json
    print(json.dumps([event.to_json() for event in reader.query(Filters())]))
"""
WRITTEN = [
    Outcome(
        Result.ADMITTED, "m", Verdict.ALLOWED, 200, basis=Basis.PARTNER,
        request=RequestRecord(True, 1100, 1200, 3.5, 750, "warm", None),
    ),
    Outcome(
        Result.REJECTED, "m", Verdict.NONE, None, Fault.TIMEOUT, detail="the budget ended",
        request=RequestRecord(True, 1100, None, 3.5, 750, "warm", None),
    ),
]  # fmt: skip


def attempt(name):
    return Attempt(name, "scan", 1000, "T", "S", "main", "/dev/a", "7", "p", "7", 750, "b", 42)


@pytest.fixture
def path(tmp_path):
    """A store of this version with an admission, a timeout, and a scan that was interrupted."""
    path = tmp_path / "journal.db"
    with closing(open_store(path)) as store:
        for name, outcome in zip(("first", "second", "third"), (*WRITTEN, None), strict=True):
            store.execute(*attempt_statement(attempt(name)))
            if outcome is not None:
                store.execute(*outcome_statement(name, outcome))
        store.execute("INSERT INTO cards VALUES ('A1', 'a1', 'p', '7', '42')")
    return path


def newer(tmp_path, schema=NEXT_SCHEMA):
    """A folder with the next version of the package."""
    folder = tmp_path / "newer"
    shutil.copytree(Path(gatectl.__file__).parent, folder / "gatectl")
    (folder / "gatectl" / "journal" / "schemas" / f"{NEXT}.sql").write_text(schema, "utf-8")
    return folder


def opened(folder, path):
    """The other version's output, and its reading of the store."""
    return subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], cwd=folder, capture_output=True, text=True, check=False
    )


def test_all_that_was_written_is_read(tmp_path, path):
    done = opened(newer(tmp_path), path)
    events = json.loads(done.stdout)
    assert [event["id"] for event in events] == ["first", "second", "third"]
    assert [event["basis"] for event in events] == ["partner", None, None]
    assert [event["detail"] for event in events] == [None, "the budget ended", None]
    assert events[2]["fault"] == "interrupted"
    with closing(sqlite3.connect(path)) as store:
        assert store.execute("PRAGMA user_version").fetchone() == (NEXT,)
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert store.execute("SELECT key, customer FROM cards").fetchall() == [("A1", "42")]
        assert store.execute("SELECT count(*) FROM outcomes WHERE mood IS NULL").fetchone() == (3,)


def test_a_half_made_schema_never_stays(tmp_path, path):
    with closing(open_store(path)) as store:
        before = list(store.iterdump())
    done = opened(newer(tmp_path, NEXT_SCHEMA + "CREATE TABLE attempts (x);"), path)
    assert "could not be brought up to date: table attempts already exists" in done.stderr
    with closing(open_store(path)) as store:
        assert list(store.iterdump()) == before


def test_it_stays_append_only(path):
    with closing(open_store(path)) as store:
        for change in ("UPDATE outcomes SET evident = 1", "DELETE FROM outcomes"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                store.execute(change)


def rows_of(path):
    with closing(open_store(path)) as store:
        return store.execute("SELECT id, result FROM events ORDER BY seq").fetchall()


def test_an_upgrade_can_be_taken_back(tmp_path, path):
    before = rows_of(path)
    assert opened(newer(tmp_path), path).returncode == 0
    with pytest.raises(StoreError, match="newer gatectl") as refused:
        open_store(path)
    assert "gatectl restore --undo-upgrade" in refused.value.hints[0]
    copy = copy_to_take_back(path)
    aside = restore(path, copy)
    assert rows_of(path) == before
    assert version_of(aside) == NEXT
    assert copy_to_take_back(path) is None
    assert opened(newer(tmp_path / "again"), path).returncode == 0, "and made once more"


def test_the_copy_is_of_the_last_upgrade(tmp_path, path):
    folder = newer(tmp_path)
    assert opened(folder, path).returncode == 0
    restore(path, copy_to_take_back(path))
    with closing(open_store(path)) as store:
        store.execute(*attempt_statement(attempt("fourth")))
        store.execute(*outcome_statement("fourth", WRITTEN[0]))
    assert opened(folder, path).returncode == 0
    restore(path, copy_to_take_back(path))
    assert ("fourth", "admitted") in rows_of(path)


def test_an_upgrade_that_could_not_be_taken_back_is_not_begun(tmp_path, path):
    # A folder in the place of the copy, as a full disk would keep it out.
    copy_before_upgrade_to(path, NEXT).mkdir()
    (copy_before_upgrade_to(path, NEXT) / "file").touch()
    done = opened(newer(tmp_path), path)
    assert "no copy could be made before the upgrade" in done.stderr
    assert version_of(path) == NEXT - 1
    assert [file.name for file in tmp_path.iterdir() if "unfinished" in file.name] == []


def test_a_new_store_has_no_copy(path):
    assert [file.name for file in path.parent.iterdir() if "before" in file.name] == []
    assert copy_to_take_back(path) is None


def test_a_newer_store_without_a_copy_cannot_be_taken_back(tmp_path, path):
    assert opened(newer(tmp_path), path).returncode == 0
    copy_to_take_back(path).unlink()
    with pytest.raises(CopyError, match="there is no copy from before its upgrade"):
        copy_to_take_back(path)
