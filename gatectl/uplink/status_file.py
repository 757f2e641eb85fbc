"""The uplink's own status: a file in its runtime folder, for `gatectl uplink status` and the metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatectl.decision.event import timestamp
from gatectl.decision.timestamps import WallUs
from gatectl.uplink.conversation import Conversation

RUNTIME_FOLDER = "RUNTIME_DIRECTORY"
"""The environment variable by which systemd names the service's folder in /run (systemd.exec(5))."""

_DEFAULT_FOLDER = Path("/run/gatectl-uplink")
_MODE = 0o644
"""Anybody on this machine may know whether it is connected; there is no number of a member in it."""


def status_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the file, which need not exist."""
    return Path(environ.get(RUNTIME_FOLDER) or _DEFAULT_FOLDER) / "status.json"


_BYTES_MAX = 1 << 16
"""The file belongs to a user of its own, who may have been taken over."""

_PID_MAX = 1 << 22
"""Linux has no greater one (proc(5), pid_max)."""


@dataclass(slots=True)
class LinkStatus:
    """The connection, and what waits for it, as people see them."""

    broker: str
    device: str
    since_us: WallUs
    """Since when it is connected, or not."""
    connected: bool = False
    cause: str | None = "not tried yet"
    """Why it is not connected."""
    refused_marks: int = 0
    committed: tuple[str | None, int] = (None, 0)
    """A journal, and how far head office has it by its last mark, of this connection or an earlier one."""
    oldest: tuple[object, str | None] = (None, None)
    """For which `committed` the oldest event that waits was looked for, and its time."""

    def changed(self, now_us: WallUs, cause: str | None) -> bool:
        """The connection came about (`cause` is None) or failed; return whether that is news."""
        connected = cause is None
        is_news = (connected, cause) != (self.connected, self.cause)
        if connected or self.connected:
            self.since_us = now_us
        self.connected, self.cause = connected, cause
        return is_news

    def pending(self, talk: Conversation) -> int | None:
        """Return how many events head office has not committed; None if it has not said so since the start.

        Not `behind`, which goes by this connection's mark: what waits matters most while the line is cut.
        """
        journal, number = self.committed
        return None if journal is None or journal != talk.journal else max(talk.last - number, 0)

    def shown(self, talk: Conversation) -> dict[str, Any]:
        """Return the file's content."""
        mark, pending = talk.mark, self.pending(talk)
        return {
            "connected": self.connected,
            "since": timestamp(self.since_us),
            "cause": self.cause,
            "broker": self.broker,
            "device": self.device,
            "journal": talk.journal,
            "last": talk.last,
            "generation": mark and mark.generation,
            "mark": mark and mark.mark,
            "behind": talk.behind,
            "pending": pending,
            "oldest_pending_at": self.oldest[1] if pending else None,
            "paused": mark is not None and mark.window == 0,
            "fork": talk.fork,
            "refused_marks": self.refused_marks,
        }


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
        """Remove the file: no uplink runs any more."""
        self._path.unlink(missing_ok=True)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the status of the running uplink; None if none runs. Raises OSError and ValueError."""
    try:
        with path.open("rb") as file:
            status = json.loads(file.read(_BYTES_MAX))
    except FileNotFoundError:
        return None
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return status if isinstance(status, dict) and _runs(status.get("pid")) else None


def _runs(pid: object) -> bool:
    """Return whether the process runs. Its /proc folder is not visible to other users' services."""
    if not isinstance(pid, int) or not 0 < pid <= _PID_MAX:
        return False
    try:
        os.kill(pid, 0)  # sends nothing (kill(2))
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, as another user
    return True
