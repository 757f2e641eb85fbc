"""Signing in with the password, and out."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatectl.monitor import texts
from gatectl.monitor.guard import session_cookie
from gatectl.monitor.paper import Paper
from gatectl.monitor.password import Password
from gatectl.monitor.reader import language_of, own_path

FORM_MAX = 4096
"""The password's form; more is not one."""


class Login:
    """The page with the form, and what becomes of it; without a password it leads on."""

    def __init__(self, paper: Paper, password: Password | None) -> None:
        self._paper = paper
        self._password = password

    async def sign_in(self, request: Request) -> Response:
        wanted = own_path(request.query_params.get("next"))
        if self._password is None:
            return RedirectResponse(wanted, 303)
        if request.method != "POST":
            return self._paper.page(request, "login.html", wanted=wanted, words=None)
        language = language_of(request)
        address = request.client.host if request.client else ""
        wait_s = self._password.wait_s(address)
        if wait_s > 0:
            words = texts.text(language, "too_many_tries", seconds=int(wait_s) + 1)
            refused = self._paper.page(request, "login.html", status=429, wanted=wanted, words=words)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        if not self._password.is_right(address, await _password_in(request)):
            words = texts.text(language, "wrong_password")
            return self._paper.page(request, "login.html", status=403, wanted=wanted, words=words)
        response = RedirectResponse(wanted, 303)
        response.headers.append("Set-Cookie", session_cookie(self._password.session()))
        return response

    async def sign_out(self, _request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        response.headers.append("Set-Cookie", session_cookie(""))
        return response


async def _password_in(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_MAX:
            raise HTTPException(413)
    return parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]
