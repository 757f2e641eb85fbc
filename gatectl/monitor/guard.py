"""What stands before every page: the right host, a password where one is asked for, and strict headers."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatectl.monitor.password import RENEW_S, SESSION_S, Password

COOKIE = "gatectl_session"

POLICY = "; ".join(
    (
        "default-src 'none'",
        *("script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"),
        *("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"),
    )
)

_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]*)?")
"""RFC 9110, section 7.2, strictly: what two readers could read differently is nobody's name."""

_OPEN = ("/login", "/static/")
"""What is there without the password."""


class Guard:
    """An ASGI application around the pages.

    Where no password is asked for, only this machine's own names are answered to: a page elsewhere whose
    name was made to lead here (DNS rebinding) would read the journal. With one, every address will do, and
    the names that are known: a name is what such a page needs.
    """

    def __init__(self, app: ASGIApp, password: Password | None, names: Collection[str]) -> None:
        self._app = app
        self._password = password
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal, renewed = self._refusal(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-store")
                if renewed and "set-cookie" not in answer:
                    answer.append("Set-Cookie", session_cookie(renewed))
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[Response | None, str | None]:
        """What is answered instead of the page, if anything; and a session's new value."""
        if not self._is_ours(headers.get("host", "")):
            return PlainTextResponse("This monitor does not go by that name.", 421), None
        if scope["method"] not in {"GET", "HEAD"} and not _is_same_origin(headers):
            return PlainTextResponse("This must come from the monitor's own page.", 403), None
        path: str = scope["path"]
        if self._password is None or path == _OPEN[0] or path.startswith(_OPEN[1]):
            return None, None
        age_s = self._password.age_s(session_in(headers))
        if age_s is not None:
            return None, self._password.session() if age_s > RENEW_S else None
        if headers.get("sec-fetch-mode", "navigate") != "navigate" or path.endswith("/live"):
            return PlainTextResponse("The password is needed.", 401), None
        wanted = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303), None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower().rstrip(".")
        if name in self._names or is_loopback(name):
            return True
        return self._password is not None and _is_address(name)


def names_of(listen: str, more: Collection[str] = ()) -> set[str]:
    """The names under which a monitor that listens there is reached, beside the loopback's."""
    names = {listen, *more}
    if not is_loopback(listen):
        own = socket.gethostname()
        names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local", socket.getfqdn()}
    return names


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def session_in(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def session_cookie(session: str) -> str:
    age_s = SESSION_S if session else 0
    return f"{COOKIE}={session}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict"


def _is_same_origin(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
