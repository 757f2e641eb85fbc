"""Browsers that look at a monitor, in a process of their own: streams, read as they come.

    python -m speed.browsers ADDRESS DOOR VIEWERS

Half of the streams are the list's, half the display's of the door. It says `ready` once all are answered; at
the end of its standard input it says how many rows and screens have come, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import quote, urlsplit

NICE = 19
"""Browsers run on other machines: their time on this one does not count."""

SHOWN = (b"event: row\n", b"event: screen\n")


class Browsers:
    """All the streams of one address."""

    def __init__(self, address: str, door: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname, parts.port
        self._paths = ("/live/events", f"/live/display?door={quote(door)}")
        self.shown = 0

    async def look(self, number: int, ready: asyncio.Semaphore) -> None:
        """One of them, for ever."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        path = self._paths[number % len(self._paths)]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n\r\n".encode())
        if not (await reader.readline()).startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{path} was not answered")
        await reader.readuntil(b"retry:")
        ready.release()
        while line := await reader.readline():
            self.shown += line in SHOWN


async def _main(address: str, door: str, viewers: int) -> None:
    browsers, ready = Browsers(address, door), asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(browsers.look(number, ready)) for number in range(viewers)]
        for _ in tasks:
            await ready.acquire()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        print(browsers.shown, flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    os.nice(NICE)
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
