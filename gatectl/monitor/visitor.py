"""The person who reads: the language of a request, its choice, and the page after a form."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatectl.decision.words import LANGUAGES, Language
from gatectl.monitor import texts

LANGUAGE_COOKIE = "gatectl_language"
YEAR_S = 365 * 86_400


def language_of(request: Request) -> Language:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return texts.language_of(chosen, request.headers.get("accept-language", ""))


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
