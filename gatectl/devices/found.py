"""Which devices of this machine a scanner may be, and who has them open. Nothing is opened to find out."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gatectl.devices.scanner import ScannerType

_KEYS_OF_A_SCANNER = (*range(2, 12), 28)
"""KEY_1 to KEY_0 and KEY_ENTER: power buttons, mice and remote controls lack some of them."""

_PORTS = re.compile(r"tty(?:USB|ACM|AMA|S)\d+")

_PARENTS = 6
"""From an interface of a USB device up to the device itself, which has a name."""

_WORD = 8 * struct.calcsize("l")
"""Bits of a `long`, as the kernel shows it to this process."""

Stability = Literal["by-id", "by-path", "none"]


@dataclass(frozen=True, slots=True)
class Places:
    """The trees of the system."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")


@dataclass(frozen=True, slots=True)
class Found:
    """A device that a scanner may be."""

    type: ScannerType
    path: str
    """The name that survives unplugging, where there is one."""
    stability: Stability
    node: str
    """Where it is now."""
    name: str
    """What it calls itself; empty where it does not."""
    is_console: bool
    """The system's own console: no scanner, and nobody else's to open."""
    held_by: tuple[str, ...]
    """Programs that have it open, as `name (process)`; root sees all, others their own."""


def devices(places: Places) -> list[Found]:
    """All of them, input devices first."""
    opened = _opened(places.proc)
    consoles = _text(places.sys / "class/tty/console/active").split()
    return [
        Found(
            kind,
            str(path),
            stability,
            str(node),
            _name(kind, node, places.sys),
            node.name in consoles,
            tuple(opened.get(str(node), ())),
        )
        for kind, path, stability, node in [*_inputs(places), *_ports(places)]
    ]


_Candidate = tuple[ScannerType, Path, Stability, Path]


def _inputs(places: Places) -> Iterator[_Candidate]:
    folder = places.dev / "input"
    for node in sorted(folder.glob("event*"), key=_by_number):
        if _types_codes(places.sys / "class/input" / node.name):
            path, stability = _stable(node, folder, "*-event-*")
            yield "evdev", path, stability, node.resolve()


def _ports(places: Places) -> Iterator[_Candidate]:
    links = [path for way in ("by-id", "by-path") for path in sorted((places.dev / "serial" / way).glob("*"))]
    named = sorted((path for path in places.dev.glob("tty*") if _PORTS.fullmatch(path.name)), key=_by_number)
    seen = set()
    for candidate in [*links, *named]:
        node = candidate.resolve()
        if node in seen or not node.exists() or not _is_wired(places.sys / "class/tty" / node.name):
            continue
        seen.add(node)
        path, stability = _stable(node, places.dev / "serial", "*")
        yield "serial", path, stability, node


def _stable(node: Path, folder: Path, pattern: str) -> tuple[Path, Stability]:
    """The best name: by what it is, else by where it is plugged in, else the one it has just now."""
    ways: tuple[Stability, ...] = ("by-id", "by-path")
    for way in ways:
        for link in sorted((folder / way).glob(pattern)):
            if link.resolve() == node.resolve():
                return link, way
    return node, "none"


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
    device = (sys / "class/tty" / node.name / "device").resolve()
    for folder in [device, *device.parents][:_PARENTS]:
        if product := _text(folder / "product"):
            return f"{_text(folder / 'manufacturer')} {product}".strip()
    return ""


def _opened(proc: Path) -> dict[str, list[str]]:
    """Which programs have which device open."""
    found: dict[str, list[str]] = {}
    for process in proc.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with suppress(OSError):  # it has ended, or is somebody else's
            for device in {str(link.readlink()) for link in (process / "fd").iterdir()}:
                if device.startswith("/"):
                    found.setdefault(device, []).append(f"{_text(process / 'comm')} ({process.name})")
    return found


def _text(path: Path) -> str:
    """The text of a small file of the kernel's; empty where there is none."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
