"""systemd's watchdog is fed while the door is what it claims to be, and then alone."""

import time

import pytest
from harness import GOOD, HANG, PINS, code

WATCHED_S = 0.6


@pytest.fixture
def watched(gym):
    gym = gym({"wellhub": {"budget_ms": 2000}}, {"main": {"open_ms": 300}})
    return gym.start(WATCHDOG_USEC=str(round(WATCHED_S * 1e6)))


def test_it_is_fed_in_time_also_while_a_scan_is_under_way(watched):
    watched.scan(code("wellhub", HANG["wellhub"]))
    watched.partners.until(lambda: watched.partners.requests)
    watched.notices(0)
    assert watched.notices(2 * WATCHED_S).count("WATCHDOG=1") >= 2
    assert watched.next_event()["fault"] == "timeout"
    assert watched.terminate() == 0


def test_it_is_not_fed_by_a_loop_that_is_blocked(watched):
    watched.fail("22=1:block")
    watched.scan(code("wellhub", GOOD["wellhub"]))
    watched.until_pin(PINS["main"]["green"], 1)
    watched.notices(0)
    assert watched.notices(2 * WATCHED_S) == []
    watched.fail()
    watched.unblock()
    watched.wait_for_notice("WATCHDOG=1")


def test_a_relay_that_outlives_its_time_ends_the_daemon(watched):
    watched.fail("17=0")
    watched.scan(code("wellhub", GOOD["wellhub"]))
    on = watched.until_pin(PINS["main"]["relay"], 1)
    watched.until_pin(PINS["main"]["green"], 0, on.at + 0.3)
    watched.notices(0)
    assert watched.wait() not in {0, 78}
    assert 1.3 <= time.monotonic() - on.at < 5
    assert watched.count_told("main: THE RELAY DOES NOT GO OFF") == 1
    assert watched.count_told("the relay does not go off at the end") == 1
    assert watched.count_told("main: the relay is on", "after its time") == 1
    watched.stderr.clear()  # with the traceback of an end that is meant
    watched.fail()
    watched.start()
    assert [change.level for change in watched.pins(PINS["main"]["relay"], watched.pid)] == [0]


def test_nobody_is_told_where_nobody_watches(gym):
    gym = gym().start()
    assert gym.notices(0.5) == []
