"""The tables of head office in PostgreSQL: migrate them, load what is committed, write a round, prune.

One process writes. It holds an advisory lock on the connection by which it writes, so that who has lost the
lock cannot write any more.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.types.json import Jsonb

from gatectl.errors import GatectlError, one_line
from gatectl.fleet import erase
from gatectl.fleet.intake import COLUMNS, Alarm, Intake, Place, Round, Row, is_text
from gatectl.fleet.settings import require_postgresql
from gatectl.uplink.head_office import Attendance, Notice, Stream

LOCK = 0x67617465
"""The key of the advisory lock: "gate"."""

CHANNEL = "events"
"""The channel of NOTIFY; a notification comes with each commit that has new events."""

CONNECT_S = 10
STATEMENT_MS = 60_000
"""A statement that takes longer waits for a lock or a disk that does not answer: begin again."""

_KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
"""So that the server ends the lock of an ingest whose machine was switched off."""

RESTORED = "its content is another one, as after a restore of a backup"

PRUNE_ROWS = 5000
"""At once: new events wait for no longer than such a statement takes."""

_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_TYPED = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
_SENT = f"jsonb_to_recordset(%s) AS sent ({_TYPED})"

_INSERT = (
    f"INSERT INTO event ({_NAMES}) SELECT {_NAMES} FROM {_SENT} "  # noqa: S608 - no value is in the text
    "ON CONFLICT DO NOTHING RETURNING id::text"
)
_INSERT_CONFLICTS = (
    f"INSERT INTO event ({_NAMES}, conflict) SELECT {_NAMES}, true FROM {_SENT} "  # noqa: S608
    "ON CONFLICT DO NOTHING RETURNING device"
)
"""Their ID is new, so it was the number that was there already; an event whose ID is there is left out."""

_DEVICE = """
INSERT INTO device (device, tenant, studio) VALUES (%s, %s, %s) ON CONFLICT (device) DO UPDATE
SET tenant = coalesce(excluded.tenant, device.tenant), studio = coalesce(excluded.studio, device.studio)
WHERE (device.tenant, device.studio) IS DISTINCT FROM
      (coalesce(excluded.tenant, device.tenant), coalesce(excluded.studio, device.studio))
"""
_STREAM = """
INSERT INTO journal (device, journal, generation, mark, mark_id, opened_at, pruned)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (device, journal, generation) DO UPDATE
SET mark = excluded.mark, mark_id = excluded.mark_id, moved_at = now(),
    pruned = journal.pruned + excluded.pruned
WHERE journal.mark = %s
"""
_DIFFERENCES = """
SELECT count(*) FROM unnest(%s::text[], %s::text[], %s::integer[], %s::bigint[])
    AS known (device, journal, generation, mark)
    LEFT JOIN journal USING (device, journal, generation) WHERE journal.mark IS DISTINCT FROM known.mark
"""
_STATE = """
UPDATE device SET state = %(state)s, state_at = now()
WHERE device = %(device)s AND state IS DISTINCT FROM %(state)s
"""
"""At a start of ingest the broker sends again what it keeps of each gate: that is no sign of life."""
_ATTENDANCE = """
UPDATE device SET session = %(session)s, replaced = %(replaced)s, online = %(online)s,
    online_at = CASE WHEN online_at IS NULL OR online <> %(online)s THEN now() ELSE online_at END
WHERE device = %(device)s
"""
_ALARM = """
INSERT INTO alarm (device, kind, about) VALUES (%s, %s, %s) ON CONFLICT (device, kind) DO UPDATE
SET last_at = now(), count = alarm.count + 1, about = excluded.about
"""
_BROKER = """
INSERT INTO broker (connected, lost_at) VALUES (%(up)s, CASE WHEN NOT %(up)s THEN now() END)
ON CONFLICT (only_one) DO UPDATE
SET connected = excluded.connected, since = now(), lost_at = coalesce(excluded.lost_at, broker.lost_at)
WHERE broker.connected <> excluded.connected
"""
_PRUNE = """
DELETE FROM event WHERE id IN (
    SELECT id FROM event WHERE received_at < now() - make_interval(days => %s) ORDER BY received LIMIT %s
    FOR UPDATE SKIP LOCKED)  -- an erasure locks several too: the two could wait for each other
"""


_LIMIT_EXCEEDED = "54"
"""The class of errors of a row that is too large for an index, or too complex: the connection is well
(https://www.postgresql.org/docs/current/errcodes-appendix.html)."""


class DatabaseAway(Exception):
    """PostgreSQL cannot be reached, has ended the connection, or was changed; the message is one line.

    What is known of its content is to be loaded again.
    """


@dataclass(slots=True)
class Database:
    """A connection that holds the writer's lock, with tables that are up to date."""

    _connection: AsyncConnection[tuple[Any, ...]]

    @classmethod
    async def open(cls, dsn: str, password: str | None, waiting: Callable[[], None]) -> Database:
        """Connect, wait for the lock (calling `waiting` once if another process has it), and migrate.

        Raises DatabaseAway; GatectlError for tables of a later version, and for a PostgreSQL that is too old.
        """
        connection = await _guarded(_connect(dsn, password))
        try:
            require_postgresql(connection.info)
            await _guarded(_lock(connection, waiting))
            await _guarded(_migrated(connection))
        except BaseException:
            await connection.close()
            raise
        return cls(connection)

    async def close(self) -> None:
        """End the connection, and with it the lock."""
        await self._connection.close()

    async def load(self) -> Intake:
        """Return what is committed."""
        return await _guarded(self._load())

    async def write(self, done: Round) -> list[Alarm]:
        """Commit a round in one transaction; return the alarms that it turned out to be.

        Raises psycopg.DataError and its kin, with nothing written, for what PostgreSQL does not take.
        """
        return await _guarded(self._write(done))

    async def check(self, intake: Intake) -> None:
        """Raise DatabaseAway if what is committed is not in the database, as after a restore of a backup."""
        known = [
            (device, journal, stream.generation, stream.mark)
            for (device, journal), stream in intake.streams.items()
        ]
        columns = [list(column) for column in zip(*known, strict=True)] or [[], [], [], []]
        cursor = await _guarded(self._connection.execute(_DIFFERENCES, columns))
        row = await _guarded(cursor.fetchone())
        if row != (0,):
            raise DatabaseAway(RESTORED)

    async def note_broker(self, *, connected: bool) -> None:
        """Write whether the broker is reached, for the monitor."""
        await _guarded(self._connection.execute(_BROKER, {"up": connected}))

    async def prune(self, keep_days: int) -> int:
        """Delete up to PRUNE_ROWS events that came in more than so many days ago; return how many."""
        return await _guarded(self._prune(keep_days))

    async def _load(self) -> Intake:
        cursor = await self._connection.execute(
            "SELECT device, journal, generation, mark, mark_id::text, extract(epoch FROM opened_at)::float8 "
            "FROM journal ORDER BY moved_at, generation"
        )
        streams: dict[Place, Stream] = {}
        current: dict[str, str] = {}
        async for device, journal, generation, mark, mark_id, opened_s in cursor:
            known = streams.get((device, journal))
            if known is None or known.generation < generation:
                streams[device, journal] = Stream(journal, generation, mark, mark_id, opened_s)
            current[device] = journal
        cursor = await self._connection.execute(
            "SELECT device, online, session, replaced FROM device WHERE session IS NOT NULL"
        )
        attendances = {
            device: Attendance(online, session, tuple(replaced))
            async for device, online, session, replaced in cursor
        }
        return Intake(streams, attendances, current)

    async def _write(self, done: Round) -> list[Alarm]:
        async with self._connection.transaction(), self._connection.cursor() as cursor:
            await _take_out_erased(cursor, done)
            await _each(cursor, _DEVICE, _devices(done))
            alarms = await _insert_events(cursor, done.rows)
            for stream in _streams(done):
                await cursor.execute(_STREAM, stream)
                if cursor.rowcount != 1:
                    raise DatabaseAway(RESTORED)
            await _each(cursor, _STATE, _states(done))
            await _each(cursor, _ATTENDANCE, _attendances(done))
            await _each(cursor, _ALARM, _distinct([*done.alarms, *alarms]))
            if done.rows:
                await cursor.execute(f"NOTIFY {CHANNEL}")
        return alarms

    async def _prune(self, keep_days: int) -> int:
        cursor = await self._connection.execute(_PRUNE, (keep_days, PRUNE_ROWS))
        count: int = cursor.rowcount
        return count


async def _connect(dsn: str, password: str | None) -> AsyncConnection[tuple[Any, ...]]:
    return await AsyncConnection.connect(
        dsn,
        autocommit=True,
        password=password,
        connect_timeout=CONNECT_S,
        application_name="gatectl fleet ingest",
        options=f"-c statement_timeout={STATEMENT_MS} {_KEEPALIVES}",
    )


async def _lock(connection: AsyncConnection[Any], waiting: Callable[[], None]) -> None:
    cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
    row = await cursor.fetchone()
    if row and row[0]:
        return
    waiting()
    await connection.execute("SET statement_timeout = 0")
    await connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    await connection.execute("RESET statement_timeout")


def migrations() -> list[str]:
    """The SQL scripts in order; the first makes version 1."""
    folder = Path(__file__).with_name("schemas")
    numbers = sorted(int(entry.stem) for entry in folder.glob("*.sql"))
    return [(folder / f"{number}.sql").read_text("utf-8") for number in numbers]


async def _migrated(connection: AsyncConnection[Any]) -> None:
    """Bring the tables up to date. Raises GatectlError if that cannot be done in this database."""
    try:
        await _migrate(connection)
    except psycopg.ProgrammingError as error:
        raise GatectlError(
            f"the tables cannot be made in this database: {one_line(error)}",
            "head office needs a database of its own, whose owner it is: see createdb in gatectl-fleet(1)",
        ) from error


async def _migrate(connection: AsyncConnection[Any]) -> None:
    scripts = migrations()
    async with connection.transaction():
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        # Another program's table of this name has another column, or one of another type.
        query = "SELECT max(version + 0) FROM schema_version"
        row = await (await connection.execute(query)).fetchone()
        version = (row and row[0]) or 0
        if version > len(scripts):
            raise GatectlError(
                f"the tables are of a later gatectl (version {version}, this one knows {len(scripts)})",
                "upgrade gatectl at head office",
            )
        for number, script in enumerate(scripts[version:], start=version + 1):
            # An index over millions of events takes longer than a statement may.
            await connection.execute(b"SET LOCAL statement_timeout = 0;" + script.encode())
            await connection.execute("INSERT INTO schema_version VALUES (%s)", (number,))


async def _each(cursor: AsyncCursor[Any], statement: LiteralString, values: Sequence[Any]) -> None:
    if values:  # else it would still be a round trip
        await cursor.executemany(statement, values)


async def _take_out_erased(cursor: AsyncCursor[Any], done: Round) -> None:
    """Take members who were erased out of what was sent again from before."""
    # The lock keeps an erasure from beginning before this round is committed.
    await cursor.execute("LOCK TABLE erased IN ROW SHARE MODE")
    await cursor.execute("SELECT EXISTS (SELECT FROM erased)")
    if await cursor.fetchone() == (False,):
        return
    named = [*done.rows, *erase.last_events(done.states)]
    await cursor.execute("SELECT digest, at FROM erased WHERE digest = ANY(%s)", (erase.digests_of(named),))
    erase.take_out(named, dict(await cursor.fetchall()))


async def _insert_events(cursor: AsyncCursor[Any], rows: Sequence[Row]) -> list[Alarm]:
    """Insert events; return an alarm for each device of which one has the number of another event."""
    if not rows:
        return []
    await cursor.execute(_INSERT, (_json(rows),))
    new = {row[0] for row in await cursor.fetchall()}
    left = [row for row in rows if row["id"] not in new]
    if not left:
        return []
    await cursor.execute(_INSERT_CONFLICTS, (_json(left),))
    devices = {row[0] for row in await cursor.fetchall()}
    about = "two events have one number: two machines write under one name"
    return [Alarm(device, Notice.TWO_MACHINES.value, about) for device in sorted(devices)]


def _distinct(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Return the last of each device's alarms of a kind: a flood of messages is one write."""
    return list({(alarm.device, alarm.kind): alarm for alarm in alarms}.values())


def _json(rows: Sequence[Row]) -> Jsonb:
    return Jsonb(rows, dumps=lambda value: json.dumps(value, ensure_ascii=False, allow_nan=False))


def _devices(done: Round) -> list[tuple[str, str | None, str | None]]:
    """Return each device with its company and studio, as far as they are known from this round."""
    last: Mapping[str, Mapping[str, Any]] = done.states | {row["device"]: row for row in done.rows}
    known = [(device, last.get(device, {})) for device in sorted(done.devices)]
    return [
        (device, _text_or_none(fields.get("tenant")), _text_or_none(fields.get("studio")))
        for device, fields in known
    ]


def _text_or_none(value: Any) -> str | None:
    return value if is_text(value) else None


def _streams(done: Round) -> list[tuple[Any, ...]]:
    return [
        (
            *(device, journal, stream.generation, stream.mark, stream.id),
            datetime.fromtimestamp(stream.opened_s, UTC),
            *(done.pruned.get((device, journal), 0), done.begun.get((device, journal), 0)),
        )
        for (device, journal), stream in done.streams.items()
    ]


def _states(done: Round) -> list[dict[str, Any]]:
    return [{"device": device, "state": Jsonb(state)} for device, state in done.states.items()]


def _attendances(done: Round) -> list[dict[str, Any]]:
    return [
        {"device": device, **known._asdict(), "replaced": list(known.replaced)}
        for device, known in done.attendances.items()
    ]


T = TypeVar("T")


async def _guarded(operation: Awaitable[T]) -> T:
    """Await an operation; raise DatabaseAway for each error that is not about the values to be written.

    A standby, which takes no writes, or tables that are not there any more, say nothing about an event: it
    would be lost if it were left out for that.
    """
    try:
        return await operation
    except (psycopg.DataError, psycopg.IntegrityError):
        raise
    except psycopg.Error as error:
        if (error.sqlstate or "").startswith(_LIMIT_EXCEEDED):
            raise psycopg.DataError(one_line(error)) from error
        raise DatabaseAway(one_line(error)) from error
