"""The record comes first; a disk that is slow, full or read-only makes it late, and loses nothing."""

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from harness import BRIEF_MS, GOOD, HANG, PINS, Gym, code
from limits import CLOCKS_S

OTHER_GOOD = ["1000000000001", "1000000000002", "1000000000200"]

SHORT = {"patience_ms": 100}
"""The default of the settings, where the record cannot come anyway."""


def test_each_record_names_the_boot_and_an_events_times_agree(tmp_path):
    with Gym(tmp_path) as gym:
        gym.start()
        event = gym.ask("wellhub", GOOD["wellhub"])
        with closing(sqlite3.connect(f"file:{gym.journal}?mode=ro", uri=True)) as connection:
            names = connection.execute("SELECT at_us, boot, since_boot_us FROM attempts").fetchall()
    ((at_us, boot, since_boot_us),) = names
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip().replace("-", "")
    booted_us = (time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) // 1000
    assert at_us - since_boot_us == pytest.approx(booted_us, abs=CLOCKS_S * 1e6)

    def after_ms(name):
        moment = datetime.fromisoformat(name) - datetime.fromisoformat(event["at"])
        return moment / timedelta(milliseconds=1)

    assert after_ms(event["request"]["answered_at"]) == event["request"]["elapsed_ms"]
    assert after_ms(event["gate"]["opened_at"]) == event["gate"]["after_ms"]


@contextmanager
def locked(journal):
    """Block all other writers: another process holds SQLite's lock, which has the effect of a stalled
    disk."""
    with closing(sqlite3.connect(journal, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MiB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "gatectl-test", disk],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this user may not mount a file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.fixture
def failing_disk(tmp_path):
    """An ext4 of its own that turns read-only at an error, and what makes such an error."""
    disk, image = tmp_path / "disk", tmp_path / "image"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop,errors=remount-ro", image, disk]):
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this user may not mount a file system: {done.stderr.strip()}")
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    device = next(Path(source).name for source, target, *_ in mounts if target == str(disk))
    trigger = Path(f"/sys/fs/ext4/{device}/trigger_fs_error")
    yield disk, lambda: trigger.write_text("1")
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(disk):
    """Not a byte is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2
    return filler


def test_the_attempt_is_on_disk_before_the_request_arrives(gym):
    gym = gym(doors={"main": {}, "side": {}}, journal={"patience_ms": 5000}).start()
    found = []

    def look(_request):
        with closing(sqlite3.connect(f"file:{gym.journal}?mode=ro", uri=True)) as connection:
            found.append(
                connection.execute(
                    "SELECT a.credential, a.member, o.seq FROM attempts AS a"
                    " LEFT JOIN outcomes AS o ON o.seq = a.seq ORDER BY a.seq DESC LIMIT 1"
                ).fetchone()
            )

    gym.partners.on_request = look
    events = []
    for number in range(20):
        member = OTHER_GOOD[number % 3]
        events.append(gym.ask("wellhub", member, ("main", "side")[number % 2]))
    assert found == [(event["credential"], event["member"], None) for event in events]


def test_nothing_leaves_while_a_disk_answers_within_patience(gym):
    gym = gym(journal={"patience_ms": 5000}).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    with locked(gym.journal):
        gym.scan(code("wellhub", OTHER_GOOD[0]))
        gym.until_state("recording")
        assert len(gym.partners.requests) == 1
        held_until = time.monotonic()
    event = gym.next_event()
    assert event["result"] == "admitted"
    assert gym.partners.requests[1].first_byte > held_until
    assert gym.terminate() == 0
    assert gym.count_logged("late") == 0


def test_a_budget_that_ends_before_the_record_is_made_asks_no_partner(gym):
    gym = gym({"wellhub": {"budget_ms": 200}}, journal={"patience_ms": 5000}).start()
    with locked(gym.journal):
        gym.scan(code("wellhub", GOOD["wellhub"]))
        gym.logged("rejected", "timeout")
    event = gym.next_event()
    assert (event["verdict"], event["fault"], event["gate"]) == ("none", "timeout", None)
    assert event["request"]["sent"] is False
    assert 200 <= event["request"]["elapsed_ms"] < 5000  # the patience
    assert gym.partners.requests == []
    assert gym.openings() == []


def test_a_stalled_disk_locks_no_member_out(gym):
    gym = gym(journal={"patience_ms": 500}).start()
    with locked(gym.journal):
        for member in OTHER_GOOD:
            scanned = time.monotonic()
            gym.scan(code("wellhub", member))
            opened = gym.until_pin(PINS["main"]["relay"], 1, scanned)
            assert opened.at - scanned >= 0.5
            gym.logged("admitted", member)
        assert gym.count_logged("late: the disk does not answer") == 3
        assert gym.events() == []
    late = gym.next_events(3)
    assert [event["member"] for event in late] == OTHER_GOOD
    assert all(event["gate"]["after_ms"] >= 500 for event in late)
    for event in late:
        assert gym.count_logged(event["id"], "late") == 1
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    assert gym.terminate() == 0
    assert [event["member"] for event in gym.events()] == [*OTHER_GOOD, GOOD["wellhub"]]


def test_without_patience_no_scan_waits_for_the_disk_and_no_record_is_late(gym):
    gym = gym(journal={"patience_ms": 0}).start()
    with locked(gym.journal):
        gym.scan(code("wellhub", GOOD["wellhub"]))
        gym.logged("admitted", GOOD["wellhub"])
        assert gym.run("open", "main", "--reason", "drill").returncode == 0
    assert [event["result"] for event in gym.next_events(2)] == ["admitted"] * 2
    assert gym.terminate() == 0
    assert gym.count_logged("late") == 0


def test_a_disk_that_is_stalled_for_less_than_patience_is_not_late(gym):
    gym = gym(journal={"patience_ms": 5000}).start()
    for member in OTHER_GOOD:
        with locked(gym.journal):
            gym.scan(code("wellhub", member))
            gym.until_state("recording")
        assert gym.next_event()["member"] == member
    assert gym.terminate() == 0
    assert gym.count_logged("late") == 0


def test_a_store_that_is_slow_to_open_sends_no_card_to_a_route(gym):
    gym = gym({"wellhub": {}, "capitan": {}}, journal=SHORT).start()
    card = code("wellhub", GOOD["wellhub"])  # a route takes this code too
    assert gym.run("cards", "add", card, "capitan", GOOD["capitan"]).returncode == 0
    assert gym.terminate() == 0
    with locked(gym.journal):
        gym.start()
        gym.scan(card)
        gym.logged("admitted", card, "(capitan 2")
        assert gym.status()["cards"] == 1
        assert gym.count_logged("cannot be read") == 0
    event = gym.next_event()
    assert (event["partner"], event["member"]) == ("capitan", GOOD["capitan"])
    assert [request.path.split("/")[1] for request in gym.partners.requests] == ["api"]


def test_no_code_is_routed_as_long_as_the_cards_cannot_be_read(gym):
    gym = gym({"wellhub": {}, "capitan": {}}, journal=SHORT).start()
    card = code("wellhub", GOOD["wellhub"])
    assert gym.run("cards", "add", card, "capitan", GOOD["capitan"]).returncode == 0
    assert gym.terminate() == 0
    with closing(sqlite3.connect(gym.journal, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        gym.start()
        gym.logged("the enrolled cards", "cannot be read yet")
        for shown in (card, code("wellhub", OTHER_GOOD[0])):
            gym.scan(shown)
            gym.logged("rejected", shown, "Enrolled cards not available, please try again")
        assert gym.status()["cards"] is None
        assert "cannot be read: every code is rejected" in " ".join(gym.run("status").stdout.split())
        assert gym.partners.requests == []
    gym.logged("the enrolled cards can be read now")
    for event in gym.next_events(2):
        assert (event["fault"], event["verdict"], event["request"], event["partner"]) == (
            "cards",
            None,
            None,
            None,
        )
        assert event["message"] == "Enrolled cards not available, please try again"
    gym.scan(card)
    assert gym.next_event()["partner"] == "capitan"


def test_a_full_disk_locks_no_member_out(gym, small_disk):
    gym = gym({"wellhub": {"budget_ms": BRIEF_MS}}, journal=SHORT, journal_folder=small_disk).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    filler = fill(small_disk)
    members = [*OTHER_GOOD, "1000000000404", HANG["wellhub"]]
    for member in members:
        gym.scan(code("wellhub", member))
        gym.logged(f" wellhub:{member} ")
    gym.logged("late: the disk does not answer")
    gym.logged("cannot be written", "scans go on, their records follow")
    assert gym.status()["journal"]["late"] > 0
    assert len(gym.openings()) == 1 + len(OTHER_GOOD)
    filler.unlink()
    gym.logged("is written again")
    late = gym.next_events(5)
    assert [event["member"] for event in late] == members
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    journal = gym.status()["journal"]
    assert [journal[name] for name in ("error", "late", "lost")] == [None, 0, 0]
    assert gym.terminate() == 0
    events = gym.events()
    assert [event["member"] for event in events] == [GOOD["wellhub"], *members, GOOD["wellhub"]]
    assert len({event["id"] for event in events}) == 7


def test_a_disk_that_stays_full_costs_records_and_says_so(gym, small_disk):
    gym = gym(journal=SHORT, journal_folder=small_disk).start()
    fill(small_disk)
    for member in OTHER_GOOD:
        gym.scan(code("wellhub", member))
        gym.logged("admitted", member)
    assert gym.terminate() == 0
    assert gym.count_logged("records are lost with this end") == 1


def test_a_disk_that_turns_read_only_locks_no_member_out(gym, failing_disk):
    disk, break_it = failing_disk
    gym = gym(journal=SHORT, journal_folder=disk / "journal").start()
    first = gym.ask("wellhub", "1000000000404")  # none of those that follow: their lines are waited for
    break_it()
    for member in OTHER_GOOD:
        scanned = time.monotonic()
        gym.scan(code("wellhub", member))
        gym.until_pin(PINS["main"]["relay"], 1, scanned)
        gym.logged("admitted", member)
    assert gym.count_logged("late: the disk does not answer") == 3
    gym.logged("cannot be written", "scans go on, their records follow")
    gym.stop_following()
    assert gym.events() == [first]
    assert gym.terminate() == 0
    assert gym.count_logged("records are lost with this end") == 1


def test_a_start_on_a_read_only_disk_locks_no_member_out(gym, small_disk):
    gym = gym(journal=SHORT, journal_folder=small_disk).start()
    card = code("wellhub", "1000000000404")  # by a route it has no member
    assert gym.run("cards", "add", card, "wellhub", GOOD["wellhub"]).returncode == 0
    gym.scan(card)
    assert gym.next_event()["result"] == "admitted"
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.partners.until(lambda: len(gym.partners.requests) == 2)
    gym.kill9()
    gym.stop_following()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    gym.start()
    gym.logged("cannot be written")
    for member in OTHER_GOOD:
        gym.scan(code("wellhub", member))
        gym.logged("admitted", member)
    scanned = time.monotonic()
    gym.scan(card)
    gym.until_pin(PINS["main"]["relay"], 1, scanned)
    subprocess.run(["mount", "-o", "remount,rw,size=2m", small_disk], check=True)
    gym.logged("is written again")
    interrupted, *late = gym.next_events(5)
    assert (interrupted["result"], interrupted["member"]) == ("unknown", HANG["wellhub"])
    assert [event["member"] for event in late] == [*OTHER_GOOD, GOOD["wellhub"]]
    gym.ask("wellhub", GOOD["wellhub"])
    assert gym.terminate() == 0
    assert len(gym.events()) == 7


def test_events_are_in_the_order_of_the_scans_with_two_doors(gym):
    gym = gym({"wellhub": {"budget_ms": 2 * BRIEF_MS}}, {"main": {}, "side": {}}).start()
    gym.scan(code("wellhub", HANG["wellhub"]))
    gym.until_state("asking")
    ended_first = gym.ask("wellhub", GOOD["wellhub"], "side")
    hung = gym.next_event()
    assert (ended_first["door"], hung["door"]) == ("side", "main")
    assert gym.events() == [hung, ended_first]
