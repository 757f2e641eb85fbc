"""Calls that block, with a FIFO whose opening blocks until somebody opens its other end."""

import asyncio
import os
import queue
import threading

import pytest
from limits import NET_S

from gatectl.devices.thread import DeviceThread, bounded


@pytest.fixture
def fifo(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_a_result_in_time_and_an_error():
    assert bounded(lambda: 1, 60, print) == 1
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 // 0, 60, print)


def test_a_call_that_hangs_is_given_up_and_its_late_result_is_discarded(fifo):
    discarded = queue.SimpleQueue()
    with pytest.raises(TimeoutError):
        bounded(lambda: fifo.open("rb"), 0, discarded.put)
    with fifo.open("wb"):
        discarded.get(timeout=NET_S).close()


def test_a_late_error_is_dropped(fifo):
    ended = threading.Event()

    def fail():
        with fifo.open("rb"):
            ended.set()
            raise ZeroDivisionError

    with pytest.raises(TimeoutError):
        bounded(fail, 0, print)
    with fifo.open("wb"):
        assert ended.wait(NET_S)


def ours(name):
    return [thread for thread in threading.enumerate() if thread.name == name]


def test_a_device_has_a_thread_only_while_it_has_calls(fifo):
    async def story():
        device = DeviceThread("a device")
        assert not ours("a device")
        order = []
        opening = device.submit(lambda: order.append("opened") or fifo.open("rb"))
        closing = device.submit(lambda: order.append("closed"))
        (thread,) = ours("a device")
        with fifo.open("wb"):
            (await opening).close()
            await closing
        thread.join(NET_S)
        assert order == ["opened", "closed"], "one after the other"
        assert not ours("a device")
        assert await device.submit(lambda: threading.current_thread().name) == "a device"

    asyncio.run(story())


def test_calls_from_many_turns_of_the_loop_all_run_in_order():
    async def story():
        device = DeviceThread("a device")
        done = []
        for number in range(500):  # so that some come just as the thread ends
            future = device.submit(lambda number=number: done.append(number))
            if number % 3:
                await future
        await device.submit(lambda: None)
        assert done == list(range(500))

    asyncio.run(story())
