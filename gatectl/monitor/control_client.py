"""Ask the running daemon for its status and its displays' contents, the only data that pages need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Never

from gatectl.decision.control_messages import (
    ANSWER_BYTES_MAX,
    NoAnswerError,
    RefusedError,
    answer_of,
    message_line,
)

PATIENCE_S = 2.0
"""The daemon answers within milliseconds; a page does not wait longer for a stuck one."""

RETRY_S = 0.5
"""Between two tries to reach the daemon: it restarts within seconds, and displays should follow at once."""

FRESH_S = 1.0
"""The greatest age of a status on a page, so that twenty viewers cause one request to the daemon."""


class Away(Exception):
    """The daemon cannot be reached; `denied` if it may be running but refuses access."""

    def __init__(self, *, denied: bool = False) -> None:
        super().__init__("denied" if denied else "away")
        self.denied = denied


class ControlClient:
    """The daemon behind a control socket."""

    def __init__(self, socket: Path, retry_s: float = RETRY_S) -> None:
        self._socket = socket
        self._retry_s = retry_s
        self._status: dict[str, Any] | Away = Away()
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def status(self) -> dict[str, Any]:
        """The daemon's status, as `gatectl status --json` prints it, a second old at most. Raises Away."""
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_S:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        self._status = await self._ask("status")
                except TimeoutError:
                    self._status = Away()
                except Away as away:
                    self._status = away
                self._asked_at = time.monotonic()
        if isinstance(self._status, Away):
            raise self._status
        return self._status

    async def metrics(self) -> dict[str, Any]:
        """The daemon's counts, with its status. Raises Away."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask("metrics")
        except TimeoutError as error:
            raise Away from error

    async def _ask(self, command: str) -> dict[str, Any]:
        async with self._connected({"command": command}) as (answer, _):
            return answer

    async def watch(
        self,
        finished: Callable[[], None],
        show: Callable[[dict[str, Any]], None] = lambda _view: None,
        lost: Callable[[], None] = lambda: None,
    ) -> Never:
        """Call `finished` after each event, which will be in the journal within milliseconds.

        Pass on each view of each door as it comes; call `lost` when the daemon is gone. Never returns.
        """
        while True:
            with contextlib.suppress(Away, ValueError, OSError):
                async with self._connected({"command": "watch", "events": True}) as (_, reader):
                    async for line in reader:
                        news = json.loads(line)
                        finished() if "event" in news else show(news)
            lost()
            await asyncio.sleep(self._retry_s)

    @contextlib.asynccontextmanager
    async def _connected(
        self, request: Mapping[str, Any]
    ) -> AsyncIterator[tuple[dict[str, Any], asyncio.StreamReader]]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=ANSWER_BYTES_MAX)
        except OSError as error:
            raise Away(denied=isinstance(error, PermissionError)) from error
        try:
            writer.write(message_line(request))
            try:
                answer = answer_of(await reader.readline())
            except (OSError, ValueError, NoAnswerError, RefusedError) as error:
                raise Away from error
            yield answer, reader
        finally:
            writer.close()
