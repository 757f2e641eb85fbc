"""The monitor's process: pages, streams and login put together, served until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from gatectl.errors import GatectlError
from gatectl.journal.reader import UnreadableError
from gatectl.monitor.connections import HEADERS_BYTES_MAX, BrowserConnection, Connections, Forwarded, Requests
from gatectl.monitor.control_client import ControlClient
from gatectl.monitor.feeds import EventFeeds, LiveFeeds
from gatectl.monitor.handlers import PageHandlers, Report
from gatectl.monitor.journal_worker import EventSource
from gatectl.monitor.login import Login, choose_language
from gatectl.monitor.metrics import LinkStatus, Metrics, of_gate
from gatectl.monitor.password import Password
from gatectl.monitor.renderer import SiteInfo, StaticFiles, TemplateRenderer
from gatectl.monitor.security import SecurityMiddleware, names_of
from gatectl.monitor.streams import Streams

BACKLOG = 128
"""Connections that the kernel queues until they are accepted."""

_FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""Errors of accept(2) if the machine has no resources for another connection now."""


class _WebServer(uvicorn.Server):
    """A server that ends the streams first at a stop: browsers would keep them open for ever."""

    def __init__(
        self,
        config: uvicorn.Config,
        monitor: Monitor,
        connections: Connections,
        ready: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._monitor = monitor
        self._connections = connections
        self._ready = ready
        monitor.when_broken = self._end

    def _end(self) -> None:
        self._monitor.live.close()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        await super().startup(sockets)
        if self.started:
            self._ready()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Ignore a full table of descriptors: asyncio retries after a second. Report all other errors."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _FULL:
            self._connections.failed_to_accept(error)
        else:
            loop.default_exception_handler(context)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop in order at the first signal, with status 0; at a second one, stop at once."""
        self.force_exit = self.should_exit
        self._end()


def listening(host: str, port: int) -> socket.socket:
    """Bind a socket. Raises GatectlError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With an explicit protocol, asyncio disables Nagle's algorithm; otherwise an answer's body waits up
        # to 40 ms for the acknowledgement of its head.
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        raise GatectlError(
            f"{host}:{port}: the monitor cannot listen there: {error.strerror or error}",
            "another address: --listen ADDRESS:PORT, or listen in [monitor] of the settings",
        ) from error
    return bound


@dataclass(frozen=True, slots=True)
class Access:
    """The monitor's access: its address, its password, its names, and the proxies that it believes."""

    host: str
    password: Password | None
    names: Collection[str]
    proxies: Collection[str]


def run(
    site: SiteInfo,
    journal: EventSource,
    daemon: ControlClient,
    report: Report,
    link: LinkStatus,
    *,
    bound: socket.socket,
    access: Access,
    ready: Callable[[], None],
) -> None:
    """Serve a gate's monitor on the bound socket until SIGTERM or SIGINT."""
    files = StaticFiles()
    renderer = TemplateRenderer(site, files.address, has_password=access.password is not None)
    live = LiveFeeds(journal, daemon, site.doors)
    pages = PageHandlers(site, journal, live, report, renderer)
    streams = Streams(live, journal, renderer)
    routes = [
        *shared_routes(pages, streams, Login(renderer, access.password), files),
        Route("/events/{event_id}/report", pages.report),
        Route("/display/{door:path}", pages.display),
        Route("/live/display", streams.display),
        Route("/metrics", Metrics(of_gate(daemon, link), access.password).answer),
    ]
    monitor = Monitor(live, journal, pages, routes, [live.follow_doors])
    serve(monitor, bound=bound, access=access, ready=ready)


def shared_routes(pages: PageHandlers, streams: Streams, login: Login, files: StaticFiles) -> list[Route]:
    """Return the routes that the monitors of a gate and of a fleet both have."""
    return [
        Route("/", pages.events),
        Route("/events.csv", pages.download),
        Route("/grace", pages.grace),
        Route("/grace.csv", pages.grace_download),
        Route("/events/{event_id}", pages.event),
        Route("/live/events", streams.events),
        Route("/language", choose_language),
        Route("/login", login.sign_in, methods=["GET", "POST"]),
        Route("/logout", login.sign_out, methods=["POST"]),
        Route("/static/{name}", files.answer),
    ]


def serve(monitor: Monitor, *, bound: socket.socket, access: Access, ready: Callable[[], None]) -> None:
    """Serve on the bound socket until SIGTERM or SIGINT."""
    secured = SecurityMiddleware(Requests(monitor.app), access.password, names_of(access.host, access.names))
    connections = Connections(access.proxies)
    config = uvicorn.Config(
        Forwarded(secured, access.proxies),
        # The annotation wants a class; a partial of one works too.
        http=functools.partial(BrowserConnection, connections),  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_level="error",  # strangers could fill the log with requests that are not HTTP
        h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
        backlog=BACKLOG,
        timeout_graceful_shutdown=2,
    )
    _WebServer(config, monitor, connections, ready).run([bound])
    if monitor.broken is not None:
        raise monitor.broken


class Monitor:
    """`app` answers requests; its process must keep `live` running."""

    def __init__(
        self,
        live: EventFeeds,
        journal: EventSource,
        pages: PageHandlers,
        routes: Sequence[Route],
        following: Sequence[Callable[[], Coroutine[Any, Any, object]]] = (),
    ) -> None:
        """`following` are tasks of this monitor alone, which never end by themselves."""
        self.live = live
        self.broken: BaseException | None = None
        self.when_broken: Callable[[], None] = lambda: None
        self._journal = journal
        self._following = (live.follow_journal, live.follow_health, *following)
        self.app = Starlette(
            routes=routes,
            exception_handlers={HTTPException: pages.failed, UnreadableError: pages.unreadable},
            lifespan=self._running,
        )

    @contextlib.asynccontextmanager
    async def _running(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(follow()) for follow in self._following]
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
