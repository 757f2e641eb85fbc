"""The users of the monitor and of the uplink: what they can read, and that they cannot act."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from many import fill

from gatectl.journal.paging import Browser, Search
from gatectl.journal.schema import open_store

TMPFILES = Path(__file__).parents[2] / "systemd/system/gatectl.tmpfiles"
GATECTL, MONITOR, UPLINK = 61001, 61002, 61003

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user"),
    pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="there is no systemd-tmpfiles here"),
]


@pytest.fixture
def system(open_folder):
    """A folder with the service's folders in it, as systemd-tmpfiles makes them."""
    etc = open_folder / "etc"
    etc.mkdir()
    users = {"root": 0, "gatectl": GATECTL, "gatectl-monitor": MONITOR, "gatectl-uplink": UPLINK}
    (etc / "passwd").write_text("".join(f"{name}:x:{uid}:{uid}::/:/\n" for name, uid in users.items()))
    (etc / "group").write_text("".join(f"{name}:x:{uid}:\n" for name, uid in users.items()))
    # The names in an access list are looked up on this machine, which need not know them.
    rules = TMPFILES.read_text()
    for name, uid in users.items():
        rules = rules.replace(f"user:{name}:", f"user:{uid}:")
    (etc / "rules.conf").write_text(rules)
    make_folders(open_folder)
    return open_folder


def make_folders(system):
    done = subprocess.run(
        ["systemd-tmpfiles", f"--root={system}", "--create", system / "etc/rules.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def become(uid):
    os.umask(0o027)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def as_user(uid, work):
    """Return the result of `work` (as JSON), run by that user in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        become(uid)
        try:
            answer = {"returned": work()}
        except Exception as error:  # noqa: BLE001 - it is what the test wants to know
            answer = {"raised": f"{type(error).__name__}: {error}"}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answers:
        answer = json.loads(answers.read())
    os.waitpid(child, 0)
    return answer


def count(path):
    with Browser(path) as browser:
        return len(browser.page(Search(), 100, browser.mark()).events)


@pytest.fixture
def store(system):
    return system / "var/lib/gatectl/journal.db"


@pytest.mark.parametrize("reader", [MONITOR, UPLINK])
def test_another_user_reads_a_store_at_rest(store, reader):
    assert as_user(GATECTL, lambda: fill(store, 7)) == {"returned": None}
    assert as_user(reader, lambda: count(store)) == {"returned": 7}


def test_a_store_that_was_there_before_the_monitor_is_read_too(system, store):
    os.removexattr(store.parent, "system.posix_acl_default")
    as_user(GATECTL, lambda: fill(store, 7))
    assert "raised" in as_user(MONITOR, lambda: count(store))
    make_folders(system)
    assert as_user(MONITOR, lambda: count(store)) == {"returned": 7}


def test_the_monitors_user_reads_along_with_the_daemon(store):
    # The writer goes on as gatectl while the reader looks.
    reading, writing = os.pipe()
    done, ready = os.pipe()
    child = os.fork()
    if child == 0:
        become(GATECTL)
        connection = open_store(store)
        fill(store, 5)
        os.write(writing, b"x")
        os.read(done, 1)
        connection.close()
        os._exit(0)
    try:
        os.read(reading, 1)
        assert store.with_name("journal.db-shm").exists()
        assert as_user(MONITOR, lambda: count(store)) == {"returned": 5}
    finally:
        os.write(ready, b"x")
        os.waitpid(child, 0)


def test_the_monitors_user_reads_what_a_killed_daemon_left(store):
    child = os.fork()
    if child == 0:
        become(GATECTL)
        connection = open_store(store)
        fill(store, 5)
        os.kill(os.getpid(), 9)
        connection.close()
    os.waitpid(child, 0)
    assert store.with_name("journal.db-wal").exists()
    assert as_user(MONITOR, lambda: count(store)) == {"returned": 5}


def test_the_monitors_user_cannot_write_the_store_nor_read_a_key(system, store):
    as_user(GATECTL, lambda: fill(store, 1))
    key = system / "etc/gatectl/secrets/wellhub"
    key.write_text("key")
    key.chmod(0o640)
    os.chown(key, 0, GATECTL)
    assert "PermissionError" in as_user(MONITOR, key.read_text)["raised"]
    assert "PermissionError" in as_user(MONITOR, lambda: store.open("ab").close())["raised"]
    assert "PermissionError" in as_user(MONITOR, (store.parent / "x").touch)["raised"]
    settings = system / "etc/gatectl/gatectl.toml"
    settings.write_text("x")
    assert as_user(MONITOR, settings.read_text) == {"returned": "x"}


def test_the_folder_of_the_watch_socket_gives_it_to_the_monitors_group(system):
    folder = system / "run/gatectl-watch"

    def listen():
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(folder / "w"))
        (folder / "w").chmod(0o660)

    assert as_user(GATECTL, listen) == {"returned": None}
    found = (folder / "w").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (GATECTL, MONITOR, 0o660)
