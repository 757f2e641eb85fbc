"""The control socket: one JSON line asks, one answers. Only the owner and the group may use it.

`watch` is answered by lines without end: what each door's display shows, as it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatectl.errors import GatectlError

MODE = 0o660
LINE_MAX = 65536
"""No request comes near; more is not one."""

REASON_CHARS = 200
"""A reason for an opening by hand is a line in the event, as a partner's reason is."""

WATCH_SOCKET = "GATECTL_WATCH_SOCKET"
"""The environment variable by which the services agree on a socket for `gatectl monitor`, whose user is not
to open doors."""

Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]

Stay = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Goes on writing lines for as long as the client stays."""


class RefusedError(Exception):
    """The request makes no sense; `hints` say what would."""

    def __init__(self, message: str, *hints: str) -> None:
        super().__init__(message)
        self.hints = hints


@contextlib.asynccontextmanager
async def listening(
    path: Path, commands: Mapping[str, Command], stays: Mapping[str, Stay] = MappingProxyType({})
) -> AsyncIterator[None]:
    """Answers on the socket until left; whoever asks for one of `stays` gets its lines after the answer.

    Raises GatectlError where the socket cannot be made.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that is gone before its answer is its own affair.
        with contextlib.suppress(OSError):
            try:
                name, answer = await _answer(reader, commands)
                writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
                await writer.drain()
                if name in stays and "error" not in answer:
                    await stays[name](reader, writer)
            finally:
                writer.close()

    before = os.umask(0o777 & ~MODE)
    try:
        if path.is_socket():
            path.unlink()  # of a daemon that was killed: the lock says that none is alive
        server = await asyncio.start_unix_server(serve, path, limit=LINE_MAX)
    except OSError as error:
        raise GatectlError(
            f"{path}: the control socket cannot be made: {error.strerror or error}",
            "control.socket is a path of at most 107 bytes, in a folder that gatectl may write to",
        ) from error
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def _answer(
    reader: asyncio.StreamReader, commands: Mapping[str, Command]
) -> tuple[str, dict[str, Any]]:
    """The command's name and its answer."""
    try:
        request = json.loads(await reader.readline())
        name = request["command"]
        command = commands[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        hint = f'{{"command": …}} with one of {", ".join(commands)}'
        return "", {"error": "not a request", "hints": [hint]}
    try:
        return name, await command(request)
    except RefusedError as error:
        return name, {"error": str(error), "hints": list(error.hints)}
