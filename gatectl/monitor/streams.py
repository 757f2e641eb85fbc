"""Send streams to open pages: new events as they are decided, and a door's display."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gatectl.decision.words import Language
from gatectl.journal.paging import Listed
from gatectl.journal.reader import UnreadableError
from gatectl.monitor import presenters
from gatectl.monitor.feeds import NEWS_MAX, EventFeeds, HealthNews, Reload
from gatectl.monitor.journal_worker import EventSource
from gatectl.monitor.query import Query, QueryOf, number
from gatectl.monitor.renderer import TemplateRenderer, language_of
from gatectl.monitor.security import IS_STILL_ALLOWED

STREAM_S = 12 * 3600.0
"""A stream ends after so long and the browser reopens it, which renews a display's session."""

_HERE = "event: here\ndata:\n\n"
"""A heartbeat. It is an event, not a comment, so that the page can notice its absence."""


class Streams:
    """Server-sent events (HTML Living Standard, section 9.2)."""

    def __init__(
        self, live: EventFeeds, journal: EventSource, renderer: TemplateRenderer, query: QueryOf = Query.of
    ) -> None:
        self._query = query
        self._live = live
        self._journal = journal
        self._renderer = renderer
        self._rows: dict[tuple[str, Language, bool], str] = {}
        self._view: dict[str, Any] = {}
        self._screens: dict[Language, str] = {}
        """The messages that show this view, by language."""

    async def events(self, request: Request) -> Response:
        language = language_of(request)
        query = self._query(request.query_params)
        last_id = request.headers.get("last-event-id") or request.query_params.get("after")
        return _stream(self._event_news(query, language, number(last_id)), request)

    async def _event_news(self, query: Query, language: Language, after: int | None) -> AsyncIterator[str]:
        with self._live.events.listening() as news:
            self._live.wake()
            last = after or 0
            missed = await self._missed(after)
            if missed is None:
                yield _message("reload", "")
                return
            for listed in missed:
                last = listed.ended
                if query.fits(listed.event):
                    yield self._row_news(listed, language, query)
            health = ""
            async for item in news:
                if isinstance(item, Listed):
                    if item.ended > last and query.fits(item.event):
                        yield self._row_news(item, language, query)
                elif isinstance(item, HealthNews):
                    html = self._renderer.health(item, language)
                    yield _message("health", html) if html != health else _HERE
                    health = html
                else:
                    yield _message("reload", "") if isinstance(item, Reload) else _HERE

    async def _missed(self, after: int | None) -> list[Listed] | None:
        """Events that were decided between a page's making and its stream, or while the stream was broken.

        None where that is not known any more: the journal is another one, or too much was decided.
        """
        if after is None:
            return []
        try:
            missed, mark = await self._journal.ask(lambda browser: browser.since(after, NEWS_MAX + 1))
        except UnreadableError:
            return []
        return None if mark < after or len(missed) > NEWS_MAX else missed

    def _row_news(self, listed: Listed, language: Language, query: Query) -> str:
        """Render the news of an event, once for all listeners."""
        key = (listed.event.attempt.id, language, query.whole_codes)
        if key not in self._rows:
            row = presenters.row_of(listed.event, language, whole_codes=query.whole_codes)
            html = self._renderer.render("row.html", language, row=row)
            if len(self._rows) > NEWS_MAX:
                self._rows.clear()
            self._rows[key] = _message("row", html, str(listed.ended))
        return self._rows[key]

    async def display(self, request: Request) -> Response:
        door = request.query_params.get("door", "")
        if door not in self._live.displays:
            raise HTTPException(404)
        return _stream(self._display_news(door, language_of(request)), request)

    async def _display_news(self, door: str, language: Language) -> AsyncIterator[str]:
        with self._live.displays[door].listening() as news:
            yield self._screen_news(self._live.now(door), language)
            async for view in news:
                yield _HERE if view is None else self._screen_news(view, language)

    def _screen_news(self, view: dict[str, Any], language: Language) -> str:
        """Made once for all viewers: each of them gets the same object."""
        if view is not self._view:
            self._view, self._screens = view, {}
        if language not in self._screens:
            self._screens[language] = _message("screen", json.dumps(presenters.screen_of(view, language)))
        return self._screens[language]


def _stream(news: AsyncIterator[str], request: Request) -> StreamingResponse:
    """Stream the news while the stream lasts and its reader may see it: signing out ends it."""
    is_still_allowed = request.scope[IS_STILL_ALLOWED]

    async def bounded() -> AsyncIterator[str]:
        until = asyncio.get_running_loop().time() + STREAM_S
        yield "retry: 1000\n\n"
        async for message in news:
            if not is_still_allowed() or asyncio.get_running_loop().time() > until:
                return
            yield message

    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(bounded(), media_type="text/event-stream", headers=headers)


def _message(name: str, data: str, event_id: str | None = None) -> str:
    """Format one message (HTML Living Standard, section 9.2.6)."""
    lines = [f"event: {name}", *(f"data: {line}" for line in data.splitlines() or [""])]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    return "\n".join(lines) + "\n\n"
