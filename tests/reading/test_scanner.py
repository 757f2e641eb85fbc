"""The supervision of a scanner, where a device would have to misbehave on purpose."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest
from reading_rigs import Bench, ShiftedLoop, on_shifted_clock

from gatectl.decision.reading import Code
from gatectl.devices.scanner import (
    QUICK_LOSSES,
    RETRY_S,
    STEADY_S,
    Cause,
    DeviceLost,
    Scanner,
    cause_of,
)


class Scripted:
    """A connection on a pipe: each byte read is a code, and some bytes are trouble."""

    pending = False

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
                raise DeviceLost(Cause.UNPLUGGED)
            case b"?":
                raise ZeroDivisionError("a bug")
            case byte:
                return [Code(byte.decode())]

    def silence(self):
        return []

    def close(self):
        os.close(self._end)
        os.close(self._line)


def making(connect):
    """What a bench makes its scanner with."""
    return lambda **watching: Scanner("/dev/x", "serial", connect, 0, **watching)


@on_shifted_clock
async def test_a_device_that_dies_at_once_neither_spins_nor_floods_the_log():
    async with Bench(making(lambda: Scripted(b"!"))) as bench:
        for count in range(1, 100):
            await bench.until(lambda count=count: bench.closes == count)
            # Its next life begins only when the time for it has come.
            await bench.settle()
            assert bench.opens == count
            bench.loop.advance(RETRY_S)
        assert bench.notices == [(4, "lost (unplugged)"), (5, "ready")] * (QUICK_LOSSES - 1) + [
            (4, "lost (unplugged)")
        ]


@pytest.mark.parametrize("proof", ["time", "code"])
@on_shifted_clock
async def test_its_return_is_told_when_it_lasts_at_last(proof):
    lives = [b"!"] * 20 + [b"1" if proof == "code" else b""]
    async with Bench(making(lambda: Scripted(lives.pop(0)))) as bench:
        while lives:
            await bench.retry()
        told = list(bench.notices)
        if proof == "time":
            bench.loop.advance(STEADY_S)
        await bench.told(len(told) + 1)
        assert bench.notices == [*told, (5, "ready")]
        assert told[-1] == (4, "lost (unplugged)")


@on_shifted_clock
async def test_a_cause_that_changes_is_shown_and_not_told_again():
    causes = [Cause.UNPLUGGED, Cause.HELD, Cause.DENIED]

    def connect():
        raise DeviceLost(causes[0] if len(causes) == 1 else causes.pop(0))

    async with Bench(making(connect)) as bench:
        await bench.told(1)
        await bench.retry()
        await bench.retry()
        assert bench.scanner.status.cause == "permission denied"
        assert bench.scanner.status.state == "absent"
        assert bench.notices == [(4, "absent (unplugged)")]


def failing_with(connect, on_code=lambda *_: None):
    """The connections that were open, after `run` was ended by an error of their reader's callback."""
    opened = []

    def opening():
        opened.append(connect())
        return opened[-1]

    with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
        scanner = Scanner("/dev/x", "serial", opening, 0, on_code, lambda _: None)
        with pytest.raises(ZeroDivisionError, match="a bug"):
            runner.run(scanner.run())
    return opened


def test_a_bug_in_the_reader_ends_the_run():
    (connection,) = failing_with(lambda: Scripted(b"?"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(connection.fileno())


def test_a_bug_of_the_one_who_takes_the_codes_ends_the_run():
    def on_code(*_):
        raise ZeroDivisionError("a bug")

    assert len(failing_with(lambda: Scripted(b"1"), on_code)) == 1


@on_shifted_clock
async def test_a_device_that_goes_in_the_turn_of_the_stop_is_no_error():
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    connection = Scripted()
    scanner = Scanner("/dev/x", "serial", lambda: connection, 0, lambda *_: None, lambda _: None)
    running = asyncio.create_task(scanner.run())
    await asyncio.sleep(0)
    connection.send(b"!")
    await asyncio.sleep(0)  # the loop has seen it; the reader's turn comes right behind this one
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert errors == []


def test_a_bug_in_opening_ends_the_run():
    def connect():
        raise ZeroDivisionError("a bug")

    assert failing_with(connect) == []


@on_shifted_clock
async def test_a_code_is_handed_on_in_the_very_turn_of_the_loop_in_which_it_is_read():
    turns = []

    async with Bench(making(Scripted)) as bench:
        await bench.ready()
        os.write(bench.connection._connection._line, b"1")
        next_turn = asyncio.Event()
        bench.seen = lambda _: bench.loop.call_soon(next_turn.set)
        bench.scanner._on_code = lambda code, _: turns.append((code, next_turn.is_set()))
        await next_turn.wait()
        assert turns == [("1", False)]


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
