"""Read a scanner on a serial line, on a USB adapter's virtual one, or on a pty."""

from __future__ import annotations

import contextlib
import os
import termios
from collections.abc import Callable
from functools import partial

import serial

from gatectl.decision.log import Log
from gatectl.decision.reader.framing import Flow, Framer, LineOptions
from gatectl.decision.reader.reading import Reading
from gatectl.devices.reader.claims import Claims
from gatectl.devices.reader.holders import holders
from gatectl.devices.reader.supervisor import DeviceLost, LossCause, OnCode, Scanner, cause_of

_CHUNK = 4096
"""Bytes per read: the size of the buffer of the kernel's line discipline."""


_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
"""Removes the parity bit: some USB adapters pass it on although they are set to seven bits."""


class SerialPort:
    """An open port, locked for this process; DeviceLost if it cannot be opened.

    Bytes that were buffered before the opening are discarded: an old code must not open a gate.
    """

    def __init__(
        self, port: str, baud: int, *, mode: str = "8N1", flow: Flow = "none", dtr: bool = True
    ) -> None:
        bits, parity, stop_bits = mode[0], mode[1], mode[2]
        self._has_seven_bits = bits == "7"
        try:
            # inter_byte_timeout is VTIME, and sets VMIN to 1: with VMIN 0 an idle line would read as
            # b"", which also means a hang-up.
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
        except ValueError as error:  # the device refuses this rate or mode
            raise DeviceLost(f"{baud} baud{'' if mode == '8N1' else f' {mode}'} refused") from error
        self._fd: int = self._serial.fileno()

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bytes:
        """Return the waiting bytes, b"" for none; DeviceLost if the device is gone."""
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DeviceLost(cause_of(error.errno)) from error
        if not data:
            raise DeviceLost(LossCause.UNPLUGGED)
        return data.translate(_SEVEN_BITS) if self._has_seven_bits else data

    def close(self) -> None:
        """Close the port; may block if its driver hangs."""
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
    log: Log,
    on_unreadable: Callable[[], None] = lambda: None,
) -> Scanner:
    """Make the scanner of a `type = "serial"` table; `decoder` makes a framer for each connection."""

    def connect() -> SerialConnection:
        opened, close = claims.opened(port, lambda: SerialPort(port, baud, **line))
        return SerialConnection(opened, decoder(), close)

    return Scanner(
        port,
        "serial",
        connect,
        idle_s,
        on_code,
        log,
        holders=partial(holders, port),
        on_unreadable=on_unreadable,
    )


def _errno(error: BaseException | None) -> int | None:
    """Return the errno behind pyserial's error, which carries it only if opening itself failed."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else next(iter(error.args), None)
        if isinstance(number, int):
            return number
        error = error.__context__
    return None
