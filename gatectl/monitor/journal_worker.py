"""Read the journal for the pages, in one thread, also if the file is replaced meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from gatectl.decision.event import Event
from gatectl.journal.filters import Filters
from gatectl.journal.paging import Browser, Listed, Page, Search, Tally
from gatectl.journal.reader import UnreadableError

T = TypeVar("T")

File = tuple[int, int]
"""Device and inode, to identify the file: a damaged store is moved away and replaced."""


class EventBrowser(Protocol):
    """A store of events as the pages read it; its methods are those of `journal.paging.Browser`."""

    def mark(self) -> int: ...

    def page(self, search: Search, size: int, until: int) -> Page: ...

    def since(self, after: int, most: int) -> tuple[list[Listed], int]: ...

    def batch(self, filters: Filters, low: int | None, until: int) -> tuple[list[Event], int | None]: ...

    def tallies(self, from_us: int, until_us: int, bucket_us: int) -> list[Tally]: ...

    def find(self, event_id: str) -> Event | None: ...

    def neighbours(self, event_id: str, count: int) -> tuple[list[Event], list[Event]]: ...


class StoreState(NamedTuple):
    """The journal's position.

    The file, its version (which changes with every write), its last decision, and whether no process writes
    it.
    """

    file: File | None
    version: int
    mark: int
    at_rest: bool


class EventSource(Protocol):
    """Answers questions to a store of events: a gate's journal, or head office's database."""

    @property
    def file(self) -> File | None: ...

    async def ask(self, question: Callable[[EventBrowser], T]) -> T: ...

    async def seen(self) -> StoreState: ...

    def close(self) -> None: ...


class JournalWorker:
    """Answers one question after the other, from the file that is now the journal."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "journal reader")
        self._browser: Browser | None = None
        self._file: File | None = None

    async def ask(self, question: Callable[[Browser], T]) -> T:
        """Return the question's answer. Raises UnreadableError if there is no readable journal."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, question)

    async def seen(self) -> StoreState:
        """Read the journal's position. Raises UnreadableError."""
        return await self.ask(
            lambda browser: StoreState(self._file, browser.version(), browser.mark(), browser.at_rest)
        )

    @property
    def file(self) -> File | None:
        """The identity of the file that the last answer came from."""
        return self._file

    def close(self) -> None:
        self._thread.submit(self._let_go)
        self._thread.shutdown()

    def _answer(self, question: Callable[[Browser], T]) -> T:
        browser = self._opened()
        try:
            return question(browser)
        except UnreadableError:
            self._let_go()
            raise

    def _opened(self) -> Browser:
        try:
            found = self._path.stat()
        except OSError:
            self._let_go()
            return Browser(self._path)  # reports the problem
        file = (found.st_dev, found.st_ino)
        # A store at rest was opened as unchanging: open it again each time.
        if self._browser is None or file != self._file or self._browser.at_rest:
            self._let_go()
            self._browser, self._file = Browser(self._path), file
        return self._browser

    def _let_go(self) -> None:
        if self._browser is not None:
            self._browser.close()
        self._browser = self._file = None
