"""Changes while pages are open, for any number of followers: events, health, the displays' screens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Never, TypeVar

from gatectl.journal.paging import Listed
from gatectl.journal.reader import POLL_S, UnreadableError
from gatectl.monitor.control_client import Away, ControlClient
from gatectl.monitor.journal_worker import EventSource, StoreState
from gatectl.monitor.presenters import OFFLINE

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
        """Queue the news for every listener; one that is too far behind is ended."""
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
                async with asyncio.timeout(QUIET_S):
                    news = await queue.get()
            except TimeoutError:
                yield None
                continue
            if news is None:
                return
            yield news

    def _end(self, queue: asyncio.Queue[T | None]) -> None:
        self._queues.discard(queue)
        queue.put_nowait(None)


IDLE_POLL_S = 1.0
"""Between two polls while no page is open, or no process writes the journal."""

HEALTH_S = 2.0
"""Between two status requests: a technician who pulls a cable looks at the page within seconds."""

NEWS_MAX = 500
"""More at once (the machine slept, the pages did not) and the pages are reloaded."""


class Reload:
    """The journal is another one, or too much is new: pages are reloaded."""


class HealthNews:
    """The status, or None if the daemon is away."""

    def __init__(self, status: dict[str, Any] | None, *, denied: bool = False) -> None:
        self.status, self.denied = status, denied


News = Listed | Reload | HealthNews


class EventFeeds:
    """Feeds the list: `events` has its news."""

    def __init__(self, journal: EventSource) -> None:
        self.events: Broadcast[News] = Broadcast()
        self.displays: Mapping[str, Broadcast[dict[str, Any]]] = {}
        """The views by door."""
        self.is_away = True
        self._journal = journal
        self._woken = asyncio.Event()

    def close(self) -> None:
        """End every stream."""
        self.events.close()
        for broadcast in self.displays.values():
            broadcast.close()

    def now(self, door: str) -> dict[str, Any]:
        """Return the view for a display that is opened now, without words for a member, who has seen them."""
        return {"door": door, "screen": OFFLINE if self.is_away else "idle"}

    def wake(self) -> None:
        """Check the journal now: there is a new listener, or a new event."""
        self._woken.set()

    async def follow_journal(self) -> Never:
        """Publish each event once it is on disk. Never returns."""
        seen: StoreState | None = None
        is_first = True
        while True:
            self._woken.clear()  # before the look, so that what comes in after it is looked for at once
            try:
                now = await self._journal.seen()
                if seen is None or now.file != seen.file:
                    if not is_first:
                        self.events.publish(Reload())
                elif now.mark != seen.mark:
                    now = now._replace(mark=await self._publish_since(seen.mark))
                else:
                    now = seen
                seen = now
            except UnreadableError:
                if seen is not None:
                    self.events.publish(Reload())
                seen = None
            is_first = False
            await self._pause(POLL_S / 2 if len(self.events) and seen and not seen.at_rest else IDLE_POLL_S)

    async def _publish_since(self, mark: int) -> int:
        news, until = await self._journal.ask(lambda browser: browser.since(mark, NEWS_MAX + 1))
        if len(news) > NEWS_MAX:
            self.events.publish(Reload())
            return await self._journal.ask(lambda browser: browser.mark())
        for listed in news:
            self.events.publish(listed)
        return until

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def follow_health(self) -> Never:
        """Publish the state of doors and partners while a page is open."""
        while True:
            if len(self.events):
                self.events.publish(await self.health())
            await asyncio.sleep(HEALTH_S)

    async def health(self) -> HealthNews:
        """Return the state for the strip at the top."""
        raise NotImplementedError


class LiveFeeds(EventFeeds):
    """Feeds the pages of a gate: its list and its displays."""

    def __init__(self, journal: EventSource, daemon: ControlClient, doors: Collection[str]) -> None:
        super().__init__(journal)
        self.displays = {door: Broadcast() for door in doors}
        self._daemon = daemon

    async def health(self) -> HealthNews:
        try:
            return HealthNews(await self._daemon.status())
        except Away as away:
            return HealthNews(None, denied=away.denied)

    async def follow_doors(self) -> Never:
        """Pass each door's view to its viewers, without storing it; look at the journal after each event."""
        await self._daemon.watch(self.wake, self._show, self._lost)

    def _show(self, view: dict[str, Any]) -> None:
        self.is_away = False
        broadcast = self.displays.get(view["door"])
        if broadcast is not None:
            broadcast.publish(view)

    def _lost(self) -> None:
        if not self.is_away:
            self.is_away = True
            for door, broadcast in self.displays.items():
                broadcast.publish({"door": door, "screen": OFFLINE})
