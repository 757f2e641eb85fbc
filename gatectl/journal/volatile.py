"""Find out whether a file is in memory, and lost with the power: on a tmpfs, or a read-only system's overlay.

The form of mountinfo is that of proc_pid_mountinfo(5).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVERLAY_ROOT = re.compile(r"(?:^|\s)(?:boot=overlay|overlayroot=(?!disabled))")
"""Words in the kernel's command line for a root in memory: raspi-config's overlay, and Debian's
overlayroot."""


class _Mount(NamedTuple):
    point: str
    kind: str
    source: str
    options: str


def lies_in_memory(path: Path, proc: Path = Path("/proc")) -> bool:
    """Return whether files there are lost with the power; False if that cannot be found out."""
    try:
        mounts = [_mount(line) for line in (proc / "self/mountinfo").read_text("utf-8").splitlines()]
        command_line = (proc / "cmdline").read_text("utf-8", "replace")
    except OSError:
        return False
    mount = _mount_of(str(path.resolve()), mounts)
    if mount is None:
        return False
    if mount.kind == "overlay":
        upper = _mount_of(_upper_of(mount), [other for other in mounts if other.point != mount.point])
        # The upper part of a root's overlay may have been mounted before the root, and cannot be seen then.
        return (upper is not None and _is_memory(upper)) or (
            mount.point == "/" and bool(_OVERLAY_ROOT.search(command_line))
        )
    return _is_memory(mount)


def _is_memory(mount: _Mount) -> bool:
    return mount.kind in _IN_MEMORY or mount.source.startswith("/dev/zram")


def _mount(line: str) -> _Mount:
    before, _, after = line.partition(" - ")
    kind, source, options = after.split(" ", 2)
    return _Mount(_plain(before.split(" ")[4]), kind, source, _plain(options))


def _mount_of(path: str, mounts: list[_Mount]) -> _Mount | None:
    """The mount that the path is on: the longest that fits, of several at one point the last."""
    found = None
    for mount in mounts:
        fits = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if fits and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    return found


def _upper_of(mount: _Mount) -> str:
    return next((part[9:] for part in mount.options.split(",") if part.startswith("upperdir=")), "")


def _plain(text: str) -> str:
    """Blanks and the like are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
