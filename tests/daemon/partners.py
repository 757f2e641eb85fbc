"""The partner simulator in a thread of its own, so that a test can block while it answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from limits import NET_S

from gatectl.sim.connection import Received
from gatectl.sim.server import Simulator


class Partners:
    """All partners of `gatectl.sim`; a context manager. `simulator` is theirs, for reading.

    `on_request`, if set, is called in the simulator's thread for each whole request, before it is
    answered; what it raises fails the test at the end.
    """

    simulator: Simulator

    def __init__(self, **settings: Any) -> None:
        self.on_request: Callable[[Received], None] | None = None
        self._settings = settings
        self._errors: list[BaseException] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._errors.append(error)
            raise
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with Simulator(**self._settings, on_request=self._take) as self.simulator:
            self._ready.set()
            await self._over.wait()

    def _take(self, record: Received) -> None:
        on_request = self.on_request  # the test's thread may take it away at any time
        if on_request is None:
            return
        try:
            on_request(record)
        except BaseException as error:
            self._errors.append(error)
            raise

    @property
    def requests(self) -> list[Received]:
        return list(self.simulator.requests)

    def asked_for(self, member: str) -> list[Received]:
        """The requests for one member."""
        return [request for request in self.requests if request.member == member]

    def until(self, condition: Callable[[], bool]) -> None:
        """Returns when the condition on the simulator holds."""
        asyncio.run_coroutine_threadsafe(self.simulator.until(condition), self._loop).result(NET_S)

    def call(self, function: Callable[[], Any]) -> Any:
        """Calls the function in the simulator's thread."""

        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(NET_S)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(NET_S)
        assert not self._errors
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(NET_S)
        if kind is None:
            assert not self._errors, self._errors
