"""The clocks: order of the wall clock's times, steps of the wall clock, time servers."""

import asyncio

import pytest
from limits import CLOCKS_S
from virtual_loop import run_virtually

from gatectl import clock
from gatectl.daemon.looks import ClockWatch
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.timestamps import Timestamp

SECOND = 1_000_000
DAY = 86_400 * SECOND


class Over(Exception):
    pass


def logged(set_by_us):
    """The log entries while the clock is set by these steps, one between each two checks."""
    wall, boot, entries = [50 * DAY], [DAY], []
    steps = iter(set_by_us)

    def read():
        return Timestamp(wall[0], "a" * 32, boot[0])

    async def pause(seconds):
        try:
            step = next(steps)
        except StopIteration:
            raise Over from None
        wall[0] += round(seconds * SECOND) + step
        boot[0] += round(seconds * SECOND)

    with pytest.raises(Over):
        asyncio.run(clock.log_clock_steps(entries.append, read, pause))
    return entries


def test_each_clock_step_is_logged_once_with_its_size():
    assert logged([0, 1200 * DAY, 0, 0, -3600 * SECOND, 0]) == [
        LogEntry(Priority.NOTICE, "the clock was set forward by 3 years 105 days"),
        LogEntry(Priority.NOTICE, "the clock was set back by 1 h"),
    ]


def test_small_corrections_are_not_logged():
    assert logged([SECOND, 0, -SECOND, SECOND, SECOND, SECOND]) == []


def test_wall_times_keep_the_order_of_the_moments_but_show_a_step_of_the_clock():
    read = iter([1000, 999, 1001, 850, 849, 5_000_000])
    instants = clock.InstantClock(lambda _moment: next(read))
    assert [instants.ordered_wall_us(0.0) for _ in range(6)] == [1000, 1000, 1001, 850, 850, 5_000_000]


def test_an_instant_names_a_past_moment_on_all_clocks():
    async def story():
        before = clock.timestamp_now()
        instant = clock.InstantClock().instant(clock.now() - 10.0)
        after = clock.timestamp_now()
        earliest = -round((10 + CLOCKS_S) * SECOND)
        assert before.at_us + earliest <= instant.named.at_us <= after.at_us - 10 * SECOND
        assert (
            before.since_boot_us + earliest
            <= instant.named.since_boot_us
            <= after.since_boot_us - 10 * SECOND
        )
        assert clock.loop_time(instant.named.at_us) == pytest.approx(instant.loop_s, abs=CLOCKS_S)

    asyncio.run(story())


@pytest.mark.parametrize("interruptions", [0, 1, 2])
def test_an_interruption_between_two_clocks_does_not_date_a_moment_wrong(monkeypatch, interruptions):
    """On a busy machine another process runs for some milliseconds after one clock was read."""

    async def story():
        loop = asyncio.get_running_loop()
        left = iter([0.05] * interruptions)

        def time_ns():
            read = round((DAY / SECOND + loop.time()) * 1e9)
            loop.skip(next(left, 0.0))
            return read

        monkeypatch.setattr(clock.time, "time_ns", time_ns)
        return clock.wall_us(loop.time() - 10.0)

    assert run_virtually(story()) == DAY - 10 * SECOND


@pytest.mark.parametrize(("made", "right"), [((), True), (("timesync",), False), (("timesync", "x"), True)])
def test_the_files_of_timesyncd(tmp_path, made, right):
    """The files of systemd-timesyncd(8); where another program keeps the clock, they are not there."""
    for name in made:
        folder = tmp_path / "timesync"
        folder.mkdir(exist_ok=True)
        if name == "x":
            (folder / "synchronized").touch()
    assert clock.is_synchronised(tmp_path / "timesync") is right


@pytest.mark.parametrize(("step_s", "calls"), [(0.0, 0), (0.02, 0), (-3600.0, 1), (1.0, 1)])
def test_the_pins_thread_calls_for_a_look_at_a_step_of_the_clock(step_s, calls):
    async def run():
        called = []
        watch = ClockWatch(lambda: called.append(True))
        watch._ahead_s -= step_s  # as if the clock had been set since its last look
        await asyncio.to_thread(watch.run, clock.monotonic())
        await asyncio.sleep(0)
        await asyncio.to_thread(watch.run, clock.monotonic())
        await asyncio.sleep(0)
        return len(called)

    assert asyncio.run(run()) == calls
