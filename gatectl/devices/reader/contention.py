"""Find out who else uses a device: another scanner of this process, or another program.

Two identical readers share one name below /dev/serial/by-id or /dev/input/by-id. udev points it at one of
them, and at the other one when the first is unplugged. So two names in the settings may lead to one device.

A second program that reads from a serial port takes characters from the reader's codes: a login prompt
(getty) on a Raspberry Pi's UART, ModemManager, a terminal program that somebody left running.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from gatectl.devices.reader.port import SAME_DEVICE, DeviceLost
from gatectl.devices.reader.system import text_of

_TTY_FIELD = 4
"""Index in /proc/PID/stat after the name in brackets: the controlling terminal (proc(5), `tty_nr`)."""

_SERIAL_GETTY = "system.slice/system-serial\\x2dgetty.slice"
"""The control group of systemd's login prompts on serial lines."""

_PTMX = {"/dev/ptmx", "/dev/pts/ptmx"}
_PTS = re.compile(r"/dev/pts/(\d+)")
_TTY_INDEX = re.compile(r"^tty-index:\s*(\d+)$", re.MULTILINE)


class _Closable(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Closable)


class Claims:
    """The open devices, by their nodes. Used by all devices' threads."""

    def __init__(self, locate: Mapping[str, Callable[[], str]]) -> None:
        """Take the settings' names of devices, in their order, each with how its present node is found.

        A search raises DeviceLost where there is none.
        """
        self._locate = dict(locate)
        self._open: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> str:
        """Claim the device of this name and return its node; DeviceLost if another scanner has it.

        A free device belongs to the scanner that comes first in the settings, so that the result does not
        depend on which thread is faster at the start.
        """
        node = self._locate[name]()
        with self._lock:
            owner = self._open.get(node) or self._earlier(name, node)
            if owner is not None:
                raise DeviceLost(f"{SAME_DEVICE} {owner}")
            self._open[node] = name
        return node

    def release(self, node: str) -> None:
        """Release a node that `take` returned."""
        with self._lock:
            self._open.pop(node, None)

    def opened(self, name: str, connect: Callable[[str], Opened]) -> tuple[Opened, Callable[[], None]]:
        """Claim and open a device by its node; return it with the function that closes and releases it."""
        node = self.take(name)
        try:
            device = connect(node)
        except BaseException:
            self.release(node)
            raise

        def close() -> None:
            device.close()
            self.release(node)

        return device, close

    def _earlier(self, name: str, node: str) -> str | None:
        taken = set(self._open.values())
        for earlier, locate in self._locate.items():
            if earlier == name:
                return None
            with suppress(DeviceLost):
                if earlier not in taken and locate() == node:
                    return earlier
        return None


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
    others = {
        process.name: _named(process) for process in _processes(proc) if _has_open(process, node, device)
    }
    unit = f"serial-getty@{Path(node).name}.service"
    for number in text_of(cgroups / _SERIAL_GETTY / unit / "cgroup.procs").split():
        others.setdefault(number, f"{unit} ({number})")
    return tuple(others.values())


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
                index = _TTY_INDEX.search(text_of(process / "fdinfo" / descriptor))
                if index is not None and index[1] == number[1]:
                    return True
    return False


def _terminal_of(process: Path) -> int:
    """Return the device number of its controlling terminal, which every user may read; 0 for none."""
    fields = text_of(process / "stat").rpartition(")")[2].split()
    if len(fields) <= _TTY_FIELD:
        return 0
    number = int(fields[_TTY_FIELD]) & 0xFFFFFFFF
    return os.makedev(number >> 8 & 0xFFF, (number & 0xFF) | (number >> 12 & 0xFFF00))


def _named(process: Path) -> str:
    return f"{text_of(process / 'comm') or '?'} ({process.name})"
