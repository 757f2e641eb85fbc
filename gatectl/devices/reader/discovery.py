"""Find the devices that may be readers, and what keeps them from gatectl, without opening any."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gatectl.devices.reader.contention import holders
from gatectl.devices.reader.driver import Driver
from gatectl.devices.reader.system import DeviceClass, SystemPaths, text_of

_ADAPTERS = {
    ("0403", "6001"): "FTDI FT232R",
    ("0403", "6015"): "FTDI FT-X",
    ("067b", "2303"): "Prolific PL2303",
    ("067b", "23a3"): "Prolific PL2303GC",
    ("10c4", "ea60"): "Silicon Labs CP210x",
    ("1a86", "5523"): "WCH CH341",
    ("1a86", "7523"): "WCH CH340",
}
"""The adapters that serial readers have. brltty, for Braille displays, takes the same ones."""

Stability = Literal["by-id", "by-path", "none"]
_WAYS: tuple[Stability, ...] = ("by-id", "by-path")


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device that a scanner may be."""

    type: str
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
    may_change_name: bool
    """Whether its path may be another after a restart or when it is plugged in again."""
    other_name: tuple[str, str] | None
    """The setting, and its value, that names it where the path may change."""


def devices(places: SystemPaths, drivers: Mapping[str, Driver[Any]]) -> list[DeviceInfo]:
    """Return all of them, type by type; `drivers` are by type."""
    return [info for name, driver in drivers.items() for info in _of_type(name, driver.device_class, places)]


def _of_type(name: str, kind: DeviceClass, places: SystemPaths) -> Iterator[DeviceInfo]:
    consoles = text_of(places.sys / "class/tty/console/active").split()
    nodes = list(kind.nodes(places))
    identities = Counter(_identity(kind, node, places.sys) for node in nodes)
    for node in nodes:
        identity = _identity(kind, node, places.sys)
        has_twin = identity is not None and identities[identity] > 1
        path, stability = _stable(kind, node, places.dev, has_twin=has_twin)
        may_change_name = stability == "none" and not kind.is_fixed(node.name)
        yield DeviceInfo(
            name,
            str(path),
            stability,
            str(node),
            has_twin,
            kind.name_of(node, places),
            node.name in consoles,
            holders(str(node), places.proc),
            may_change_name,
            kind.other_name_of(node, places) if may_change_name else None,
        )


def _stable(kind: DeviceClass, node: Path, dev: Path, *, has_twin: bool) -> tuple[Path, Stability]:
    """Return the best name: by identity unless a twin shares it, else by the socket, else the present one."""
    for way in _WAYS:
        if way == "by-id" and has_twin:
            continue
        for link in sorted((dev / kind.folder / way).glob(kind.links)):
            if link.resolve() == node.resolve():
                return link, way
    return node, "none"


def _identity(kind: DeviceClass, node: Path, sys: Path) -> tuple[str, ...] | None:
    """Return the properties from which udev makes the by-id name; None for a device that is not on USB."""
    interface = ""
    for folder in kind.parents_of(node, sys):
        interface = interface or text_of(folder / "bInterfaceNumber")
        if vendor := text_of(folder / "idVendor"):
            return vendor, text_of(folder / "idProduct"), text_of(folder / "serial"), interface
    return None


def rivals(
    places: SystemPaths, listed: Iterable[DeviceInfo], drivers: Mapping[str, Driver[Any]]
) -> Iterator[str]:
    """Yield a sentence for each problem that an installer has to fix before a reader works."""
    running = {text_of(process / "comm") for process in places.proc.glob("[0-9]*")}
    for name, socket in _without_port(places.sys):
        if "brltty" in running:
            yield (
                f"{name} at USB socket {socket} has no port, since brltty (for Braille displays) has taken "
                "it: sudo apt remove brltty, then plug it in again"
            )
        else:
            yield f"{name} at USB socket {socket} has no port: has the kernel a driver for it? sudo dmesg"
    if "ModemManager" not in running:
        return
    for device in listed:
        is_port = drivers[device.type].device_class.sys_class == "tty"
        if is_port and not device.is_console and not _is_left_alone(places, device.node):
            yield (
                f"ModemManager may send commands to {device.path} until the settings name it and it is "
                "plugged in again, and what it reads is missing in codes: sudo systemctl stop ModemManager"
            )


def _without_port(sys: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the socket of each adapter that is plugged in but has no port."""
    for device in sorted((sys / "bus/usb/devices").glob("*")):
        name = _ADAPTERS.get((text_of(device / "idVendor"), text_of(device / "idProduct")))
        if name and not any(device.glob("*:*/tty*")):
            yield name, device.name


def _is_left_alone(places: SystemPaths, node: str) -> bool:
    """Return whether udev's properties make ModemManager ignore this port, as gatectl's rules do."""
    try:
        number = Path(node).stat().st_rdev
    except OSError:
        return True
    data = text_of(places.udev / f"c{os.major(number)}:{os.minor(number)}").splitlines()
    return "E:ID_MM_PORT_IGNORE=1" in data or "E:ID_MM_DEVICE_IGNORE=1" in data
