"""The monitor of a fleet: the pages of a gate's monitor over head office's database, and the fleet's own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Never

import psycopg
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gatectl.decision.words import Language
from gatectl.errors import visible
from gatectl.fleet import overview_words
from gatectl.fleet.database import CHANNEL, CONNECT_S
from gatectl.fleet.fleet_metrics import FleetMetrics
from gatectl.fleet.overview import Overview, OverviewReader
from gatectl.fleet.settings import require_postgresql
from gatectl.fleet.stored_events import DatabaseUnreachable, FleetSource
from gatectl.journal.reader import UnreadableError
from gatectl.monitor import texts
from gatectl.monitor.feeds import EventFeeds, HealthNews
from gatectl.monitor.handlers import PageHandlers
from gatectl.monitor.login import Login
from gatectl.monitor.metrics import Metrics
from gatectl.monitor.presenters import HealthView
from gatectl.monitor.query import Query
from gatectl.monitor.renderer import SiteInfo, StaticFiles, TemplateRenderer, language_of
from gatectl.monitor.serve import Access, Monitor, serve, shared_routes
from gatectl.monitor.streams import Streams
from gatectl.uplink.privacy import PREFIX, Privacy

FRESH_S = 1.0
"""The greatest age of the overview on a page, so that many viewers cause few queries."""

RETRY_S = 5.0
"""Between two tries to listen for notifications; meanwhile new events are looked for once a second."""

SITE = SiteInfo("", "", (), {}, is_fleet=True)


class MemberLookup:
    """Finds members by the numbers that gates have sent as pseudonyms."""

    def __init__(self, key: bytes) -> None:
        """`key` is the tenant's; empty if there is none."""
        self._privacy = Privacy("pseudonym", key) if key else None
        self.partners: Collection[str] = ()
        """A member's pseudonym depends on the partner, so each one's is looked for."""

    @property
    def has_key(self) -> bool:
        return self._privacy is not None

    def query(self, params: Mapping[str, str]) -> Query:
        """Parse the filters of an address; numbers become what a gate may have sent for them."""
        query = Query.of(params)
        filters = query.search.filters
        if filters.member is not None:
            filters = filters._replace(member=None, members=self._members(filters.member, filters.partner))
        if filters.code is not None and not filters.code.startswith(PREFIX) and self._privacy:
            filters = filters._replace(code=self._privacy.pseudonym("credential", filters.code))
        return replace(query, search=replace(query.search, filters=filters))

    def _members(self, number: str, partner: str | None) -> tuple[str, ...]:
        """Return the number, as gates send it that are set so, and its pseudonyms."""
        if self._privacy is None or number.startswith(PREFIX):
            return (number,)
        partners = sorted({*self.partners, *([partner] if partner else [])})
        return (number, *(self._privacy.pseudonym("member", name, number) for name in partners))


class FleetNews(HealthNews):
    """The overview, or why there is none."""

    def __init__(self, overview: Overview | None, error: UnreadableError | None = None) -> None:
        super().__init__(None if overview is None else {"overview": overview})
        self.error = error


class FleetFeeds(EventFeeds):
    """Feeds the list, and has the overview."""

    def __init__(self, source: FleetSource, lookup: MemberLookup) -> None:
        super().__init__(source)
        self._source = source
        self._lookup = lookup
        self._reader = OverviewReader()
        self._overview = Overview(datetime.now(UTC))
        self._failure: UnreadableError | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def overview(self) -> Overview:
        """Return the state of the fleet, a second old at most. Raises UnreadableError."""
        async with self._asking:
            if time.monotonic() - self._asked_at > FRESH_S:
                await self._read()
        if self._failure is not None:
            raise self._failure
        return self._overview

    async def _read(self) -> None:
        now = datetime.now(UTC)
        try:
            self._overview = await self._source.read(lambda stored: self._reader.read(stored, now))
            self._failure = None
        except UnreadableError as error:  # kept as well: a try to connect may take seconds
            self._failure = error
        self._asked_at = time.monotonic()
        self._lookup.partners = self._overview.partners

    @property
    def latest(self) -> Overview:
        """The overview that was read last."""
        return self._overview

    async def health(self) -> HealthNews:
        try:
            return FleetNews(await self.overview())
        except UnreadableError as error:
            return FleetNews(None, error)

    async def follow_notifications(self) -> Never:
        """Wake the pages at each commit with events. Raises UnreadableError if PostgreSQL is too old."""
        await self.health()  # for streams that were open before a restart
        while True:
            try:
                await self._listen()
            except psycopg.Error:
                await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        connection = await psycopg.AsyncConnection.connect(
            self._source.dsn,
            autocommit=True,
            password=self._source.password,
            connect_timeout=CONNECT_S,
            application_name="gatectl fleet monitor",
        )
        async with connection:
            require_postgresql(connection.info)
            await connection.execute(f"LISTEN {CHANNEL}")
            async for _ in connection.notifies():
                self.wake()


class FleetRenderer(TemplateRenderer):
    """Renders the strip at the top for the fleet, once for each overview: it looks at every gate."""

    _shown: Overview | None = None
    _strips: dict[Language, str]

    def health(self, news: HealthNews, language: Language) -> str:
        if news.status is None:
            is_away = isinstance(news, FleetNews) and isinstance(news.error, DatabaseUnreachable)
            words = texts.text(language, "fleet_database_away" if is_away else "no_database")
            return self.render("health.html", language, health=HealthView([], [words]))
        if news.status["overview"] is not self._shown:
            self._shown, self._strips = news.status["overview"], {}
        if language not in self._strips:
            strip = overview_words.strip_of(news.status["overview"], language)
            self._strips[language] = self.render("health.html", language, health=strip)
        return self._strips[language]


class FleetPages(PageHandlers):
    """The pages of a gate's monitor, and the fleet's page."""

    def __init__(
        self, source: FleetSource, live: FleetFeeds, renderer: FleetRenderer, lookup: MemberLookup
    ) -> None:
        super().__init__(SITE, source, live, None, renderer, lookup.query)
        self._feeds = live
        self._lookup = lookup
        self._pages = renderer

    async def events(self, request: Request) -> Response:
        await self._feeds.health()  # the partners are needed to look up a member
        return await super().events(request)

    async def fleet(self, request: Request) -> Response:
        """Show each gate, each partner by studio, and the alarms."""
        language = language_of(request)
        found = await self._feeds.overview()
        return self._pages.page(
            request,
            "fleet.html",
            health=self._pages.health(FleetNews(found), language),
            gates=overview_words.rows_of(found, language),
            partners=overview_words.partners_of(found, language),
            alarms=[overview_words.alarm_words(alarm, found.at, language) for alarm in found.alarms],
        )

    async def unreadable(self, request: Request, error: Exception) -> Response:
        language = language_of(request)
        words = self._why_unreadable(error, language) if isinstance(error, UnreadableError) else ""
        strip = self._pages.health(await self._feeds.health(), language)
        return self._pages.page(request, "notice.html", status=503, words=words, health=strip)

    def _why_unreadable(self, error: UnreadableError, language: Language) -> str:
        if isinstance(error, DatabaseUnreachable):  # the strip says what that means
            return visible(error.message)
        return super()._why_unreadable(error, language)

    def _notices(self, query: Query, language: Language) -> list[str]:
        notices = super()._notices(query, language)
        if not self._lookup.has_key and query.given.keys() & {"member", "code"}:
            notices.append(texts.text(language, "fleet_no_key"))
        return notices

    def _choices(self) -> dict[str, Any]:
        found = self._feeds.latest
        devices = [gate.device for gate in found.gates]
        return {
            "doors": found.doors,
            "partners": found.partners,
            "studios": found.studios,
            "devices": devices,
        }


def run(
    source: FleetSource,
    lookup: MemberLookup,
    *,
    bound: socket.socket,
    access: Access,
    ready: Callable[[], None],
) -> None:
    """Serve on the bound socket until SIGTERM or SIGINT."""
    files = StaticFiles()
    renderer = FleetRenderer(SITE, files.address, has_password=access.password is not None)
    live = FleetFeeds(source, lookup)
    pages = FleetPages(source, live, renderer, lookup)
    streams = Streams(live, source, renderer, lookup.query)
    metrics = FleetMetrics(live.overview, source)
    routes = [
        *shared_routes(pages, streams, Login(renderer, access.password), files),
        Route("/fleet", pages.fleet),
        Route("/metrics", Metrics(metrics.rendered, access.password).answer),
    ]
    monitor = Monitor(live, source, pages, routes, [live.follow_notifications, metrics.follow])
    serve(monitor, bound=bound, access=access, ready=ready)
