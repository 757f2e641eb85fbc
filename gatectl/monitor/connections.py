"""The source of a request, and limits on connections: their number, also per address, and their duration.

Open connections cannot lock others out: one that has not sent a whole request is dropped for a new one, the
oldest first.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

CONNECTIONS_MAX = 200
"""A gym's staff and tablets need some dozens; more could fill a small memory."""

FROM_ONE_PLACE_MAX = 60
"""A browser opens at most six for each name; a few browsers may share one address."""

REQUEST_S = 10.0
"""From a request's first byte to its last: requests for pages, and the password's form, are one packet."""

STALLED_S = 30.0
"""How long a browser may leave 64 KiB of its answer unread."""

STREAMS_MAX = 120
STREAMS_FROM_ONE_PLACE_MAX = 40
"""Streams last for hours, and must leave room for pages."""

ANSWERS_MAX = 250
ANSWERS_FROM_ONE_PLACE_MAX = 80
"""Pages being made, also for browsers that have left. The limit is above that of connections: otherwise a
slow form would lock out others at its address."""

RETRY_AFTER_S = 5
"""There is room again soon: a page is made in a tenth of a second."""

HEADERS_BYTES_MAX = 16_384
"""A filter may hold a code of 512 characters, each escaped as nine; cookies have some hundred."""


class Connections:
    """All connections, in order of arrival."""

    def __init__(self, proxies: Collection[str]) -> None:
        self._proxies = {address_of(proxy) for proxy in proxies}
        self._places: dict[BrowserConnection, str | None] = {}
        self._is_full = False

    def admits(self, connection: BrowserConnection, host: str) -> bool:
        """Take it in, if there is room; the oldest that waits makes some. A named proxy serves many."""
        place = None if address_of(host) in self._proxies else place_of(host)
        if place is not None and self._from(place) >= FROM_ONE_PLACE_MAX and not self._make_room(place):
            return False
        if len(self._places) >= CONNECTIONS_MAX and not self._make_room():
            return False
        self._places[connection] = place
        return True

    def forget(self, connection: BrowserConnection) -> None:
        self._places.pop(connection, None)

    def failed_to_accept(self, error: OSError) -> None:
        """Handle a lack of descriptors for new connections: log it the first time, and drop waiting ones."""
        if not self._is_full:
            sys.stderr.write(f"no connection can be accepted: {error.strerror}\n")
        self._is_full = True
        for _ in range(max(1, len(self._places) // 2)):
            if not self._make_room():
                break

    def accepted(self) -> None:
        if self._is_full:
            self._is_full = False
            sys.stderr.write("connections can be accepted again\n")

    def _from(self, place: str) -> int:
        return sum(other == place for other in self._places.values())

    def _make_room(self, place: str | None = None) -> bool:
        for connection, other in self._places.items():
            if connection.waits and place in (None, other):
                self.forget(connection)
                connection.drop()
                return True
        return False


class BrowserConnection(H11Protocol):
    """Uvicorn's protocol, with limits that it lacks: for slow requests, and for unread answers."""

    def __init__(self, connections: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._all = connections
        self._slow = _Alarm(self.loop, self.drop)
        self._unread = _Alarm(self.loop, self.drop)

    @property
    def waits(self) -> bool:
        """Return whether no whole request is waiting for its answer."""
        # None before the first request, although uvicorn's annotation omits it.
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete or cycle.more_body

    def drop(self) -> None:
        """Close it at once, discarding unsent bytes."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._all.accepted()
        if self._all.admits(self, self.client[0] if self.client else ""):
            self._slow.set(REQUEST_S)
        else:
            self.drop()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.waits:
            self._slow.set(REQUEST_S)
        else:
            self._slow.clear()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.set(STALLED_S)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.forget(self)
        self._slow.clear()
        super().connection_lost(exc)
        self._unread.clear()


class _Alarm:
    """A timer that calls once after it was set; it can be set and cleared any number of times."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop, self._call = loop, call
        self._timer: asyncio.TimerHandle | None = None

    def set(self, after_s: float) -> None:
        """Set it; do nothing if it is set already."""
        if self._timer is None:
            self._timer = self._loop.call_later(after_s, self._call)

    def clear(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Requests:
    """An ASGI middleware: limits the requests being answered, by browser."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._streams: Counter[str] = Counter()
        self._answers: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        place = place_of(scope["client"][0] if scope["client"] else "")
        if scope["path"].startswith("/live/"):
            count, most, most_of_all = self._streams, STREAMS_FROM_ONE_PLACE_MAX, STREAMS_MAX
        else:
            count, most, most_of_all = self._answers, ANSWERS_FROM_ONE_PLACE_MAX, ANSWERS_MAX
        if count[place] >= most or count.total() >= most_of_all:
            headers = {"Retry-After": str(RETRY_AFTER_S), "Connection": "close"}
            await PlainTextResponse("Too many requests at once.", 503, headers)(scope, receive, send)
            return
        count[place] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            count[place] -= 1
            if not count[place]:
                del count[place]


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """Parse and normalise an address, with or without a port (`::ffff:192.0.2.1` to 192.0.2.1); else None."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def place_of(text: str) -> str:
    """The key by which limits count: an address, or the /64 network that an IPv6 host has to itself."""
    address = address_of(text)
    if address is None:
        return text
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.IPv6Network((int(address), 64), strict=False))
    return str(address)


class Forwarded:
    """An ASGI middleware: takes the browser's address from the headers of named proxies.

    The last address of X-Forwarded-For that is not a named proxy is the browser's: those before it may be
    forged. X-Forwarded-Proto says whether the browser used TLS.
    """

    def __init__(self, app: ASGIApp, proxies: Collection[str]) -> None:
        self._app = app
        self._proxies = {address_of(proxy) for proxy in proxies} - {None}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._proxies and scope["client"]:
            peer, port = scope["client"]
            if address_of(peer) in self._proxies:
                headers = Headers(scope=scope)
                scope = {**scope, "client": (self._browser(headers) or peer, port)}
                if headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower() == "https":
                    scope["scheme"] = "https"
        await self._app(scope, receive, send)

    def _browser(self, headers: Headers) -> str | None:
        said = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for text in reversed(said):
            address = address_of(text)
            if address not in self._proxies:
                return None if address is None else str(address)
        return None
