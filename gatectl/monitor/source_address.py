"""The source of a request: the browser's address, also behind a named proxy, and the key of limits."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

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
