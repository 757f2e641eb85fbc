"""Commands in the guest, over its console line; the other end is `guest/agent`."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

BOOT_S = 900.0
"""A cold boot takes 40 s where nothing else runs. This and every limit is only there to end a hang."""
COMMAND_S = 300.0
"""Python's start alone takes seconds."""
AGAIN_S = 3.0
"""After this silence a command is sent again: an answer may have been spoilt by the kernel's own lines."""

_ANSWER = re.compile(rb"@@ (\d+) (\d+) (\d+) ([\w+/=]*) (\d+) ([\w+/=]*) @@")


class GuestError(Exception):
    """A command in the guest failed, or gave no answer."""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str


class Agent:
    """The console line of one running Pi. Every wait has its limit, in seconds.

    A thread of its own takes in what comes: QEMU stops if its output is not read, its own control channel
    included, and a socket has room for a few hundred of a line's single bytes.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._news = threading.Condition()
        self._over = False
        self._numbers = itertools.count(time.time_ns() // 1000)  # a snapshot's agent knows earlier ones
        self.console = b""
        """All that came over the line since the connection was made."""
        self._seen = 0
        threading.Thread(target=self._take_in, name="console line", daemon=True).start()

    def wait_for(self, pattern: bytes, limit_s: float) -> re.Match[bytes]:
        """The next place where the console shows this. GuestError at the limit, or where QEMU ends."""
        deadline = time.monotonic() + limit_s
        expression = re.compile(pattern)
        while True:
            known = len(self.console)
            found = expression.search(self.console, self._seen)
            if found:
                self._seen = found.end()
                return found
            if not self.received(known, deadline - time.monotonic()):
                raise GuestError(f"{pattern!r} did not come: {self.console[self._seen :][-2000:]!r}")

    def wait_ready(self, limit_s: float = BOOT_S) -> None:
        """Returns when the guest has booted so far that it takes commands."""
        self.wait_for(rb"@@ ready\r?\n", limit_s)

    def run(self, command: str, *, limit_s: float = COMMAND_S) -> Done:
        """Runs a bash script as root, and returns when it has ended. GuestError at the limit."""
        number = next(self._numbers)
        line = _line(number, command)
        deadline = time.monotonic() + limit_s
        self._socket.sendall(line)
        quiet_until = time.monotonic() + AGAIN_S
        while True:
            known = len(self.console)
            done = self._answer(number)
            if done is not None:
                return done
            now = time.monotonic()
            if now >= deadline:
                raise GuestError(f"no answer to {command!r}: {self.console[self._seen :][-2000:]!r}")
            if self.received(known, min(deadline, quiet_until) - now):
                quiet_until = time.monotonic() + AGAIN_S
            elif now >= quiet_until:
                # A command that still runs reads this after it has ended, and answers twice: no harm.
                self._socket.sendall(line)
                quiet_until = now + 10 * AGAIN_S

    def check(self, command: str, *, limit_s: float = COMMAND_S) -> str:
        """Like `run`, and returns the standard output. GuestError where the status is not 0."""
        done = self.run(command, limit_s=limit_s)
        if done.status:
            raise GuestError(f"{command!r} gave {done.status}: {done.out[-2000:]}{done.err[-2000:]}")
        return done.out

    def send(self, command: str) -> None:
        """Starts a command whose answer cannot come."""
        self._socket.sendall(_line(next(self._numbers), command))

    def type(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._socket.sendall(data)

    def received(self, known: int, wait_s: float) -> bool:
        """Whether more than so many bytes have come, waiting for them. GuestError where QEMU ended."""
        with self._news:
            self._news.wait_for(lambda: self._over or len(self.console) > known, max(0.0, wait_s))
        if len(self.console) > known:
            return True
        if self._over:
            raise GuestError(f"the Pi is off: {self.console[-2000:]!r}")
        return False

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would not wake the thread
        self._socket.close()

    def _take_in(self) -> None:
        data = b" "
        while data:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:
                data = b""
            with self._news:
                self.console += data
                self._over = not data
                self._news.notify_all()

    def _answer(self, number: int) -> Done | None:
        for found in _ANSWER.finditer(self.console, self._seen):
            if int(found[1]) == number and _is_whole(found):
                self._seen = found.end()
                out, err = (base64.b64decode(text).decode("utf-8", "replace") for text in found.group(4, 6))
                return Done(int(found[2]), out, err)
        return None


def _line(number: int, command: str) -> bytes:
    escaped = "".join(f"\\x{byte:02x}" for byte in command.encode())
    return f"{number} {escaped}\n".encode()


def _is_whole(answer: re.Match[bytes]) -> bool:
    return (int(answer[3]), int(answer[5])) == (len(answer[4]), len(answer[6]))
