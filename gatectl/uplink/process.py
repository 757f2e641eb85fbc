"""The process of `gatectl uplink`: the journal and the daemon's status on one side, the broker on the other.

    python -m gatectl.uplink.process DESCRIPTOR

The command checks the settings and then becomes this program, which gets what it needs of them from an open
file descriptor: reading the settings takes a quarter of the memory, and does not give it back.

It reads the journal and watches the daemon. The only messages that it understands are marks, so none can make
a gate do anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Never

from gatectl import clock
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.errors import visible
from gatectl.journal.reader import UnreadableError
from gatectl.monitor.control_client import ControlClient
from gatectl.uplink import wire
from gatectl.uplink.conversation import Conversation, OwnEvent, Wanted, reconnect_delays
from gatectl.uplink.journal_source import JournalSource, NumberedReader
from gatectl.uplink.mqtt import BrokerAccess, Connection, ConnectionLost, connected
from gatectl.uplink.privacy import Members, Privacy
from gatectl.uplink.state_report import StateReport, lasting
from gatectl.uplink.status_file import LinkStatus, StatusFile
from gatectl.uplink.wire import Channel, NumberedEvent, WireError

POLL_S = 10.0
"""Between two looks at the journal, for a daemon that is away: each event rings at the watch socket."""

LOOK_S = 60.0
"""The longest time without a look. A file's time has steps of milliseconds: two writes may show as one."""

RING_S = (0.0, 0.05, 0.2, 0.5)
"""When to look at the journal after an event: its record follows within milliseconds."""

STATUS_S = 30.0
"""Between two looks at the daemon's status: head office sees a lost reader within so long."""

STATE_S = 60.0
"""The longest time between two states, by which a message that was lost is found out."""

STATE_LEAST_S = 1.0
"""The least time between two states, whatever a hostile broker sends."""

MARK_LEAST_S = 0.005
"""The least time between two marks, for the same reason: each one is a look at the journal."""

LEAVE_S = 2.0
"""How long a stop waits for the broker to take the last messages."""

STABLE_S = 10.0
"""A connection that lasts for so long is none of two that end each other: the next one is tried at once."""

TAKEN_OVER_S = (120.0, 240.0)
"""How long to leave the name to another connection that uses it too: one of the two is a mistake."""

WATCH_RETRY_S = 5.0
"""Between two tries to reach a daemon that is away: a page is in more of a hurry."""

_CHANCE = secrets.SystemRandom()


class Uplink:
    """One run. `about` has the fields of the state that do not change."""

    def __init__(
        self,
        access: BrokerAccess,
        source: JournalSource,
        daemon: ControlClient,
        privacy: Privacy,
        about: Mapping[str, Any],
        status: StatusFile,
        log: Log,
    ) -> None:
        self._access = access
        self._source = source
        self._daemon = daemon
        self._privacy = privacy
        self._report = StateReport(daemon, privacy, about, access.certificate)
        self._status_file = status
        self._log = log
        self._talk = Conversation(_CHANCE.random)
        self._process = secrets.token_hex(8)
        self._connections = 0
        self._news = asyncio.Event()
        """The journal or the mark changed."""
        self._rung = asyncio.Event()
        """The daemon finished an event."""
        self._state_due = asyncio.Event()
        self._link = LinkStatus(f"{access.host}:{access.port}", access.device, clock.wall_us(clock.now()))
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """End in order: head office shows the gate as offline at once."""
        self._stopped.set()

    async def run(self) -> None:
        """Return after `stop`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._follow_journal()),
                    tasks.create_task(self._daemon.watch(self._rung.set)),
                ]
                keeping = tasks.create_task(self._keep_connected())
                await self._stopped.wait()
                await asyncio.wait([keeping], timeout=LEAVE_S)
                for task in (keeping, *background):
                    task.cancel()
        finally:
            self._status_file.remove()
            self._source.close()

    # --- The journal -----------------------------------------------------------------------------

    async def _follow_journal(self) -> Never:
        looked_at = float("-inf")
        while True:
            is_rung = self._rung.is_set()
            self._rung.clear()
            if is_rung or self._source.is_touched() or clock.now() - looked_at > LOOK_S:
                looked_at = clock.now()
                for delay_s in RING_S if is_rung else RING_S[:1]:
                    await asyncio.sleep(delay_s)
                    if await self._look():
                        break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._rung.wait()

    async def _look(self) -> bool:
        """Look at the journal's end; return whether there is something new."""
        try:
            end = await self._source.ask(NumberedReader.end)
        except UnreadableError:
            return False
        if end is None or (end.identity, end.last) == (self._talk.journal, self._talk.last):
            return False
        if self._talk.opened(end.identity, end.last):
            self._state_due.set()
        self._news.set()
        await self._show()
        return True

    async def _read(self, wanted: Wanted) -> tuple[list[NumberedEvent], OwnEvent] | None:
        """Return the wanted events as they may leave, and the journal at the number before them.

        Return None as long as the journal cannot be read.
        """

        def read(reader: NumberedReader) -> tuple[list[NumberedEvent], OwnEvent] | None:
            own = _own(reader, wanted.after)
            if own is None:
                return None
            found = reader.after(*wanted)
            events = [NumberedEvent(number, self._privacy.event(event.to_json())) for number, event in found]
            return events, own

        try:
            return await self._source.ask(read)
        except UnreadableError:
            return None

    # --- The connection --------------------------------------------------------------------------

    async def _keep_connected(self) -> None:
        delays = reconnect_delays(_CHANCE.random)
        while not self._stopped.is_set():
            self._connections += 1
            taken_over = False
            began = clock.now()
            try:
                await self._one_connection()
            except* ConnectionLost as group:
                lost = _first(group)
                taken_over = lost.taken_over
                self._failed("another connection uses this gate's name" if taken_over else str(lost))
            if self._stopped.is_set():
                return
            if clock.now() - began > STABLE_S:
                delays = reconnect_delays(_CHANCE.random)
            self._talk.disconnected()
            await self._show()
            await self._pause(_CHANCE.uniform(*TAKEN_OVER_S) if taken_over else next(delays))

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _one_connection(self) -> None:
        session = f"{self._process}-{self._connections}"
        async with connected(self._access, session) as connection:
            self._succeeded()
            self._talk.connected()
            await self._show()
            self._state_due.set()
            async with asyncio.TaskGroup() as tasks:
                working = [
                    tasks.create_task(self._receive(connection)),
                    tasks.create_task(self._send(tasks, connection)),
                    tasks.create_task(self._send_state(connection)),
                ]
                await self._stopped.wait()
                for task in working:
                    task.cancel()

    async def _receive(self, connection: Connection) -> None:
        async for payload in connection.marks():
            try:
                mark = wire.decode_mark(payload)
            except WireError as error:
                await self._refuse(error)
                continue
            with contextlib.suppress(UnreadableError):
                await self._take(mark)
            await asyncio.sleep(MARK_LEAST_S)

    async def _take(self, mark: wire.Mark) -> None:
        own = await self._source.ask(lambda reader: _own(reader, mark.mark))
        before = self._talk.fork, self._talk.behind is None
        if own is not None and self._talk.marked(mark, own, clock.now()):
            self._news.set()
            if (self._talk.fork, self._talk.behind is None) != before:
                self._state_due.set()  # a fork, or how far behind the gate is after all
            self._link.committed = (None, 0) if self._talk.fork else (mark.journal, mark.mark)
            await self._show()

    async def _refuse(self, error: WireError) -> None:
        self._link.refused_marks += 1
        if self._link.refused_marks == 1:
            what = f"a mark from the broker is not understood ({error}), and further ones are not reported"
            self._log(LogEntry(Priority.WARNING, what))
            await self._show()

    async def _send(self, tasks: asyncio.TaskGroup, connection: Connection) -> Never:
        while True:
            wanted = self._talk.wanted(clock.now())
            read = None if wanted is None else await self._read(wanted)
            if wanted is None or read is None:
                await self._wait_for_news(POLL_S if wanted else None)
                continue
            batch = self._talk.batch(*read, clock.now())
            if self._talk.mark is None:
                self._state_due.set()
            if batch is not None:
                await connection.begin(tasks, Channel.EVENTS, wire.encode_batch(batch))

    async def _wait_for_news(self, longest_s: float | None) -> None:
        retry_at = self._talk.retry_at
        if retry_at is not None:
            left_s = max(retry_at - clock.now(), 0.0)
            longest_s = left_s if longest_s is None else min(left_s, longest_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_s):
                await self._news.wait()
        self._news.clear()

    # --- The state -------------------------------------------------------------------------------

    async def _send_state(self, connection: Connection) -> Never:
        sent: object = None
        sent_at = float("-inf")
        while True:
            is_due = self._state_due.is_set() or clock.now() - sent_at >= STATE_S
            self._state_due.clear()
            status = await self._report.daemon_status()
            if is_due or lasting(status) != sent:
                oldest_at = await self._oldest_unsent_at()
                await connection.send(Channel.STATE, self._report.payload(status, self._talk, oldest_at))
                sent, sent_at = lasting(status), clock.now()
                await self._show()
                await asyncio.sleep(STATE_LEAST_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S * _CHANCE.uniform(0.9, 1.1)):
                    await self._state_due.wait()

    async def _oldest_unsent_at(self) -> str | None:
        mark = self._talk.mark
        return None if mark is None or mark.mark >= self._talk.last else await self._time_after(mark.mark)

    async def _time_after(self, number: int) -> str | None:
        """Return the time of the first event with a greater number."""
        read = await self._read(Wanted(number, 1))
        return str(read[0][0].event["at"]) if read and read[0] else None

    # --- The own status --------------------------------------------------------------------------

    def _succeeded(self) -> None:
        self._link.changed(clock.wall_us(clock.now()), None)
        self._log(LogEntry(Priority.NOTICE, f"connected to {self._link.broker}"))

    def _failed(self, cause: str) -> None:
        """Log the first failure after a success, and each new cause; repeats are quiet."""
        if self._link.changed(clock.wall_us(clock.now()), cause):
            self._log(LogEntry(Priority.WARNING, f"not connected to {self._link.broker}: {cause}"))

    async def _show(self) -> None:
        link, committed = self._link, self._link.committed
        if link.pending(self._talk) and (link.oldest[0] != committed or link.oldest[1] is None):
            link.oldest = committed, await self._time_after(committed[1])
        try:
            self._status_file.write(link.shown(self._talk))
        except OSError as error:
            self._log(LogEntry(Priority.WARNING, f"the status cannot be written: {error.strerror}"))


def _own(reader: NumberedReader, number: int) -> OwnEvent | None:
    end = reader.end()
    return None if end is None else OwnEvent(end.last, reader.id_at(number))


def _first(group: BaseExceptionGroup[ConnectionLost]) -> ConnectionLost:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def main(descriptor: int) -> None:
    """Run until SIGTERM or SIGINT, by the JSON object that can be read there; see `RunParameters`."""
    with os.fdopen(descriptor) as file:
        given = RunParameters(**json.load(file))
    asyncio.run(_run(given))


class RunParameters(NamedTuple):
    """The parameters of one run, as JSON has them."""

    host: str
    port: int
    device: str
    certificate: str
    key: str
    ca_file: str
    journal: str
    socket: str
    """The daemon's, for those who watch."""
    status: str
    members: Members
    pseudonym_key: str
    """In hex; empty for none."""
    about: dict[str, Any]


async def _run(given: RunParameters) -> None:
    files = map(Path, (given.certificate, given.key, given.ca_file))
    process = Uplink(
        BrokerAccess(given.host, given.port, given.device, *files),
        JournalSource(Path(given.journal)),
        ControlClient(Path(given.socket), WATCH_RETRY_S),
        Privacy(given.members, bytes.fromhex(given.pseudonym_key)),
        given.about,
        StatusFile(Path(given.status)),
        _log,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, process.stop)
    await process.run()


def _log(entry: LogEntry) -> None:
    """Write a line to stderr; systemd reads its priority from the prefix (sd-daemon(3))."""
    prefix = f"<{entry.priority.value}>" if "JOURNAL_STREAM" in os.environ else ""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{prefix}{visible(entry.message)}\n")
        sys.stderr.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
