"""The monitor's process: an HTTP server around the pages, until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from types import FrameType

import uvicorn

from gatectl.errors import GatectlError
from gatectl.monitor.app import Monitor
from gatectl.monitor.daemon import Daemon
from gatectl.monitor.guard import Guard, names_of
from gatectl.monitor.gym import Gym
from gatectl.monitor.journal import JournalDesk
from gatectl.monitor.pages import Report
from gatectl.monitor.password import Password

CONNECTIONS_MAX = 200
"""A gym's staff and tablets are some dozens; a small memory is not to be filled by more."""

BACKLOG = 64


class _Server(uvicorn.Server):
    """Ends the streams first: a browser would hold them for ever."""

    def __init__(self, config: uvicorn.Config, monitor: Monitor, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._monitor = monitor
        self._ready = ready
        monitor.when_broken = self._end

    def _end(self) -> None:
        self._monitor.live.close()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """The first signal ends it in order, with status 0; a second one waits for nobody."""
        self.force_exit = self.should_exit
        self._end()


def listening(host: str, port: int) -> socket.socket:
    """The bound socket. Raises GatectlError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With the protocol named, asyncio sends at once; without, an answer's body waits for an
        # acknowledgement of its head, 40 ms.
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(BACKLOG)
    except OSError as error:
        raise GatectlError(
            f"{host}:{port}: the monitor cannot listen there: {error.strerror or error}",
            "another address: gatectl monitor --listen ADDRESS:PORT",
        ) from error
    return bound


def run(
    gym: Gym,
    journal: JournalDesk,
    daemon: Daemon,
    report: Report,
    *,
    bound: socket.socket,
    host: str,
    password: Password | None,
    names: Collection[str],
    ready: Callable[[], None],
) -> None:
    """Serves on the bound socket until SIGTERM or SIGINT."""
    monitor = Monitor(gym, journal, daemon, report, password)
    guard = Guard(monitor.app, password, names_of(host, names))
    config = uvicorn.Config(
        guard,
        http="h11",
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_graceful_shutdown=2,
    )
    _Server(config, monitor, ready).run([bound])
    if monitor.broken is not None:
        raise monitor.broken
