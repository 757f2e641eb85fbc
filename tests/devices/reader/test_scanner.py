"""The supervision of a scanner, where a device would have to misbehave on purpose."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import threading

import pytest
from reader_rigs import Harness, ShiftedLoop, on_shifted_clock

from gatectl.decision.reader.framing import framer
from gatectl.decision.reader.reading import INCOMPLETE_S, Code
from gatectl.devices.reader.port import DeviceLost, LossCause, cause_of
from gatectl.devices.reader.supervisor import (
    FIRST_LOOK_S,
    LOOK_S,
    OPEN_S,
    QUICK_LOSSES,
    RETRY_S,
    STEADY_S,
    Scanner,
)


class Scripted:
    """A connection on a pipe: each byte read is a code, and some bytes are trouble."""

    decoder = framer("rdm6300")  # it never holds anything

    def __init__(self, data=b""):
        self._end, self._line = os.pipe()
        self.send(data)

    def send(self, data):
        os.write(self._line, data)

    def fileno(self):
        return self._end

    def read(self):
        match os.read(self._end, 1):
            case b"!":
                raise DeviceLost(LossCause.UNPLUGGED)
            case b"?":
                raise ZeroDivisionError("a bug")
            case byte:
                return [Code(byte.decode())]

    def close(self):
        os.close(self._end)
        os.close(self._line)


def making(connect):
    """The arguments of a harness's scanner."""
    return lambda **watching: Scanner("/dev/x", "serial", connect, 0, **watching)


@on_shifted_clock
async def test_a_device_that_dies_at_once_neither_spins_nor_floods_the_log():
    async with Harness(making(lambda: Scripted(b"!"))) as harness:
        for count in range(1, 100):
            await harness.until(lambda count=count: harness.closes == count)
            # Its next life begins only when the time for it has come.
            await harness.settle()
            assert harness.opens == count
            harness.loop.advance(RETRY_S)
        assert harness.entries == [(4, "lost (unplugged)"), (5, "ready")] * (QUICK_LOSSES - 1) + [
            (4, "lost (unplugged)")
        ]


@pytest.mark.parametrize("proof", ["time", "code"])
@on_shifted_clock
async def test_a_lasting_return_is_logged(proof):
    lives = [b"!"] * 20 + [b"1" if proof == "code" else b""]
    async with Harness(making(lambda: Scripted(lives.pop(0)))) as harness:
        while len(lives) > 1:
            await harness.retry()
        before = list(harness.entries)
        await harness.retry()
        if proof == "time":
            assert harness.entries == before
            harness.loop.advance(STEADY_S)
        await harness.logged(len(before) + 1)
        assert harness.entries == [*before, (5, "ready")]
        assert before[-1] == (4, "lost (unplugged)")


@on_shifted_clock
async def test_a_cause_that_changes_is_shown_and_not_logged_again():
    causes = [LossCause.UNPLUGGED, LossCause.HELD, LossCause.DENIED]

    def connect():
        raise DeviceLost(causes[0] if len(causes) == 1 else causes.pop(0))

    async with Harness(making(connect)) as harness:
        await harness.logged(1)
        await harness.retry()
        await harness.retry()
        assert harness.scanner.status.cause == "permission denied"
        assert harness.scanner.status.state == "absent"
        assert harness.entries == [(4, "absent (unplugged)")]


def test_a_bug_of_the_one_who_takes_the_codes_ends_the_run():
    def on_code(*_):
        raise ZeroDivisionError("a bug")

    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
        scanner = Scanner("/dev/x", "serial", lambda: Scripted(b"1"), 0, on_code, lambda _: None)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            runner.run(scanner.run())


@on_shifted_clock
async def test_an_unforeseen_error_in_reading_costs_this_device_alone_and_is_logged_as_a_bug():
    lives = [b"?", b"?", b"1"]
    async with Harness(making(lambda: Scripted(lives.pop(0)))) as harness:
        await harness.until(lambda: harness.scanner.status.state == "lost")
        place = harness.scanner.status.cause
        assert place.startswith("ZeroDivisionError at test_scanner.py:")
        while lives:
            await harness.retry()
        await harness.until(lambda: harness.codes == ["1"])
        before = [(4, f"lost ({place})"), (5, "ready")]
        assert harness.entries == [(3, f"unforeseen error ({place}): please report it"), *before, *before]
        await harness.until(lambda: harness.closes == 2)


@on_shifted_clock
async def test_an_unforeseen_error_in_opening_costs_this_device_alone_and_is_logged_as_a_bug():
    errors = [b"\xe6\x89\xab\xe7\xa0\x81\xe6\x9e"] * 2

    def connect():
        if errors:
            errors.pop().decode()
        return Scripted(b"1")

    async with Harness(making(connect)) as harness:
        await harness.until(lambda: harness.scanner.status.cause)
        place = harness.scanner.status.cause
        assert place.startswith("UnicodeDecodeError at test_scanner.py:")
        await harness.retry()
        await harness.retry()
        await harness.until(lambda: harness.codes == ["1"])
        assert harness.entries == [
            (3, f"unforeseen error ({place}): please report it"),
            (4, f"absent ({place})"),
            (5, "ready"),
        ]


@on_shifted_clock
async def test_a_device_that_cannot_be_waited_for_costs_itself_alone(tmp_path):
    (tmp_path / "file").touch()
    file = (tmp_path / "file").open("rb")

    class Unwaitable(Scripted):
        def fileno(self):
            return file.fileno()  # the kernel waits for no regular file

    with file:
        async with Harness(making(Unwaitable)) as harness:
            await harness.logged(2)
            await harness.until(lambda: harness.closes == 1)
            assert harness.scanner.status.cause.startswith("PermissionError at ")


class Broken:
    """A decoder with a bug."""

    begun = 0
    pending = False
    discarding = False

    def __init__(self, step):
        self._step = step

    def feed(self, _):
        self.begun += 1
        self.pending = True
        return []

    def silence(self):
        return self._fail("silence")

    def give_up(self):
        return self._fail("give_up")

    def _fail(self, step):
        if step == self._step:
            raise ZeroDivisionError("a bug")
        return []


@pytest.mark.parametrize(("step", "idle_s"), [("silence", 0.5), ("give_up", 0)])
@on_shifted_clock
async def test_a_bug_in_a_decoder_costs_this_device_alone(step, idle_s):
    class Half(Scripted):
        def __init__(self):
            super().__init__(b"1")
            self.decoder = Broken(step)

        def read(self):
            os.read(self._end, 1)
            return self.decoder.feed(b"1")

    def make(**watching):
        return Scanner("/dev/x", "serial", Half, idle_s, **watching)

    async with Harness(make) as harness:
        await harness.until(lambda: harness.reads == 1)
        await harness.settle()
        harness.loop.advance(INCOMPLETE_S)
        await harness.logged(2)
        assert harness.scanner.status.cause.startswith("ZeroDivisionError at test_scanner.py")


@pytest.fixture
def fifo(tmp_path):
    """A file whose opening blocks until somebody opens its other end."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def opened(fifo, connection=Scripted):
    with fifo.open("rb"):
        return connection()


def unblock(fifo):
    os.close(os.open(fifo, os.O_WRONLY))  # blocks in turn, until the other end is being opened


@on_shifted_clock
async def test_a_device_that_hangs_at_open_holds_up_nothing_but_itself(fifo):
    async with (
        Harness(making(lambda: opened(fifo))) as hung,
        Harness(making(Scripted)) as other,
    ):
        await other.ready()
        await hung.until(lambda: hung.tries == 1)
        assert not hung.scanner.tried.is_set()
        other.connection._connection.send(b"1")
        await other.code("1")
        hung.loop.advance(OPEN_S)
        assert await hung.logged(1) == [(4, "absent (it does not answer)")]
        assert hung.scanner.tried.is_set()
        hung.loop.advance(1000)
        other.connection._connection.send(b"2")
        await other.code("2")
        await hung.settle()
        assert hung.tries == 1  # one thread, one call in the kernel
        unblock(fifo)
        await hung.ready()
        assert hung.entries == [(4, "absent (it does not answer)"), (5, "ready")]


@on_shifted_clock
async def test_a_stop_does_not_wait_for_a_device_that_hangs_and_what_is_open_at_last_is_closed(fifo):
    closed = threading.Event()

    class Late(Scripted):
        def close(self):
            super().close()
            closed.set()

    async with Harness(making(lambda: opened(fifo, Late))) as harness:
        await harness.until(lambda: harness.tries == 1)
    assert harness.task.cancelled()
    unblock(fifo)
    while not closed.is_set():
        await asyncio.sleep(0)


@on_shifted_clock
async def test_a_device_that_hangs_at_close_holds_up_nothing_but_itself(fifo):
    class Stuck(Scripted):
        def close(self):
            opened(fifo, super().close)

    connections = itertools.chain([Stuck(b"!")], iter(Scripted, None))  # the others do not hang
    async with Harness(making(lambda: next(connections))) as harness:
        await harness.logged(1)
        harness.loop.advance(RETRY_S)
        await harness.settle()
        harness.loop.advance(OPEN_S)
        await harness.until(lambda: harness.scanner.status.cause == "it does not answer")
        assert harness.entries == [(4, "lost (unplugged)")]
        unblock(fifo)
        await harness.until(lambda: harness.closes == 1)


@on_shifted_clock
async def test_a_device_that_goes_in_the_turn_of_the_stop_is_no_error():
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    connection = Scripted()
    scanner = Scanner("/dev/x", "serial", lambda: connection, 0, lambda *_: None, lambda _: None)
    running = asyncio.create_task(scanner.run())
    await scanner.tried.wait()
    await asyncio.sleep(0)
    connection.send(b"!")
    await asyncio.sleep(0)  # the loop has seen it; the reader's turn comes right behind this one
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert errors == []


@on_shifted_clock
async def test_a_code_is_handed_on_in_the_very_turn_of_the_loop_in_which_it_is_read():
    turns = []

    async with Harness(making(Scripted)) as harness:
        await harness.ready()
        os.write(harness.connection._connection._line, b"1")
        next_turn = asyncio.Event()
        harness.seen = lambda _: harness.loop.call_soon(next_turn.set)
        harness.scanner._on_code = lambda code, _: turns.append((code, next_turn.is_set()))
        await next_turn.wait()
        assert turns == [("1", False)]


@on_shifted_clock
async def test_a_second_program_is_looked_for_now_and_then_and_logged_when_it_comes_and_goes():
    looks = [(), ("getty (7)",), ("getty (7)", "ModemManager (8)"), OSError("a bug"), (), ()]
    looked = []

    def holders():
        looked.append(looks[0])
        match looks.pop(0):
            case tuple() as found:
                return found
            case error:
                raise error

    def make(**watching):
        return Scanner("/dev/x", "serial", Scripted, 0, holders=holders, **watching)

    async with Harness(make) as harness:
        held = []
        await harness.ready()
        await harness.settle()
        harness.loop.advance(FIRST_LOOK_S)
        while len(looks) > 1:
            count = len(looked)
            while len(looked) == count:
                await asyncio.sleep(0)
            await harness.settle()
            held.append(harness.scanner.status.held_by)
            harness.loop.advance(LOOK_S)
        assert held[:3] == [(), ("getty (7)",), ("getty (7)", "ModemManager (8)")]
        assert [text.partition(" (OS")[0] for _, text in harness.entries] == [
            "also open in getty (7), which may take characters of codes",
            "unforeseen error",
            "no other program has it open any more",
        ]
        assert harness.scanner.status.state == "ready"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (errno.ENOENT, "unplugged"),
        (errno.ENODEV, "unplugged"),
        (errno.ENXIO, "unplugged"),
        (errno.EIO, "unplugged"),
        (errno.EBUSY, "held by another process"),
        (errno.EAGAIN, "held by another process"),
        (errno.EACCES, "permission denied"),
        (errno.ENOTTY, "not a device of this type"),
        (errno.EMFILE, "too many open files"),
        (None, "not a device of this type"),
    ],
)
def test_causes_are_in_a_technicians_words(number, cause):
    assert cause_of(number) == cause
