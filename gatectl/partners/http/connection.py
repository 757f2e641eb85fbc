"""One connection to a partner, with or without TLS, that counts every byte.

The socket is non-blocking and TLS runs over memory buffers. So it is known to the byte how much of a request
the kernel took, and whether the partner sent anything unasked.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Callable
from typing import Any, NamedTuple

from gatectl.decision.outcomes import Fault
from gatectl.partners.http.failure import ExchangeFailed, failure_of

CHUNK = 65536
"""Bytes per read: the longest body that is accepted."""

_RESET = struct.pack("ii", 1, 0)
"""`struct linger` (socket(7)): closing resets the connection, and discards unsent bytes."""


def address_text(address: Any) -> str:
    """Return a socket's address for people: `203.0.113.4:443`; empty for one without a port."""
    if not isinstance(address, tuple):
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class ConnectTiming(NamedTuple):
    """The steps of making a connection. A step that was not reached has no duration."""

    at: float
    """When the look-up began, on the event loop's clock."""
    look_up_s: float | None = None
    stale: bool | None = None
    """Whether the addresses are from an earlier answer, because the name server gave none in time (RFC 8767's
    term)."""
    connect_s: float | None = None
    """Duration to the connected socket, and through a proxy to the open tunnel."""
    tls_s: float | None = None
    """Duration of the handshake; None also without TLS."""
    proxy: str | None = None
    """The address of the proxy on the way, if there is one."""
    at_proxy: bool = False
    """Whether the proxy is connected, and the tunnel is asked for."""

    def late(self, limit: str) -> str:
        """Say which step did not end; `limit` is `in time` or the like."""
        if self.look_up_s is None:
            return f"the name{self._proxy(' of')} was not looked up {limit}"
        if self.connect_s is None and self.at_proxy:
            return f"the proxy {self.proxy} opened no tunnel {limit}"
        if self.connect_s is None:
            return f"no connection{self._proxy(' to')} {limit}"
        return f"no TLS handshake{self._proxy(' through')} {limit}"

    def _proxy(self, preposition: str) -> str:
        return f"{preposition} the proxy {self.proxy}" if self.proxy else ""


OnProgress = Callable[[ConnectTiming], None]
"""Progress callback, called at a connection's begin and after each step, so that a caller that gives up
knows how far it got."""


def no_progress(_dialled: ConnectTiming) -> None:
    """No-op progress callback for background connections."""


class PartnerConnection:
    """A connected socket, owned by this object. TLS is not negotiated until `handshake` returns."""

    def __init__(
        self, connected: socket.socket, context: ssl.SSLContext | None, host: str, where: str | None = None
    ) -> None:
        """`host` is the name in the certificate; errors name the other end by `where`, else its address."""
        self._loop = asyncio.get_running_loop()
        self._socket = connected
        self._where = _peer_of(connected) if where is None else where
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        if context:
            self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._received = bytearray()
        self._ended = False
        self._lost: ExchangeFailed | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.opened_at = self._loop.time()
        self.dialled: ConnectTiming | None = None
        """The steps of making it; None until it is ready for a request."""
        self.bytes_sent = 0
        """The bytes on the wire that the kernel took since the handshake."""
        self.answers = 0
        """The number of whole answers that it has carried."""
        self.when_disturbed: Callable[[], None] | None = None
        """Called once when an idle connection ends, fails, or receives unexpected bytes."""

    @property
    def certificate_ends(self) -> float | None:
        """Return when the partner's certificate expires, in seconds since the epoch; None without TLS."""
        certificate = self._tls.getpeercert() if self._tls else None
        return ssl.cert_time_to_seconds(str(certificate["notAfter"])) if certificate else None

    @property
    def tls_version(self) -> str | None:
        """The negotiated version, such as `TLSv1.3`; None without TLS."""
        return self._tls.version() if self._tls else None

    async def handshake(self) -> None:
        """Negotiate TLS, if the partner uses it; raises ExchangeFailed."""
        try:
            if self._tls:
                await self._negotiate(self._tls)
                self._read_out(self._tls)  # bytes that came directly after the handshake
        except OSError as error:
            raise failure_of(error, self._where, self._tls) from error
        self._loop.add_reader(self._socket, self._on_readable)

    async def _negotiate(self, tls: ssl.SSLObject) -> None:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._loop.sock_sendall(self._socket, self._outgoing.read())
                data = await self._loop.sock_recv(self._socket, CHUNK)
                if not data:
                    raise self._closed("during the TLS handshake") from None
                self._incoming.write(data)
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # the alert gives the reason to the partner's log
                    self._socket.send(self._outgoing.read())
                raise
            else:
                await self._loop.sock_sendall(self._socket, self._outgoing.read())
                return

    def is_quiet(self) -> bool:
        """Return whether it is open without unexpected bytes; checks the socket itself."""
        if self._take_in():
            self._take_in()  # the end may follow the last bytes
        return self.seems_quiet

    @property
    def seems_quiet(self) -> bool:
        """Return what `is_quiet` returned as of the last look at the socket."""
        return not (self._ended or self._lost or self._received)

    def has_more(self) -> bool:
        """Return whether received bytes are left; checks the socket itself, and does not wait."""
        if self._take_in():
            self._take_in()  # the end may follow the last bytes
        return bool(self._received)

    async def send(self, data: bytes) -> None:
        """Pass a request to the kernel; raises ExchangeFailed. `bytes_sent` is exact, also after an error.

        Sends nothing if bytes have come already: they would be taken for the answer.
        """
        disturbance = self.disturbance()
        if disturbance:
            raise disturbance
        if self._tls:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                raise failure_of(error) from error
            data = self._outgoing.read()
        rest = memoryview(data)
        while rest:
            try:
                taken = self._socket.send(rest)
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                self._take_in()  # a refusal of our certificate may have come before the reset
                raise self._lost or failure_of(error, self._where) from error
            else:
                self.bytes_sent += taken
                rest = rest[taken:]

    def disturbance(self) -> ExchangeFailed | None:
        """Return why it cannot carry a request: ended, failed or unexpected bytes; None while it is quiet."""
        if self.is_quiet():
            return None
        if self._lost:
            return self._lost
        if self._received:
            return ExchangeFailed(Fault.PARTNER, "an answer that nobody had asked for")
        return self._closed("before the request")

    async def disturbed_within(self, seconds: float) -> ExchangeFailed | None:
        """The loss that happens to it within so many seconds, or None."""
        disturbed = asyncio.Event()
        self.when_disturbed = disturbed.set
        if self.is_quiet():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await disturbed.wait()
        self.when_disturbed = None
        return self.disturbance()

    def _closed(self, when: str) -> ExchangeFailed:
        return ExchangeFailed(
            Fault.NETWORK, f"closed {when} ({self._where})" if self._where else f"closed {when}"
        )

    async def _writable(self) -> None:
        self._loop.add_writer(self._socket, self._wake)
        try:
            await self._woken()
        finally:
            if self._socket.fileno() >= 0:
                self._loop.remove_writer(self._socket)

    async def _woken(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> bytes:
        """Return the next bytes, at least one; b"" at the end of the connection; raises ExchangeFailed."""
        while not self._received:
            if self._lost:
                raise self._lost
            if self._ended:
                return b""
            await self._woken()
        data = bytes(self._received)
        self._received.clear()
        return data

    def _on_readable(self) -> None:
        self._take_in()
        if self._ended or self._lost:
            self._loop.remove_reader(self._socket)
        if self._waiter:
            self._wake()
        elif self.when_disturbed and (self._ended or self._lost or self._received):
            disturbed, self.when_disturbed = self.when_disturbed, None
            disturbed()

    def _take_in(self) -> bool:
        """Take the kernel's received bytes, up to a chunk; return False if there were none."""
        if self._ended or self._lost:
            return False
        try:
            data = self._socket.recv(CHUNK)
            self._decrypt(self._tls, data) if self._tls else self._keep(data)
        except BlockingIOError:
            return False
        except OSError as error:
            self._lost = failure_of(error, self._where)
        return True

    def _keep(self, data: bytes) -> None:
        self._received += data
        self._ended = not data

    def _decrypt(self, tls: ssl.SSLObject, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        self._read_out(tls)

    def _read_out(self, tls: ssl.SSLObject) -> None:
        try:
            while True:
                text = tls.read(CHUNK)
                self._keep(text)
                if not text:
                    return
        except ssl.SSLWantReadError:
            pending = self._outgoing.read()  # an answer to a key update
            if pending:
                self._socket.send(pending)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Many servers close without the closing alert. A body may end by closing
            # (RFC 9112, section 6.3), so both ends are the same end.
            self._ended = True

    def close(self) -> None:
        """Close at once; idempotent. TLS's closing alert is sent if the kernel takes it.

        Bytes that have not reached the partner by now are discarded.
        """
        if self._socket.fileno() < 0:
            return
        self.when_disturbed = None
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        if self._has_unacknowledged():
            # Otherwise the kernel would keep sending for minutes: a request that was given up while the
            # network was down would check the member in after he has left the gate.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif self._tls:
            with contextlib.suppress(OSError, ValueError):
                try:
                    self._tls.unwrap()
                except ssl.SSLError:
                    self._socket.send(self._outgoing.read())
        self._socket.close()
        self._ended = True
        self._wake()

    def _has_unacknowledged(self) -> bool:
        """Return whether the kernel holds bytes that the other side has not confirmed (tcp(7), SIOCOUTQ)."""
        held = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(held, sys.byteorder) > 0


def _peer_of(connected: socket.socket) -> str:
    try:
        return address_text(connected.getpeername())
    except OSError:  # it has ended already
        return ""
