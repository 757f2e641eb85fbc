"""The partners: the project's simulator on this machine, with a certificate that the image trusts.

The guest reaches it as `https://partner.test`, over QEMU's user network, which carries this alone.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from gatectl.sim.connection import Received
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Simulator

NAME = "partner.test"
ADDRESS, PORT = "10.0.2.100", 443
LIMIT_S = 300.0
GOOD_FOR_LONG = datetime.now(UTC) + timedelta(days=36500)


def make_secrets(folder: Path) -> None:
    """A CA and a key for each partner, which the image and every later simulator share."""
    authority = trustme.CA()
    folder.mkdir()
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "ca.key").write_bytes(authority.private_key_pem.bytes())
    for protocol in PROTOCOLS:
        (folder / protocol).write_text(f"rig-key-of-{protocol}\n")


class Partners:
    """The simulator in a thread of its own; a context manager."""

    simulator: Simulator

    def __init__(self, secrets: Path) -> None:
        self._secrets = secrets
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with Simulator() as self.simulator:
            for protocol in PROTOCOLS:
                self.simulator.partners[protocol].key = (self._secrets / protocol).read_text().strip()
            self._show(GOOD_FOR_LONG)
            self._ready.set()
            await self._over.wait()

    def _show(self, until: datetime) -> None:
        # The simulator makes a new CA each time, for this machine's names; the image trusts one for good.
        authority = trustme.CA.from_pem(
            (self._secrets / "ca.pem").read_bytes(), (self._secrets / "ca.key").read_bytes()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(NAME, not_after=until).configure_cert(context)
        self.simulator._context = context

    def expire(self) -> None:
        """From now on the certificate is one that has expired before the guest's clock began."""
        self.call(lambda: self._show(datetime(2001, 1, 1, tzinfo=UTC)))
        self.call(self.simulator.drop_all)

    def renew(self) -> None:
        """From now on the certificate is a good one again."""
        self.call(lambda: self._show(GOOD_FOR_LONG))

    @property
    def link(self) -> str:
        """The guest's connections: one `socat` each, as QEMU's forwarding allows."""
        return f"tcp:{ADDRESS}:{PORT}-cmd:socat - TCP:127.0.0.1:{self.simulator.port}"

    @property
    def requests(self) -> list[Received]:
        return list(self.simulator.requests)

    def asked_for(self, member: str) -> int:
        """How many requests came for one member."""
        return sum(request.member == member for request in self.requests)

    def until(self, condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
        """Returns when the condition on the simulator holds; TimeoutError at the limit."""
        asyncio.run_coroutine_threadsafe(self.simulator.until(condition), self._loop).result(limit_s)

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls the function in the simulator's thread."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(LIMIT_S)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(LIMIT_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(LIMIT_S)
