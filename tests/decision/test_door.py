"""Whose turn it is: the queue, and repeated readings."""

from hypothesis import given
from hypothesis import strategies as st

from gatectl.decision.door import PLACES, Offer, Presented, Turns


def code(text, at=0.0):
    return Presented(text, "/dev/reader", at)


def test_one_scan_at_a_time_the_others_in_order():
    turns = Turns(3.0)
    assert [turns.offer(code(text)) for text in "abc"] == [Offer.TAKEN] * 3
    assert turns.begin().code == "a"
    assert turns.begin() is None, "the door is busy"
    turns.end()
    assert turns.begin().code == "b"
    turns.end()
    assert turns.begin().code == "c"


def test_four_wait_and_a_fifth_is_dropped():
    turns = Turns(3.0)
    turns.offer(code("first"))
    turns.begin()
    assert [turns.offer(code(str(number))) for number in range(PLACES)] == [Offer.TAKEN] * 4
    assert turns.offer(code("one too many")) is Offer.FULL
    assert turns.waiting == 4


def test_codes_that_come_at_once_find_one_place_at_the_door_and_four_behind_it():
    turns = Turns(3.0)
    offers = [turns.offer(code(str(number))) for number in range(PLACES + 3)]
    assert offers == [Offer.TAKEN] * (1 + PLACES) + [Offer.FULL] * 2


def test_a_dropped_code_may_be_scanned_again_at_once():
    turns = Turns(3.0)
    for text in ("first", "0", "1", "2", "3"):
        turns.offer(code(text))
        turns.begin()
    assert turns.offer(code("x", 0.1)) is Offer.FULL
    turns.end()
    turns.begin()
    assert turns.offer(code("x", 0.2)) is Offer.TAKEN


def test_a_card_that_lies_on_the_reader_is_one_scan_for_as_long_as_it_lies_there():
    turns = Turns(3.0)
    readings = [turns.offer(code("card", number * 0.05)) for number in range(400)]
    assert readings == [Offer.TAKEN] + [Offer.SAME] * 399
    turns.begin()
    turns.end()
    last = 399 * 0.05
    assert turns.offer(code("card", last + 2.999)) is Offer.SAME
    assert turns.offer(code("card", last + 2.999 + 3.0)) is Offer.TAKEN, "repeat_ms since its last reading"


def test_a_card_that_two_readers_write_differently_is_the_same_scan():
    turns = Turns(3.0)
    assert turns.offer(code("04a3b2c1", 0.0)) is Offer.TAKEN
    assert turns.offer(code("04:A3:B2:C1", 1.0)) is Offer.SAME, "it waits"
    turns.begin()
    assert turns.offer(code("04-A3-B2-C1", 2.0)) is Offer.SAME, "it is being decided"
    turns.end()
    assert turns.offer(code("04A3B2C1", 4.0)) is Offer.SAME, "it was read 2 s ago"
    assert turns.offer(code("04a3b2c1", 7.0)) is Offer.TAKEN


def test_another_code_between_does_not_make_the_first_one_new():
    turns = Turns(3.0)
    turns.offer(code("a", 0.0))
    turns.begin()
    turns.end()
    assert turns.offer(code("b", 1.0)) is Offer.TAKEN
    assert turns.offer(code("a", 2.0)) is Offer.SAME


def test_without_a_repeat_time_only_a_code_under_way_is_the_same():
    turns = Turns(0.0)
    assert turns.offer(code("a", 0.0)) is Offer.TAKEN
    assert turns.offer(code("a", 9.0)) is Offer.SAME, "it waits"
    turns.begin()
    assert turns.offer(code("a", 99.0)) is Offer.SAME, "it is being decided"
    turns.end()
    assert turns.offer(code("a", 99.0)) is Offer.TAKEN


def test_a_code_still_being_decided_is_never_new_however_long_that_takes():
    turns = Turns(1.0)
    turns.offer(code("a", 0.0))
    turns.begin()
    assert turns.offer(code("a", 30.0)) is Offer.SAME


def test_clear_forgets_those_that_wait():
    turns = Turns(3.0)
    for text in "abc":
        turns.offer(code(text))
    turns.begin()
    assert turns.clear() == 2
    turns.end()
    assert turns.begin() is None


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
    turns = Turns(repeat_s)
    now, last_reading, taken = 0.0, {}, []
    for step in steps:
        if step[0] == "offer":
            now += step[2]
            offer = turns.offer(code(step[1], now))
            if offer is Offer.TAKEN:
                previous = last_reading.get(step[1])
                assert previous is None or now - previous >= repeat_s
                taken.append(step[1])
            if offer is not Offer.FULL:
                last_reading[step[1]] = now
        elif step[0] == "begin":
            busy = turns.deciding
            begun = turns.begin()
            if begun is not None:
                assert busy is None
                assert begun.code == taken.pop(0), "in the order in which they came"
        else:
            turns.end()
        waiting_behind = turns.waiting - (turns.deciding is None)
        assert waiting_behind <= PLACES
