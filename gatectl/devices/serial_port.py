"""A scanner on a serial line, on a USB adapter's virtual one, or on a pty."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Callable
from functools import partial

import serial

from gatectl.decision.framing import Flow, Framer, LineOptions
from gatectl.decision.notice import Tell
from gatectl.decision.reading import Reading
from gatectl.devices.claims import Claims
from gatectl.devices.holders import holders
from gatectl.devices.scanner import Cause, DeviceLost, OnCode, Scanner, cause_of

_CHUNK = 4096
"""Bytes a read; the kernel's line discipline holds no more."""


_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
"""Takes the parity bit off: some USB adapters hand it over, although they are set to seven bits."""


class SerialPort:
    """An open port, ours alone; DeviceLost where it cannot be opened.

    What stood in its buffer before is discarded: a code from before must not open a gate.
    """

    def __init__(
        self, port: str, baud: int, *, mode: str = "8N1", flow: Flow = "none", dtr: bool = True
    ) -> None:
        bits, parity, stop_bits = mode[0], mode[1], mode[2]
        self._has_seven_bits = bits == "7"
        try:
            # inter_byte_timeout is VTIME, and sets VMIN to 1: with VMIN 0 an empty line would read as
            # b"", which is how a hang-up reads.
            self._serial = serial.Serial(
                None,
                baud,
                int(bits),
                parity,
                int(stop_bits),
                timeout=0,
                inter_byte_timeout=0,
                rtscts=flow == "rts-cts",
                xonxoff=flow == "xon-xoff",
                exclusive=True,
            )
            if not dtr:
                self._serial.dtr = self._serial.rts = False
            self._serial.port = port
            self._serial.open()
        except (OSError, termios.error) as error:
            raise DeviceLost(cause_of(_errno(error))) from error
        except ValueError as error:  # a rate or a mode that this device refuses
            raise DeviceLost(f"{baud} baud{'' if mode == '8N1' else f' {mode}'} refused") from error
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
        return data.translate(_SEVEN_BITS) if self._has_seven_bits else data

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
    line: LineOptions,
    decoder: Callable[[], Framer],
    idle_s: float,
    claims: Claims,
    on_code: OnCode,
    tell: Tell,
    on_unreadable: Callable[[], None] = lambda: None,
) -> Scanner:
    """The scanner of a `type = "serial"` table; `decoder` makes a framer for each connection."""

    def connect() -> SerialConnection:
        opened, close = claims.opened(port, lambda: SerialPort(port, baud, **line))
        return SerialConnection(opened, decoder(), close)

    return Scanner(
        port,
        "serial",
        connect,
        idle_s,
        on_code,
        tell,
        holders=partial(holders, port),
        on_unreadable=on_unreadable,
    )


def _errno(error: BaseException | None) -> int | None:
    """The errno behind pyserial's error, which carries it only where opening itself failed."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else next(iter(error.args), None)
        if isinstance(number, int):
            return number
        error = error.__context__
    return None
