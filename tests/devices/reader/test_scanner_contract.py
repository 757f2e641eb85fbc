"""The contract of every scanner: the same suite over the real drivers and the virtual ones."""

from __future__ import annotations

import os

import pytest
from reader_rigs import IDLE_S, Harness, SerialRig, UInputRig, VirtualKeyboardRig, on_shifted_clock

from gatectl.decision.reader.reading import INCOMPLETE_S, DropReason

UINPUT = pytest.param(
    UInputRig,
    id="uinput",
    marks=pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="/dev/uinput cannot be written"),
)
KEYBOARDS = [pytest.param(VirtualKeyboardRig, id="virtual-keyboard"), UINPUT]
RIGS = [pytest.param(SerialRig, id="serial"), *KEYBOARDS]


@pytest.fixture(params=RIGS)
def rig(request, tmp_path):
    rig = request.param(tmp_path)
    yield rig
    rig.unplug()


@pytest.fixture(params=KEYBOARDS)
def keyboard(request, tmp_path):
    rig = request.param(tmp_path)
    yield rig
    rig.unplug()


LOST = (4, "lost (unplugged)")
ABSENT = (4, "absent (unplugged)")
READY = (5, "ready")


@on_shifted_clock
async def test_codes_are_handed_on_when_they_are_complete(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        rig.type_code("4711")
        await harness.code("4711")
        assert harness.times == [pytest.approx(harness.read_at, abs=1e-3)]
        rig.type_code("WP-12/ä€")
        await harness.code("WP-12/ä€")
        status = harness.scanner.status
        assert (status.path, status.state, status.cause) == (rig.path, "ready", None)
        assert (status.codes, status.dropped) == (2, {})
        assert harness.entries == []


@pytest.mark.parametrize(("strip_aim", "code"), [(False, "]E04711"), (True, "4711")])
@on_shifted_clock
async def test_an_aim_prefix_is_stripped_where_that_is_set(rig, strip_aim, code):
    async with Harness(rig.make, strip_aim=strip_aim) as harness:
        await harness.ready()
        rig.type_code("]E04711")
        await harness.code(code)


@on_shifted_clock
async def test_two_codes_in_one_read_are_two_codes(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        rig.type_code("1")
        rig.type_code("2")
        await harness.until(lambda: len(harness.codes) == 2)
        assert harness.codes == ["1", "2"]


@on_shifted_clock
async def test_a_silence_ends_a_code_at_its_end(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("47"))
        harness.loop.advance(IDLE_S / 2)
        await harness.consumed(lambda: rig.type_part("11"))
        last = harness.read_at
        harness.loop.advance(IDLE_S / 2)
        await harness.settle()
        assert harness.codes == []
        harness.loop.advance(IDLE_S)
        await harness.code("4711")
        assert harness.times == [pytest.approx(last + IDLE_S)]
        harness.loop.advance(10 * IDLE_S)
        rig.type_code("12")
        await harness.code("12")


@on_shifted_clock
async def test_without_an_idle_time_no_silence_ends_a_code(rig):
    async with Harness(rig.make, idle_s=0) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("47"))
        harness.loop.advance(INCOMPLETE_S - 1)
        await harness.settle()
        await harness.consumed(lambda: rig.type_part("11"))
        rig.type_code("12")
        await harness.code("471112")


INCOMPLETE = (4, "input dropped (incomplete); more of it is counted in the status alone")


@on_shifted_clock
async def test_a_code_that_was_begun_and_abandoned_does_not_stick_to_the_next(rig):
    async with Harness(rig.make, idle_s=0) as harness:
        await harness.ready()
        for count in (1, 2):
            await harness.consumed(lambda: rig.type_part("12"))
            harness.loop.advance(INCOMPLETE_S)
            await harness.until(
                lambda count=count: harness.scanner.status.dropped == {DropReason.INCOMPLETE: count}
            )
            rig.type_code("4711")
            await harness.code("4711")
        assert harness.entries == [INCOMPLETE]


@on_shifted_clock
async def test_the_time_counts_from_the_first_character_and_the_rest_is_dropped_too(rig):
    async with Harness(rig.make, idle_s=0) as harness:
        await harness.ready()
        for digit in "1234567":  # half a second apart: at the end of the seventh the time is over
            await harness.consumed(lambda digit=digit: rig.type_part(digit))
            harness.loop.advance(INCOMPLETE_S / 6)
        await harness.until(lambda: harness.scanner.status.dropped == {DropReason.INCOMPLETE: 1})
        await harness.consumed(lambda: rig.type_code("8"))
        assert harness.codes == []
        rig.type_code("4711")
        await harness.code("4711")
        assert harness.scanner.status.dropped == {DropReason.INCOMPLETE: 1}


@on_shifted_clock
async def test_input_that_comes_with_the_end_of_the_time_is_not_the_rest_of_the_code_before(rig):
    async with Harness(rig.make, idle_s=0) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("12"))
        harness.loop.advance(INCOMPLETE_S)
        rig.type_code("4711")
        assert harness.readable(60)  # before the timer has had its turn
        await harness.code("4711")
        assert harness.scanner.status.dropped == {DropReason.INCOMPLETE: 1}


@on_shifted_clock
async def test_a_code_in_time_is_kept_and_starts_the_time_of_the_next(rig):
    async with Harness(rig.make, idle_s=0) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("12"))
        harness.loop.advance(INCOMPLETE_S - 0.5)
        await harness.consumed(lambda: (rig.type_code("3"), rig.type_part("4")))
        assert harness.codes == ["123"]
        harness.loop.advance(INCOMPLETE_S - 0.5)
        await harness.settle()
        rig.type_code("5")
        await harness.code("45")
        assert harness.scanner.status.dropped == {}


@on_shifted_clock
async def test_input_that_is_there_wins_over_the_silence(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("47"))
        harness.loop.advance(2 * IDLE_S)
        rig.type_code("11")
        assert harness.readable(60)
        await harness.code("4711")


@on_shifted_clock
async def test_input_that_came_while_the_loop_was_busy_wins_over_the_silence(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("47"))

        def busy():
            rig.type_code("11")
            assert harness.readable(60)

        # Due in the same turn of the loop as the silence, and before it: after the loop has looked for input.
        harness.loop.call_at(harness.read_at + IDLE_S / 2, busy)
        harness.loop.advance(2 * IDLE_S)
        await harness.code("4711")


@on_shifted_clock
async def test_codes_typed_before_the_start_open_nothing(rig):
    rig.type_code("OLD")
    async with Harness(rig.make) as harness:
        await harness.ready()
        rig.type_code("NEW")
        await harness.code("NEW")


@on_shifted_clock
async def test_unplugged_in_the_middle_of_a_code(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: rig.type_part("47"))
        rig.unplug()
        assert await harness.logged(1) == [LOST]
        status = harness.scanner.status
        assert (status.state, status.cause) == ("lost", "unplugged")
        await harness.until(lambda: (harness.opens, harness.closes) == (1, 1))
        rig.plug()
        await harness.retry()
        await harness.ready()
        rig.type_code("11")
        await harness.code("11")
        assert harness.entries == [LOST, READY]
        assert harness.scanner.status.cause is None


@on_shifted_clock
async def test_a_loss_is_logged_once_however_long_it_lasts(rig):
    async with Harness(rig.make) as harness:
        for count in (1, 3, 5):
            await harness.ready()
            rig.unplug()
            await harness.logged(count)
            since = harness.scanner.status.since
            for _ in range(20):
                await harness.retry()
            assert harness.scanner.status.since == since
            rig.plug()
            await harness.retry()
            await harness.logged(count + 1)
        assert harness.entries == [LOST, READY] * 3


@on_shifted_clock
async def test_absent_at_the_start(rig):
    rig.unplug()
    async with Harness(rig.make) as harness:
        assert await harness.logged(1) == [ABSENT]
        for _ in range(5):
            await harness.retry()
        assert harness.scanner.status.state == "absent"
        rig.plug()
        await harness.retry()
        await harness.ready()
        rig.type_code("4711")
        await harness.code("4711")
        assert harness.entries == [ABSENT, READY]


@on_shifted_clock
async def test_rubbish_is_counted_and_logged_once(rig):
    async with Harness(rig.make) as harness:
        await harness.ready()
        for _ in range(3):
            rig.type_rubbish()
        rig.type_code("4711")
        await harness.code("4711")
        (flaw,) = harness.scanner.status.dropped
        words = flaw.replace("_", " ")
        dropped = (4, f"input dropped ({words}); more of it is counted in the status alone")
        assert harness.scanner.status.dropped == {flaw: 3}
        assert harness.entries == [dropped]
        rig.unplug()
        await harness.logged(2)
        rig.plug()
        await harness.retry()
        rig.type_rubbish()
        await harness.until(lambda: harness.scanner.status.dropped == {flaw: 4})
        assert harness.entries == [dropped, LOST, READY]


@on_shifted_clock
async def test_a_device_is_read_by_one_at_a_time_and_let_go_at_the_end(rig):
    async with Harness(rig.make) as first:
        await first.ready()
        async with Harness(rig.make) as second:
            assert await second.logged(1) == [(4, "absent (held by another process)")]
            await first.stop()
            await first.until_closed()
            await second.retry()
            await second.ready()
            rig.type_code("4711")
            await second.code("4711")
        assert first.codes == []
        assert (first.opens, first.closes) == (1, 1)


@on_shifted_clock
async def test_dropped_events_never_make_half_a_code(keyboard):
    async with Harness(keyboard.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: keyboard.type_part("47"))
        await harness.consumed(keyboard.overflow)
        await harness.consumed(lambda: keyboard.type_part("11"))
        harness.loop.advance(IDLE_S)
        await harness.until(lambda: harness.scanner.status.dropped)
        keyboard.type_code("12")
        await harness.code("12")
        assert harness.scanner.status.dropped == {DropReason.LOST: 1}


@on_shifted_clock
async def test_a_shift_that_was_let_go_meanwhile_is_not_held_any_more(keyboard):
    async with Harness(keyboard.make) as harness:
        await harness.ready()
        await harness.consumed(lambda: keyboard.device.press(42))
        await harness.consumed(lambda: keyboard.overflow(42))
        harness.loop.advance(IDLE_S)
        await harness.until(lambda: harness.scanner.status.dropped)
        keyboard.type_code("a")
        await harness.code("a")
