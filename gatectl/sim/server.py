"""The partner simulator: an HTTPS server on loopback that speaks every partner's protocol.

Its certificates are made new each time, for `localhost`, `127.0.0.1` and `::1`: a good leaf, and the ones to
refuse. The private keys do not outlive the process.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import warnings
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import trustme

from gatectl.decision.toml_text import toml_value
from gatectl.sim.connection import ClientConnection, Hooks, Received, set_reset
from gatectl.sim.http import ReceivedRequest, Reply, text_reply
from gatectl.sim.protocol import SimulatedAnswer, SimulatedProtocol, refused
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.script import MAINTENANCE, whole

_SHUTDOWN_S = 1.0
"""A closing connection waits so long for the other side's close_notify before its FIN goes out."""

NAMES = ("localhost", "127.0.0.1", "::1")


class Leaf(StrEnum):
    """The certificate that the server shows."""

    GOOD = "good"
    EXPIRED = "expired"
    OTHER_NAME = "other-name"
    UNKNOWN_CA = "unknown-ca"
    OLD_TLS = "tls-1.1"


class _AlertingObject(ssl.SSLObject):
    """Sends the alert of a failed handshake; asyncio would close without it.

    A real server sends the reason of its refusal. "Want read" makes asyncio write the waiting bytes, which
    are the alert; the failure itself follows at the next byte, or the client closes.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            raise ssl.SSLWantReadError from error


class Authority:
    """A certificate authority; a client must trust `pem`."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem: bytes = self._ca.cert_pem.bytes()

    def server_context(self, leaf: Leaf = Leaf.GOOD) -> ssl.SSLContext:
        """The context of a server that shows this leaf, with TLS 1.2 or higher but for `OLD_TLS`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslobject_class = _AlertingObject
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._issue(leaf).configure_cert(context)
        if leaf is Leaf.OLD_TLS:
            _only_tls_1_1(context)
        return context

    def _issue(self, leaf: Leaf) -> trustme.LeafCert:
        match leaf:
            case Leaf.EXPIRED:
                return self._ca.issue_cert(*NAMES, not_after=datetime.now(UTC) - timedelta(days=1))
            case Leaf.OTHER_NAME:
                return self._ca.issue_cert("other.example.com")
            case Leaf.UNKNOWN_CA:
                return trustme.CA().issue_cert(*NAMES)
            case _:
                return self._ca.issue_cert(*NAMES)


def _only_tls_1_1(context: ssl.SSLContext) -> None:
    """Allow only TLS 1.1; OpenSSL 3 accepts its signatures only at security level 0."""
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # It is here because it is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1


class Simulator:
    """An async context manager; the server runs in the event loop that entered it.

    `port` 0 takes a free one, which `port` then holds. Entering raises OSError if the port is taken.
    `on_request` is called once for each whole request, as soon as its answer is chosen; it must not block.

    Inside: `partners` has each protocol's partner, with its key and its memory. `partner_section(protocol)`,
    `url(protocol)`, `ca_file` and `key_file(protocol)` (mode 0600) are for settings.
    `requests` holds every request since the start, in the order of their first bytes; `connections` counts
    accepted TCP connections, `handshakes` those that completed TLS. `await until(condition)` waits for
    any of it, without polling. A protocol in `down` answers everybody with an outage's page.
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
        self.partners: dict[str, SimulatedProtocol] = {
            name: protocol(secrets.token_hex(16)) for name, protocol in PROTOCOLS.items()
        }
        self.requests: list[Received] = []
        self.down: set[str] = set()
        self.connections = 0
        self.handshakes = 0
        self._tls, self._leaf = tls, leaf
        self._on_request = on_request
        self._context: ssl.SSLContext | None = None
        self._stack = ExitStack()
        self._folder = Path()
        self._acceptor: asyncio.Task[None] | None = None
        self._greeting: dict[int, tuple[asyncio.Task[None], socket.socket]] = {}
        self._open: set[ClientConnection] = set()
        self._changed = asyncio.Event()
        self._hooks = Hooks(self._made, self._lost, self._received, self._answer, self._changed.set)

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

    def key_file(self, protocol: str) -> Path:
        """Return the file of the protocol's key, for the settings. Deleted when the simulator ends."""
        return self._folder / f"{protocol}.key"

    def url(self, protocol: str) -> str:
        """Return the `url` for the settings: the endpoint or the base, as the protocol has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{self.partners[protocol].url_path}"

    def partner_section(self, protocol: str, name: str | None = None) -> str:
        """Return a `[partners.…]` section of TOML, ready to paste, with a final newline.

        The partner is named like its protocol unless `name` is given. The section names the key's file,
        never the key.
        """
        lines = (
            f"[partners.{name or protocol}]",
            f'protocol = "{protocol}"',
            f"url = {toml_value(self.url(protocol))}",
            *self.partners[protocol].settings,
            f"key = {{ file = {toml_value(str(self.key_file(protocol)))} }}",
            f"ca_file = {toml_value(str(self.ca_file))}",
        )
        return "\n".join(lines) + "\n"

    @property
    def open_connections(self) -> int:
        """Connections that are open now, after their handshake."""
        return len(self._open)

    def forget(self) -> None:
        """Clear the memory of all partners."""
        for partner in self.partners.values():
            partner.forget()

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
        for protocol, partner in self.partners.items():
            self.key_file(protocol).touch(mode=0o600, exist_ok=False)
            self.key_file(protocol).write_text(f"{partner.key}\n")

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

    def _answer(self, record: Received, request: ReceivedRequest) -> SimulatedAnswer:
        answer = self._answer_of(request)
        record.protocol, record.member, record.description = (
            answer.protocol,
            answer.member,
            answer.description,
        )
        if self._on_request is not None:
            self._on_request(record)
        return answer

    def _answer_of(self, request: ReceivedRequest) -> SimulatedAnswer:
        partner = next((one for one in self.partners.values() if one.owns(request.target)), None)
        if request.method == "HEAD":  # no protocol has it, and its answer has no body
            return refused(partner.name if partner else None, Reply(405))
        if partner is None:
            return refused(None, text_reply(404, "Not Found"))
        if partner.name in self.down:
            return SimulatedAnswer(partner.name, None, "down: 503", whole(MAINTENANCE))
        return partner.answer(request, datetime.now(UTC))


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=128)
    listener.settimeout(0)
    return listener
