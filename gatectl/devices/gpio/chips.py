"""The GPIO chips of this machine, and which of them the settings mean.

A chip's number changes with the kernel (a Raspberry Pi 5's header was gpiochip4, is gpiochip0, and is neither
on newer kernels); its label, which its driver gives it, does not.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gatectl.devices.gpio.pins import PinsError
from gatectl.errors import SUDO_OR_GROUP

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Labels of a Raspberry Pi's header chip in the kernel's drivers: the Pi 5, the Pi 4, and older ones."""

GPIO_GET_CHIPINFO_IOCTL = 0x8044B401
"""_IOR(0xB4, 1, struct gpiochip_info), from the kernel's include/uapi/linux/gpio.h."""

_CHIPINFO = struct.Struct("32s32sI")
"""struct gpiochip_info: name, label, lines."""

_NODE = re.compile(r"gpiochip(\d+)", re.ASCII)


class ChipError(PinsError):
    """There is no such GPIO chip."""


class Chip(NamedTuple):
    """A GPIO chip; `problem` says why only its path is known."""

    path: str
    label: str = ""
    lines: int = 0
    problem: str | None = None

    @property
    def number(self) -> int:
        """The N of /dev/gpiochipN."""
        return _number(self.path) or 0

    def __str__(self) -> str:
        known = f'"{self.label}", {self.lines} lines' if self.problem is None else self.problem
        return f"{self.path} ({known})"


def chips_of(dev: Path = Path("/dev"), read: Callable[[Path], tuple[str, int]] | None = None) -> list[Chip]:
    """Return the chips below `dev` in the order of their numbers, without a chip's second names.

    `read` returns a chip's label and its number of lines, or raises OSError.
    """
    nodes = [node for node in dev.glob("gpiochip*") if not node.is_symlink()]
    numbered = sorted((number, node) for node in nodes if (number := _number(node.name)) is not None)
    return [_chip(node, read or read_info) for _, node in numbered]


def _chip(node: Path, read: Callable[[Path], tuple[str, int]]) -> Chip:
    try:
        label, lines = read(node)
    except OSError as error:
        return Chip(str(node), problem=(error.strerror or str(error)).lower())
    return Chip(str(node), label, lines)


def read_info(node: Path) -> tuple[str, int]:
    """Ask the kernel for a chip's label and its number of lines. Raises OSError."""
    descriptor = os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = fcntl.ioctl(descriptor, GPIO_GET_CHIPINFO_IOCTL, bytes(_CHIPINFO.size))
    finally:
        os.close(descriptor)
    _, label, lines = _CHIPINFO.unpack(info)
    return label.rstrip(b"\0").decode("utf-8", "replace"), lines


def chip_number(chip: int | str, chips: Callable[[], Sequence[Chip]] = chips_of) -> int:
    """Return the N of /dev/gpiochipN for the settings' chip: "auto", a number, a path or a label.

    Raises ChipError, which lists the chips found.
    """
    if isinstance(chip, int):
        return chip  # the driver reports a missing chip
    if chip.startswith("/"):
        number = _number(Path(chip).resolve().name)
        if number is None:
            raise ChipError(f"{chip} is no GPIO chip", *hints(chips()))
        return number
    known = chips()
    wanted = HEADER_LABELS if chip == "auto" else (chip,)
    # A Raspberry Pi has one header; if several labels occur, take the newest board's.
    fitting = next(filter(None, ([one for one in known if one.label == label] for label in wanted)), [])
    if len(fitting) == 1:
        return fitting[0].number
    if fitting:
        paths = ", ".join(one.path for one in fitting)
        raise ChipError(f"{len(fitting)} GPIO chips have the label {fitting[0].label}: {paths}", _BY_PATH)
    if chip == "auto":
        raise ChipError("there is no GPIO chip of a Raspberry Pi's header", *hints(known))
    raise ChipError(f"there is no GPIO chip with the label {chip!r}", *hints(known))


_BY_PATH = 'name one of them by its path: chip = "/dev/gpiochip0"'


def hints(known: Sequence[Chip]) -> Iterator[str]:
    """Yield hints: the chips found, and what may be missing."""
    if not known:
        yield "there is no /dev/gpiochip* here: the kernel knows no GPIO, or this is a container without it"
        yield 'on a machine without pins: pin_factory = "mock"'
        return
    yield f"there are {', '.join(map(str, known))}"
    if any(one.problem for one in known):
        yield f"to see all of them, {SUDO_OR_GROUP}"
    yield f'chip = "auto" finds {", ".join(HEADER_LABELS)}; another chip is given by its label or its path'


def _number(path: str) -> int | None:
    found = _NODE.fullmatch(path.rpartition("/")[2])
    return int(found[1]) if found else None
