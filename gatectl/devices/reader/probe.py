"""Listen to devices that are not set up yet: raw input, one capture per scan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gatectl.devices.reader.discovery import DeviceInfo
from gatectl.devices.reader.driver import Driver, Input
from gatectl.devices.reader.port import DeviceLost, LossCause, Port
from gatectl.devices.reader.supervisor import OPEN_S
from gatectl.devices.thread import bounded


@dataclass(frozen=True, slots=True)
class Capture:
    """The input of one scan from one device."""

    device: DeviceInfo
    input: Input


@dataclass(frozen=True, slots=True)
class ProbeFailedError:
    """A device that cannot be read, or no longer."""

    device: DeviceInfo
    cause: str


class Probe:
    """Listens to devices on the running event loop until `close`."""

    def __init__(self, baud: int, drivers: Mapping[str, Driver[Any]]) -> None:
        """`baud` is the speed of serial ports; `drivers` are by type."""
        self._baud = baud
        self._drivers = drivers
        self.captures: asyncio.Queue[Capture | ProbeFailedError] = asyncio.Queue()
        self._listeners: list[_Listener] = []

    @property
    def open(self) -> int:
        """Return how many devices are open."""
        return sum(listener.is_open for listener in self._listeners)

    def listen(self, devices: Iterable[DeviceInfo]) -> None:
        """Open devices; report those that cannot be opened in `captures`."""
        for device in devices:
            driver = self._drivers[device.type]
            try:
                opening = partial(driver.open_shared, device.path, self._baud)
                port = bounded(opening, OPEN_S, lambda late: late.close())
            except DeviceLost as lost:
                self.captures.put_nowait(ProbeFailedError(device, lost.cause))
            except TimeoutError:
                self.captures.put_nowait(ProbeFailedError(device, LossCause.SLOW))
            else:
                self._listeners.append(_Listener(device, driver, port, self.captures.put_nowait))

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()


class _Listener:
    """One open device."""

    def __init__(
        self,
        device: DeviceInfo,
        driver: Driver[Any],
        port: Port,
        report: Callable[[Capture | ProbeFailedError], None],
    ) -> None:
        self._device = device
        self._driver = driver
        self._port = port
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._chunks: list[Any] = []
        self._began = self._last = self._gap = 0.0
        self._end: asyncio.TimerHandle | None = None
        self.is_open = True
        self._loop.add_reader(port.fileno(), self._read)

    def _read(self) -> None:
        try:
            chunk = self._port.read()
        except DeviceLost as lost:
            self.close()
            self._report(ProbeFailedError(self._device, lost.cause))
            return
        if not chunk:
            return
        now = self._loop.time()
        if not self._chunks:
            self._began, self._gap = now, 0.0
        else:
            self._gap = max(self._gap, now - self._last)
        self._last = now
        self._chunks.append(chunk)
        if self._end is not None:
            self._end.cancel()
        end = min(self._last + self._driver.quiet_s, self._began + self._driver.longest_s)
        self._end = self._loop.call_at(end, self._over)

    def _over(self) -> None:
        chunks, self._chunks = self._chunks, []
        scan = Input(self._port, chunks, self._last - self._began, self._gap)
        self._report(Capture(self._device, scan))

    def close(self) -> None:
        """Close the device, once."""
        if self.is_open:
            self.is_open = False
            self._loop.remove_reader(self._port.fileno())
            if self._end is not None:
                self._end.cancel()
            self._port.close()
