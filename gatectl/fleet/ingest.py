"""Take the gates' events from the broker into PostgreSQL, and send each gate the mark of what is committed.

A session is a connection to each of the two. Where one fails, both end and a new session begins: what is
committed is loaded, and each gate is asked for everything beyond its mark. So nothing that was under way
needs to be kept.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import ssl
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Never

import aiomqtt
import psycopg

from gatectl.config.secrets import key_file
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.fleet.authority import INGEST
from gatectl.fleet.database import PRUNE_ROWS, Database, DatabaseAway
from gatectl.fleet.intake import Alarm, Incoming, Intake, Round, TooManyJournals, incoming
from gatectl.fleet.marks import Marks, window_of
from gatectl.fleet.settings import (
    BrokerSettings,
    FleetSettings,
    load,
    password_of,
    require_broker_files,
)
from gatectl.uplink.mqtt import CancellableClient
from gatectl.uplink.wire import Channel, EventBatch, Presence, Properties, WireError, subscription, topic_of
from gatectl.validators.addresses import broker_address

CONNECT_S = 5.0
"""For each answer of the broker, which is near."""
KEEPALIVE_S = 30
RECONNECT_MAX_S = 30.0
"""Gates wait for head office with what they have; a short time catches up sooner."""

ROUND_EVENTS = 2000
"""In one transaction."""
ROUND_MESSAGES = 500
QUEUE_MAX = 2000
"""Decoded messages that wait for the database."""
LIBRARY_MAX = 50_000
"""Messages before them, as many as the broker keeps for a client: at a start each gate's health comes at
once. Beyond, some are dropped, and are asked for again."""
GATE_BYTES_MAX = 4 << 20
"""Of one gate's messages among them: a window of events many times over."""
MESSAGE_BYTES_LEAST = 4 << 10
"""As which a short message counts, so that one gate's are a thousand at most."""

CHECK_S = 5.0
"""Without a message for so long, see whether the database is still the same."""
PRUNE_S = 3600.0
SETTLE_S = 150.0
"""After a connection to the broker, by which every gate that lives has connected again: a gate tries at least
every 120 s. A device that is not heard of by then is offline, as its will was lost with the broker."""

PAUSE_S = 5.0
QUIET_S = 600.0
"""Between two log entries about the same trouble of one device."""


class Refused(NamedTuple):
    """A message that was not taken, and the reason."""

    device: str
    why: str


@dataclass(frozen=True, slots=True)
class Ingest:
    """The settings and secrets of the process, read once."""

    settings: FleetSettings
    context: ssl.SSLContext
    password: str | None
    log: Log

    @classmethod
    def of(cls, path: Path, environ: Mapping[str, str], log: Log) -> Ingest:
        """Read the settings in this file, keys and certificates. Raises SettingsError."""
        settings = load(path)
        require_broker_files(path, settings.broker, environ)
        password = password_of(path, settings.database, environ)
        return cls(settings, _context(settings.broker, key_file(settings.broker.key, environ)), password, log)

    async def serve(self) -> Never:
        """Hold one session after the other."""
        delays, last = _delays(), ""
        while True:
            session = _Exchange(self)
            try:
                await session.hold()
            except (DatabaseAway, aiomqtt.MqttError) as error:
                if session.is_up:
                    delays, last = _delays(), ""
                name = "the database" if isinstance(error, DatabaseAway) else "the broker"
                # The first failure is loud, its repeats are quiet.
                priority = Priority.INFO if name == last else Priority.WARNING
                last, delay_s = name, next(delays)
                self.log(LogEntry(priority, f"{name} is away: {error}; next try in {delay_s:.1f} s"))
                await asyncio.sleep(delay_s)


class Inbox(asyncio.Queue[aiomqtt.Message]):
    """The messages that came in. Each gate has its turn, so that one that floods delays no other."""

    def _init(self, _maxsize: int) -> None:
        self._queue: dict[str, deque[aiomqtt.Message]] = {}
        """Of each gate, the one whose turn is next first."""
        self._bytes: Counter[str] = Counter()
        self._count = 0

    def qsize(self) -> int:
        return self._count

    def put_nowait(self, item: aiomqtt.Message) -> None:
        if self._bytes[_gate_of(item)] + _size_of(item) > GATE_BYTES_MAX:
            raise asyncio.QueueFull
        super().put_nowait(item)

    def _put(self, item: aiomqtt.Message) -> None:
        self._queue.setdefault(_gate_of(item), deque()).append(item)
        self._bytes[_gate_of(item)] += _size_of(item)
        self._count += 1

    def _get(self) -> aiomqtt.Message:
        gate = next(iter(self._queue))
        waiting = self._queue.pop(gate)
        item = waiting.popleft()
        self._bytes[gate] -= _size_of(item)
        self._count -= 1
        if waiting:
            self._queue[gate] = waiting
        return item


def _gate_of(message: aiomqtt.Message) -> str:
    return message.topic.value.rpartition("/")[0]


def _size_of(message: aiomqtt.Message) -> int:
    return max(len(message.payload), MESSAGE_BYTES_LEAST)


def _context(broker: BrokerSettings, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=broker.ca_file)
    context.load_cert_chain(broker.certificate, key)
    return context


def _delays() -> Iterator[float]:
    delay_s = 0.2
    while True:
        yield delay_s
        delay_s = min(delay_s * 2, RECONNECT_MAX_S)


@dataclass(slots=True)
class _Exchange:
    """One connection to the database, and one to the broker."""

    ingest: Ingest
    is_up: bool = False
    """Whether both connections came about."""
    _intake: Intake = field(default_factory=Intake)
    _queue: asyncio.Queue[Incoming | Refused] = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))
    _heard: set[str] = field(default_factory=set)
    _logged_s: dict[tuple[str, str], float] = field(default_factory=dict)

    async def hold(self) -> Never:
        """Take messages until a connection fails. Raises DatabaseAway or MqttError."""
        settings = self.ingest.settings.database
        database = await Database.open(settings.dsn, self.ingest.password, self._waiting)
        try:
            self._intake = await database.load()
            async with self._client() as client:
                await self._exchange(database, client)
        except aiomqtt.MqttError:
            with suppress(DatabaseAway):
                await database.note_broker(connected=False)
            raise
        finally:
            with suppress(psycopg.Error):
                await database.close()
        raise AssertionError("a session ends by an error")

    def _waiting(self) -> None:
        self.ingest.log(LogEntry(Priority.NOTICE, "another ingest is active: waiting until it ends"))

    def _client(self) -> aiomqtt.Client:
        host, port = broker_address(self.ingest.settings.broker.url)
        return CancellableClient(
            host,
            port,
            identifier=INGEST,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=CONNECT_S,
            tls_context=self.ingest.context,
            max_queued_incoming_messages=LIBRARY_MAX,
            queue_type=Inbox,
            logger=_library_log(),
        )

    async def _exchange(self, database: Database, client: aiomqtt.Client) -> None:
        marks = Marks(client)
        for channel in (Channel.EVENTS, Channel.STATE, Channel.HERE):
            await client.subscribe(subscription(channel), qos=1)
        marks.all_again(self._intake)
        await database.note_broker(connected=True)
        self.is_up = True
        count = len(self._intake.current)
        self.ingest.log(LogEntry(Priority.INFO, f"taking in events; {count} devices are known"))
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(client))
                tasks.create_task(self._write(database, marks))
                tasks.create_task(marks.keep_sending())
                tasks.create_task(self._settle())
        except BaseExceptionGroup as group:
            error = _expected(group)
            if isinstance(error, DatabaseAway):
                with suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE_S):
                        await marks.pause(self._intake)
            raise error from None

    async def _receive(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            try:
                topic = topic_of(str(message.topic))
            except WireError:
                continue
            try:
                # In a thread: one that inflates to a megabyte keeps no others on the line.
                of_message = topic, message.payload, _properties(message)
                taken: Incoming | Refused = await asyncio.to_thread(incoming, *of_message)
            except WireError as error:
                taken = Refused(topic.device, f"a message on {topic.channel}: {error}")
            await self._queue.put(taken)

    async def _write(self, database: Database, marks: Marks) -> Never:
        loop = asyncio.get_running_loop()
        keep_days = self.ingest.settings.database.keep_days
        prune_s = loop.time()
        while True:
            begun_s = loop.time()
            if taken := await self._some(begun_s + CHECK_S):
                begun_s = loop.time()
                await self._commit(database, marks, taken)
                marks.window = window_of(loop.time() - begun_s, self._queue.qsize())
            else:
                await database.check(self._intake)
            if keep_days and loop.time() >= prune_s:
                is_more = await database.prune(keep_days) == PRUNE_ROWS
                prune_s = loop.time() + (1.0 if is_more else PRUNE_S)

    async def _some(self, until_s: float) -> list[Incoming | Refused]:
        """Return the messages that are there, at least one; none at that time."""
        taken: list[Incoming | Refused] = []
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until_s):
                taken.append(await self._queue.get())
        events = 0
        while taken and not self._queue.empty() and len(taken) < ROUND_MESSAGES and events < ROUND_EVENTS:
            taken.append(one := self._queue.get_nowait())
            if isinstance(one, Incoming) and isinstance(one.content, EventBatch):
                events += len(one.content.events)
        return taken

    async def _commit(self, database: Database, marks: Marks, taken: list[Incoming | Refused]) -> None:
        """Commit messages in one transaction; where PostgreSQL refuses that, in smaller and smaller parts."""
        done = self._round(taken)
        try:
            alarms = await database.write(done)
        except psycopg.Error as error:
            if parts := _parts(taken):
                for part in parts:
                    await self._commit(database, marks, part)
                return
            device = taken[0].device
            self._report(Alarm(device, "refused", f"the database refused a message: {type(error).__name__}"))
            return
        self._intake.commit(done)
        marks.answer(done.answers, self._intake)
        for alarm in (*done.alarms, *alarms):
            self._report(alarm)

    def _round(self, taken: list[Incoming | Refused]) -> Round:
        done = Round()
        now = datetime.now(UTC)
        for one in taken:
            if isinstance(one, Refused):
                done.devices.add(one.device)
                done.alarms.append(Alarm(one.device, "refused", f"not taken: {one.why}"))
                continue
            if isinstance(one.content, Presence):
                self._heard.add(one.device)
            try:
                self._intake.take(done, one, now)
            except TooManyJournals:
                done.devices.add(one.device)
                done.alarms.append(Alarm(one.device, "refused", "not taken: it has too many journals"))
        return done

    def _report(self, alarm: Alarm) -> None:
        now_s = asyncio.get_running_loop().time()
        key = (alarm.device, alarm.kind)
        if now_s - self._logged_s.get(key, float("-inf")) >= QUIET_S:
            self._logged_s[key] = now_s
            self.ingest.log(LogEntry(Priority.WARNING, f"{alarm.device}: {alarm.about}"))

    async def _settle(self) -> None:
        """Record as offline whoever was online before this connection, and is not heard of again."""
        known = {device: one.session for device, one in self._intake.attendances.items() if one.online}
        await asyncio.sleep(SETTLE_S)
        for device, session in known.items():
            if device not in self._heard:
                await self._queue.put(Incoming(device, Presence(online=False, session=session)))


def _parts(taken: list[Incoming | Refused]) -> list[list[Incoming | Refused]]:
    """Return what the database refused in parts to try one by one; none for what is without parts.

    A batch comes to its events, and one event to none, so that it holds up neither its gate nor others.
    """
    if len(taken) > 1:
        return [[one] for one in taken]
    (message,) = taken
    if not isinstance(message, Incoming) or not isinstance(message.content, EventBatch):
        return []
    batch = message.content
    if len(batch.events) == 1:
        return [[message._replace(content=batch._replace(events=(), unreadable=batch.unreadable + 1))]]
    ends = [*(one.number for one in batch.events[:-1]), batch.until]
    begins = [batch.after, *ends[:-1]]
    each = zip(begins, ends, batch.events, strict=True) if batch.events else ()
    return [
        [message._replace(content=EventBatch(batch.journal, batch.generation, after, until, (one,)))]
        for after, until, one in each
    ]


def _expected(group: BaseExceptionGroup[BaseException]) -> DatabaseAway | aiomqtt.MqttError:
    """Return the failure of a connection, if there was nothing else; else raise the group."""
    for error in group.exceptions:
        if not isinstance(error, DatabaseAway | aiomqtt.MqttError):
            raise group
    found = [error for error in group.exceptions if isinstance(error, DatabaseAway | aiomqtt.MqttError)]
    return min(found, key=lambda error: isinstance(error, aiomqtt.MqttError))


def _properties(message: aiomqtt.Message) -> Properties:
    found = getattr(message.properties, "UserProperty", ())
    return tuple((str(name), str(value)) for name, value in found)


def _library_log() -> logging.Logger:
    """The library's own log entries are about what is said here in other words."""
    logger = logging.getLogger("gatectl.mqtt")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


async def run(ingest: Ingest) -> None:
    """Serve until SIGTERM or SIGINT."""
    task = asyncio.create_task(ingest.serve())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(without_library_noise)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def without_library_noise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log errors that nobody handles, but those that the library leaves behind when a connection ends.

    They are its future of the connection, and a write for which it still asks on the closed socket.
    """
    error = context.get("exception")
    is_closed = isinstance(error, OSError) and error.errno == errno.EBADF
    if not isinstance(error, aiomqtt.MqttError) and not is_closed:
        loop.default_exception_handler(context)
