"""Ask an HTTP proxy for a tunnel to a partner: CONNECT, https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6.

The proxy looks the partner's name up itself. An answer that opens no tunnel is fault `network`; the detail
names the proxy and the status alone, since a proxy's page may hold anything.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from gatectl import __version__
from gatectl.decision.outcomes import Fault
from gatectl.partners.http.failure import ExchangeFailed, TunnelRefused, failure_of

HEAD_MAX = 16_384
"""A proxy's answer has some hundred bytes before its blank line; a page behind it is not read."""

_CHUNK = 4096
_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)[ \r\n]")
_INTERIM_MAX = 10
"""Interim answers before the real one: a proxy sends none, or one."""


class Proxy(NamedTuple):
    """An HTTP proxy. `credentials` are `name:password`."""

    host: str
    port: int
    credentials: str | None = None

    @classmethod
    def of(cls, url: str, credentials: str | None) -> Proxy:
        """Take the address from the setting `proxy`."""
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 80, credentials)

    def __repr__(self) -> str:
        return f"Proxy({self.host!r}, {self.port})"

    def __str__(self) -> str:
        """Return its address for people, as in `proxy.example.com:3128`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def open_tunnel(self, connected: socket.socket, host: str, port: int) -> None:
        """Make a connected socket a tunnel to `host` and `port`; raises ExchangeFailed."""
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(connected, self._request(_authority(host, port)))
            status = await self._status(connected)
        except OSError as error:
            raise self._failed(f"{self}: {failure_of(error).detail}") from error
        if not 200 <= status < 300:
            raise self.refusal(status, host, port)

    def _request(self, target: str) -> bytes:
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: gatectl/{__version__}"]
        if self.credentials is not None:
            encoded = base64.b64encode(self.credentials.encode()).decode("ascii")
            lines.append(f"Proxy-Authorization: Basic {encoded}")
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii")

    async def _status(self, connected: socket.socket) -> int:
        """Read up to the end of the head; return the status of the first answer that is no interim one."""
        loop = asyncio.get_running_loop()
        held = bytearray()
        for _ in range(_INTERIM_MAX):
            while (end := _END.search(held)) is None:
                if len(held) > HEAD_MAX:
                    raise self._failed(f"{self} sent a head larger than {HEAD_MAX // 1024} KiB")
                data = await loop.sock_recv(connected, _CHUNK)
                if not data:
                    raise self._failed(f"{self} closed before its answer was whole")
                held += data
                self._require_http(held)
            self._require_http(held, whole=True)
            status = int(held[9:12])
            del held[: end.end()]
            if status >= 200:
                if held and status < 300:
                    raise self._failed(f"{self} sent bytes behind its answer, which are not the partner's")
                return status
        raise self._failed(f"{self} sent over {_INTERIM_MAX} interim answers")

    def _require_http(self, held: bytearray, *, whole: bool = False) -> None:
        begins = b"HTTP/1."
        # At once: another kind of server may never end a line, and waiting would use up the budget.
        if not begins.startswith(held[: len(begins)]) or (whole and not _STATUS.match(held)):
            raise self._failed(f"{self} is no HTTP proxy")

    def refusal(self, status: int, host: str, port: int) -> ExchangeFailed:
        """Return the loss where the proxy answers with this status instead of a tunnel to the partner."""
        target = _authority(host, port)
        kind = TunnelRefused if status < 500 else ExchangeFailed
        if status == 407 and self.credentials is None:
            what = "wants a name and a password: set proxy_key (407)"
        elif status == 407:
            what = "refuses the name or the password of proxy_key (407)"
        elif status in {401, 403}:
            what = f"refuses a tunnel to {target} ({status})"
        elif status in {502, 503, 504}:
            what = f"cannot reach {target} ({status})"
        else:
            what = f"opened no tunnel to {target}, but answered {status}"
        return kind(Fault.NETWORK, f"the proxy {self} {what}")

    def _failed(self, what: str) -> ExchangeFailed:
        return ExchangeFailed(Fault.NETWORK, f"the proxy {what}")


def _authority(host: str, port: int) -> str:
    """Return the partner's address as CONNECT names it."""
    return f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode('ascii')}:{port}"
