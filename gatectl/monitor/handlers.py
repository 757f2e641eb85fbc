"""The pages: the list of events, an event's whole story with its report, and a door's display."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gatectl.decision import event_csv
from gatectl.decision.cause import NEIGHBOURS, Around, around
from gatectl.decision.event import Event
from gatectl.decision.outcomes import KINDS
from gatectl.decision.verdict import Basis
from gatectl.decision.words import Language, chosen
from gatectl.decision.words.advice import advice
from gatectl.decision.words.event_words import RESULTS, basis_of
from gatectl.errors import GatectlError, visible
from gatectl.journal.filters import Filters
from gatectl.journal.reader import UnreadableError
from gatectl.monitor import chart, presenters, texts
from gatectl.monitor.feeds import EventFeeds
from gatectl.monitor.journal_worker import EventBrowser, EventSource
from gatectl.monitor.query import Query, QueryOf
from gatectl.monitor.renderer import SiteInfo, TemplateRenderer, language_of

PAGE_SIZE = 50
"""Events per page: two screens of a desktop."""

Report = Callable[[str], Mapping[str, str]]
"""Makes the files of the report for Support about an event, by its ID. Raises GatectlError; may be slow."""


class PageHandlers:
    """Handlers for the pages that a browser opens; changes on an open page come by `streams.py`."""

    def __init__(
        self,
        site: SiteInfo,
        journal: EventSource,
        live: EventFeeds,
        report: Report | None,
        renderer: TemplateRenderer,
        query: QueryOf = Query.of,
    ) -> None:
        self._query = query
        self._site = site
        self._journal = journal
        self._live = live
        self._report = report
        self._renderer = renderer

    async def events(self, request: Request) -> Response:
        language = language_of(request)
        query = self._query(request.query_params)
        notices = self._notices(query, language)
        day = _day(request.query_params.get("day"))
        # A fleet's day has too many scans to be counted for each page.
        is_drawn = not self._site.is_fleet or "day" in request.query_params
        found = None
        try:
            mark, found, drawn = await self._journal.ask(
                lambda browser: _look(browser, query, day if is_drawn else None)
            )
        except UnreadableError as error:
            mark, drawn = 0, chart.Day([], [])
            notices.append(self._why_unreadable(error, language))
        events = [listed.event for listed in found.events] if found else []
        rows = presenters.rows_of(events, language, whole_codes=query.whole_codes)
        return self._renderer.page(
            request,
            "list.html",
            query=query,
            found=found,
            rows=rows,
            mark=mark,
            notices=notices,
            health=self._renderer.health(await self._live.health(), language),
            **self._choices(),
            results={result.value: chosen(row.words, language) for result, row in RESULTS.items()},
            kinds=KINDS,
            drawn=drawn,
            day=day,
            day_text=presenters.day_text(datetime(day.year, day.month, day.day).astimezone(), language),
            days=(day - timedelta(days=1), day + timedelta(days=1)),
            chart=chart,
        )

    async def download(self, request: Request) -> Response:
        """Send all events that pass the filters, as a file for spreadsheets."""
        table = _Table(self._query(request.query_params).search.filters, self._columns(event_csv.COLUMNS))
        return await self._file(request, "events", table)

    async def grace(self, request: Request) -> Response:
        """List who was let in during a partner's outage."""
        language = language_of(request)
        query = self._query(request.query_params)
        search = replace(query.search, filters=_graced(query))
        found = await self._journal.ask(lambda browser: browser.page(search, PAGE_SIZE, browser.mark()))
        return self._renderer.page(
            request,
            "grace.html",
            query=query,
            found=found,
            rows=[presenters.grace_row_of(listed.event, language) for listed in found.events],
            notices=self._notices(query, language),
            **self._choices(),
        )

    async def grace_download(self, request: Request) -> Response:
        """Send that list as a file for spreadsheets, as `gatectl grace --csv` prints it."""
        filters = _graced(self._query(request.query_params))
        return await self._file(request, "grace", _Table(filters, self._columns(event_csv.GRACE_COLUMNS)))

    def _columns(self, columns: event_csv.Columns) -> event_csv.Columns:
        return event_csv.of_fleet(columns) if self._site.is_fleet else columns

    async def _file(self, request: Request, name: str, table: _Table) -> Response:
        file_name = f"gatectl-{name}-{datetime.now().astimezone():%Y-%m-%d}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
        first = await self._journal.ask(lambda browser: _rows_of(browser, table, None, browser.mark()))
        rows = self._rows(table, first, language_of(request))
        return StreamingResponse(rows, media_type="text/csv", headers=headers)

    async def _rows(self, table: _Table, first: _Rows, language: Language) -> AsyncIterator[str]:
        file, rows = self._journal.file, first
        yield event_csv.header(table.columns) + rows.text
        while rows.following is not None:
            following = partial(_rows_of, table=table, low=rows.following, until=rows.until)
            try:
                rows = await self._journal.ask(following)
            except UnreadableError:
                file = None
            if self._journal.file != file:
                # The head was sent long ago: only a broken end can show that the answer is incomplete.
                yield texts.text(language, "incomplete") + "\n"
                return
            yield rows.text

    async def event(self, request: Request) -> Response:
        language = language_of(request)
        event_id = request.path_params["event_id"]
        found = await self._journal.ask(lambda browser: _with_neighbours(browser, event_id))
        if found is None:
            words = texts.text(language, "no_such_event")
            return self._renderer.page(request, "notice.html", status=404, words=words)
        event, said = found
        return self._renderer.page(
            request,
            "event.html",
            event=event,
            row=presenters.row_of(event, language, whole_codes=True),
            story=presenters.timeline_of(event, language),
            advice=self._advice(event, language, said),
            facts=_facts(event, language),
        )

    async def report(self, request: Request) -> Response:
        """Send the report in one file, ready for a mail."""
        event_id = request.path_params["event_id"]
        if self._report is None or await self._journal.ask(lambda browser: browser.find(event_id)) is None:
            raise HTTPException(404)
        try:
            files = await asyncio.to_thread(self._report, event_id)
        except GatectlError as error:
            return self._renderer.page(request, "notice.html", status=503, words=visible(error.message))
        name = f"gatectl-report-{event_id}"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(f"{name}/{file}", content)
        headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
        return Response(packed.getvalue(), media_type="application/zip", headers=headers)

    def _advice(self, event: Event, language: Language, said: Around) -> str:
        page = self._site.status_pages.get(event.attempt.partner or "")
        return visible(advice(event, page, language, said))

    async def display(self, request: Request) -> Response:
        door = request.path_params["door"]
        if door not in self._live.displays:
            raise HTTPException(404)
        screen = presenters.screen_of(self._live.now(door), language_of(request))
        # A link's key opens the stream too; else the session does.
        key = {"key": request.query_params["key"]} if "key" in request.query_params else {}
        stream = f"/live/display?{urlencode({'door': door, **key})}"
        return self._renderer.page(request, "display.html", door=door, screen=screen, stream=stream)

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer for a page that does not exist."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        words = texts.text(language_of(request), "not_there")
        return self._renderer.page(request, "notice.html", status=status, words=words)

    async def unreadable(self, request: Request, error: Exception) -> Response:
        """Answer for a page that needs the journal while it is unreadable."""
        language = language_of(request)
        words = self._why_unreadable(error, language) if isinstance(error, UnreadableError) else ""
        return self._renderer.page(request, "notice.html", status=503, words=words)

    def _notices(self, query: Query, language: Language) -> list[str]:
        """Return what is wrong with the filters."""
        return [texts.text(language, "bad_time", text=visible(text)) for text in query.not_times]

    def _choices(self) -> dict[str, Any]:
        """Return the values that filters offer."""
        site = self._site
        return {"doors": site.doors, "partners": list(site.status_pages), "studios": (), "devices": ()}

    def _why_unreadable(self, error: UnreadableError, language: Language) -> str:
        words = texts.text(language, "no_database" if self._site.is_fleet else "no_journal")
        return f"{words} {visible(error.message)}"


class _Rows(NamedTuple):
    """Some lines of CSV, the position of the next ones, and the mark at which the download ends."""

    text: str
    following: int | None
    until: int


class _Table(NamedTuple):
    """The events and the columns of a file for spreadsheets."""

    filters: Filters
    columns: event_csv.Columns


def _rows_of(browser: EventBrowser, table: _Table, low: int | None, until: int) -> _Rows:
    events, following = browser.batch(table.filters, low, until)
    return _Rows("".join(event_csv.rows(events, None, table.columns)), following, until)


def _graced(query: Query) -> Filters:
    """Return the filters of the list of who was let in during an outage: a time and a partner."""
    given = query.search.filters
    return Filters(
        since_us=given.since_us,
        partner=given.partner,
        basis=Basis.GRACE,
        studio=given.studio,
        device=given.device,
    )


def _with_neighbours(browser: EventBrowser, event_id: str) -> tuple[Event, Around] | None:
    event = browser.find(event_id)
    if event is None:
        return None
    return event, around(event, *browser.neighbours(event_id, NEIGHBOURS))


def _look(browser: EventBrowser, query: Query, day: date | None) -> tuple[int, Any, chart.Day | None]:
    mark = browser.mark()
    drawn = None if day is None else chart.day_of(browser, day)
    return mark, browser.page(query.search, PAGE_SIZE, mark), drawn


def _facts(event: Event, language: Language) -> list[tuple[str, str]]:
    """The event's further fields: label and value; those without a value are left out."""
    attempt, outcome = event.attempt, event.outcome
    reason = outcome.reason
    said = ": ".join(part for part in (reason.key, reason.text) if part) if reason else ""
    facts = {
        "device": event.device,
        "door": attempt.door,
        "scanner": attempt.scanner,
        "credential": attempt.credential,
        "partner": attempt.partner,
        "customer": attempt.customer,
        "basis": outcome.basis and basis_of(outcome.basis, language),
        "status": outcome.status,
        "verdict": outcome.verdict,
        "fault": outcome.fault,
        "detail": outcome.detail,
        "reason": said,
        "outage": texts.text(language, "yes") if outcome.outage else None,
        "belongs_to": attempt.of,
        "id": attempt.id,
    }
    return [(texts.text(language, key), visible(str(value))) for key, value in facts.items() if value]


def _day(text: str | None) -> date:
    """Return the requested day, else today."""
    today = datetime.now().astimezone().date()
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return today
    return day if date(1971, 1, 1) < day <= today + timedelta(days=1) else today
