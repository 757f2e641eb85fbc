"""The templates of the pages and the parts of the settings that they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gatectl.decision.words import LANGUAGES, Language
from gatectl.monitor import presenters, texts
from gatectl.monitor.feeds import HealthNews
from gatectl.monitor.visitor import language_of


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """The site, its doors by name, and of each partner, by its name, the status page."""

    tenant: str
    studio: str
    doors: tuple[str, ...]
    status_pages: Mapping[str, str | None]


class TemplateRenderer:
    """Renders values to HTML; `asset` returns the address of a static file."""

    def __init__(self, gym: SiteInfo, asset: Callable[[str], str], *, has_password: bool) -> None:
        self._gym = gym
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
        def say(key: str, **more: object) -> str:
            return texts.text(language, key, **more)

        return self._templates.get_template(name).render(
            say=say, language=language, gym=self._gym, asset=self._asset, **values
        )

    def page(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
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
            health = presenters.health_of(news.status, self._gym.status_pages, language)
        return self.render("health.html", language, health=health)
