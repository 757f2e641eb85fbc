"""What the watchdog is fed for, and what it is not fed for."""

import os
import threading

import pytest
from gpiozero.pins.mock import MockFactory

from gatectl.daemon.watchdog import OUTLIVED_S, all_well, interval_s
from gatectl.devices.relay import Relay, StuckError


class _Door:
    """A door as far as the watchdog looks at one."""

    def __init__(self, relay, *, stuck=False):
        self.name = relay.door
        self.gate = type("Gate", (), {"relay": relay})()
        self._stuck = stuck

    def is_stuck(self, _now):
        return self._stuck


@pytest.fixture
def relay():
    factory = MockFactory()
    one = Relay("main", 17, active_high=True, open_ms=1000, factory=factory)
    yield one
    one.close()
    factory.close()


def test_all_is_well_while_the_pin_is_what_it_was_told(relay):
    assert all_well([_Door(relay)], lambda: 0.0)
    off_at = relay.energise()
    assert all_well([_Door(relay)], lambda: off_at)


def test_a_pin_that_somebody_else_moved_is_not_fed_for(relay):
    relay._device.on()
    assert not all_well([_Door(relay)], lambda: 0.0)


def test_a_relay_that_outlives_its_time_is_an_error(relay):
    off_at = relay.energise()
    all_well([_Door(relay)], lambda: off_at + OUTLIVED_S)
    with pytest.raises(StuckError, match=r"main: the relay is on 1\.1 s after its time"):
        all_well([_Door(relay)], lambda: off_at + OUTLIVED_S + 0.1)


def test_a_door_that_is_stuck_is_not_fed_for(relay):
    assert not all_well([_Door(relay), _Door(relay, stuck=True)], lambda: 0.0)


def test_reading_the_pin_waits_for_a_change_under_way(relay):
    with relay._lock:
        seen = []
        reader = threading.Thread(target=lambda: seen.append(relay.obeys))
        reader.start()
        relay._off_at = 1.0
        relay._device.on()
    reader.join()
    assert seen == [True]


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
