"""What the wall clock calls the moments of the other one."""

import asyncio
import contextlib

import pytest

from gatectl.daemon import clock


def test_names_keep_the_order_of_the_moments_but_show_a_step_of_the_clock(monkeypatch):
    read = iter([1000, 999, 1001, 850, 849, 5_000_000])
    monkeypatch.setattr(clock, "wall_us", lambda _moment: next(read))
    names = clock.WallClockNames()
    assert [names.of(0.0) for _ in range(6)] == [1000, 1000, 1001, 850, 850, 5_000_000]


def awaited(story):
    async def main():
        return await story(asyncio.get_running_loop())

    return asyncio.run(main())


def test_what_is_done_in_time_is_done():
    async def story(loop):
        future = loop.create_future()
        loop.call_soon(future.set_result, "kept")
        assert await clock.done_by(future, clock.now() + 30)
        assert await clock.done_by(future, clock.now() - 30), "it was there before"
        assert future.result() == "kept"

    awaited(story)


def test_what_is_not_done_in_time_goes_on():
    async def story(loop):
        future = loop.create_future()
        assert not await clock.done_by(future, clock.now())
        assert not future.done()
        future.set_result(None)
        await asyncio.sleep(0)  # what was waiting for it is over, and takes no offence

    awaited(story)


@pytest.mark.parametrize(
    "end", [lambda future: future.cancel(), lambda future: future.set_exception(OSError())]
)
def test_what_ended_otherwise_is_not_done(end):
    async def story(loop):
        future = loop.create_future()
        loop.call_soon(end, future)
        assert not await clock.done_by(future, clock.now() + 30)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            future.result()

    awaited(story)


def test_a_cancelled_wait_leaves_what_it_waited_for():
    async def story(loop):
        future = loop.create_future()
        waiting = asyncio.create_task(clock.done_by(future, clock.now() + 30))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert not future.done()

    awaited(story)
