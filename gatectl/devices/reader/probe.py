"""Listen to devices that are not set up yet: raw input, one burst per scan.

Keyboards are not grabbed, because the technician's own may be among them.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gatectl.decision.reader.keys import EV_KEY, PRESSED, KeyEvent
from gatectl.devices.reader.discovery import DeviceInfo
from gatectl.devices.reader.evdev_keyboard import GRAB, Keyboard, KeyEvents
from gatectl.devices.reader.serial_port import SerialPort
from gatectl.devices.reader.supervisor import OPEN_S, DeviceLost, LossCause
from gatectl.devices.thread import bounded

QUIET_S = {"serial": 0.25, "evdev": 0.5}
"""Silence that ends a scan: longer than any scanner's pause within a code, short enough for a person."""

LONGEST_S = 1.0
"""The longest burst: a card reader repeats its frame every 50 ms for as long as the card lies on it."""


class SharedKeyboard(Keyboard):
    """An input device that stays shared. DeviceLost if another program has grabbed it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        fcntl.ioctl(self._fd, GRAB, 0)


@dataclass(frozen=True, slots=True)
class Capture:
    """The input of one scan from one device: bytes or key events."""

    device: DeviceInfo
    data: bytes
    events: tuple[KeyEvent, ...]
    caps_lock: bool
    """The lock's state before the scan."""
    seconds: float
    """Time from the first input to the last."""
    gap_s: float
    """The longest time without input in between."""

    @property
    def keys(self) -> int:
        """Return how many keys were pressed."""
        return sum(kind == EV_KEY and value == PRESSED for kind, _, value in self.events)


@dataclass(frozen=True, slots=True)
class ProbeFailedError:
    """A device that cannot be read, or no longer."""

    device: DeviceInfo
    cause: str


class Probe:
    """Listens to devices on the running event loop until `close`."""

    def __init__(self, baud: int, keyboard: Callable[[str], KeyEvents] = SharedKeyboard) -> None:
        self._baud = baud
        self._keyboard = keyboard
        self.captures: asyncio.Queue[Capture | ProbeFailedError] = asyncio.Queue()
        self._listeners: list[_Listener] = []

    @property
    def open(self) -> int:
        """Return how many devices are open."""
        return sum(listener.is_open for listener in self._listeners)

    def listen(self, devices: Iterable[DeviceInfo]) -> None:
        """Open devices; those that cannot be opened are reported in `heard`."""
        for device in devices:
            try:
                source = bounded(partial(self._opened, device), OPEN_S, lambda late: late.close())
            except DeviceLost as lost:
                self.captures.put_nowait(ProbeFailedError(device, lost.cause))
            except TimeoutError:
                self.captures.put_nowait(ProbeFailedError(device, LossCause.SLOW))
            else:
                self._listeners.append(_Listener(device, source, self.captures.put_nowait))

    def _opened(self, device: DeviceInfo) -> SerialPort | KeyEvents:
        if device.type == "serial":
            return SerialPort(device.path, self._baud)
        return self._keyboard(device.path)

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


class _Listener:
    """One open device."""

    def __init__(
        self,
        device: DeviceInfo,
        source: SerialPort | KeyEvents,
        report: Callable[[Capture | ProbeFailedError], None],
    ) -> None:
        self._device = device
        self._source = source
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._input: list[bytes | KeyEvent] = []
        self._began = self._last = self._gap = 0.0
        self._caps_lock = source.caps_lock if not isinstance(source, SerialPort) else False
        self._end: asyncio.TimerHandle | None = None
        self.is_open = True
        self._loop.add_reader(source.fileno(), self._read)

    def _read(self) -> None:
        try:
            read = self._source.read()
        except DeviceLost as lost:
            self.close()
            self._report(ProbeFailedError(self._device, lost.cause))
            return
        if not read:
            return
        now = self._loop.time()
        if not self._input:
            self._began, self._gap = now, 0.0
        else:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self._input += [read] if isinstance(read, bytes) else read
        end = self._last + QUIET_S[self._device.type]
        if self._device.type == "serial":
            end = min(end, self._began + LONGEST_S)
        if self._end is not None:
            self._end.cancel()
        self._end = self._loop.call_at(end, self._over)

    def _over(self) -> None:
        came, self._input = self._input, []
        data = b"".join(part for part in came if isinstance(part, bytes))
        events = tuple(part for part in came if not isinstance(part, bytes))
        seconds = self._last - self._began
        self._report(Capture(self._device, data, events, self._caps_lock, seconds, self._gap))

    def close(self) -> None:
        """Close the device, once."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._source.fileno())
            if self._end is not None:
                self._end.cancel()
            self._source.close()
