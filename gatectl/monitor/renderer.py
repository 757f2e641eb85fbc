"""The templates of the pages, with the values that every one of them may use, and the static files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gatectl.decision.words import LANGUAGES, Language
from gatectl.monitor import presenters, texts
from gatectl.monitor.feeds import HealthNews

LANGUAGE_COOKIE = "gatectl_language"
YEAR_S = 365 * 86_400

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


def language_of(request: Request) -> Language:
    """Return the reader's choice, else the first of `Accept-Language` that there is, else English."""
    accepted = request.headers.get("accept-language", "")
    for name in (request.cookies.get(LANGUAGE_COOKIE, ""), *_by_preference(accepted)):
        for language in LANGUAGES:
            if name == language:
                return language
    return "en"


def _by_preference(accepted: str) -> list[str]:
    """Return the header's primary languages in their order (RFC 9110, section 12.5.4)."""
    weighed = []
    for part in accepted[:500].split(","):
        name, _, weight = part.partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        weighed.append((-quality, name.strip().lower().partition("-")[0]))
    return [name for quality, name in sorted(weighed, key=lambda pair: pair[0]) if quality < 0]


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """The settings that the pages need: the site, its doors, and each partner's status page by its name."""

    tenant: str
    studio: str
    doors: tuple[str, ...]
    status_pages: Mapping[str, str | None]
    is_fleet: bool = False
    """The pages show the gates of a fleet; then the other fields are empty."""


class TemplateRenderer:
    """Renders values to HTML; `asset` returns the address of a static file."""

    def __init__(self, site: SiteInfo, asset: Callable[[str], str], *, has_password: bool) -> None:
        self._site = site
        self._asset = asset
        self._has_password = has_password
        self._templates = Environment(
            loader=PackageLoader("gatectl.monitor"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["quoted"] = lambda value: quote(value, safe="")

    def render(self, name: str, language: Language, **values: Any) -> str:
        """Return the HTML of a template in this language."""

        def say(key: str, **more: object) -> str:
            return texts.text(language, key, **more)

        return self._templates.get_template(name).render(
            say=say, language=language, site=self._site, asset=self._asset, **values
        )

    def page(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Answer a request with a template in the reader's language."""
        language = language_of(request)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        other = LANGUAGES[1 - LANGUAGES.index(language)]
        html = self.render(name, language, here=here, other=other, has_password=self._has_password, **values)
        return HTMLResponse(html, status, headers={"Vary": "Accept-Language, Cookie"})

    def health(self, news: HealthNews, language: Language) -> str:
        """Render the health strip at the top."""
        if news.status is None:
            key = "daemon_denied" if news.denied else "daemon_away"
            health = presenters.HealthView([], [texts.text(language, key)])
        else:
            health = presenters.health_of(news.status, self._site.status_pages, language)
        return self.render("health.html", language, health=health)


class StaticFiles:
    """All static files, read once, so that no path is ever made from a browser's request."""

    def __init__(self) -> None:
        folder = resources.files("gatectl.monitor") / "static"
        self._files = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}

    def address(self, name: str) -> str:
        """Return the address, which contains the content's digest: a changed file has another address."""
        return f"/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"

    async def answer(self, request: Request) -> Response:
        """Send the file that the path names; browsers keep it for a year."""
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise HTTPException(404)
        caching = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
        return Response(content, media_type=_TYPES[name.rpartition(".")[2]], headers=caching)
