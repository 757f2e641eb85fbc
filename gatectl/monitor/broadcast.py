"""Send news to the connected browsers. One that does not read is dropped, so that it cannot delay others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

BEHIND = 200
"""Maximum news queued for one browser: minutes of a busy door."""

QUIET_S = 3.0
"""After so long without news a heartbeat is sent. A page that misses two shows that it is not connected, and
a failed heartbeat reveals a browser that is gone."""


class Broadcast(Generic[T]):
    """Passes each piece of news to all listeners."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[T | None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queues)

    def publish(self, news: T) -> None:
        for queue in list(self._queues):
            if queue.qsize() < BEHIND:
                queue.put_nowait(news)
            else:
                self._end(queue)

    def close(self) -> None:
        """End the news of all listeners."""
        self._closed = True
        for queue in list(self._queues):
            self._end(queue)

    @contextmanager
    def listening(self) -> Iterator[AsyncIterator[T | None]]:
        """Yield the news from now on; None after a pause without news."""
        queue: asyncio.Queue[T | None] = asyncio.Queue()
        if self._closed:
            queue.put_nowait(None)
        else:
            self._queues.add(queue)
        try:
            yield self._news(queue)
        finally:
            self._queues.discard(queue)

    async def _news(self, queue: asyncio.Queue[T | None]) -> AsyncIterator[T | None]:
        while True:
            try:
                news = await asyncio.wait_for(queue.get(), QUIET_S)
            except TimeoutError:
                yield None
                continue
            if news is None:
                return
            yield news

    def _end(self, queue: asyncio.Queue[T | None]) -> None:
        self._queues.discard(queue)
        queue.put_nowait(None)
