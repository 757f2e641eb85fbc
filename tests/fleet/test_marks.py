"""When marks go out: at once after a commit, seldom to one that repeats itself; and how gates are slowed."""

import asyncio

import pytest
from virtual_loop import run_virtually

from gatectl.fleet.intake import Intake
from gatectl.fleet.marks import REPEAT_S, Marks, window_of
from gatectl.uplink.head_office import Answer, Stream
from gatectl.uplink.wire import decode_mark

PLACE = ("berlin-1", "ab" * 16)


@pytest.mark.parametrize(
    ("commit_s", "waiting", "window"), [(0.01, 0, 256), (1.5, 0, 16), (0.01, 1500, 16), (1.0, 1000, 256)]
)
def test_gates_are_slowed_down_while_the_database_lags(commit_s, waiting, window):
    assert window_of(commit_s, waiting) == window


class Broker:
    """Keeps what is published, each with its time."""

    def __init__(self):
        self.sent = []

    async def publish(self, topic, payload, **how):
        assert topic == "gatectl/1/berlin-1/mark"
        assert (how["qos"], how["retain"]) == (1, True)
        mark = decode_mark(payload)
        self.sent.append((asyncio.get_running_loop().time(), mark.mark, mark.again, mark.window))


def sent_by(*steps):
    """Return what goes out if each of these steps happens at its time: a mark, its answer, if it moved."""
    broker = Broker()

    async def story():
        marks, loop = Marks(broker), asyncio.get_running_loop()
        sending = asyncio.create_task(marks.keep_sending())
        for at_s, number, answer, has_moved in steps:
            await asyncio.sleep(at_s - loop.time())
            intake = Intake({PLACE: Stream(PLACE[1], 1, number)}, current=dict([PLACE]))
            marks.answer({PLACE: (answer, has_moved)}, intake)
        await asyncio.sleep(10)
        sending.cancel()

    run_virtually(story())
    return broker.sent


def test_a_mark_that_moved_goes_out_at_once():
    steps = [(20 + tenth / 10, tenth, Answer.MARK, True) for tenth in range(5)]
    assert sent_by(*steps) == [(at_s, number, False, 256) for at_s, number, *_ in steps]


def test_a_mark_that_says_the_same_goes_out_once_a_second():
    steps = [(20 + tenth / 10, 7, Answer.MARK, False) for tenth in range(16)]
    times = [at_s for at_s, *_ in sent_by(*steps)]
    assert times == pytest.approx([20, 20 + REPEAT_S, 20 + 2 * REPEAT_S])


def test_of_marks_that_wait_the_latest_goes_out_and_asks_for_what_any_of_them_did():
    first, *waited = sent_by(
        (20, 7, Answer.MARK, True), (20.2, 7, Answer.AGAIN, False), (20.4, 7, Answer.MARK, False)
    )
    assert first == (20, 7, False, 256)
    assert waited == [(pytest.approx(20 + REPEAT_S), 7, True, 256)]


def test_a_mark_that_moved_does_not_wait_behind_one_that_does():
    sent = sent_by((20, 7, Answer.MARK, True), (20.2, 7, Answer.AGAIN, False), (20.4, 9, Answer.MARK, True))
    assert sent == [(20, 7, False, 256), (pytest.approx(20.4), 9, True, 256)]
