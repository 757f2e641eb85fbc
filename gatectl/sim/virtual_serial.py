"""Simulate a serial scanner: a pty under a stable path, for the real driver to read."""

from __future__ import annotations

import os
import tty
from pathlib import Path
from types import TracebackType
from typing import Self


class VirtualSerialScanner:
    """A scanner at `link`, plugged in until `unplug`; a context manager, which unplugs it at the end."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._ends: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        """Plug it in (again) under the same path, as a new device. FileExistsError if the path is taken."""
        if self._ends is not None:
            return
        # Keep the device's end open here too, so that bytes sent before the first reader wait in the buffer.
        scanner, device = os.openpty()
        os.set_blocking(scanner, False)
        tty.setraw(device)  # no echo, also before the driver has set its mode
        self._ends = scanner, device
        self.link.symlink_to(os.ttyname(device))

    def unplug(self) -> None:
        """Unplug it as the kernel would: remove the path first, then hang up on its reader."""
        ends, self._ends = self._ends, None  # first, as another thread may unplug it too
        if ends is None:
            return
        self.link.unlink(missing_ok=True)
        for end in ends:
            os.close(end)

    def send(self, data: bytes) -> None:
        """Send bytes. BlockingIOError if the line is full, FileNotFoundError if unplugged."""
        if self._ends is None:
            raise FileNotFoundError(f"the virtual scanner {self.link} is unplugged")
        while data:
            data = data[os.write(self._ends[0], data) :]

    def type_code(self, code: str, ending: bytes = b"\r") -> None:
        """Send a code, as a scanner that is set to this ending would."""
        self.send(code.encode() + ending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
