"""The uplink's own status: a file in its runtime folder, which `gatectl uplink status` shows."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RUNTIME_FOLDER = "RUNTIME_DIRECTORY"
"""The environment variable by which systemd names the service's folder in /run (systemd.exec(5))."""

_DEFAULT_FOLDER = Path("/run/gatectl-uplink")
_MODE = 0o644
"""Anybody on this machine may know whether it is connected; there is no number of a member in it."""


def status_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the file, which need not exist."""
    return Path(environ.get(RUNTIME_FOLDER) or _DEFAULT_FOLDER) / "status.json"


class StatusFile:
    """Written by the uplink whenever something changes; removed at its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: Mapping[str, Any] | None = None

    def write(self, status: Mapping[str, Any]) -> None:
        """Replace the file, if anything changed. A folder that is not there costs the status alone."""
        if status == self._written or not self._path.parent.is_dir():
            return
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(dict(status, pid=os.getpid()), ensure_ascii=False), "utf-8")
        new.chmod(_MODE)
        new.replace(self._path)
        self._written = dict(status)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the status of the running uplink; None if none runs. Raises OSError and ValueError."""
    try:
        status = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    return status if isinstance(status, dict) and _runs(status.get("pid")) else None


def _runs(pid: object) -> bool:
    return isinstance(pid, int) and Path(f"/proc/{pid}").exists()
