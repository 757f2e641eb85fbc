"""Security checks before every page: the right host, a password if there is one, and strict headers."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Collection
from typing import NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatectl.monitor.connections import address_of
from gatectl.monitor.password import RENEW_S, SESSION_S, Password, Session
from gatectl.validators.addresses import is_loopback

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
    "X-Gatectl": "monitor",  # by which a page's script distinguishes our answer from a proxy's
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::[0-9]*)?")
"""RFC 9110, section 7.2, strictly: an ambiguous value is refused."""

_OPEN = ("/login", "/static/")
"""The paths that need no password."""

METRICS = "/metrics"
"""A program fetches it, which has no session: the page asks for the password by itself."""

_STREAMS = "/live/"
_DISPLAY, _DISPLAY_STREAM = "/display/", "/live/display"

IS_STILL_ALLOWED = "gatectl.is_still_allowed"
"""The key in a request's scope of a function that returns whether a stream's reader may still see it."""


class _Entry(NamedTuple):
    """The decision about a request.

    `refusal` is sent in place of the page; `renewed` is a session's new value.
    """

    refusal: Response | None = None
    renewed: str | None = None
    is_still_allowed: Callable[[], bool] = lambda: True


class SecurityMiddleware:
    """An ASGI middleware around the pages.

    Without a password, only requests for this machine's own names are answered: otherwise a foreign page
    whose name was pointed here (DNS rebinding) could read the journal. With a password, all addresses and
    the known names are accepted: such an attack needs a name.
    """

    def __init__(self, app: ASGIApp, password: Password | None, names: Collection[str]) -> None:
        self._app = app
        self._password = password
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        entry = self._entry(scope, Headers(scope=scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-store")
                if entry.renewed and "set-cookie" not in answer:
                    cookie = session_cookie(entry.renewed, is_secure=scope["scheme"] == "https")
                    answer.append("Set-Cookie", cookie)
            await send(message)

        app = entry.refusal or self._app
        await app({**scope, IS_STILL_ALLOWED: entry.is_still_allowed}, receive, send_with_headers)

    def _entry(self, scope: Scope, headers: Headers) -> _Entry:
        if not self._is_ours(headers.get("host", "")):
            return _Entry(PlainTextResponse("This monitor does not go by that name.", 421))
        if scope["method"] not in {"GET", "HEAD"} and not self._is_same_origin(headers):
            return _Entry(PlainTextResponse("This must come from the monitor's own page.", 403))
        path: str = scope["path"]
        password = self._password
        if password is None or path in {_OPEN[0], METRICS} or path.startswith(_OPEN[1]):
            return _Entry()
        session = session_in(headers, password)
        if session is not None:
            renewed = password.session(session.sign_in) if session.age_s > RENEW_S else None
            return _Entry(None, renewed, lambda: session_in(headers, password) is not None)
        if _opens_display(scope, password):
            return _Entry()
        if path.startswith(_STREAMS) or headers.get("sec-fetch-mode", "navigate") != "navigate":
            return _Entry(PlainTextResponse("The password is needed.", 401))
        wanted = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
        return _Entry(RedirectResponse(f"/login?next={quote(wanted, safe='')}", 303))

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = (found["six"] or found["name"]).lower().rstrip(".")
        if name in self._names or is_loopback(name):
            return True
        return self._password is not None and address_of(name) is not None

    def _is_same_origin(self, headers: Headers) -> bool:
        """Return whether a form comes from the monitor's own page; a proxy may have changed the host."""
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site == "same-origin"
        origin = headers.get("origin")
        if origin is None:
            return True
        try:
            parts = urlsplit(origin)
            return parts.netloc == headers.get("host") or parts.hostname in self._names
        except ValueError:
            return False


def names_of(listen: str, more: Collection[str] = ()) -> set[str]:
    """The names under which a monitor that listens there is reached, without the loopback's."""
    names = {listen, *more}
    if not is_loopback(listen):
        own = socket.gethostname()
        names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local", socket.getfqdn()}
    return names


def session_in(headers: Headers, password: Password) -> Session | None:
    """Return the valid session in a request's cookie; else None."""
    # http.cookies reads nothing behind a cookie of another form, as other programs on this host may have set.
    session = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return password.session_of(session) if session else None


def session_cookie(session: str, *, is_secure: bool) -> str:
    """Return the header that sets the cookie; an empty session deletes it."""
    age_s = SESSION_S if session else 0
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={session}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}"


def _opens_display(scope: Scope, password: Password) -> bool:
    """Return whether the address holds the key of the display that it requests."""
    query = parse_qs(scope["query_string"].decode("latin-1"))
    path: str = scope["path"]
    if path.startswith(_DISPLAY):
        door = path.removeprefix(_DISPLAY)
    elif path == _DISPLAY_STREAM:
        door = query.get("door", [""])[0]
    else:
        return False
    return password.opens_display(door, query.get("key", [""])[0])
