"""A newer version that changes the store, with real daemons: it succeeds, fails, and is taken back."""

import shutil
from pathlib import Path

import pytest
from harness import GOOD

import gatectl
from gatectl.journal.schema import known_version, version_of

NEXT = known_version() + 1


@pytest.fixture
def upgrade(gym):
    """A door that has let a member in; and what puts a newer version, with this schema, into its place."""
    gym = gym(journal={"patience_ms": 100}).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert gym.run("cards", "add", "fob", "wellhub", GOOD["wellhub"]).returncode == 0
    gym.stop_following()
    assert gym.terminate() == 0
    package = gym.folder / "installed" / "gatectl"

    def put(schema):
        shutil.copytree(Path(gatectl.__file__).parent, package)
        (package / "journal" / "schemas" / f"{NEXT}.sql").write_text(schema)

    return gym, put, lambda: shutil.rmtree(package)


def test_an_upgrade_that_changed_the_store_can_be_taken_back(upgrade):
    gym, put, take_back = upgrade
    before = gym.events()
    put("ALTER TABLE outcomes ADD COLUMN mood TEXT;")
    gym.start()
    assert version_of(gym.journal) == NEXT
    assert gym.terminate() == 0

    take_back()
    gym.spawn()
    assert gym.wait() == 1
    assert any("written by a newer gatectl" in line for line in gym.stderr)
    done = gym.run("restore", "--undo-upgrade")
    assert (done.returncode, "the one before is" in done.stderr) == (0, True), done.stderr
    gym.start()
    assert gym.status()["cards"] == 1
    assert gym.events() == before
    gym.pass_over()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"


def test_an_upgrade_that_cannot_change_the_store_is_never_ready(upgrade):
    gym, put, take_back = upgrade
    put("CREATE TABLE attempts (x);")
    gym.spawn()
    assert gym.wait() == 1
    assert "READY=1" not in gym.entries(0)
    assert any("could not be brought up to date" in line for line in gym.stderr)
    take_back()
    assert gym.run("restore", "--undo-upgrade").stderr.endswith("there is nothing to take back\n")
    gym.start()


def test_doors_work_while_the_store_is_brought_up_to_date(upgrade):
    gym, put, _ = upgrade
    # Some million steps, which take longer than a start waits for its store.
    put(
        "CREATE TABLE steps AS WITH RECURSIVE n (i) AS"
        " (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000000) SELECT max(i) AS i FROM n;"
    )
    gym.spawn()
    gym.wait_for_notice("EXTEND_TIMEOUT_USEC=30000000")
    gym.scan("fob")
    gym.logged("admitted fob")
    gym.wait_for_notice("READY=1")
    assert version_of(gym.journal) == NEXT
    assert gym.terminate() == 0
    assert [event["credential"] for event in gym.events("-n", "1")] == ["fob"]
