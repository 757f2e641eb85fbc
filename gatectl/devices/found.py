"""Finds the devices of this machine that may be scanners, and the programs that have them open.

It opens none of them.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gatectl.devices.holders import holders
from gatectl.devices.scanner import ScannerType

_KEYS_OF_A_SCANNER = (*range(2, 12), 28)
"""KEY_1 to KEY_0 and KEY_ENTER: power buttons, mice and remote controls lack some of them."""

_PORTS = re.compile(r"(?:tty(?:USB|ACM|AMA|S|SC|mxc|THS|O)|rfcomm)\d+")
"""USB adapters, UARTs of the boards (ttySC: RS-485 HATs; ttymxc, ttyTHS, ttyO: i.MX, Jetson, BeagleBone),
Bluetooth."""

_ON_BOARD = re.compile(r"tty(?:AMA|S|SC|mxc|THS|O)\d")
"""Ports that are soldered in: their names are those of the hardware."""

_PARENTS = 8
"""From an input device or a port up to its USB device (HID interface, hub port), which has a name."""

_WORD = 8 * struct.calcsize("l")
"""Bits of a `long`, as the kernel shows it to this process."""

Stability = Literal["by-id", "by-path", "none"]
_WAYS: tuple[Stability, ...] = ("by-id", "by-path")


@dataclass(frozen=True, slots=True)
class Places:
    """The trees of the system."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev/data")


@dataclass(frozen=True, slots=True)
class Found:
    """A device that a scanner may be."""

    type: ScannerType
    path: str
    """The name that survives unplugging, where there is one."""
    stability: Stability
    node: str
    """Its present path."""
    has_twin: bool
    """Another device here has the same vendor, model and serial number, and so the same name by-id."""
    name: str
    """Its own name; empty where it has none."""
    is_console: bool
    """The system's own console: no scanner, and nobody else's to open."""
    held_by: tuple[str, ...]
    """Other programs that have it open, as `holders` finds them."""

    @property
    def may_change_name(self) -> bool:
        """Whether it may have another name after a restart or when it is plugged in again."""
        return self.stability == "none" and not _ON_BOARD.match(Path(self.node).name)


def devices(places: Places) -> list[Found]:
    """All of them, input devices first."""
    consoles = _text(places.sys / "class/tty/console/active").split()
    nodes = [*_inputs(places), *_ports(places)]
    identities = Counter(_identity(kind, node, places.sys) for kind, node in nodes)
    found = []
    for kind, node in nodes:
        identity = _identity(kind, node, places.sys)
        has_twin = identity is not None and identities[identity] > 1
        path, stability = _stable(kind, node, places.dev, has_twin=has_twin)
        found.append(
            Found(
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


def _inputs(places: Places) -> Iterator[tuple[ScannerType, Path]]:
    for node in sorted((places.dev / "input").glob("event*"), key=_by_number):
        if _types_codes(places.sys / "class/input" / node.name):
            yield "evdev", node.resolve()


def _ports(places: Places) -> Iterator[tuple[ScannerType, Path]]:
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
    """The best name: by identity, which a twin shares, else by the socket, else the present one."""
    folder, pattern = (dev / "input", "*-event-*") if kind == "evdev" else (dev / "serial", "*")
    for way in _WAYS:
        if way == "by-id" and has_twin:
            continue
        for link in sorted((folder / way).glob(pattern)):
            if link.resolve() == node.resolve():
                return link, way
    return node, "none"


def _identity(kind: ScannerType, node: Path, sys: Path) -> tuple[str, ...] | None:
    """Whatever udev makes the name below by-id of; None for a device that is not on USB."""
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
    """By the kernel's bit map: words of a `long`'s size in hex, the highest first."""
    words = _text(device / "device/capabilities/key").split()
    bits = 0
    for word in words:
        bits = bits << _WORD | int(word, 16)
    return all(bits >> key & 1 for key in _KEYS_OF_A_SCANNER)


def _is_wired(port: Path) -> bool:
    """The kernel makes ttyS ports for UARTs that are not there: those are of type 0."""
    return _text(port / "type") != "0"


def _name(kind: ScannerType, node: Path, sys: Path) -> str:
    if kind == "evdev":
        return _text(sys / "class/input" / node.name / "device/name")
    for folder in _sys_parents(kind, node, sys):
        if product := _text(folder / "product"):
            return f"{_text(folder / 'manufacturer')} {product}".strip()
    return ""


def _text(path: Path) -> str:
    """The text of a small file of the kernel's; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
