"""The system's trees of devices and processes, and the classes of devices that readers belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

_PARENTS = 8
"""Levels to climb from an input device or a port to its USB device, which has a name."""


class SystemPaths(NamedTuple):
    """Roots of the system's trees; tests use others."""

    dev: Path = Path("/dev")
    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    udev: Path = Path("/run/udev/data")


class DeviceClass(NamedTuple):
    """A class of devices, as the kernel and udev show them."""

    heading: str
    """Its devices in words."""
    folder: str
    """Below /dev; the stable names are in its folders by-id and by-path."""
    links: str
    """The pattern of the stable names."""
    sys_class: str
    """The folder below /sys/class."""
    nodes: Callable[[SystemPaths], Iterable[Path]]
    """Find the nodes of devices that may be readers."""
    name_of: Callable[[Path, SystemPaths], str]
    """Return the name that the device at a node reports; empty if none."""
    is_fixed: Callable[[str], bool]
    """Whether the node's name belongs to the hardware and does not change."""
    other_name_of: Callable[[Path, SystemPaths], tuple[str, str] | None] = lambda _node, _places: None
    """Return the setting and its value that name a device without a stable path; None if there is none."""

    def parents_of(self, node: Path, sys: Path) -> list[Path]:
        """Return the node's device below /sys and the devices that it hangs on."""
        device = (sys / "class" / self.sys_class / node.name / "device").resolve()
        return [device, *device.parents][:_PARENTS]


def text_of(path: Path) -> str:
    """Return the text of a small kernel file without blanks and NULs around it; empty if it is missing."""
    try:
        return path.read_text("utf-8", "replace").strip(" \t\n\0")
    except OSError:
        return ""


def by_number(path: Path) -> tuple[str, int]:
    """Sort key for names that end in a number."""
    name = path.name.rstrip("0123456789")
    return name, int(path.name[len(name) :] or 0)
