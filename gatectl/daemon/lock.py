"""One daemon at a time on one control socket."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from gatectl.errors import SUDO, GatectlError


@contextlib.contextmanager
def alone(socket: Path) -> Iterator[None]:
    """Hold the lock file next to the socket; raises GatectlError where another daemon has it.

    A second daemon would close the first one's scans as interrupted, and take its socket.
    """
    path = socket.with_name(socket.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GatectlError(
            f"{path}: {error.strerror}", "control.socket must be in a folder that gatectl may write to"
        ) from error
    try:
        _take(file, path)
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def stopped(socket: Path) -> Iterator[None]:
    """Hold the lock, if there is one, so that no daemon begins; GatectlError where one runs."""
    path = socket.with_name(socket.name + ".lock")
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise GatectlError(f"{path}: {error.strerror}", SUDO) from error
    try:
        _take(file, path)
        yield
    finally:
        os.close(file)


def _take(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GatectlError(
            f"gatectl is running already: {path} is locked", "stop it first: systemctl stop gatectl"
        ) from None
