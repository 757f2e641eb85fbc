"""What the watchdog is fed for, and what it is not fed for."""

import os

import pytest

from gatectl.daemon.watchdog import all_well, interval_s


class _Part:
    """A door or the guard, as far as the watchdog looks at one."""

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
    assert interval_s(environ, os.getpid()) == seconds
