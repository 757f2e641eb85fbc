"""Keep track of which scanner has which device: two names in the settings may lead to one device.

Two identical readers share one name below /dev/serial/by-id or /dev/input/by-id. udev points it at one of
them, and at the other one when the first is unplugged.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from gatectl.devices.reader.supervisor import SAME_DEVICE, DeviceLost


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


class Claims:
    """The open devices, by their nodes. Used by all devices' threads."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Take the settings' device paths, in their order."""
        self._paths = list(paths)
        self._open: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, path: str) -> str:
        """Claim the device behind this path and return its node; DeviceLost if another scanner has it.

        A free device belongs to the scanner that comes first in the settings, so that the result does not
        depend on which thread is faster at the start.
        """
        node = os.path.realpath(path)
        with self._lock:
            owner = self._open.get(node) or self._earlier(path, node)
            if owner is not None:
                raise DeviceLost(f"{SAME_DEVICE} {owner}")
            self._open[node] = path
        return node

    def release(self, node: str) -> None:
        """Release a node that `take` returned."""
        with self._lock:
            self._open.pop(node, None)

    def opened(self, path: str, connect: Callable[[], Opened]) -> tuple[Opened, Callable[[], None]]:
        """Claim and open a device; return it with the function that closes and releases it."""
        node = self.take(path)
        try:
            device = connect()
        except BaseException:
            self.release(node)
            raise

        def close() -> None:
            device.close()
            self.release(node)

        return device, close

    def _earlier(self, path: str, node: str) -> str | None:
        taken = set(self._open.values())
        for earlier in self._paths:
            if earlier == path:
                return None
            if earlier not in taken and os.path.realpath(earlier) == node:
                return earlier
        return None
