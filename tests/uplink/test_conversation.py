"""The gate's side of the conversation, step by step."""

import zlib
from itertools import islice

import pytest

from gatectl.uplink import conversation
from gatectl.uplink.conversation import Conversation, OwnEvent, Wanted, reconnect_delays
from gatectl.uplink.wire import (
    BATCH_BYTES_MAX,
    BATCH_HEAD_BYTES,
    EventBatch,
    Mark,
    NumberedEvent,
    encode_batch,
    size_of,
)

JOURNAL = "9f" * 16


def id_of(number: int) -> str:
    return f"01976f5e-7a00-7000-8000-{number:012x}"


def mark_at(number: int, *, window: int = 256, again: bool = False, generation: int = 1) -> Mark:
    return Mark(JOURNAL, generation, number, id_of(number) if number else None, window, again)


class GateWithJournal:
    """A conversation over a journal of so many events."""

    def __init__(self, last: int, *, size: int = 0, pruned_to: int = 0) -> None:
        self.talk = Conversation(lambda: 0.5)
        self.size, self.pruned_to = size, pruned_to
        self.now = 1000.0
        self.grow(last)
        self.talk.connected()

    def grow(self, last: int) -> None:
        self.last = last
        self.talk.opened(JOURNAL, last)

    def mark(self, mark: Mark) -> bool:
        return self.talk.marked(mark, self.own(mark.mark), self.now)

    def own(self, number: int) -> OwnEvent:
        return OwnEvent(self.last, id_of(number) if self.pruned_to < number <= self.last else None)

    def send(self) -> list[EventBatch]:
        sent = []
        while (wanted := self.talk.wanted(self.now)) is not None:
            numbers = range(max(wanted.after, self.pruned_to) + 1, self.last + 1)[: wanted.most]
            read = [NumberedEvent(one, {"id": id_of(one), "x": "x" * self.size}) for one in numbers]
            batch = self.talk.batch(read, self.own(wanted.after), self.now)
            if batch is None:
                break
            sent.append(batch)
        return sent

    def ranges(self) -> list[tuple[int, int]]:
        return [(batch.after, batch.until) for batch in self.send()]


def test_nothing_is_sent_before_a_mark_has_come():
    gate = GateWithJournal(5)
    assert gate.ranges() == []
    assert gate.mark(mark_at(3))
    assert gate.ranges() == [(3, 5)]


def test_the_first_mark_of_each_connection_counts_whatever_came_before():
    gate = GateWithJournal(5)
    gate.mark(mark_at(5))
    gate.talk.disconnected()
    assert gate.ranges() == []
    gate.talk.connected()
    assert gate.ranges() == []
    assert gate.mark(mark_at(2))
    assert gate.ranges() == [(2, 5)]


def test_how_far_behind_is_known_once_a_mark_has_come():
    gate = GateWithJournal(5)
    assert gate.talk.behind is None
    gate.mark(mark_at(2))
    assert gate.talk.behind == 3
    # The journal has grown since it was looked at, and head office knows of it first.
    gate.last = 7
    gate.mark(mark_at(7))
    assert (gate.talk.last, gate.talk.behind) == (7, 0)


def test_a_live_event_goes_alone_and_a_backlog_in_batches_within_the_window():
    gate = GateWithJournal(1000)
    gate.mark(mark_at(0))
    assert gate.ranges() == [(0, 64), (64, 128), (128, 192), (192, 256)]
    gate.mark(mark_at(64))
    assert gate.ranges() == [(256, 320)]
    gate.mark(mark_at(1000))
    gate.grow(1001)
    assert gate.ranges() == [(1000, 1001)]


def test_a_batch_has_64_kib_at_most_but_always_one_event():
    gate = GateWithJournal(5, size=BATCH_BYTES_MAX // 2 - 200)
    gate.mark(mark_at(0))
    assert gate.ranges() == [(0, 2), (2, 4), (4, 5)]
    room = BATCH_BYTES_MAX - BATCH_HEAD_BYTES
    least = sum(size_of(NumberedEvent(number, {"id": id_of(number), "x": ""})) for number in (1, 2))
    assert (room - least) % 2 == 0
    for size, last in (((room - least) // 2, 2), ((room - least) // 2 + 1, 1)):
        full = GateWithJournal(2, size=size)
        full.mark(mark_at(0))
        assert full.ranges()[0] == (0, last)
    many = GateWithJournal(64, size=960)
    many.mark(mark_at(0))
    sizes = [len(zlib.decompress(encode_batch(one).data)) for one in many.send() if len(one.events) > 8]
    assert BATCH_BYTES_MAX - 1500 < sizes[0] <= BATCH_BYTES_MAX
    large = GateWithJournal(2, size=BATCH_BYTES_MAX * 2)
    large.mark(mark_at(0))
    assert large.ranges() == [(0, 1), (1, 2)]


def test_a_window_of_none_pauses_and_nothing_is_tried_again_meanwhile():
    gate = GateWithJournal(100)
    gate.mark(mark_at(0, window=16))
    assert gate.ranges() == [(0, 16)]
    gate.mark(mark_at(0, window=0))
    gate.now += 61
    assert gate.ranges() == []
    gate.mark(mark_at(0, window=20))
    gate.now += 61
    assert gate.ranges() == [(0, 20)]


def test_what_is_outstanding_behind_progress_is_tried_again_too():
    gate = GateWithJournal(150)
    gate.mark(mark_at(0))
    assert gate.ranges() == [(0, 64), (64, 128), (128, 150)]
    gate.now += 30
    gate.mark(mark_at(64))
    assert gate.talk.retry_at == gate.now + conversation.PATIENCE_S
    assert gate.ranges() == []
    gate.now += conversation.PATIENCE_S
    assert gate.ranges() == [(64, 128)]


def test_again_goes_back_to_the_mark_at_most_once_a_second():
    gate = GateWithJournal(10)
    gate.mark(mark_at(0))
    gate.send()
    gate.now += 5
    gate.mark(mark_at(4, again=True))
    assert gate.ranges() == [(4, 10)]
    gate.mark(mark_at(4, again=True))
    assert gate.ranges() == []
    assert gate.talk.retry_at == gate.now + 1
    gate.now += 1
    assert gate.ranges() == [(4, 10)]


@pytest.mark.parametrize("hostile", ["rising generations", "again from the start", "forks"])
def test_a_flood_of_marks_has_everything_sent_once_a_second_at_most(hostile):
    gate = GateWithJournal(10)
    sent = []
    for number in range(10_000):
        gate.now += 0.001
        match hostile:
            case "rising generations":
                gate.mark(mark_at(0, generation=1 + number))
            case "again from the start":
                gate.mark(mark_at(number % 2, again=True))
            case "forks":
                gate.mark(mark_at(number % 2 * 99, generation=1 + number))
        sent += gate.ranges()
    assert 5 <= len(sent) <= 11
    gate.now += 1
    gate.mark(mark_at(10, generation=20_000))
    gate.grow(11)
    gate.now += 1
    assert gate.ranges() == [(10, 11)]


def test_without_progress_one_batch_is_sent_again_with_growing_pauses():
    gate = GateWithJournal(200)
    gate.mark(mark_at(0))
    gate.send()
    pauses = []
    for _ in range(6):
        due = gate.talk.retry_at
        pauses.append(due - gate.now)
        gate.now = due - 0.001
        assert gate.ranges() == []
        gate.now = due
        assert gate.ranges() == [(0, 64)]
    assert pauses == pytest.approx([60, 120, 240, 480, 600, 600])
    gate.mark(mark_at(64))
    assert gate.ranges() == [(64, 128), (128, 192), (192, 200)]
    assert gate.talk.retry_at == pytest.approx(gate.now + 60)


def test_nothing_is_due_once_everything_is_committed():
    gate = GateWithJournal(3)
    gate.mark(mark_at(0))
    gate.send()
    assert gate.talk.retry_at is not None
    gate.mark(mark_at(3))
    assert gate.talk.retry_at is None


@pytest.mark.parametrize(
    "mark",
    [mark_at(3)._replace(id=id_of(7)), mark_at(6), mark_at(6)._replace(id=None)],
    ids=["another event", "beyond the last", "beyond the last, without an event"],
)
def test_a_mark_that_is_not_about_the_own_event_is_a_fork(mark):
    gate = GateWithJournal(5)
    assert gate.mark(mark)
    assert (gate.talk.fork, gate.talk.mark) == (1, None)
    assert gate.ranges() == []
    assert not gate.mark(mark_at(2))
    assert gate.mark(mark_at(0, generation=2))
    assert gate.talk.fork is None
    assert gate.ranges() == [(0, 5)]


def test_a_mark_at_a_pruned_event_fits():
    gate = GateWithJournal(5, pruned_to=4)
    assert gate.mark(mark_at(3))
    assert gate.ranges() == [(3, 5)]


def test_a_range_without_events_is_announced_with_the_next_one():
    gate = GateWithJournal(5, pruned_to=5)
    gate.mark(mark_at(3))
    assert gate.ranges() == []
    assert gate.talk.wanted(gate.now) is None
    gate.grow(6)
    assert gate.ranges() == [(3, 6)]


@pytest.mark.parametrize(
    "mark",
    [
        mark_at(2),
        mark_at(5)._replace(journal="0" * 32),
        mark_at(5)._replace(generation=1),
    ],
    ids=["behind", "of another journal", "of an earlier generation"],
)
def test_a_mark_that_is_older_or_not_about_this_journal_does_not_count(mark):
    gate = GateWithJournal(5)
    gate.mark(mark_at(3, generation=2))
    assert not gate.mark(mark)
    assert gate.talk.wanted(gate.now) == Wanted(3, 64)


def test_head_office_goes_back_by_again():
    gate = GateWithJournal(5)
    gate.mark(mark_at(4, generation=2))
    gate.now += 1
    assert gate.mark(mark_at(1, again=True))
    assert gate.ranges() == [(1, 5)]


def test_events_read_for_an_earlier_mark_are_not_sent():
    gate = GateWithJournal(5)
    gate.mark(mark_at(0))
    assert gate.talk.wanted(gate.now) == Wanted(0, 64)
    gate.mark(mark_at(2))
    read = [NumberedEvent(number, {"id": id_of(number)}) for number in range(1, 6)]
    assert gate.talk.batch(read, gate.own(0), gate.now) is None
    assert gate.ranges() == [(2, 5)]


def test_another_journal_waits_for_a_mark_of_its_own():
    gate = GateWithJournal(5)
    gate.mark(mark_at(5))
    assert gate.talk.opened("0" * 32, 9)
    assert gate.talk.wanted(gate.now) is None


def test_an_older_image_of_the_journal_waits_for_a_mark():
    gate = GateWithJournal(5)
    gate.mark(mark_at(3))
    assert gate.talk.opened(JOURNAL, 4)
    assert gate.talk.mark is None


@pytest.mark.parametrize("own", [OwnEvent(6, id_of(15)), OwnEvent(5, None)], ids=["outgrown", "shorter"])
def test_an_older_image_that_is_found_while_reading_waits_for_a_mark(own):
    gate = GateWithJournal(6)
    gate.mark(mark_at(5))
    assert gate.talk.wanted(gate.now) == Wanted(5, 64)
    read = [NumberedEvent(6, {"id": id_of(16)})]
    assert gate.talk.batch(read, own, gate.now) is None
    assert gate.talk.mark is None


def test_the_next_connection_is_tried_after_a_second_doubling_to_two_minutes():
    longest = list(islice(reconnect_delays(lambda: 1.0), 9))
    assert longest == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert list(islice(reconnect_delays(lambda: 0.25), 3)) == [0.25, 0.5, 1]
    assert conversation.RECONNECT_MAX_S == 120
