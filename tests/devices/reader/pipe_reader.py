"""A reader type of its own, whole: a reader that writes lines into a named pipe."""

import os
from pathlib import Path
from typing import Literal

from gatectl.decision.reader.detect import DetectedFormat
from gatectl.decision.reader.framing import framer
from gatectl.devices.reader.port import DeviceLost, LossCause
from gatectl.devices.reader.reader_types import READER_TYPES, ReaderType, ScannerSettings
from gatectl.devices.reader.system import DeviceClass
from gatectl.validators.values import FilePath


class PipeScanner(ScannerSettings):
    """A reader that writes into a named pipe."""

    type: Literal["pipe"]
    pipe: FilePath
    encoding: Literal["utf-8", "latin-1"] = "utf-8"

    @property
    def path(self):
        return str(self.pipe)


class Pipe:
    def __init__(self, path):
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except FileNotFoundError:
            raise DeviceLost(LossCause.UNPLUGGED) from None

    def fileno(self):
        return self._fd

    def read(self):
        return os.read(self._fd, 4096)

    def close(self):
        os.close(self._fd)


class PipeDriver:
    device_class = DeviceClass(
        heading="Pipes",
        folder="pipes",
        links="*",
        sys_class="pipes",
        nodes=lambda _: [Path(path) for path in os.environ.get("PIPES", "").split()],
        name_of=lambda _node, _places: "a pipe",
        is_fixed=lambda _: True,
    )
    is_exclusive = True
    quiet_s = longest_s = 0.1

    def describe(self, settings):
        return settings.encoding

    def locate(self, settings):
        return settings.path

    def open(self, _settings, node):
        return Pipe(node)

    def decoder(self, settings, _port):
        return framer("line", encoding=settings.encoding, **settings.affixes)

    def open_shared(self, path, _baud):
        return Pipe(path)

    def recognise(self, scan, _baud):
        code = b"".join(scan.chunks).decode().strip()
        return [DetectedFormat(code, "a line in a pipe", "LF", settings={"encoding": "utf-8"})]


DRIVER = PipeDriver()

READER_TYPES["pipe"] = ReaderType(
    settings=PipeScanner,
    driver=__name__,
    path_key="pipe",
    is_for="one that writes into a pipe",
    also_called=frozenset({"fifo"}),
    remarks=lambda settings: [("pipe", "is a toy")] if settings.encoding == "latin-1" else [],
)
