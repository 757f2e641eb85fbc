"""Find the devices that a scanner may be, and the programs that have them open, without opening any."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gatectl.devices.reader.holders import holders
from gatectl.devices.reader.supervisor import ScannerType

_KEYS_OF_A_SCANNER = (*range(2, 12), 28)
"""KEY_1 to KEY_0 and KEY_ENTER: power buttons, mice and remote controls lack some of them."""

_PORTS = re.compile(r"(?:tty(?:USB|ACM|AMA|S|SC|mxc|THS|O)|rfcomm)\d+")
"""USB adapters, UARTs of the boards (ttySC: RS-485 HATs; ttymxc, ttyTHS, ttyO: i.MX, Jetson, BeagleBone),
Bluetooth."""

_ON_BOARD = re.compile(r"tty(?:AMA|S|SC|mxc|THS|O)\d")
"""Built-in ports: their names belong to the hardware and do not change."""

_PARENTS = 8
"""Levels to climb from an input device or a port to its USB device, which has a name."""

_WORD = 8 * struct.calcsize("l")
"""Bits of a `long`, as the kernel shows it to this process."""

Stability = Literal["by-id", "by-path", "none"]
_WAYS: tuple[Stability, ...] = ("by-id", "by-path")


@dataclass(frozen=True, slots=True)
class SystemPaths:
    """Roots of the system's trees; tests use others."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev/data")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that a scanner may be."""

    type: ScannerType
    path: str
    """The name that is stable across unplugging, where there is one."""
    stability: Stability
    node: str
    """Its present device node."""
    has_twin: bool
    """Whether another device has the same vendor, model and serial number, and so the same by-id name."""
    name: str
    """The name that the device reports; empty if none."""
    is_console: bool
    """Whether it is the system's own console: not a scanner, and not to be opened."""
    held_by: tuple[str, ...]
    """The other programs that have it open, from `holders`."""

    @property
    def may_change_name(self) -> bool:
        """Whether it may have another name after a restart or when it is plugged in again."""
        return self.stability == "none" and not _ON_BOARD.match(Path(self.node).name)


def devices(places: SystemPaths) -> list[DeviceInfo]:
    """Return all of them, input devices first."""
    consoles = _text(places.sys / "class/tty/console/active").split()
    nodes = [*_inputs(places), *_ports(places)]
    identities = Counter(_identity(kind, node, places.sys) for kind, node in nodes)
    found = []
    for kind, node in nodes:
        identity = _identity(kind, node, places.sys)
        has_twin = identity is not None and identities[identity] > 1
        path, stability = _stable(kind, node, places.dev, has_twin=has_twin)
        found.append(
            DeviceInfo(
                kind,
                str(path),
                stability,
                str(node),
                has_twin,
                _name(kind, node, places.sys),
                node.name in consoles,
                holders(str(node), places.proc),
            )
        )
    return found


def _inputs(places: SystemPaths) -> Iterator[tuple[ScannerType, Path]]:
    for node in sorted((places.dev / "input").glob("event*"), key=_by_number):
        if _types_codes(places.sys / "class/input" / node.name):
            yield "evdev", node.resolve()


def _ports(places: SystemPaths) -> Iterator[tuple[ScannerType, Path]]:
    links = [path for way in _WAYS for path in sorted((places.dev / "serial" / way).glob("*"))]
    named = sorted((path for path in places.dev.iterdir() if _PORTS.fullmatch(path.name)), key=_by_number)
    seen = set()
    for candidate in [*links, *named]:
        node = candidate.resolve()
        if node in seen or not node.exists() or not _is_wired(places.sys / "class/tty" / node.name):
            continue
        seen.add(node)
        yield "serial", node


def _stable(kind: ScannerType, node: Path, dev: Path, *, has_twin: bool) -> tuple[Path, Stability]:
    """Return the best name: by identity unless a twin shares it, else by the socket, else the present one."""
    folder, pattern = (dev / "input", "*-event-*") if kind == "evdev" else (dev / "serial", "*")
    for way in _WAYS:
        if way == "by-id" and has_twin:
            continue
        for link in sorted((folder / way).glob(pattern)):
            if link.resolve() == node.resolve():
                return link, way
    return node, "none"


def _identity(kind: ScannerType, node: Path, sys: Path) -> tuple[str, ...] | None:
    """Return the properties from which udev makes the by-id name; None for a device that is not on USB."""
    interface = ""
    for folder in _sys_parents(kind, node, sys):
        interface = interface or _text(folder / "bInterfaceNumber")
        if vendor := _text(folder / "idVendor"):
            return kind, vendor, _text(folder / "idProduct"), _text(folder / "serial"), interface
    return None


def _sys_parents(kind: ScannerType, node: Path, sys: Path) -> list[Path]:
    device = (sys / "class" / ("input" if kind == "evdev" else "tty") / node.name / "device").resolve()
    return [device, *device.parents][:_PARENTS]


def _by_number(path: Path) -> tuple[str, int]:
    name = path.name.rstrip("0123456789")
    return name, int(path.name[len(name) :] or 0)


def _types_codes(device: Path) -> bool:
    """Whether it has a scanner's keys, by the kernel's bit map: `long` words in hex, the highest first."""
    words = _text(device / "device/capabilities/key").split()
    bits = 0
    for word in words:
        bits = bits << _WORD | int(word, 16)
    return all(bits >> key & 1 for key in _KEYS_OF_A_SCANNER)


def _is_wired(port: Path) -> bool:
    """Whether the port has a UART: the kernel also makes ttyS ports of type 0, which have none."""
    return _text(port / "type") != "0"


def _name(kind: ScannerType, node: Path, sys: Path) -> str:
    if kind == "evdev":
        return _text(sys / "class/input" / node.name / "device/name")
    for folder in _sys_parents(kind, node, sys):
        if product := _text(folder / "product"):
            return f"{_text(folder / 'manufacturer')} {product}".strip()
    return ""


def _text(path: Path) -> str:
    """Return the text of a small kernel file; empty if it is missing."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
