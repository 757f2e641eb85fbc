import asyncio
import os

import pytest
from limits import NET_S
from reader_rigs import on_shifted_clock

from gatectl.decision.reader.keys import EV_KEY, PRESSED
from gatectl.devices.reader import probe as probe_module
from gatectl.devices.reader.discovery import DeviceInfo
from gatectl.devices.reader.driver import all_drivers
from gatectl.devices.reader.evdev_keyboard import KeyboardDriver
from gatectl.devices.reader.port import DeviceLost, LossCause
from gatectl.devices.reader.probe import Capture, Probe, ProbeFailedError
from gatectl.devices.reader.supervisor import OPEN_S
from gatectl.sim.virtual_scanners import VirtualKeyboard, VirtualSerialScanner

DRIVERS = all_drivers()


def found(kind, path):
    node = os.path.realpath(path)
    return DeviceInfo(
        kind,
        str(path),
        "by-id",
        node,
        has_twin=False,
        name="",
        is_console=False,
        held_by=(),
        may_change_name=False,
        other_name=None,
    )


async def arrived(probe, count):
    """Returns when so many bytes, or key events, were read."""
    while sum(len(chunk) for chunk in probe._listeners[0]._chunks) < count:
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """A busy machine needs more time to open a device."""
    monkeypatch.setattr(probe_module, "OPEN_S", NET_S)


@pytest.fixture
def scanner(tmp_path):
    with VirtualSerialScanner(tmp_path / "scanner") as plugged:
        yield plugged


@on_shifted_clock
async def test_a_silence_ends_a_scan(scanner):
    loop = asyncio.get_running_loop()
    probe = Probe(9600, DRIVERS)
    probe.listen([found("serial", scanner.link)])
    scanner.send(b"47")
    await arrived(probe, 2)
    loop.advance(DRIVERS["serial"].quiet_s / 2)
    scanner.send(b"11\r")
    await arrived(probe, 5)
    assert probe.captures.empty()
    loop.advance(DRIVERS["serial"].quiet_s)
    capture = await probe.captures.get()
    assert isinstance(capture, Capture)
    assert b"".join(capture.input.chunks) == b"4711\r"
    assert capture.input.seconds == capture.input.gap_s == DRIVERS["serial"].quiet_s / 2

    scanner.send(b"12\r")
    await arrived(probe, 3)
    loop.advance(DRIVERS["serial"].quiet_s)
    assert b"".join((await probe.captures.get()).input.chunks) == b"12\r"
    probe.close()


@on_shifted_clock
async def test_a_reader_that_repeats_without_end_is_captured_at_last(scanner):
    loop = asyncio.get_running_loop()
    probe = Probe(9600, DRIVERS)
    probe.listen([found("serial", scanner.link)])
    # As rarely, and as near to the longest, as leaves a busy machine the most time of its own.
    count = 9
    for sent in range(count):
        if sent:
            loop.advance(0.1)
        scanner.send(b"card")
        await arrived(probe, 4 * sent + 4)
        assert probe.captures.empty()
    listener = probe._listeners[0]
    assert listener._end.when() - listener._began == pytest.approx(
        DRIVERS["serial"].longest_s
    )  # earlier than a silence would end it
    loop.advance(0.2)
    assert b"".join((await probe.captures.get()).input.chunks) == b"card" * count
    probe.close()


@on_shifted_clock
async def test_keys_and_how_long_they_took():
    loop = asyncio.get_running_loop()
    with VirtualKeyboard("us") as keyboard:
        probe = Probe(9600, DRIVERS | {"evdev": KeyboardDriver(shared=keyboard.connect)})
        probe.listen([found("evdev", "/dev/input/event0")])
        keyboard.type_text("4")
        await arrived(probe, 4)
        loop.advance(0.3)
        keyboard.type_code("7")
        await arrived(probe, 12)
        loop.advance(DRIVERS["evdev"].quiet_s)
        capture = await probe.captures.get()
        assert (
            sum(
                kind == EV_KEY and value == PRESSED
                for chunk in capture.input.chunks
                for kind, _, value in chunk
            )
            == 3
        )
        assert capture.input.seconds == pytest.approx(0.3)
        assert not capture.input.port.caps_lock
        probe.close()


@on_shifted_clock
async def test_a_device_that_hangs_at_open_keeps_no_other_one_waiting(scanner, tmp_path, monkeypatch):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    monkeypatch.setattr(probe_module, "OPEN_S", OPEN_S)

    def hanging(_path):
        monkeypatch.setattr(probe_module, "OPEN_S", NET_S)  # for the one behind it
        with fifo.open("rb"):  # until somebody opens its other end
            raise DeviceLost(LossCause.UNPLUGGED)

    probe = Probe(9600, DRIVERS | {"evdev": KeyboardDriver(shared=hanging)})
    probe.listen([found("evdev", "/dev/input/event0"), found("serial", scanner.link)])
    assert probe.open == 1
    assert (await probe.captures.get()).cause == "it does not answer"
    probe.close()
    fifo.open("wb").close()


@on_shifted_clock
async def test_devices_that_cannot_be_probed(scanner, tmp_path):
    probe = Probe(9600, DRIVERS)
    probe.listen([found("serial", tmp_path / "none"), found("serial", scanner.link)])
    assert probe.open == 1
    assert (await probe.captures.get()).cause == "unplugged"
    scanner.unplug()
    failed = await probe.captures.get()
    assert isinstance(failed, ProbeFailedError)
    assert (failed.cause, probe.open) == ("unplugged", 0)
    probe.close()
