"""Lines that come out of a descriptor while a test runs, and waiting for one of them without polling."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from limits import NET_S


class Lines:
    """Reads a descriptor to its end in a thread; owns and closes it."""

    def __init__(self, descriptor: int, parse: Callable[[str], Any] = str) -> None:
        self._parse = parse
        self._items: list[Any] = []
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(descriptor,), daemon=True)
        self._thread.start()

    def _run(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                item = self._parse(line.rstrip("\n"))
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def so_far(self) -> list[Any]:
        with self._changed:
            return list(self._items)

    def wait(self, wanted: Callable[[list[Any]], Any], timeout: float = NET_S) -> Any:
        """The first true value of `wanted(all lines)`; AssertionError where it cannot come any more."""
        until = time.monotonic() + timeout
        with self._changed:
            while not (found := wanted(self._items)):
                assert not self._ended, f"ended without what was waited for; the last: {self._items[-5:]}"
                left = until - time.monotonic()
                assert left > 0, f"waited in vain; the last: {self._items[-5:]}"
                self._changed.wait(left)
            return found

    def join(self) -> list[Any]:
        """All of them, when the other side has closed."""
        self._thread.join(NET_S)
        assert not self._thread.is_alive()
        return self.so_far


def fill(address: str | bytes) -> None:
    """Fill an unread datagram socket until it takes no more."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sent,
        contextlib.suppress(BlockingIOError),
    ):
        sent.setblocking(False)
        while True:
            sent.sendto(b"STATUS=full", address)
