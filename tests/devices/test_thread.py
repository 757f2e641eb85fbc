"""Calls that block, with a FIFO whose opening blocks until somebody opens its other end."""

import os
import queue
import threading

import pytest

from gatectl.devices.thread import bounded


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
        discarded.get(timeout=60).close()


def test_a_late_error_disturbs_nobody(fifo):
    ended = threading.Event()

    def fail():
        with fifo.open("rb"):
            ended.set()
            raise ZeroDivisionError

    with pytest.raises(TimeoutError):
        bounded(fail, 0, print)
    with fifo.open("wb"):
        assert ended.wait(60)
