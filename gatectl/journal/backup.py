"""Whole copies of the store: a backup, the way back from it, and the copy that an upgrade leaves."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gatectl.errors import SUDO, GatectlError
from gatectl.journal.schema import (
    connect_to_read,
    copy_before_upgrade_to,
    is_damage,
    known_version,
    remedy,
    version_of,
)
from gatectl.journal.store_file import SQLITE_SUFFIXES, NotOursError, place_aside, put_aside, require_ours

_DAMAGED = "gatectl run repairs the journal as far as possible; replace a damaged backup by an older one"
_BACKUP = "name a file that `gatectl backup` made"
BACKUP_MODE = 0o600
"""A backup holds members' numbers, and is outside the folder that protects the store."""


class CopyError(GatectlError):
    """A backup or a restoration that could not be made; nothing was changed."""


def back_up(path: Path, file: Path) -> None:
    """Copy the store into a new file, consistent also while the daemon writes, and check the copy.

    Raises CopyError, also where the file is there already, and NotOursError.
    """
    with _errors_for_user(path, f"the backup {file} could not be made"):
        _require_store(path, "gatectl run makes it at its first start; journal.path says where")
        _copy(path, file, BACKUP_MODE)


def restore(path: Path, file: Path) -> Path | None:
    """Replace the store by a copy of the backup; return the path of the former store, if any.

    No process may write the store meanwhile. Raises CopyError and NotOursError.
    """
    with _errors_for_user(file, f"{file} could not be restored"):
        try:
            _require_store(file, _BACKUP)
        except NotOursError as error:  # its hint and exit status are for `journal.path`
            raise CopyError(error.message, _BACKUP) from None
        require_ours(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.restored-{os.getpid()}")
        _copy(file, new, 0o640)
        _give_to_owner(new, path)
        aside = None
        if path.exists():
            aside = place_aside(path, "replaced")
            put_aside(path, aside)
        for suffix in SQLITE_SUFFIXES:  # the log of the former store would be taken for the new one's
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        new.rename(path)
        _sync(path.parent)
    return aside


def copy_to_take_back(path: Path) -> Path | None:
    """The newest copy from before an upgrade that this version reads; None where it reads the store."""
    if not path.exists():
        return None
    with _errors_for_user(path, "the upgrade could not be taken back"):
        if version_of(path) <= known_version():
            return None
        pattern = re.compile(re.escape(copy_before_upgrade_to(path, 0).name)[:-1] + r"(\d+)")
        copies = {
            int(found[1]): entry
            for entry in path.parent.iterdir()
            if (found := pattern.fullmatch(entry.name)) and version_of(entry) <= known_version()
        }
    if not copies:
        raise CopyError(
            f"{path}: written by a newer gatectl, and there is no copy from before its upgrade",
            "upgrade gatectl again, or restore a backup: gatectl restore FILE",
        )
    return copies[max(copies)]


def _require_store(path: Path, hint: str) -> None:
    """Raise CopyError, with the hint where there is none, or NotOursError, unless this version reads it."""
    if not path.exists():
        raise CopyError(f"{path}: there is no such store", hint)
    require_ours(path)
    version = version_of(path)
    if version == 0:
        raise NotOursError(path)
    if version > known_version():
        raise CopyError(f"{path}: written by a newer gatectl", "upgrade gatectl")


def _copy(path: Path, file: Path, mode: int) -> None:
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    try:
        with closing(connect_to_read(path)[0]) as source, closing(sqlite3.connect(file)) as copy:
            source.backup(copy)
            # A file alone: one in WAL mode could not be read where its folder is read-only.
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_whole(copy, path)
        _sync(file)
        _sync(file.parent)
    except BaseException:
        file.unlink()
        raise


def _require_whole(copy: sqlite3.Connection, path: Path) -> None:
    (found,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        what = " ".join(found.split())
        raise CopyError(f"{path}: the store is damaged ({what})", _DAMAGED)


def _give_to_owner(file: Path, path: Path) -> None:
    """Keep the store's owner; a new store gets its folder's."""
    if os.geteuid() == 0:
        like = (path if path.exists() else path.parent).stat()
        os.chown(file, like.st_uid, like.st_gid)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _errors_for_user(path: Path, what: str) -> Iterator[None]:
    """Convert any failure into an error for the user."""
    try:
        yield
    except FileExistsError as error:
        hint = "name another file, or move that one away"
        raise CopyError(f"{error.filename} is there already", hint) from None
    except OSError as error:
        raise CopyError(f"{what}: {error.strerror}", SUDO) from error
    except sqlite3.DatabaseError as error:
        hint = _DAMAGED if is_damage(error) else remedy(error, SUDO)
        raise CopyError(f"{what}: {path}: {error}", hint) from error
