"""Find programs and missing drivers that keep a USB serial adapter from gatectl, without opening anything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from gatectl.devices.reader.discovery import DeviceInfo, SystemPaths

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


def rivals(places: SystemPaths, found: Iterable[DeviceInfo]) -> Iterator[str]:
    """Yield a sentence for each problem that an installer has to fix before a reader works."""
    running = {_text(process / "comm") for process in places.proc.glob("[0-9]*")}
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
    for device in found:
        if device.type == "serial" and not device.is_console and not _is_left_alone(places, device.node):
            yield (
                f"ModemManager may send commands to {device.path} until the settings name it and it is "
                "plugged in again, and what it reads is missing in codes: sudo systemctl stop ModemManager"
            )


def _without_port(sys: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the socket of each adapter that is plugged in but has no port."""
    for device in sorted((sys / "bus/usb/devices").glob("*")):
        name = _ADAPTERS.get((_text(device / "idVendor"), _text(device / "idProduct")))
        if name and not any(device.glob("*:*/tty*")):
            yield name, device.name


def _is_left_alone(places: SystemPaths, node: str) -> bool:
    """Return whether udev's properties make ModemManager ignore this port, as gatectl's rules do."""
    try:
        number = Path(node).stat().st_rdev
    except OSError:
        return True
    data = _text(places.udev / f"c{os.major(number)}:{os.minor(number)}").splitlines()
    return "E:ID_MM_PORT_IGNORE=1" in data or "E:ID_MM_DEVICE_IGNORE=1" in data


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
