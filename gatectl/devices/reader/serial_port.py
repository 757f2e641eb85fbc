"""Read a scanner on a serial line, on a USB adapter's virtual one, or on a pty."""

from __future__ import annotations

import contextlib
import os
import re
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import serial

from gatectl.decision.reader.framing import Flow, framer
from gatectl.devices.reader.port import Decoder, DeviceLost, LossCause, Port, cause_of
from gatectl.devices.reader.reader_types import SerialScanner
from gatectl.devices.reader.system import DeviceClass, SystemPaths, by_number, text_of

if TYPE_CHECKING:
    from gatectl.decision.reader.detect import DetectedFormat, NotRecognised
    from gatectl.devices.reader.driver import Input

_PORTS = re.compile(r"(?:tty(?:USB|ACM|AMA|S|SC|mxc|THS|O)|rfcomm)\d+")
"""USB adapters, UARTs of the boards (ttySC: RS-485 HATs; ttymxc, ttyTHS, ttyO: i.MX, Jetson, BeagleBone),
Bluetooth."""

_ON_BOARD = re.compile(r"tty(?:AMA|S|SC|mxc|THS|O)\d")
"""Built-in ports: their names belong to the hardware and do not change."""

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


def _nodes(places: SystemPaths) -> Iterator[Path]:
    ways = ("by-id", "by-path")
    links = [path for way in ways for path in sorted((places.dev / "serial" / way).glob("*"))]
    named = sorted((path for path in places.dev.iterdir() if _PORTS.fullmatch(path.name)), key=by_number)
    seen = set()
    for candidate in [*links, *named]:
        node = candidate.resolve()
        if node in seen or not node.exists() or not _is_wired(places.sys / "class/tty" / node.name):
            continue
        seen.add(node)
        yield node


def _is_wired(port: Path) -> bool:
    """Whether the port has a UART: the kernel also makes ttyS ports of type 0, which have none."""
    return text_of(port / "type") != "0"


def _name_of(node: Path, places: SystemPaths) -> str:
    for folder in _CLASS.parents_of(node, places.sys):
        if product := text_of(folder / "product"):
            return f"{text_of(folder / 'manufacturer')} {product}".strip()
    return ""


_CLASS = DeviceClass(
    heading="Serial ports",
    folder="serial",
    links="*",
    sys_class="tty",
    nodes=_nodes,
    name_of=_name_of,
    is_fixed=lambda name: _ON_BOARD.match(name) is not None,
)


class SerialDriver:
    """The driver of `type = "serial"`."""

    device_class = _CLASS
    is_exclusive = False
    quiet_s = 0.25
    longest_s = 1.0
    """A card reader repeats its frame every 50 ms for as long as the card lies on it."""

    def describe(self, settings: SerialScanner) -> str:
        mode = "" if settings.mode == "8N1" else f" {settings.mode}"
        return f"{settings.baud} baud{mode}, {settings.framing}"

    def locate(self, settings: SerialScanner) -> str:
        return os.path.realpath(settings.port)

    def open(self, settings: SerialScanner, node: str) -> SerialPort:
        return SerialPort(node, settings.baud, mode=settings.mode, flow=settings.flow, dtr=settings.dtr)

    def decoder(self, settings: SerialScanner, _port: Port) -> Decoder:
        return framer(settings.framing, encoding=settings.encoding, **settings.affixes)

    def open_shared(self, path: str, baud: int) -> SerialPort:
        return SerialPort(path, baud)

    def recognise(self, scan: Input, baud: int) -> list[DetectedFormat] | NotRecognised | None:
        from gatectl.decision.reader.detect import NotRecognised, detect_serial  # noqa: PLC0415 - not for `run`

        seen = detect_serial(b"".join(scan.chunks), scan.gap_s, baud)
        return seen if seen is None or isinstance(seen, NotRecognised) else [seen]


DRIVER = SerialDriver()


def _errno(error: BaseException | None) -> int | None:
    """Return the errno behind pyserial's error, which carries it only if opening itself failed."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else next(iter(error.args), None)
        if isinstance(number, int):
            return number
        error = error.__context__
    return None
