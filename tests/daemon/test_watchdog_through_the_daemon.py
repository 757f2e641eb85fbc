"""systemd's watchdog is fed while the door is what it claims to be, and then alone."""

import signal

import pytest
from harness import GOOD, HANG, PINS, code

WATCHED_S = 0.6


@pytest.fixture
def watched(gym):
    gym = gym(doors={"main": {"open_ms": 300}})
    return gym.start(WATCHDOG_USEC=str(round(WATCHED_S * 1e6)))


def test_it_is_fed_also_while_a_scan_is_under_way(watched):
    watched.scan(code("wellhub", HANG["wellhub"]))
    watched.partners.until(lambda: watched.partners.requests)
    watched.entries(0)
    for _ in range(2):
        watched.wait_for_notice("WATCHDOG=1")
    watched.until_state("asking")
    watched.signal(signal.SIGTERM)
    assert watched.terminate() == 0  # the second signal: do not wait for the partner


def test_it_is_not_fed_by_a_loop_that_is_blocked(watched):
    watched.fail("22=1:block")
    watched.scan(code("wellhub", GOOD["wellhub"]))
    watched.until_pin(PINS["main"]["green"], 1)
    watched.entries(0)
    assert watched.entries(2 * WATCHED_S) == []
    watched.unblock()
    watched.fail()
    watched.wait_for_notice("WATCHDOG=1")


def test_a_bug_in_the_guards_thread_ends_the_daemon_with_every_relay_off(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}, "side": {}}).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    gym.fail(f"{PINS['side']['relay']}:bug")
    assert gym.wait() not in {0, 78}
    assert [change.level for change in gym.pins(PINS["main"]["relay"])[-2:]] == [0, None]
    assert gym.count_logged("the relay timer failed: SystemExit('a bug')")
    gym.stderr.clear()  # with the traceback of an end that is meant


def test_without_a_watchdog_nothing_is_fed(gym):
    gym = gym().start()
    assert gym.entries(0.5) == []
