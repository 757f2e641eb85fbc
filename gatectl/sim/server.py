"""The partner simulator: an HTTPS server on loopback that speaks every partner's protocol."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from gatectl.sim import perfectgym
from gatectl.sim.certificates import Authority, Leaf
from gatectl.sim.connection import ClientConnection, Hooks, Received, set_reset
from gatectl.sim.http import PROTOCOLS, ProtocolName, ReceivedRequest
from gatectl.sim.partner_state import PartnerState
from gatectl.sim.protocols import SimulatedProtocol, play

_SHUTDOWN_S = 1.0
"""A closing connection waits so long for the other side's close_notify before its FIN goes out."""


class Simulator:
    """An async context manager; the server runs in the event loop that entered it.

    `port` 0 takes a free one, which `port` then holds. Entering raises OSError if the port is taken.
    `on_request` is called once for each whole request, as soon as its answer is chosen; it must not block.

    Inside: `url(protocol)`, `ca_file`, `key_file(protocol)` (mode 0600) and `keys` are for settings.
    `requests` holds every request since the start, in the order of their first bytes; `connections` counts
    accepted TCP connections, `handshakes` those that completed TLS. `await until(condition)` waits for
    any of it, without polling.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        tls: bool = True,
        leaf: Leaf = Leaf.GOOD,
        on_request: Callable[[Received], None] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.keys: dict[ProtocolName, str] = {name: secrets.token_hex(16) for name in PROTOCOLS}
        self.requests: list[Received] = []
        self.connections = 0
        self.handshakes = 0
        self._tls, self._leaf = tls, leaf
        self._on_request = on_request
        self._state = PartnerState(self.keys)
        self._context: ssl.SSLContext | None = None
        self._stack = ExitStack()
        self._folder = Path()
        self._acceptor: asyncio.Task[None] | None = None
        self._greeting: dict[int, tuple[asyncio.Task[None], socket.socket]] = {}
        self._open: set[ClientConnection] = set()
        self._changed = asyncio.Event()
        self._hooks = Hooks(self._made, self._lost, self._received, self._play, self._changed.set)

    async def __aenter__(self) -> Self:
        with ExitStack() as stack:
            listener = stack.enter_context(_listener(self.host, self.port))
            self.port = listener.getsockname()[1]
            self._folder = Path(stack.enter_context(TemporaryDirectory(prefix="gatectl-sim-")))
            self._write_files()
            self._acceptor = asyncio.create_task(self._accept(listener))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._acceptor is not None:
                self._acceptor.cancel()
                await asyncio.wait([self._acceptor])
            self.drop_all()
            await self.until(lambda: not self._open and not self._greeting)

    @property
    def ca_file(self) -> Path:
        """The CA that a client has to trust, as PEM. Removed when the simulator ends."""
        return self._folder / "ca.pem"

    def key_file(self, protocol: ProtocolName) -> Path:
        """Return the file of the protocol's key, for the settings. Deleted when the simulator ends."""
        return self._folder / f"{protocol}.key"

    def url(self, protocol: ProtocolName) -> str:
        """Return the `url` for the settings: perfectgym's endpoint, the others' base."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        base = f"{'https' if self._tls else 'http'}://{host}:{self.port}"
        return base + perfectgym.PATH if protocol == "perfectgym" else base

    @property
    def codes(self) -> dict[str, str]:
        """Return Wellhub's custom codes: wellhub_id to code."""
        return self._state.codes

    @property
    def open_connections(self) -> int:
        """Connections that are open now, after their handshake."""
        return len(self._open)

    def forget(self) -> None:
        """Clear the partners' memory of check-ins, and all custom codes."""
        self._state.validated.clear()
        self._state.codes.clear()

    def close_idle(self) -> int:
        """Close each connection that waits for its next request, in good order; return how many."""
        idle = [connection for connection in self._open if connection.idle]
        for connection in idle:
            connection.close()
        return len(idle)

    def drop_all(self) -> int:
        """Reset every connection, handshakes included; return how many."""
        numbers = self._greeting.keys() | {connection.number for connection in self._open}
        for task, sock in self._greeting.values():
            set_reset(sock)
            task.cancel()
        for connection in tuple(self._open):
            connection.reset()
        return len(numbers)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; it is evaluated again after every change here."""
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    def _write_files(self) -> None:
        authority = Authority()
        self._context = authority.server_context(self._leaf) if self._tls else None
        self.ca_file.write_bytes(authority.pem)
        for protocol in PROTOCOLS:
            self.key_file(protocol).touch(mode=0o600, exist_ok=False)
            self.key_file(protocol).write_text(f"{self.keys[protocol]}\n")

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            # asyncio sets this only on sockets that it made; without it an answer may wait 40 ms for an ACK.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            number = self.connections
            task = asyncio.create_task(self._greet(sock, number))
            self._greeting[number] = task, sock
            task.add_done_callback(partial(self._greeted, number))
            self._changed.set()

    async def _greet(self, sock: socket.socket, number: int) -> None:
        """Do the TLS handshake. A failed one is still counted as a connection, and is not an error here."""
        with suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: ClientConnection(number, sock, self._hooks),
                sock,
                ssl=self._context,
                ssl_shutdown_timeout=None if self._context is None else _SHUTDOWN_S,
            )

    def _greeted(self, number: int, task: asyncio.Task[None]) -> None:
        _, sock = self._greeting.pop(number)
        if task.cancelled():
            sock.close()  # a task that never ran has not passed it to a transport
        self._changed.set()

    def _made(self, connection: ClientConnection) -> None:
        self.handshakes += 1
        self._open.add(connection)
        self._changed.set()

    def _lost(self, connection: ClientConnection) -> None:
        self._open.discard(connection)
        self._changed.set()

    def _received(self, record: Received) -> None:
        self.requests.append(record)

    def _play(self, record: Received, request: ReceivedRequest) -> SimulatedProtocol:
        played = play(request, self._state, datetime.now(UTC))
        record.protocol, record.member, record.what = played.protocol, played.member, played.what
        if self._on_request is not None:
            self._on_request(record)
        return played


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    listener.settimeout(0)
    return listener
