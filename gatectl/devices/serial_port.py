"""A scanner on a serial line, on a USB adapter's virtual one, or on a pty."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Callable
from functools import partial

import serial

from gatectl.decision.framing import Framer, framer
from gatectl.decision.notice import Tell
from gatectl.decision.reading import Reading
from gatectl.devices.claims import Claims
from gatectl.devices.holders import holders
from gatectl.devices.scanner import Cause, DeviceLost, OnCode, Scanner, cause_of

_CHUNK = 4096
"""Bytes a read; the kernel's line discipline holds no more."""


class SerialPort:
    """An open port, 8N1, ours alone; DeviceLost where it cannot be opened.

    What stood in its buffer before is discarded: a code from before must not open a gate.
    """

    def __init__(self, port: str, baud: int) -> None:
        try:
            # inter_byte_timeout is VTIME, and sets VMIN to 1: with VMIN 0 an empty line would read as
            # b"", which is how a hang-up reads.
            self._serial = serial.Serial(port, baud, timeout=0, inter_byte_timeout=0, exclusive=True)
        except (OSError, termios.error) as error:
            raise DeviceLost(cause_of(_errno(error))) from error
        except ValueError as error:  # a rate that this device refuses
            raise DeviceLost(f"{baud} baud refused") from error
        self._fd: int = self._serial.fileno()

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bytes:
        """The bytes that are there, b"" for none; DeviceLost where the device is gone."""
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error
        if not data:
            raise DeviceLost(Cause.UNPLUGGED)
        return data

    def close(self) -> None:
        """Lets go of the port; may block where its driver hangs."""
        with contextlib.suppress(OSError):
            self._serial.close()


class SerialConnection:
    """A port with its framer."""

    def __init__(self, port: SerialPort, decoder: Framer, close: Callable[[], None]) -> None:
        self._port = port
        self.decoder = decoder
        self.fileno = port.fileno
        self.close = close

    def read(self) -> list[Reading]:
        return self.decoder.feed(self._port.read())


def serial_scanner(
    port: str,
    *,
    baud: int,
    framing: str,
    idle_s: float,
    strip_aim: bool,
    claims: Claims,
    on_code: OnCode,
    tell: Tell,
) -> Scanner:
    """The scanner of a `type = "serial"` table; `framing` is a `Framing`, `idle_s` counts for `line`."""

    def connect() -> SerialConnection:
        opened, close = claims.opened(port, lambda: SerialPort(port, baud))
        return SerialConnection(opened, framer(framing, strip_aim=strip_aim), close)

    return Scanner(port, "serial", connect, idle_s, on_code, tell, holders=partial(holders, port))


def _errno(error: BaseException | None) -> int | None:
    """The errno behind pyserial's error, which carries it only where opening itself failed."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else next(iter(error.args), None)
        if isinstance(number, int):
            return number
        error = error.__context__
    return None
