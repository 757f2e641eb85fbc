import asyncio
import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "reading"))

from reading_rigs import on_shifted_clock

from gatectl.devices.found import Found
from gatectl.devices.listening import LONGEST_S, QUIET_S, Burst, Deaf, Ears
from gatectl.devices.scanner import Cause, DeviceLost
from gatectl.sim.keyboard import VirtualKeyboard
from gatectl.sim.scanner import VirtualSerialScanner


def found(kind, path):
    node = os.path.realpath(path)
    return Found(kind, str(path), "by-id", node, has_twin=False, name="", is_console=False, held_by=())


async def arrived(ears, count):
    """Returns when so many bytes, or key events, were read."""
    while sum(len(part) if isinstance(part, bytes) else 1 for part in ears._ears[0]._input) < count:
        await asyncio.sleep(0)


@pytest.fixture
def scanner(tmp_path):
    with VirtualSerialScanner(tmp_path / "scanner") as plugged:
        yield plugged


@on_shifted_clock
async def test_a_silence_ends_a_burst(scanner):
    loop = asyncio.get_running_loop()
    ears = Ears(9600)
    ears.listen([found("serial", scanner.link)])
    scanner.send(b"47")
    await arrived(ears, 2)
    loop.advance(QUIET_S["serial"] / 2)
    scanner.send(b"11\r")
    await arrived(ears, 5)
    assert ears.heard.empty()
    loop.advance(QUIET_S["serial"])
    burst = await ears.heard.get()
    assert isinstance(burst, Burst)
    assert (burst.data, burst.events) == (b"4711\r", ())
    assert burst.seconds == burst.gap_s == QUIET_S["serial"] / 2

    scanner.send(b"12\r")
    await arrived(ears, 3)
    loop.advance(QUIET_S["serial"])
    assert (await ears.heard.get()).data == b"12\r"
    ears.close()


@on_shifted_clock
async def test_a_reader_that_repeats_without_end_is_heard_out_at_last(scanner):
    loop = asyncio.get_running_loop()
    ears = Ears(9600)
    ears.listen([found("serial", scanner.link)])
    # As rarely, and as near to the longest, as leaves a busy machine the most time of its own.
    count = 9
    for sent in range(count):
        if sent:
            loop.advance(0.1)
        scanner.send(b"card")
        await arrived(ears, 4 * sent + 4)
        assert ears.heard.empty()
    ear = ears._ears[0]
    assert ear._end.when() - ear._began == pytest.approx(LONGEST_S)  # earlier than a silence would end it
    loop.advance(0.2)
    assert (await ears.heard.get()).data == b"card" * count
    ears.close()


@on_shifted_clock
async def test_keys_and_how_long_they_took():
    loop = asyncio.get_running_loop()
    with VirtualKeyboard("us") as keyboard:
        ears = Ears(9600, keyboard.connect)
        ears.listen([found("evdev", "/dev/input/event0")])
        keyboard.type_text("4")
        await arrived(ears, 4)
        loop.advance(0.3)
        keyboard.type_code("7")
        await arrived(ears, 12)
        loop.advance(QUIET_S["evdev"])
        burst = await ears.heard.get()
        assert (burst.keys, burst.data) == (3, b"")
        assert burst.seconds == pytest.approx(0.3)
        assert not burst.caps_lock
        ears.close()


@on_shifted_clock
async def test_a_device_that_hangs_at_open_keeps_no_other_one_waiting(scanner, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def hanging(_path):
        with fifo.open("rb"):  # until somebody opens its other end
            raise DeviceLost(Cause.UNPLUGGED)

    ears = Ears(9600, hanging)
    ears.listen([found("evdev", "/dev/input/event0"), found("serial", scanner.link)])
    assert ears.open == 1
    assert (await ears.heard.get()).cause == "it does not answer"
    ears.close()
    fifo.open("wb").close()


@on_shifted_clock
async def test_devices_that_cannot_be_heard(scanner, tmp_path):
    ears = Ears(9600)
    ears.listen([found("serial", tmp_path / "none"), found("serial", scanner.link)])
    assert ears.open == 1
    assert (await ears.heard.get()).cause == "unplugged"
    scanner.unplug()
    deaf = await ears.heard.get()
    assert isinstance(deaf, Deaf)
    assert (deaf.cause, ears.open) == ("unplugged", 0)
    ears.close()
