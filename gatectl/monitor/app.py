"""The application: pages, streams and login put together, and their background tasks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gatectl.journal.reader import UnreadableError
from gatectl.monitor.control_client import ControlClient
from gatectl.monitor.feeds import LiveFeeds
from gatectl.monitor.handlers import PageHandlers, Report
from gatectl.monitor.journal_worker import JournalWorker
from gatectl.monitor.login import Login, choose_language
from gatectl.monitor.password import Password
from gatectl.monitor.renderer import SiteInfo, StaticFiles, TemplateRenderer
from gatectl.monitor.streams import Streams


class Monitor:
    """`app` answers requests; its process must keep `live` running."""

    def __init__(
        self,
        gym: SiteInfo,
        journal: JournalWorker,
        daemon: ControlClient,
        report: Report,
        password: Password | None,
    ) -> None:
        self.live = LiveFeeds(journal, daemon, gym.doors)
        self.broken: BaseException | None = None
        self.when_broken: Callable[[], None] = lambda: None
        self._journal = journal
        files = StaticFiles()
        renderer = TemplateRenderer(gym, files.address, has_password=password is not None)
        pages = PageHandlers(gym, journal, self.live, report, renderer)
        streams = Streams(self.live, journal, renderer)
        login = Login(renderer, password)
        self.app = Starlette(
            routes=[
                Route("/", pages.events),
                Route("/events.csv", pages.download),
                Route("/events/{event_id}", pages.event),
                Route("/events/{event_id}/report", pages.report),
                Route("/display/{door:path}", pages.display),
                Route("/live/events", streams.events),
                Route("/live/display", streams.display),
                Route("/language", choose_language),
                Route("/login", login.sign_in, methods=["GET", "POST"]),
                Route("/logout", login.sign_out, methods=["POST"]),
                Route("/static/{name}", files.answer),
            ],
            exception_handlers={HTTPException: pages.failed, UnreadableError: pages.unreadable},
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
        """End the process when a task ends: tasks never end by themselves, so it is a bug."""
        if not task.cancelled():
            self.broken = task.exception()
            self.when_broken()
