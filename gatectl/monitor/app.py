"""The pages: the list of events, an event's whole story, a door's display, and the streams behind them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from gatectl.decision.advice import advice
from gatectl.decision.event import Event
from gatectl.decision.verdict import Result
from gatectl.errors import GatectlError, visible
from gatectl.journal.browser import Browser, Listed
from gatectl.journal.reader import UnreadableError
from gatectl.monitor import chart, shown, texts
from gatectl.monitor.daemon import Daemon
from gatectl.monitor.guard import session_cookie
from gatectl.monitor.journal import JournalDesk
from gatectl.monitor.live import NEWS_MAX, HealthNews, Live, Reload
from gatectl.monitor.password import Password
from gatectl.monitor.query import Query, number
from gatectl.monitor.texts import Language

PAGE_SIZE = 50
"""Events a page: two screens of a desktop."""

LANGUAGE_COOKIE = "gatectl_language"
YEAR_S = 365 * 86_400

FORM_MAX = 4096
"""The password's form; more is not one."""

STREAM_S = 12 * 3600.0
"""A stream ends after so long and the browser opens it anew, which renews a display's session."""

_HERE = ": here\n\n"
"""A sign of life: a comment in the stream."""

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Gym:
    """What the settings say, as far as the pages need it."""

    tenant: str
    studio: str
    doors: tuple[str, ...]
    status_pages: Mapping[str, str | None]
    """Of each partner, by its name."""


Report = Callable[[str], Mapping[str, str]]
"""The files of the report for Support about an event, by its ID. Raises GatectlError; may take its time."""


class Monitor:
    """The application; `live` is what its process has to keep running."""

    def __init__(
        self, gym: Gym, journal: JournalDesk, daemon: Daemon, report: Report, password: Password | None
    ) -> None:
        self.live = Live(journal, daemon, gym.doors)
        self._gym = gym
        self._journal = journal
        self._report = report
        self._password = password
        self._rows: dict[tuple[str, Language], str] = {}
        self._files = _static_files()
        self.broken: BaseException | None = None
        self.when_broken: Callable[[], None] = lambda: None
        self._templates = Environment(
            loader=PackageLoader("gatectl.monitor"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["quoted"] = lambda value: quote(value, safe="")
        self.app = Starlette(
            routes=[
                Route("/", self._list),
                Route("/events/{event_id}", self._event),
                Route("/events/{event_id}/report", self._download),
                Route("/display/{door:path}", self._display),
                Route("/live/events", self._live_events),
                Route("/live/display", self._live_display),
                Route("/language", self._choose_language),
                Route("/login", self._login, methods=["GET", "POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/static/{name}", self._static),
            ],
            exception_handlers={HTTPException: self._failed, UnreadableError: self._unreadable},
            lifespan=self._running,
        )

    @contextlib.asynccontextmanager
    async def _running(self, _app: Starlette) -> AsyncIterator[None]:
        following = (self.live.follow_journal(), self.live.follow_health(), self.live.follow_doors())
        tasks = [asyncio.create_task(task) for task in following]
        for task in tasks:
            task.add_done_callback(self._ended)
        yield
        for task in tasks:
            task.cancel()
        self._journal.close()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """None of them ends by itself: an error in one is a bug, and ends the process."""
        if not task.cancelled():
            self.broken = task.exception()
            self.when_broken()

    # Pages.

    async def _list(self, request: Request) -> Response:
        language = language_of(request)
        query = Query.of(request.query_params)
        notices = [texts.text(language, "bad_time", text=visible(text)) for text in query.not_times]
        day = _day(request.query_params.get("day"))
        found = None
        try:
            mark, found, drawings = await self._journal.ask(lambda browser: _look(browser, query, day))
        except UnreadableError as error:
            mark, drawings = 0, []
            notices.append(self._why_unreadable(error, language))
        rows = [shown.row_of(event, seq, language) for seq, _, event in found.events] if found else []
        return self._page(
            request,
            "list.html",
            query=query,
            found=found,
            rows=rows,
            mark=mark,
            notices=notices,
            health=self._health(await self.live.health(), language),
            doors=self._gym.doors,
            partners=list(self._gym.status_pages),
            results=[result.value for result in Result],
            drawings=drawings,
            day=day,
            day_text=shown.day_text(datetime(day.year, day.month, day.day).astimezone(), language),
            days=(day - timedelta(days=1), day + timedelta(days=1)),
            chart=chart,
        )

    async def _event(self, request: Request) -> Response:
        language = language_of(request)
        event_id = request.path_params["event_id"]
        event = await self._journal.ask(lambda browser: browser.find(event_id))
        if event is None:
            return self._page(request, "notice.html", status=404, words=texts.text(language, "no_such_event"))
        return self._page(
            request,
            "event.html",
            event=event,
            row=shown.row_of(event, 0, language),
            story=shown.story_of(event, language),
            advice=self._advice(event, language),
            facts=_facts(event, language),
        )

    async def _download(self, request: Request) -> Response:
        """The report in one file, as a mail takes it."""
        event_id = request.path_params["event_id"]
        if await self._journal.ask(lambda browser: browser.find(event_id)) is None:
            raise HTTPException(404)
        try:
            files = await asyncio.to_thread(self._report, event_id)
        except GatectlError as error:
            return self._page(request, "notice.html", status=503, words=visible(error.message))
        name = f"gatectl-report-{event_id}"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(f"{name}/{file}", content)
        headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
        return Response(packed.getvalue(), media_type="application/zip", headers=headers)

    def _advice(self, event: Event, language: Language) -> str:
        page = self._gym.status_pages.get(event.attempt.partner or "")
        return visible(advice(event, page, language))

    async def _display(self, request: Request) -> Response:
        door = request.path_params["door"]
        if door not in self.live.displays:
            raise HTTPException(404)
        language = language_of(request)
        screen = shown.screen_of(self._now(door), language)
        return self._page(request, "display.html", door=door, screen=screen)

    def _now(self, door: str) -> dict[str, Any]:
        return {"door": door, "screen": shown.OFFLINE if self.live.is_away else "idle"}

    # Streams.

    async def _live_events(self, request: Request) -> Response:
        language = language_of(request)
        query = Query.of(request.query_params)
        last_id = request.headers.get("last-event-id") or request.query_params.get("after")
        return _stream(self._event_news(query, language, number(last_id)))

    async def _event_news(self, query: Query, language: Language, after: int | None) -> AsyncIterator[str]:
        with self.live.events.listening() as news:
            self.live.wake()
            last = after or 0
            missed = await self._missed(after)
            if missed is None:
                yield _message("reload", "")
                return
            for listed in missed:
                last = listed.ended
                if query.fits(listed.event):
                    yield self._row_news(listed, language)
            health = ""
            async for item in news:
                if isinstance(item, Listed):
                    if item.ended > last and query.fits(item.event):
                        yield self._row_news(item, language)
                elif isinstance(item, HealthNews):
                    html = self._health(item, language)
                    if html != health:
                        yield _message("health", html)
                    health = html
                else:
                    yield _message("reload", "") if isinstance(item, Reload) else _HERE

    async def _missed(self, after: int | None) -> list[Listed] | None:
        """What was decided between a page's making and its stream, or while the stream was broken.

        None where that cannot be told any more: the journal is another one, or too much was decided.
        """
        if after is None:
            return []
        try:
            missed, mark = await self._journal.ask(lambda browser: browser.since(after))
        except UnreadableError:
            return []
        return None if mark < after or len(missed) > NEWS_MAX else missed

    def _row_news(self, listed: Listed, language: Language) -> str:
        """Made once for all who listen."""
        key = (listed.event.attempt.id, language)
        if key not in self._rows:
            row = shown.row_of(listed.event, listed.seq, language)
            html = self._render("row.html", language, row=row)
            if len(self._rows) > NEWS_MAX:
                self._rows.clear()
            self._rows[key] = _message("row", html, str(listed.ended))
        return self._rows[key]

    async def _live_display(self, request: Request) -> Response:
        door = request.query_params.get("door", "")
        if door not in self.live.displays:
            raise HTTPException(404)
        return _stream(self._display_news(door, language_of(request)))

    async def _display_news(self, door: str, language: Language) -> AsyncIterator[str]:
        with self.live.displays[door].listening() as news:
            yield _message("screen", json.dumps(shown.screen_of(self._now(door), language)))
            async for view in news:
                if view is None:
                    yield _HERE
                else:
                    yield _message("screen", json.dumps(shown.screen_of(view, language)))

    # Signing in, language, files.

    async def _choose_language(self, request: Request) -> Response:
        to = request.query_params.get("to")
        response = RedirectResponse(_own_path(request.query_params.get("next")), 303)
        if to in texts.LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, to, max_age=YEAR_S, httponly=True, samesite="strict")
        return response

    async def _login(self, request: Request) -> Response:
        wanted = _own_path(request.query_params.get("next"))
        if self._password is None:
            return RedirectResponse(wanted, 303)
        if request.method != "POST":
            return self._page(request, "login.html", wanted=wanted, words=None)
        language = language_of(request)
        address = request.client.host if request.client else ""
        wait_s = self._password.wait_s(address)
        if wait_s > 0:
            words = texts.text(language, "too_many_tries", seconds=int(wait_s) + 1)
            refused = self._page(request, "login.html", status=429, wanted=wanted, words=words)
            refused.headers["Retry-After"] = str(int(wait_s) + 1)
            return refused
        if not self._password.is_right(address, await _password_in(request)):
            words = texts.text(language, "wrong_password")
            return self._page(request, "login.html", status=403, wanted=wanted, words=words)
        response = RedirectResponse(wanted, 303)
        response.headers.append("Set-Cookie", session_cookie(self._password.session()))
        return response

    async def _logout(self, _request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        response.headers.append("Set-Cookie", session_cookie(""))
        return response

    async def _static(self, request: Request) -> Response:
        content = self._files.get(request.path_params["name"])
        if content is None:
            raise HTTPException(404)
        kind = _TYPES[request.path_params["name"].rpartition(".")[2]]
        # Its address has its digest in it: another content has another address.
        caching = {"Cache-Control": f"public, max-age={YEAR_S}, immutable"}
        return Response(content, media_type=kind, headers=caching)

    # What they have in common.

    def _render(self, name: str, language: Language, **values: Any) -> str:
        def say(key: str, **more: object) -> str:
            return texts.text(language, key, **more)

        return self._templates.get_template(name).render(
            say=say, language=language, gym=self._gym, asset=self._asset, **values
        )

    def _page(self, request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        language = language_of(request)
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        other = texts.LANGUAGES[1 - texts.LANGUAGES.index(language)]
        html = self._render(
            name, language, here=here, other=other, has_password=self._password is not None, **values
        )
        return HTMLResponse(html, status, headers={"Vary": "Accept-Language, Cookie"})

    def _asset(self, name: str) -> str:
        return f"/static/{name}?v={hashlib.sha256(self._files[name]).hexdigest()[:12]}"

    def _health(self, news: HealthNews, language: Language) -> str:
        if news.status is None:
            key = "daemon_denied" if news.denied else "daemon_away"
            health = shown.Health([], [texts.text(language, key)])
        else:
            health = shown.health_of(news.status, self._gym.status_pages, language)
        return self._render("health.html", language, health=health)

    def _why_unreadable(self, error: UnreadableError, language: Language) -> str:
        return f"{texts.text(language, 'no_journal')} {visible(error.message)}"

    async def _failed(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        words = texts.text(language_of(request), "not_there")
        return self._page(request, "notice.html", status=status, words=words)

    async def _unreadable(self, request: Request, error: Exception) -> Response:
        language = language_of(request)
        words = self._why_unreadable(error, language) if isinstance(error, UnreadableError) else ""
        return self._page(request, "notice.html", status=503, words=words)


def _look(browser: Browser, query: Query, day: date) -> tuple[int, Any, list[chart.PartnerDay]]:
    mark = browser.mark()
    return mark, browser.page(query.search, PAGE_SIZE, mark), chart.day_of(browser, day)


def language_of(request: Request) -> Language:
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    return texts.language_of(chosen, request.headers.get("accept-language", ""))


def _facts(event: Event, language: Language) -> list[tuple[str, str]]:
    """What the event holds beside its story: label and value; those without a value are not there."""
    attempt, outcome = event.attempt, event.outcome
    reason = outcome.reason
    said = ": ".join(part for part in (reason.key, reason.text) if part) if reason else ""
    facts = {
        "door": attempt.door,
        "scanner": attempt.scanner,
        "credential": attempt.credential,
        "partner": attempt.partner,
        "status": outcome.status,
        "verdict": outcome.verdict,
        "fault": outcome.fault,
        "reason": said,
        "outage": texts.text(language, "yes") if outcome.outage else None,
        "id": attempt.id,
    }
    return [(texts.text(language, key), visible(str(value))) for key, value in facts.items() if value]


def _day(text: str | None) -> date:
    """The day that is asked for, else today."""
    today = datetime.now().astimezone().date()
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return today
    return day if date(1971, 1, 1) < day <= today + timedelta(days=1) else today


def _own_path(wanted: str | None) -> str:
    """A path of this monitor; whatever would lead elsewhere leads to the list."""
    if (
        not wanted
        or not wanted.startswith("/")
        or wanted.startswith(("//", "/\\"))
        or not wanted.isprintable()
    ):
        return "/"
    return wanted


async def _password_in(request: Request) -> str:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > FORM_MAX:
            raise HTTPException(413)
    return parse_qs(body.decode("utf-8", "replace")).get("password", [""])[0]


def _stream(news: AsyncIterator[str]) -> StreamingResponse:
    async def bounded() -> AsyncIterator[str]:
        until = asyncio.get_running_loop().time() + STREAM_S
        yield "retry: 1000\n\n"
        async for message in news:
            yield message
            if asyncio.get_running_loop().time() > until:
                return

    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(bounded(), media_type="text/event-stream", headers=headers)


def _message(name: str, data: str, event_id: str | None = None) -> str:
    """One message (HTML Living Standard, section 9.2.6)."""
    lines = [f"event: {name}", *(f"data: {line}" for line in data.splitlines() or [""])]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    return "\n".join(lines) + "\n\n"


def _static_files() -> dict[str, bytes]:
    """All there are, read once: no path is ever made of what a browser sends."""
    folder = resources.files("gatectl.monitor") / "static"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
