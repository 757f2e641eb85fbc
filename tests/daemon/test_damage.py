"""A damaged store under a running daemon: it is repaired or replaced without a restart, and status shows
it."""

import sqlite3
import time
from contextlib import closing

import pytest
from harness import GOOD, code
from limits import NET_S

from gatectl.decision.event import timestamp

PAGE = 4096
MEMBERS = ["1000000000001", "1000000000002", "1000000000200"]


def root(journal, name):
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]


def zero(journal, page):
    """As `dd if=/dev/zero conv=notrunc` over one page."""
    with journal.open("r+b", buffering=0) as file:
        file.seek((page - 1) * PAGE)
        file.write(bytes(PAGE))


@pytest.fixture
def door(gym):
    """A door that has let members in, with two cards; it is stopped, and all is in the journal's file."""
    gym = gym().start()
    for member in MEMBERS:
        assert gym.ask("wellhub", member)["result"] == "admitted"
    for number in (1, 2):
        assert gym.run("cards", "add", f"fob {number}", "wellhub", GOOD["wellhub"]).returncode == 0
    gym.stop_following()
    assert gym.terminate() == 0
    with closing(sqlite3.connect(gym.journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return gym


def until_status(gym, is_so):
    """Asks for the status until it is so."""
    until = time.monotonic() + NET_S
    while not is_so(status := gym.call({"command": "status"})):
        assert time.monotonic() < until, (status["damaged"], status["journal"], gym.lines_so_far()[-6:])
    return status


def scan_and_stop(gym):
    gym.scan(code("wellhub", GOOD["wellhub"]))
    gym.logged("admitted", f"wellhub:{GOOD['wellhub']} ")
    assert gym.terminate() == 0
    return [event["member"] for event in gym.events()]


def test_an_index_is_repaired_and_no_record_is_lost(door):
    zero(door.journal, root(door.journal, "attempts_by_member"))
    door.start()
    members = scan_and_stop(door)
    assert members == [*MEMBERS, GOOD["wellhub"]]
    assert door.count_logged("is damaged", "is being repaired") == 1
    assert door.count_logged("is repaired: its indexes were rebuilt, and nothing is lost") == 1
    assert door.count_logged("cannot be written") == 0
    assert door.count_logged("records are lost") == 0
    door.start()
    status = door.call({"command": "status"})
    assert (status["damaged"], status["journal"]["error"], status["cards"]) == (None, None, 2)


@pytest.mark.parametrize("table", ["attempts", "outcomes", "cards"])
def test_another_store_takes_the_place_while_the_daemon_runs(door, table):
    door.start()
    damaged = root(door.journal, table)
    zero(door.journal, damaged)
    status = until_status(door, lambda status: status["damaged"])
    assert status["cards"] == 2, "those in memory are not lost with their page"
    assert status["damaged"]["cards"] == 2
    assert timestamp(time.time_ns() // 1000)[:13] == status["damaged"]["since"][:13]
    door.logged("was put aside as")
    door.scan("fob 1")
    door.logged("admitted fob 1")
    assert door.terminate() == 0
    assert door.events()[-1]["credential"] == "fob 1"
    assert len([file for file in door.journal.parent.iterdir() if ".damaged-" in file.name]) >= 1


def test_a_replaced_store_is_reported_until_it_is_acknowledged(door):
    zero(door.journal, root(door.journal, "sqlite_sequence"))
    zero(door.journal, root(door.journal, "marks"))
    door.start()
    until_status(door, lambda status: status["damaged"] and status["damaged"]["events"] == 3)
    assert door.terminate() == 0
    door.start()
    door.logged("the journal was damaged, and the damage is not acknowledged")
    damaged = door.status()["damaged"]
    assert (list(damaged), damaged["cards"], damaged["events"]) == (["since", "cards", "events"], 2, 3)
    shown = " ".join(door.run("status").stdout.split())
    assert "1 thing is not well" in shown
    assert "2 cards and 3 events were carried over into a new one" in shown
    assert "gatectl status --acknowledge" in shown
    done = door.run("status", "--acknowledge")
    assert (done.returncode, "All is well" in done.stdout) == (0, True)
    assert door.terminate() == 0
    door.start()
    assert door.status()["damaged"] is None
    assert [event["member"] for event in door.events()] == MEMBERS


def test_a_first_page_that_is_gone_keeps_no_door_shut(door):
    zero(door.journal, 1)
    assert door.run("check").returncode == 0
    door.start()
    status = until_status(door, lambda status: status["damaged"] and status["damaged"]["events"] == 3)
    assert (status["cards"], status["damaged"]["cards"]) == (2, 2)
    assert scan_and_stop(door) == [*MEMBERS, GOOD["wellhub"]]


def test_a_refusal_that_might_be_settled_survives_a_damaged_index(gym):
    hanging = "1000000000701"
    gym = gym({"wellhub": {"budget_ms": 300, "settle_s": 60}}).start()
    assert gym.ask("wellhub", hanging)["fault"] == "timeout"
    gym.stop_following()
    assert gym.terminate() == 0
    zero(gym.journal, root(gym.journal, "attempts_by_member"))
    gym.start()
    gym.scan(code("wellhub", hanging))
    gym.logged("wellhub:" + hanging)
    assert gym.terminate() == 0
    assert len(gym.events()) == 2


def test_a_journal_that_is_deleted_under_the_daemon_is_saved_again(door):
    door.start()
    for file in door.journal.parent.iterdir():
        file.unlink()
    door.scan("fob 1")
    door.logged("admitted fob 1")
    status = until_status(door, lambda status: status["damaged"])
    assert status["damaged"]["cards"] == 2
    # The scan is written before the copy or after it.
    assert status["damaged"]["events"] in {3, 4}
    assert scan_and_stop(door) == [*MEMBERS, GOOD["wellhub"], GOOD["wellhub"]]
    assert door.count_logged("is damaged (its file was deleted or moved away)") == 1
    assert door.count_logged("records are lost") == 0
    door.start()
    assert (door.status()["damaged"], door.status()["cards"]) == (status["damaged"], 2)
