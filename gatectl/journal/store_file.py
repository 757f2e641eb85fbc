"""The file at `journal.path`: a gatectl store or not, lost with the power or not, and set aside.

A file of another program is left as it is. It is recognised by its header
(https://www.sqlite.org/fileformat.html#the_database_header).
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import stat
import time
from pathlib import Path
from typing import NamedTuple

from gatectl.errors import GatectlError

APPLICATION_ID = 0x67617465
"""Of each store: `gate` in ASCII, at byte 68 of the file."""

SQLITE_SUFFIXES = ("-wal", "-shm")
"""The endings of the files that SQLite keeps next to a store: the log, and the log's index."""

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
"""The bytes of a file's header (https://www.sqlite.org/fileformat.html)."""


class StoreError(GatectlError):
    """The store cannot be used as it is."""


class NotOursError(StoreError):
    """The file belongs to another program."""

    exit_status = 78  # EX_CONFIG of sysexits.h
    setting = ("journal", "path")

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not a gatectl store", "name another file at journal.path; this one was left as it is"
        )


def require_ours(path: Path) -> None:
    """Raise NotOursError for a text, another program's database, and any other file that is no store.

    A damaged store passes: it has SQLite's magic, our application ID or rows of ours. So does a file without
    content, and one that is not there. Raises OSError where it cannot be read. The process must not have it
    open with SQLite, whose locks end when any descriptor is closed (https://www.sqlite.org/howtocorrupt.html).
    """
    try:
        # A pipe or a device in its place must not hold up the start: hence without waiting for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotOursError(path)
        header = os.pread(descriptor, _HEADER, 0)
    finally:
        os.close(descriptor)
    if not header or header[68:72] == APPLICATION_ID.to_bytes(4, "big"):
        return
    if _is_anothers(path) if header.startswith(_MAGIC) else not _has_our_rows(path):
        raise NotOursError(path)


def _has_our_rows(path: Path) -> bool:
    """Return whether a file with a damaged header has a store's rows."""
    from gatectl.journal.salvage import looks_like_ours  # noqa: PLC0415 - only for a file with a strange header

    return looks_like_ours(path)


def _is_anothers(path: Path) -> bool:
    """Whether SQLite finds another application's tables. The ID of a new store may be in its log still."""
    import sqlite3  # noqa: PLC0415 - the service's check finds the ID in the header, and needs no SQLite

    location = f"{path.absolute().as_uri()}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(location, uri=True)) as connection:
            application: int = connection.execute("PRAGMA application_id").fetchone()[0]
            is_new = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is None
    except sqlite3.DatabaseError:
        return False  # damaged or unreadable: opening it reports that
    return application != APPLICATION_ID and not is_new


def file_of(path: Path) -> tuple[int, int] | None:
    """The identity of the file at this path, by device and inode; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def held_alone(path: Path) -> int | None:
    """Lock the store for this daemon; return the descriptor that holds the lock for as long as it is open.

    Another daemon on the store would close this one's scans as interrupted. None if no lock file can be
    made: a disk that is full or read-only stops no door. Raises StoreError if another daemon has the lock.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        hint = "stop it first, or name another file at journal.path"
        raise StoreError(f"{path}: another gatectl writes this journal: {lock} is locked", hint) from None
    return descriptor


def place_aside(path: Path, ending: str) -> Path:
    """Reserve a path for a store that is put aside, by an empty file."""
    return _unused(f"{path}.{ending}-{time.time_ns() // 1_000_000_000}")


def put_aside(path: Path, aside: Path) -> None:
    """Rename a store and SQLite's files next to it to a path of `place_aside`."""
    path.rename(aside)
    for suffix in SQLITE_SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")


def _unused(name: str) -> Path:
    """Make an empty file of this name, or of one with a number behind it where that is taken."""
    for number in itertools.count(1):
        path = Path(name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640))
            return path
    raise AssertionError  # the loop ends at the first free number


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
