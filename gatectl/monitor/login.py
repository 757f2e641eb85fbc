"""The forms of every page: sign in with the password, sign out, choose the language."""

from __future__ import annotations

import asyncio
import shlex
from urllib.parse import parse_qs, unquote

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from gatectl.decision.words import LANGUAGES
from gatectl.errors import visible
from gatectl.monitor import texts
from gatectl.monitor.password import Password
from gatectl.monitor.renderer import LANGUAGE_COOKIE, YEAR_S, TemplateRenderer, language_of
from gatectl.monitor.security import session_cookie, session_in

FORM_MAX = 4096
"""Bytes of the password's form; a larger body is refused."""


class Login:
    """Shows the form and handles it; redirects to the page if no password is set."""

    def __init__(self, renderer: TemplateRenderer, password: Password | None) -> None:
        self._renderer = renderer
        self._password = password

    async def sign_in(self, request: Request) -> Response:
        wanted = own_path(request.query_params.get("next"))
        if self._password is None:
            return RedirectResponse(wanted, 303)
        if request.method != "POST":
            return self._form(request, wanted, None)
        language = language_of(request)
        given = await _password_in(request)
        # Do not await between here and the comparison: parallel tries could all pass the limit at once.
        address = request.client.host if request.client else ""
        wait_s = self._password.wait_s(address)
        if wait_s > 0:
            words = texts.text(language, "too_many_tries", seconds=int(wait_s) + 1)
            refused = self._form(request, wanted, words, status=429)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        if not self._password.is_right(address, given):
            words = texts.text(language, "wrong_password")
            return self._form(request, wanted, words, status=403)
        response = RedirectResponse(wanted, 303)
        session = self._password.session()
        response.headers.append("Set-Cookie", session_cookie(session, is_secure=_is_secure(request)))
        return response

    def _form(self, request: Request, wanted: str, words: str | None, status: int = 200) -> Response:
        path, _, query = wanted.partition("?")
        is_link = path.startswith("/display/") and "key" in parse_qs(query)
        # The sentence has it in a command to paste, and anybody may have made the address.
        ended_door = shlex.quote(visible(unquote(path.removeprefix("/display/")))) if is_link else None
        return self._renderer.page(
            request, "login.html", status, wanted=wanted, words=words, ended_door=ended_door
        )

    async def sign_out(self, request: Request) -> Response:
        """End the session here, for copies of its cookie too, and delete the cookie."""
        session = self._password and session_in(request.headers, self._password)
        if self._password and session:
            await asyncio.to_thread(self._password.sign_out, session)
        response = RedirectResponse("/login", 303)
        response.headers.append("Set-Cookie", session_cookie("", is_secure=_is_secure(request)))
        return response


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


async def _password_in(request: Request) -> str:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > FORM_MAX:
                raise HTTPException(413)
    except ClientDisconnect:
        raise HTTPException(400) from None
    return parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]


async def choose_language(request: Request) -> Response:
    to = request.query_params.get("to")
    response = RedirectResponse(own_path(request.query_params.get("next")), 303)
    if to in LANGUAGES:
        secure = request.url.scheme == "https"
        response.set_cookie(
            LANGUAGE_COOKIE, to, max_age=YEAR_S, secure=secure, httponly=True, samesite="strict"
        )
    return response


def own_path(wanted: str | None) -> str:
    """Return a path of this monitor; replace any other target by the list."""
    if (
        not wanted
        or not wanted.startswith("/")
        or wanted.startswith(("//", "/\\"))
        or not wanted.isprintable()
    ):
        return "/"
    return wanted
