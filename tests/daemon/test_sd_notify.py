"""Notifications of the service manager, which no door waits for, and its watchdog."""

import asyncio
import contextlib
import os
import socket

import pytest
from harness import GOOD
from lines import fill

from gatectl.daemon.sd_notify import all_well, keep_notifying, notify, watchdog_interval_s


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A service manager's socket, and the environment that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taken:
        taken.setblocking(False)
        name = str(tmp_path / "notify")
        taken.bind(name if request.param == "path" else f"\0{name}")
        yield taken, {"NOTIFY_SOCKET": name if request.param == "path" else f"@{name}"}


def taken_from(manager):
    with contextlib.suppress(BlockingIOError):
        while True:
            yield manager.recv(4096)


def test_the_service_manager_gets_the_state(manager):
    taken, environ = manager
    assert notify("READY=1", environ)
    assert taken.recv(4096) == b"READY=1"


def test_a_manager_that_does_not_read_is_not_waited_for(manager):
    taken, environ = manager
    fill(taken.getsockname())

    async def story():
        assert not notify("WATCHDOG=1", environ)
        ready = asyncio.create_task(keep_notifying("READY=1", environ))
        await asyncio.sleep(0)
        assert not ready.done()
        assert set(taken_from(taken)) == {b"STATUS=full"}
        await ready

    asyncio.run(story())
    assert list(taken_from(taken)) == [b"READY=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_a_service_manager_nothing_is_sent(environ):
    assert notify("READY=1", environ)


def test_doors_work_while_the_manager_does_not_read(gym):
    gym = gym()
    fill(str(gym.folder / "notify"))
    gym.spawn(WATCHDOG_USEC="300000")
    gym.logged("is ready")
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    gym.wait_for_notice("READY=1")
    assert gym.terminate() == 0


class _Part:
    """A door or the relay timer, as far as the watchdog looks at one."""

    def __init__(self, *, well=True):
        self._well = well

    def is_stuck(self, _now):
        return not self._well

    def is_alive(self, _now):
        return self._well


def test_all_is_well_while_every_door_takes_scans_and_the_guard_passes():
    assert all_well([_Part(), _Part()], _Part(), lambda: 0.0)


def test_a_door_that_is_stuck_is_not_fed_for():
    assert not all_well([_Part(), _Part(well=False)], _Part(), lambda: 0.0)


def test_a_guard_that_is_stuck_is_not_fed_for():
    assert not all_well([_Part()], _Part(well=False), lambda: 0.0)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often(environ, seconds):
    assert watchdog_interval_s(environ, os.getpid()) == seconds
