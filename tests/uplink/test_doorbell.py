"""The uplink looks at the journal when the daemon says that an event was finished, and says what waits."""

import asyncio
import json
from pathlib import Path

import pytest
from limits import NET_S
from records import record

from gatectl.journal.schema import open_store, transaction
from gatectl.monitor.control_client import ControlClient
from gatectl.uplink import process
from gatectl.uplink.journal_source import JournalSource
from gatectl.uplink.mqtt import BrokerAccess
from gatectl.uplink.privacy import Privacy
from gatectl.uplink.process import Uplink
from gatectl.uplink.status_file import StatusFile

LONG_S = 3600
NOWHERE = BrokerAccess("127.0.0.1", 1, "berlin-1", *[Path("/nonexistent")] * 3)


@pytest.fixture
def polls_never(monkeypatch):
    """The daemon's line alone leads to a look."""
    for name in ("POLL_S", "LOOK_S"):
        monkeypatch.setattr(process, name, LONG_S)


class Daemon:
    """A daemon's watch socket; `ring` says that an event was finished."""

    def __init__(self):
        self.watched = asyncio.Event()
        self._writers = []

    async def answer(self, reader, writer):
        request = json.loads(await reader.readline())
        assert request == {"command": "watch", "events": True}
        writer.write(b'{"doors": ["main"]}\n{"door": "main", "screen": "idle"}\n')
        self._writers.append(writer)
        self.watched.set()

    def ring(self):
        for writer in self._writers:
            writer.write(b'{"event": "finished"}\n')

    def close(self):
        for writer in self._writers:
            writer.close()


async def shown(folder, condition):
    """Return the status file's content once it is so."""
    path = folder / "status.json"
    while not (path.exists() and condition(status := json.loads(path.read_text()))):
        await asyncio.sleep(0.01)
    return status


def finish(folder, number):
    connection = open_store(folder / "journal.db")
    with transaction(connection):
        record(connection, number)
    connection.close()


@pytest.mark.usefixtures("polls_never")
def test_the_daemons_line_leads_to_a_look_at_the_journal(tmp_path):
    async def story():
        daemon = Daemon()
        server = await asyncio.start_unix_server(daemon.answer, tmp_path / "watch.sock")
        finish(tmp_path, 1)
        uplink = Uplink(
            NOWHERE,
            JournalSource(tmp_path / "journal.db"),
            ControlClient(tmp_path / "watch.sock"),
            Privacy("none"),
            {},
            StatusFile(tmp_path / "status.json"),
            lambda _entry: None,
        )
        running = asyncio.create_task(uplink.run())
        async with asyncio.timeout(NET_S):
            await daemon.watched.wait()
            first = await shown(tmp_path, lambda status: status["last"] == 1)
            finish(tmp_path, 2)
            daemon.ring()
            second = await shown(tmp_path, lambda status: status["last"] == 2)
            uplink.stop()
            await running
        daemon.close()
        server.close()
        return first, second

    first, second = asyncio.run(story())
    assert (first["pending"], second["pending"]) == (None, None)  # head office has never said what it has
