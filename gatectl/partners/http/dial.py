"""Make a connection: look-up, connect, TLS. The caller's deadline is the only time limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import ssl
import threading
from pathlib import Path
from typing import Any, NamedTuple

from aiohappyeyeballs import start_connection

from gatectl.decision.outcomes import Fault
from gatectl.partners.exchange import Endpoint
from gatectl.partners.http.connection import (
    ConnectTiming,
    OnProgress,
    PartnerConnection,
    address_text,
    no_progress,
)
from gatectl.partners.http.failure import ExchangeFailed
from gatectl.partners.http.proxy import Proxy

NEXT_ADDRESS_S = 0.15
"""Broken IPv6 must leave time for IPv4 inside 750 ms; RFC 8305 recommends 250 ms, allows 100 ms."""

KNOWN_ADDRESS_S = 0.1
"""A name server answers within 100 ms or is in trouble; after that, known addresses are used instead."""

KEEPALIVE_IDLE_S, KEEPALIVE_EVERY_S, KEEPALIVE_PROBES = 10, 5, 3
"""The kernel probes a silent connection after 10 s and gives it up after 15 s more. This detects a restarted
partner or a lost NAT entry before the next member does. No request is sent."""

NEXT_ATTEMPT_S = 1.0
"""A connection attempt on a line that is down is lost, and the kernel repeats it more and more rarely. So
another attempt goes out each second, and finds a line that is back within a second."""

Addresses = list[Any]
"""The type of `socket.getaddrinfo`'s results."""


class Resolved(NamedTuple):
    """A partner's addresses; `stale` if they are from an earlier answer (see `ConnectTiming`)."""

    addresses: Addresses
    stale: bool


def tls_context(
    ca_file: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Make a TLS >= 1.2 context that verifies certificate and name by the system's store or `ca_file` alone.

    `ca_file` may hold the partner's own certificate, or an intermediate one, without the root: by naming the
    file, the installer trusts its contents. With `certificate` and `key` gatectl identifies itself where the
    partner asks for it. Raises OSError, such as ssl.SSLError, for a file that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(ca_file)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if certificate is not None:
        # Without the callback, OpenSSL would ask for a protected key's password on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
    return context


class Resolver:
    """Looks one name up. A name server that hangs blocks one thread only.

    While the name server is gone or hangs, the last good addresses are used. That is safe, since the
    certificate is still verified.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._under_way: asyncio.Future[Addresses | OSError] | None = None
        self._last: Addresses = []

    async def look_up(self) -> Resolved:
        """Return the addresses, in the system's order; raises ExchangeFailed."""
        try:
            # A literal address needs neither a name server nor a thread.
            return Resolved(self._ask(socket.AI_NUMERICHOST), stale=False)
        except (socket.gaierror, UnicodeError):
            pass
        if self._under_way is None or self._under_way.done():
            self._under_way = self._in_thread()
        await asyncio.wait({self._under_way}, timeout=KNOWN_ADDRESS_S if self._last else None)
        if not self._last:
            failed = self._under_way.result()
            why = failed.strerror if isinstance(failed, OSError) else "no addresses"
            raise ExchangeFailed(Fault.NETWORK, f"the name {self._host} was not found: {why}")
        fresh = self._under_way.done() and not isinstance(self._under_way.result(), OSError)
        return Resolved(self._last, stale=not fresh)

    def _ask(self, flags: int = 0) -> Addresses:
        return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)

    def _in_thread(self) -> asyncio.Future[Addresses | OSError]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Addresses | OSError] = loop.create_future()

        def deliver(answer: Addresses | OSError) -> None:
            if not isinstance(answer, OSError):
                self._last = answer  # also if late: the next look-up may need it
            if not future.done():
                future.set_result(answer)

        def work() -> None:
            answer: Addresses | OSError
            try:
                answer = self._ask()
            except OSError as error:
                answer = error
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "not a host name")
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(deliver, answer)

        # A daemon thread: an answer that never comes must not keep the process from ending.
        threading.Thread(target=work, name=f"look-up {self._host}", daemon=True).start()
        return future


class Dialler:
    """Makes connections to one partner, through its proxy if it has one."""

    def __init__(
        self, endpoint: Endpoint, context: ssl.SSLContext | None, proxy: Proxy | None = None
    ) -> None:
        self._endpoint = endpoint
        self._context = context
        self._proxy = proxy
        first = proxy or endpoint
        self._resolver = Resolver(first.host, first.port)

    async def dial(self, on_progress: OnProgress = no_progress) -> PartnerConnection:
        """Return a connection that is ready for a request; raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        on_progress(steps := ConnectTiming(begun, proxy=str(self._proxy) if self._proxy else None))
        addresses, stale = await self._first_addresses()
        looked_up = loop.time()
        on_progress(steps := steps._replace(look_up_s=looked_up - begun, stale=stale))
        connected = await self._connected(addresses)
        if self._proxy is not None:
            on_progress(steps._replace(at_proxy=True))
            await self._open_tunnel(self._proxy, connected)
        connected_at = loop.time()
        on_progress(steps := steps._replace(connect_s=connected_at - looked_up))
        connection = await self._secure(connected)
        connection.dialled = steps._replace(tls_s=loop.time() - connected_at if self._context else None)
        on_progress(connection.dialled)
        return connection

    async def _first_addresses(self) -> Resolved:
        """Look up the partner's name, or the proxy's: a proxy looks the partner's name up itself."""
        try:
            return await self._resolver.look_up()
        except ExchangeFailed as failed:
            raise self._at_proxy(failed) from failed

    async def _connected(self, addresses: Addresses) -> socket.socket:
        try:
            return await connect(addresses)
        except ExchangeFailed as failed:
            raise self._at_proxy(failed) from failed

    async def _open_tunnel(self, proxy: Proxy, connected: socket.socket) -> None:
        """Make the socket a tunnel to the partner; close it if that fails."""
        try:
            await proxy.open_tunnel(connected, self._endpoint.host, self._endpoint.port)
        except BaseException:
            connected.close()
            raise

    def _at_proxy(self, failed: ExchangeFailed) -> ExchangeFailed:
        if self._proxy is None:
            return failed
        return ExchangeFailed(failed.fault, f"the proxy {self._proxy}: {failed.detail}")

    async def _secure(self, connected: socket.socket) -> PartnerConnection:
        """Start TLS over a connected socket; close the socket if that fails."""
        host, port = self._endpoint.host, self._endpoint.port
        where = None if self._proxy is None else f"{host}:{port} through the proxy {self._proxy}"
        try:
            connection = PartnerConnection(connected, self._context, host, where)
            await connection.handshake()
        except ExchangeFailed as failed:
            connected.close()
            if self._proxy is None or failed.fault is not Fault.TLS:
                raise
            # A proxy that looks into TLS shows a certificate of its own.
            through = f"{failed.detail}, through the proxy {self._proxy}"
            raise ExchangeFailed(failed.fault, through) from failed
        except BaseException:
            connected.close()
            raise
        return connection


async def connect(addresses: Addresses) -> socket.socket:
    """Return a socket connected to the first address that answers; raises ExchangeFailed."""
    try:
        connected = await _first_to_connect(addresses)
    except OSError as error:
        raise ExchangeFailed(Fault.NETWORK, f"{_why(error)} ({_named(addresses)})") from error
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_EVERY_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    return connected


ADDRESSES_NAMED = 3
"""How many addresses fit in one line."""


def _named(addresses: Addresses) -> str:
    named = [address_text(address[4]) for address in addresses[:ADDRESSES_NAMED]]
    more = len(addresses) - ADDRESSES_NAMED
    return ", ".join([*named, f"{more} more"] if more > 0 else named)


def _why(error: OSError) -> str:
    # If addresses failed in different ways, aiohappyeyeballs joins their errors into one text.
    numbers = [error.errno] if error.errno else map(int, re.findall(r"\[Errno (\d+)\]", str(error)))
    return ", ".join(dict.fromkeys(os.strerror(number).lower() for number in numbers)) or "no connection"


async def _first_to_connect(addresses: Addresses) -> socket.socket:
    """Return the first successful attempt. Raises OSError once one has failed and no other is under way."""
    loop = asyncio.get_running_loop()
    attempts: set[asyncio.Task[socket.socket]] = set()
    next_at = loop.time()
    try:
        while True:
            if loop.time() >= next_at:
                connecting = start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S)
                attempts.add(asyncio.create_task(connecting))
                next_at = loop.time() + NEXT_ATTEMPT_S
            done, _ = await asyncio.wait(
                attempts, timeout=next_at - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                if attempt.exception() is None:
                    attempts.remove(attempt)
                    return attempt.result()
            attempts -= done
            if done and not attempts:
                return done.pop().result()
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close_late_connection)
            attempt.cancel()


def _close_late_connection(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
