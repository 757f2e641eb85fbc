"""A serial scanner without hardware: a pty under a stable path. The real driver reads it."""

from __future__ import annotations

import os
import tty
from pathlib import Path
from types import TracebackType
from typing import Self


class VirtualSerialScanner:
    """A scanner at `link`, plugged in until `unplug`; a context manager, at whose end it is unplugged."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._ends: tuple[int, int] | None = None
        self.plug()

    def plug(self) -> None:
        """Comes (back) under the same path, as a new device. FileExistsError where something stands there."""
        if self._ends is not None:
            return
        # The device's end stays open here too: what is sent before anybody reads waits in the buffer.
        scanner, device = os.openpty()
        os.set_blocking(scanner, False)
        tty.setraw(device)  # nothing is echoed, not even before the driver has set its mode
        self._ends = scanner, device
        self.link.symlink_to(os.ttyname(device))

    def unplug(self) -> None:
        """Goes, as a device does: the path first, then a hang-up for whoever has it open."""
        ends, self._ends = self._ends, None  # first, as another thread may unplug it too
        if ends is None:
            return
        self.link.unlink(missing_ok=True)
        for end in ends:
            os.close(end)

    def send(self, data: bytes) -> None:
        """Sends bytes. BlockingIOError where the line is full, FileNotFoundError if unplugged."""
        if self._ends is None:
            raise FileNotFoundError(f"the virtual scanner {self.link} is unplugged")
        while data:
            data = data[os.write(self._ends[0], data) :]

    def type_code(self, code: str, ending: bytes = b"\r") -> None:
        """Sends a code as a scanner that is set to this ending does."""
        self.send(code.encode() + ending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
