"""The scanner tests' rigs: a clock that can be put forward, a harness that watches one scanner, and a rig for
each kind of driver, real or virtual."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import time
from functools import partial
from pathlib import Path

import evdev
from evdev import ecodes
from limits import NET_S

from gatectl.devices.reader.contention import Claims
from gatectl.devices.reader.driver import scanner_of
from gatectl.devices.reader.evdev_keyboard import KeyboardDriver
from gatectl.devices.reader.reader_types import EvdevScanner, SerialScanner
from gatectl.sim.virtual_scanners import VirtualKeyboard, VirtualSerialScanner

IDLE_S = 1.0
"""A silence: the clock is put forward to its end."""


class ShiftedLoop(asyncio.SelectorEventLoop):
    """An event loop with real input and output, and a clock that is moved by the test alone."""

    now = 1000.0

    def time(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def on_shifted_clock(test):
    """Runs an async test on a `ShiftedLoop`."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        with asyncio.Runner(loop_factory=ShiftedLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


class Watched:
    """A connection that reports its state to the harness."""

    def __init__(self, connection, harness):
        self._connection = connection
        self._harness = harness
        self.fileno = connection.fileno
        self.decoder = connection.decoder

    def read(self):
        self._harness.seen("reads")
        self._harness.read_at = asyncio.get_running_loop().time()
        return self._connection.read()

    def close(self):
        self._connection.close()
        self._harness.seen_in_thread("closes")


class Harness:
    """Runs one scanner, as a context manager, and keeps what it hands out.

    Devices are opened and closed in a thread; what becomes of them is counted on the loop.
    """

    def __init__(self, make, **settings):
        self.codes = []
        self.times = []
        self.entries = []
        self.reads = self.opens = self.tries = self.ends = self.closes = 0
        self.read_at = None
        self._changed = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.scanner = make(on_code=self._on_code, log=self._log, **settings)
        self._connect = self.scanner._connect
        self.scanner._connect = self._watched
        for name in ("_enter", "_take"):
            setattr(self.scanner, name, partial(self._after, getattr(self.scanner, name)))

    def _after(self, step, *args):
        step(*args)
        self._changed.set()

    def _watched(self):
        self.seen_in_thread("tries")
        try:
            self.connection = Watched(self._connect(), self)
            self.seen_in_thread("opens")
            return self.connection
        finally:
            self.seen_in_thread("ends")

    def seen_in_thread(self, what):
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self.seen, what)

    def seen(self, what):
        setattr(self, what, getattr(self, what) + 1)
        self._changed.set()

    def _on_code(self, code, at):
        self.codes.append(code)
        self.times.append(at)
        self._changed.set()

    def _log(self, entry):
        self.entries.append((int(entry.priority), entry.message.partition(": ")[2]))
        self._changed.set()

    async def until(self, condition):
        """Waits for it, for as long as the scanner runs at all."""
        while not condition():
            if self.task.done():
                self.task.result()
            self._changed.clear()
            await self._changed.wait()

    async def ready(self):
        await self.until(lambda: self.scanner.status.state == "ready")

    async def code(self, text):
        """Waits for a further code, which must be this one."""
        count = len(self.codes)
        await self.until(lambda: len(self.codes) > count)
        assert self.codes[count:] == [text]

    async def logged(self, count):
        await self.until(lambda: len(self.entries) >= count)
        return self.entries

    async def consumed(self, type_it):
        """Types something, and waits until the scanner has read all of it."""
        count = self.reads
        type_it()
        await self.until(lambda: self.reads > count and not self.readable(0))

    def readable(self, seconds):
        """Whether input is there for the scanner, or comes within this time."""
        poller = select.poll()
        poller.register(self.connection.fileno(), select.POLLIN)
        return bool(poller.poll(seconds * 1000))

    async def settle(self):
        """Lets everything happen that is due by now."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def retry(self):
        """Lets the scanner look for its device once more, to the end of that look."""
        count = self.ends
        while self.ends == count:
            if self.tries == count:  # no check is under way, so time would pass without effect
                self.loop.advance(0.5)
            await asyncio.sleep(0)
        await self.settle()

    async def until_closed(self):
        """Waits for the close that a stop has left to the thread."""
        while self.closes == 0:
            await asyncio.sleep(0)

    async def stop(self):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def __aenter__(self):
        self.task = asyncio.create_task(self.scanner.run())
        self.task.add_done_callback(lambda _: self._changed.set())
        return self

    async def __aexit__(self, *_):
        await self.stop()


def claims(path):
    return Claims({path: partial(os.path.realpath, path)})


def common(idle_s, strip_aim):
    """The settings of all types; the schema's checks do not apply here, so that a silence may be any time."""
    return {"idle_ms": idle_s * 1000, "strip_aim": strip_aim}


def keyboard_scanner(path, idle_s, strip_aim, driver, **watching):
    settings = EvdevScanner(type="evdev", device=Path(path), layout="de", **common(idle_s, strip_aim))
    return scanner_of(settings, claims(path), drivers={"evdev": driver}, **watching)


class SerialRig:
    """The real serial driver on a pty."""

    def __init__(self, folder: Path):
        self.path = str(folder / "scanner")
        self.device = VirtualSerialScanner(Path(self.path))
        self.plug, self.unplug = self.device.plug, self.device.unplug
        self.type_code = self.device.type_code

    def type_part(self, text):
        self.device.send(text.encode())

    def type_rubbish(self):
        self.device.send(b"12\x0134\r")

    def make(self, idle_s=IDLE_S, strip_aim=False, **watching):
        settings = SerialScanner(type="serial", port=Path(self.path), **common(idle_s, strip_aim))
        return scanner_of(settings, claims(self.path), **watching)


class VirtualKeyboardRig:
    """The virtual keyboard."""

    path = "/dev/input/by-id/virtual-event-kbd"

    def __init__(self, _folder: Path):
        self._use(VirtualKeyboard("de"))

    def _use(self, device):
        self.device = device
        self.plug, self.unplug = device.plug, device.unplug
        self.type_code, self.type_part = device.type_code, device.type_text
        self.overflow = device.overflow

    def type_rubbish(self):
        self.device.type_text("12")
        self.device.tap(ecodes.KEY_INSERT)
        self.device.type_code("34")

    def make(self, idle_s=IDLE_S, strip_aim=False, **watching):
        return keyboard_scanner(self.path, idle_s, strip_aim, KeyboardDriver(self.device.connect), **watching)


class UInputKeyboard(VirtualKeyboard):
    """The same keyboard, typing through the kernel."""

    def __init__(self, link: Path, layout: str):
        self._link = link
        self._uinput = None
        super().__init__(layout)

    def plug(self):
        if self._uinput is None:
            self._uinput = evdev.UInput({ecodes.EV_KEY: range(1, 128)}, name="gatectl test scanner")
            self._link.symlink_to(self._uinput.device.path)

    def unplug(self):
        if self._uinput is not None:
            self._link.unlink()
            self._uinput.close()
            self._uinput = None

    def send(self, *events):
        for event in events:
            self._uinput.write(*event)

    def overflow(self, *released):
        """More events than the kernel keeps for a reader (64 for a keyboard), before and after."""
        for keys in ([ecodes.KEY_1] * 100, released, [ecodes.KEY_1] * 100):
            for key in keys:
                self.press(key)
                self.release(key)


class UInputRig(VirtualKeyboardRig):
    """The real keyboard driver, on a keyboard made in the kernel."""

    def __init__(self, folder: Path):
        self.path = str(folder / "event-kbd")
        self._use(UInputKeyboard(Path(self.path), "de"))

    def make(self, idle_s=IDLE_S, strip_aim=False, **watching):
        return keyboard_scanner(self.path, idle_s, strip_aim, KeyboardDriver(), **watching)


def spin_until(condition):
    """Blocks the event loop, as a slow callback would."""
    deadline = time.monotonic() + NET_S
    while not condition():
        assert time.monotonic() < deadline
