"""The control socket: one JSON line asks, one answers. Only the owner and the group may use it.

`watch` is answered by lines without end: the screen of each door, whenever it changes, and with
`"events": true` a line for each finished event. Connections, bytes and time are bounded for every client, and
no door waits for one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatectl.decision.control_messages import RefusedError, message_line, refusal_line
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.errors import GatectlError

MODE = 0o660
LINE_MAX = 65536
"""The longest request that is accepted; real ones are far shorter."""

REASON_CHARS = 200
"""A reason for an opening by hand is a line in the event, as a partner's reason is."""

WATCH_SOCKET = "GATECTL_WATCH_SOCKET"
"""The environment variable by which the services agree on a socket for `gatectl monitor`, whose user is not
to open doors."""

ASKING_MAX = 8
"""Connections of one socket whose request is under way or has not come yet; a request takes milliseconds.
Viewers are counted separately."""

PATIENCE_S = 2.0
"""The time limit for a client's request, and for taking the answer: a working client does both at once."""

BEHIND_BYTES = 16_384
"""Bytes that may wait for one viewer, beyond the kernel's buffer: dozens of screens. A viewer with more is
taken to be gone."""

ACCEPT_RETRY_S = 1.0
"""Until the next try to accept a connection after the table of open files was full."""

BACKLOG = 256
"""Connections that the kernel holds until the event loop has its next turn; they cost the daemon nothing."""

END_S = 1.0
"""How long a stop waits for commands under way."""

Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class ControlConnection:
    """One client: its line comes in, lines go out; `on_line` gets the line, `on_closed` the end."""

    def __init__(
        self,
        connected: socket.socket,
        on_line: Callable[[ControlConnection, bytes], None],
        on_closed: Callable[[ControlConnection], None],
    ) -> None:
        self._socket = connected
        self._socket.setblocking(False)  # noqa: FBT003 - socket's own signature
        self._on_line = on_line
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._in = bytearray()
        self._out = bytearray()
        self._asked = False
        self._is_over = False
        self._deadline: asyncio.TimerHandle | None = self._loop.call_later(PATIENCE_S, self.close)
        self._loop.add_reader(self._socket, self._readable)

    @property
    def is_closed(self) -> bool:
        return self._socket.fileno() < 0

    def _readable(self) -> None:
        try:
            came = self._socket.recv(LINE_MAX)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if self._asked:
            self.close()  # a viewer sends nothing after its request, so it has gone or breaks the protocol
            return
        self._in += came
        line, newline, _ = self._in.partition(b"\n")
        if not newline and came and len(self._in) <= LINE_MAX:
            return
        if not line and not newline:
            self.close()
            return
        self._asked = True
        self._loop.remove_reader(self._socket)
        self._set_deadline(None)
        self._in.clear()
        self._on_line(self, bytes(line))

    def answer(self, line: bytes) -> None:
        """Send the only line; the connection ends when it has gone."""
        self._is_over = True
        self._set_deadline(PATIENCE_S)
        self._send(line)

    def watch(self, line: bytes) -> None:
        """Send a line and stay open: `show` sends more, until the client goes or says anything."""
        self._loop.add_reader(self._socket, self._readable)
        self._send(line)

    def show(self, lines: bytes) -> None:
        """Send more; end the connection if the other side does not read."""
        if len(self._out) > BEHIND_BYTES:
            self.close()
        else:
            self._send(lines)

    def _send(self, data: bytes) -> None:
        self._out += data
        self._writable()

    def _writable(self) -> None:
        if self.is_closed:
            return
        try:
            del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except OSError:
            self.close()  # the client left before its answer
            return
        if self._out:
            self._loop.add_writer(self._socket, self._writable)
            return
        self._loop.remove_writer(self._socket)
        if self._is_over:
            self.close()

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self._loop.call_later(seconds, self.close)

    def close(self) -> None:
        """Close the connection and drop unsent lines; idempotent."""
        if self.is_closed:
            return
        self._set_deadline(None)
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._on_closed(self)


Continuation = Callable[[ControlConnection, Mapping[str, Any]], None]
"""Takes over a connection that stays open after its answer, with its request."""


@contextlib.asynccontextmanager
async def listening(
    path: Path,
    commands: Mapping[str, Command],
    log: Log,
    continuations: Mapping[str, Continuation] = MappingProxyType({}),
) -> AsyncIterator[None]:
    """Answer on the socket until left; a connection with one of `continuations` is handed to it afterwards.

    Raises GatectlError where the socket cannot be made.
    """
    try:
        listener = _listener(path)
    except OSError as error:
        raise GatectlError(
            f"{path}: the control socket cannot be made: {error.strerror or error}",
            "control.socket is a path of at most 107 bytes, in a folder that gatectl may write to",
        ) from error
    with listener:
        server = _Server(listener, commands, continuations, log)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            await server.close()


def _listener(path: Path) -> socket.socket:
    if path.is_socket():
        path.unlink()  # a socket left by a daemon that was killed: the lock shows that none is running
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # The path gets the descriptor's mode without what the umask takes away (unix(7)): at no moment is it
        # open to more than MODE, and before `listen` no client can connect.
        os.fchmod(listener.fileno(), MODE)
        listener.bind(str(path))
        path.chmod(MODE)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - socket's own signature
    except OSError:
        listener.close()
        raise
    return listener


class _Server:
    """Accepts, bounds and answers the connections of one socket."""

    def __init__(
        self,
        listener: socket.socket,
        commands: Mapping[str, Command],
        continuations: Mapping[str, Continuation],
        log: Log,
    ) -> None:
        self._listener = listener
        self._commands = commands
        self._continuations = continuations
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._asking: set[ControlConnection] = set()
        self._watching: set[ControlConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        self._logged_full = False
        self._accept_from_now()

    def _accept_from_now(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connected, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Most likely the table of open files is full, which passes: try again.
            self._loop.remove_reader(self._listener)
            self._again = self._loop.call_later(ACCEPT_RETRY_S, self._accept_from_now)
            if not self._logged_full:
                self._logged_full = True
                what = f"no client can connect to the control socket ({error.strerror}); the doors go on"
                self._log(LogEntry(Priority.WARNING, what))
            return
        if self._logged_full:
            self._logged_full = False
            self._log(LogEntry(Priority.NOTICE, "the control socket accepts connections again"))
        if len(self._asking) >= ASKING_MAX:
            _refuse(connected)
        else:
            self._asking.add(ControlConnection(connected, self._on_line, self._on_closed))

    def _on_line(self, connection: ControlConnection, line: bytes) -> None:
        task = self._loop.create_task(self._answer(connection, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _on_closed(self, connection: ControlConnection) -> None:
        self._asking.discard(connection)
        self._watching.discard(connection)

    async def _answer(self, connection: ControlConnection, line: bytes) -> None:
        go_on, answer = await self._run(line)
        if go_on is None:
            connection.answer(answer)
        else:
            self._asking.discard(connection)
            self._watching.add(connection)
            connection.watch(answer)
            go_on(connection)

    async def _run(self, line: bytes) -> tuple[Callable[[ControlConnection], None] | None, bytes]:
        """Run one command; return the taker of the connection, if there is one, and the answer."""
        try:
            request = json.loads(line)
            name = request["command"]
            command = self._commands[name]
        except (ValueError, KeyError, TypeError, RecursionError):
            known = ", ".join(self._commands)
            return None, refusal_line(RefusedError("not a request", f'{{"command": …}} with one of {known}'))
        try:
            answer = message_line(await command(request))
            if (continuation := self._continuations.get(name)) is None:
                return None, answer
            return lambda connection: continuation(connection, request), answer
        except RefusedError as error:
            return None, refusal_line(error)
        except Exception as error:  # noqa: BLE001 - logged; no client's request may end the doors
            where = traceback.extract_tb(error.__traceback__)[-1]
            what = f"the command {name} failed: {type(error).__name__} in {where.name}, line {where.lineno}"
            self._log(LogEntry(Priority.ERROR, what))
            failed = RefusedError(f"the daemon failed at {name}", "journalctl -u gatectl says where")
            return None, refusal_line(failed)

    async def close(self) -> None:
        """End all connections; commands under way get a moment to finish."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listener)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in [*self._asking, *self._watching]:
            connection.close()


def _refuse(connected: socket.socket) -> None:
    with connected, contextlib.suppress(OSError):
        full = RefusedError("too many connections at once", "try again in a moment")
        connected.send(refusal_line(full), socket.MSG_DONTWAIT)
