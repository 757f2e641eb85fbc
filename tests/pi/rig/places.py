"""Paths: this checkout, and the cache of everything that is built."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
GUEST = Path(__file__).parent / "guest"
PRODUCT = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "gatectl",
    "config",
    "systemd",
    "scripts/install",
    "scripts/setup.sh",
)
"""The files of the checkout that an installer gets."""


def cache() -> Path:
    """The folder of everything built, made where it is not there: $GATECTL_PI_CACHE, or the user's cache."""
    named = os.environ.get("GATECTL_PI_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(named) if named else home / "gatectl-pi-rig"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def files_of(*roots: Path) -> Iterator[Path]:
    """All files in these folders, and these files, in a fixed order, without what Python compiled."""
    for root in roots:
        if root.is_file():
            yield root
        else:
            found = (path for path in root.rglob("*") if path.is_file())
            yield from sorted(path for path in found if "__pycache__" not in path.parts)


def digest(words: Iterable[str], files: Iterable[Path]) -> str:
    """A short name for these words and these files' contents and modes."""
    total = hashlib.sha256()
    for word in words:
        total.update(word.encode() + b"\0")
    for path in files:
        inside = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else Path(path.name)
        total.update(f"{inside} {path.stat().st_mode:o} {path.stat().st_size}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


@contextmanager
def building(target: Path) -> Iterator[Path | None]:
    """A new folder to build in, which becomes `target` at the end; None where `target` is there.

    One process builds at a time. A layer of the same kind that is older goes: each is up to 1 GB.
    """
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            yield None
            return
        unfinished = target.with_name(f"{target.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(target)
        for other in cache().glob(f"{target.name.partition('-')[0]}-*"):
            if other != target:
                shutil.rmtree(other)
