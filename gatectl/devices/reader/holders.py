"""Find the programs that have a device open, as far as /proc shows them to this user.

A second program that reads from a serial port takes characters from the reader's codes: a login prompt
(getty) on a Raspberry Pi's UART, ModemManager, a terminal program that somebody left running.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TTY_FIELD = 4
"""Index in /proc/PID/stat after the name in brackets: the controlling terminal (proc(5), `tty_nr`)."""

_SERIAL_GETTY = "system.slice/system-serial\\x2dgetty.slice"
"""The control group of systemd's login prompts on serial lines."""

_PTMX = {"/dev/ptmx", "/dev/pts/ptmx"}
_PTS = re.compile(r"/dev/pts/(\d+)")
_TTY_INDEX = re.compile(r"^tty-index:\s*(\d+)$", re.MULTILINE)


def holders(path: str, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> tuple[str, ...]:
    """Return the other programs that have this device open, each as `name (process)`; empty without a device.

    Root sees all. Another user sees his own programs, and those that have the device as their controlling
    terminal, such as a login prompt. A service for which /proc is restricted to its own user sees systemd's
    login prompts by their control groups.
    """
    node = os.path.realpath(path)
    try:
        device = Path(node).stat().st_rdev
    except OSError:
        return ()
    found = {
        process.name: _named(process) for process in _processes(proc) if _has_open(process, node, device)
    }
    unit = f"serial-getty@{Path(node).name}.service"
    for number in _text(cgroups / _SERIAL_GETTY / unit / "cgroup.procs").split():
        found.setdefault(number, f"{unit} ({number})")
    return tuple(found.values())


def _processes(proc: Path) -> Iterator[Path]:
    for entry in sorted(proc.glob("[0-9]*"), key=lambda entry: int(entry.name)):
        if entry.name != str(os.getpid()):
            yield entry


def _has_open(process: Path, node: str, device: int) -> bool:
    try:
        opened = _open_in(process)
    except PermissionError:
        return device != 0 and _terminal_of(process) == device
    except OSError:  # the process has ended
        return False
    links = [process / "fd" / descriptor for descriptor, path in opened.items() if path == node]
    return any(_is_same(link, node) for link in links) and not _is_device_itself(process, node)


def _is_same(link: Path, node: str) -> bool:
    """Return whether an open file is this node; a container's pseudo-terminals have the same names."""
    if _PTS.fullmatch(node) is None:
        return True
    try:
        return os.path.samestat(link.stat(), Path(node).stat())
    except OSError:
        return False


def _open_in(process: Path) -> dict[str, str]:
    """Return the process's open files, by descriptor."""
    opened = {}
    with os.scandir(process / "fd") as descriptors:
        for descriptor in descriptors:
            with suppress(FileNotFoundError):  # closed meanwhile
                opened[descriptor.name] = os.readlink(descriptor.path)  # noqa: PTH115 - hundreds of times
    return opened


def _is_device_itself(process: Path, node: str) -> bool:
    """Return whether it is the program behind a pseudo-terminal: the simulated reader, socat."""
    number = _PTS.fullmatch(node)
    if number is None:
        return False
    with suppress(OSError):
        for descriptor, path in _open_in(process).items():
            if path in _PTMX:
                index = _TTY_INDEX.search(_text(process / "fdinfo" / descriptor))
                if index is not None and index[1] == number[1]:
                    return True
    return False


def _terminal_of(process: Path) -> int:
    """Return the device number of its controlling terminal, which every user may read; 0 for none."""
    fields = _text(process / "stat").rpartition(")")[2].split()
    if len(fields) <= _TTY_FIELD:
        return 0
    number = int(fields[_TTY_FIELD]) & 0xFFFFFFFF
    return os.makedev(number >> 8 & 0xFFF, (number & 0xFF) | (number >> 12 & 0xFFF00))


def _named(process: Path) -> str:
    return f"{_text(process / 'comm') or '?'} ({process.name})"


def _text(path: Path) -> str:
    """Return the text of a small kernel file; empty if it is missing."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
