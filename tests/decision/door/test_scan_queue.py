"""The scan queue, and repeated readings."""

from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.door.messages import CodeRead
from gatectl.decision.door.scan_queue import PLACES, Admission, ScanQueue
from gatectl.decision.timestamps import Instant, Timestamp


def code(text, at=0.0):
    return CodeRead(text, "/dev/reader", Instant(at, Timestamp(0, "0" * 32, 0)))


def test_one_scan_at_a_time_the_others_in_order():
    queue = ScanQueue(3.0)
    assert [queue.offer(code(text)) for text in "abc"] == [Admission.ACCEPTED] * 3
    assert queue.begin().code == "a"
    assert queue.begin() is None, "the door is busy"
    queue.end()
    assert queue.begin().code == "b"
    queue.end()
    assert queue.begin().code == "c"


def test_four_wait_and_a_fifth_is_dropped():
    queue = ScanQueue(3.0)
    queue.offer(code("first"))
    queue.begin()
    assert [queue.offer(code(str(number))) for number in range(PLACES)] == [Admission.ACCEPTED] * 4
    assert queue.offer(code("one too many")) is Admission.FULL
    assert queue.waiting == 4


def test_codes_that_come_at_once_find_one_place_at_the_door_and_four_behind_it():
    queue = ScanQueue(3.0)
    offers = [queue.offer(code(str(number))) for number in range(PLACES + 3)]
    assert offers == [Admission.ACCEPTED] * (1 + PLACES) + [Admission.FULL] * 2


def test_a_dropped_code_may_be_scanned_again_at_once():
    queue = ScanQueue(3.0)
    for text in ("first", "0", "1", "2", "3"):
        queue.offer(code(text))
        queue.begin()
    assert queue.offer(code("x", 0.1)) is Admission.FULL
    queue.end()
    queue.begin()
    assert queue.offer(code("x", 0.2)) is Admission.ACCEPTED


def test_a_card_that_lies_on_the_reader_is_one_scan_for_as_long_as_it_lies_there():
    queue = ScanQueue(3.0)
    readings = [queue.offer(code("card", number * 0.05)) for number in range(400)]
    assert readings == [Admission.ACCEPTED] + [Admission.DUPLICATE] * 399
    queue.begin()
    queue.end()
    last = 399 * 0.05
    assert queue.offer(code("card", last + 2.999)) is Admission.DUPLICATE
    assert queue.offer(code("card", last + 2.999 + 3.0)) is Admission.ACCEPTED, (
        "repeat_ms since its last reading"
    )


def test_a_card_that_lies_on_one_reader_keeps_no_other_card_from_a_new_scan():
    queue = ScanQueue(3.0)
    assert [queue.offer(code(text, 0.0)) for text in ("lying", "card")] == [Admission.ACCEPTED] * 2
    for _ in range(2):
        queue.begin()
        queue.end()
    assert [queue.offer(code("lying", at)) for at in (1.0, 2.0, 3.0)] == [Admission.DUPLICATE] * 3
    assert queue.offer(code("card", 3.1)) is Admission.ACCEPTED


def test_a_card_that_two_readers_write_differently_is_the_same_scan():
    queue = ScanQueue(3.0)
    assert queue.offer(code("04a3b2c1", 0.0)) is Admission.ACCEPTED
    assert queue.offer(code("04:A3:B2:C1", 1.0)) is Admission.DUPLICATE, "it waits"
    queue.begin()
    assert queue.offer(code("04-A3-B2-C1", 2.0)) is Admission.DUPLICATE, "it is being decided"
    queue.end()
    assert queue.offer(code("04A3B2C1", 4.0)) is Admission.DUPLICATE, "it was read 2 s ago"
    assert queue.offer(code("04a3b2c1", 7.0)) is Admission.ACCEPTED


def test_another_code_between_does_not_make_the_first_one_new():
    queue = ScanQueue(3.0)
    queue.offer(code("a", 0.0))
    queue.begin()
    queue.end()
    assert queue.offer(code("b", 1.0)) is Admission.ACCEPTED
    assert queue.offer(code("a", 2.0)) is Admission.DUPLICATE


def test_without_a_repeat_time_only_a_code_under_way_is_the_same():
    queue = ScanQueue(0.0)
    assert queue.offer(code("a", 0.0)) is Admission.ACCEPTED
    assert queue.offer(code("a", 9.0)) is Admission.DUPLICATE, "it waits"
    queue.begin()
    assert queue.offer(code("a", 99.0)) is Admission.DUPLICATE, "it is being decided"
    queue.end()
    assert queue.offer(code("a", 99.0)) is Admission.ACCEPTED


def test_a_code_still_being_decided_is_never_new_however_long_that_takes():
    queue = ScanQueue(1.0)
    queue.offer(code("a", 0.0))
    queue.begin()
    assert queue.offer(code("a", 30.0)) is Admission.DUPLICATE


def test_clear_forgets_those_that_wait():
    queue = ScanQueue(3.0)
    for text in "abc":
        queue.offer(code(text))
    queue.begin()
    assert queue.clear() == 2
    queue.end()
    assert queue.begin() is None


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("offer"), st.sampled_from("abcdefgh"), st.floats(0, 2)),
            st.just(("begin",)),
            st.just(("end",)),
        )
    ),
    st.sampled_from([0.0, 1.0, 3.0]),
)
def test_never_two_at_once_never_more_than_four_waiting_and_none_twice_within_the_repeat_time(
    steps, repeat_s
):
    queue = ScanQueue(repeat_s)
    now, last_reading, taken = 0.0, {}, []
    for step in steps:
        if step[0] == "offer":
            now += step[2]
            offer = queue.offer(code(step[1], now))
            if offer is Admission.ACCEPTED:
                previous = last_reading.get(step[1])
                assert previous is None or now - previous >= repeat_s
                taken.append(step[1])
            if offer is not Admission.FULL:
                last_reading[step[1]] = now
        elif step[0] == "begin":
            busy = queue.deciding
            begun = queue.begin()
            if begun is not None:
                assert busy is None
                assert begun.code == taken.pop(0), "in the order in which they came"
        else:
            queue.end()
        waiting_behind = queue.waiting - (queue.deciding is None)
        assert waiting_behind <= PLACES
