"""The running daemon, as far as a page may ask it: its status, and what its displays show."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Never

PATIENCE_S = 2.0
"""The daemon answers within milliseconds; a page does not wait longer for one that does not."""

RETRY_S = 0.5
"""Between two tries to reach the daemon: it starts within seconds, and a display should not miss that."""

FRESH_S = 1.0
"""So old may a status be that a page shows: twenty viewers ask the daemon once."""

LINE_MAX = 1 << 20
"""A status of a hundred doors; more is not one."""


class Away(Exception):
    """The daemon is not to be reached; `denied` where it may be there and does not let us in."""

    def __init__(self, *, denied: bool = False) -> None:
        super().__init__("denied" if denied else "away")
        self.denied = denied


class Daemon:
    """The daemon behind a control socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._status: dict[str, Any] | Away = Away()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def status(self) -> dict[str, Any]:
        """The daemon's status, as `gatectl status --json` prints it, a second old at most. Raises Away."""
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_S:
                try:
                    self._status = await asyncio.wait_for(self._ask("status"), PATIENCE_S)
                except TimeoutError:
                    self._status = Away()
                except Away as away:
                    self._status = away
                self._asked_at = time.monotonic()
        if isinstance(self._status, Away):
            raise self._status
        return self._status

    async def _ask(self, command: str) -> dict[str, Any]:
        async with self._connected(command) as (answer, _):
            return answer

    async def watch(self, show: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> Never:
        """Hands over each view of each door as it comes; `lost` where the daemon is gone. For ever."""
        while True:
            with contextlib.suppress(Away, ValueError, OSError):
                async with self._connected("watch") as (_, reader):
                    while line := await reader.readline():
                        show(json.loads(line))
            lost()
            await asyncio.sleep(RETRY_S)

    @contextlib.asynccontextmanager
    async def _connected(self, command: str) -> AsyncIterator[tuple[dict[str, Any], asyncio.StreamReader]]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=LINE_MAX)
        except OSError as error:
            raise Away(denied=isinstance(error, PermissionError)) from error
        try:
            writer.write(json.dumps({"command": command}).encode() + b"\n")
            try:
                answer = json.loads(await reader.readline())
            except (OSError, ValueError) as error:
                raise Away from error
            if not isinstance(answer, dict) or "error" in answer:
                raise Away
            yield answer, reader
        finally:
            writer.close()
