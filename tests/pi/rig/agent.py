"""Commands in the guest, over its console line; the other end is `guest/agent`."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import itertools
import os
import re
import select
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

BOOT_S = 300.0
"""A cold boot takes 40 s where nothing else runs."""
COMMAND_S = 120.0
"""Python's start alone takes seconds."""
AGAIN_S = 3.0
"""After this silence a command is sent again: an answer may have been spoilt by the kernel's own lines."""

UNREAD = 1 << 20
"""Bytes of the console that may wait for a reader."""

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
    """The console line of one running Pi. Every wait has its limit, in seconds."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._unread, filled = os.pipe()
        fcntl.fcntl(filled, fcntl.F_SETPIPE_SZ, UNREAD)
        threading.Thread(target=_carry, args=(self._socket.dup(), filled), daemon=True).start()
        self._numbers = itertools.count(time.time_ns() // 1000)  # a snapshot's agent knows earlier ones
        self.console = b""
        """All that came over the line since the connection was made."""
        self._seen = 0

    def wait_for(self, pattern: bytes, limit_s: float) -> re.Match[bytes]:
        """The next place where the console shows this. GuestError at the limit, or where QEMU ends."""
        deadline = time.monotonic() + limit_s
        expression = re.compile(pattern)
        while True:
            found = expression.search(self.console, self._seen)
            if found:
                self._seen = found.end()
                return found
            if not self._received(deadline - time.monotonic()):
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
            done = self._answer(number)
            if done is not None:
                return done
            now = time.monotonic()
            if now >= deadline:
                raise GuestError(f"no answer to {command!r}: {self.console[self._seen :][-2000:]!r}")
            if self._received(min(deadline, quiet_until) - now):
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

    def fileno(self) -> int:
        return self._unread

    def type(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """What comes next, waiting for it. GuestError where QEMU ended."""
        data = os.read(self._unread, 1 << 16)
        if not data:
            raise GuestError(f"the Pi is off: {self.console[-2000:]!r}")
        self.console += data
        return data

    def close(self) -> None:
        self._socket.close()
        os.close(self._unread)

    def _answer(self, number: int) -> Done | None:
        for found in _ANSWER.finditer(self.console, self._seen):
            if int(found[1]) == number and _is_whole(found):
                self._seen = found.end()
                out, err = (base64.b64decode(text).decode("utf-8", "replace") for text in found.group(4, 6))
                return Done(int(found[2]), out, err)
        return None

    def _received(self, wait_s: float) -> bool:
        """Takes in what comes in this time; whether anything did. GuestError where QEMU ended."""
        if not select.select([self], [], [], max(0.0, wait_s))[0]:
            return False
        self.receive()
        return True


def _carry(source: socket.socket, target: int) -> None:
    """From the line to where it can wait, until QEMU or the reader has gone.

    A socket takes but some hundred of the single bytes that the guest's line sends, and until these are read
    QEMU stands still, with the whole Pi.
    """
    with source, os.fdopen(target, "wb", buffering=0) as pipe, contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            pipe.write(data)


def _line(number: int, command: str) -> bytes:
    escaped = "".join(f"\\x{byte:02x}" for byte in command.encode())
    return f"{number} {escaped}\n".encode()


def _is_whole(answer: re.Match[bytes]) -> bool:
    return (int(answer[3]), int(answer[5])) == (len(answer[4]), len(answer[6]))
