"""Read the events of all gates for the monitor's pages, from PostgreSQL.

The pages ask the same questions as to a gate's journal. The list is in the order of the scans, whenever they
came in: a gate whose line was cut for a day does not put its old events on top.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple, TypeVar, cast

import psycopg
from psycopg import Connection, errors
from psycopg.rows import DictRow, dict_row

from gatectl.decision.event import Attempt, Event, GateRecord, Outcome, RequestRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.timestamps import BootUs, WallUs
from gatectl.decision.verdict import Basis, Reason, Result, Verdict
from gatectl.errors import one_line
from gatectl.fleet.settings import require_postgresql
from gatectl.journal.filters import Filters
from gatectl.journal.paging import Listed, Page, Search, Tally
from gatectl.journal.reader import PAGE, UnreadableError
from gatectl.monitor.journal_worker import EventBrowser, File, StoreState

T = TypeVar("T")
E = TypeVar("E", bound=Enum)

READERS = 4
"""Connections to the database: one slow search does not keep the other pages waiting."""

CONNECT_S = 5
STATEMENT_MS = 5_000
"""A search that takes longer is ended: two filters that are common alone and rare together."""

_OPTIONS = f"-c statement_timeout={STATEMENT_MS} -c default_transaction_read_only=on -c timezone=UTC"

LATE = timedelta(minutes=10)
"""Events that came in so long after their scan are no live rows; they are in their place in the list."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_LEAST, _AT_MOST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)
"""Times outside of these, which a gate with a wrong clock may send, cannot be shown in each time zone."""

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_AT = "least(at, received_at)"
"""SQL for an event's time in the list, as its indexes have it: the scan's, but not after the event came in.
Else a gate whose clock is a year ahead would be on top of the list for a year."""

_COLUMNS = (
    'id::text, received, device, kind, at, "of", tenant, studio, door, scanner, credential, partner, member,'
    " customer, result, basis, message, verdict, status, fault, detail, reason, outage, request, gate"
)
_EVENTS = f"SELECT {_COLUMNS} FROM event"  # noqa: S608 - made of our own words
_PLACE = f"SELECT device, {_AT} AS at, received FROM event"  # noqa: S608

MILLISECONDS = (
    "(CASE jsonb_typeof({0}) WHEN 'number' THEN least(greatest(({0})::numeric, 0), 1e9) END)::float8"
)
"""SQL for a number of milliseconds, bounded: a gate may send numbers that no float holds."""

_ELAPSED = MILLISECONDS.format("request -> 'elapsed_ms'")

_TALLIES = f"""
SELECT partner, floor((extract(epoch FROM {_AT}) * 1000000 - %(from)s) / %(bucket)s)::integer AS bucket,
    count(*) FILTER (WHERE result = 'admitted') AS admitted,
    count(*) FILTER (WHERE result IS DISTINCT FROM 'admitted') AS refused,
    array_agg({_ELAPSED} ORDER BY {_ELAPSED}) FILTER (
        WHERE jsonb_typeof(request -> 'elapsed_ms') = 'number'
        AND jsonb_typeof(request -> 'answered_at') = 'string') AS elapsed_ms
FROM event WHERE {_AT} >= %(since)s AND {_AT} < %(until)s AND kind = 'scan' GROUP BY 1, 2
"""  # noqa: S608 - made of our own words


class DatabaseUnreachable(UnreadableError):
    """PostgreSQL cannot be reached, or has ended the connection."""


class StoredEvents:
    """The events behind one connection, which one thread may use. Raises UnreadableError for each failure."""

    def __init__(self, dsn: str, password: str | None) -> None:
        with _errors_for_user():
            self._connection: Connection[DictRow] = psycopg.connect(
                dsn,
                autocommit=True,
                password=password,
                connect_timeout=CONNECT_S,
                application_name="gatectl fleet monitor",
                options=_OPTIONS,
                # A plan for any value would read the whole table for one that is rare.
                prepare_threshold=None,
                row_factory=dict_row,
            )
        require_postgresql(self._connection.info)

    def close(self) -> None:
        self._connection.close()

    def rows(self, statement: str, values: Mapping[str, object] | None = None) -> list[DictRow]:
        """Return all rows of a statement made of our own words."""
        with _errors_for_user():
            return self._connection.execute(statement.encode(), values or {}).fetchall()

    def mark(self) -> int:
        """Return the number of the last event that came in, 0 for none."""
        return self.rows("SELECT coalesce(max(received), 0) AS mark FROM event")[0]["mark"]  # type: ignore[no-any-return]

    def page(self, search: Search, size: int, until: int) -> Page:
        """Return at most this many events, the newest scan first; none came in after the mark `until`."""
        where, values = _conditions(search.filters)
        if search.before is not None:
            anchor = self._at(search.before)
            if anchor is None:  # pruned, and with it all that would follow
                return Page([], None, complete=True)
            where += f" AND ({_AT}, received) < (%(anchor)s, %(before)s)"
            values |= {"anchor": anchor, "before": search.before}
        order = f"ORDER BY {_AT} DESC, received DESC LIMIT %(most)s"
        values |= {"most": size + 1, "mark": until}
        rows = self.rows(f"{_EVENTS} WHERE {where} AND received <= %(mark)s {order}", values)
        more = len(rows) > size
        listed = [_listed(row) for row in rows[:size]]
        return Page(listed, listed[-1].seq if more else None, complete=True)

    def since(self, after: int, most: int) -> tuple[list[Listed], int]:
        """Return the first events that came in after the mark, and the mark that they lead to."""
        until = self.mark()
        rows = self.rows(
            f"{_EVENTS} WHERE received > %(after)s AND received <= %(mark)s AND at > received_at - %(late)s"
            " ORDER BY received LIMIT %(most)s",
            {"after": after, "mark": until, "late": LATE, "most": most},
        )
        listed = [_listed(row) for row in rows]
        return listed, listed[-1].ended if len(listed) == most else until

    def batch(self, filters: Filters, low: int | None, until: int) -> tuple[list[Event], int | None]:
        """Return some of the events, the oldest scan first, and behind which event the next of them begin.

        In this order each filter's index has the events; in that of their coming in only a sort would.
        """
        where, values = _conditions(filters)
        if low is not None:
            anchor = self._at(low)
            if anchor is None:
                raise UnreadableError("the events were pruned meanwhile", "load the file again")
            where += f" AND ({_AT}, received) > (%(anchor)s, %(low)s)"
            values |= {"anchor": anchor, "low": low}
        values |= {"mark": until}
        order = f"ORDER BY {_AT}, received LIMIT {PAGE}"
        rows = self.rows(f"{_EVENTS} WHERE {where} AND received <= %(mark)s {order}", values)
        following = rows[-1]["received"] if len(rows) == PAGE else None
        return [event_of(row) for row in rows], following

    def _at(self, received: int) -> datetime | None:
        """Return the time of the event that came in with this number; None if it is not there any more."""
        rows = self.rows(f"{_PLACE} WHERE received = %(received)s", {"received": received})
        return rows[0]["at"] if rows else None

    def tallies(self, from_us: int, until_us: int, bucket_us: int) -> list[Tally]:
        """Count each partner's results from one moment to just before another, a bucket at a time."""
        span = {"since": _moment(from_us), "until": _moment(until_us)}
        rows = self.rows(_TALLIES, {"from": from_us, "bucket": bucket_us, **span})
        return [Tally(**{**row, "elapsed_ms": row["elapsed_ms"] or []}) for row in rows]

    def find(self, event_id: str) -> Event | None:
        """Return the event with this ID."""
        if not _UUID.fullmatch(event_id):
            return None
        rows = self.rows(f"{_EVENTS} WHERE id = %(id)s", {"id": event_id})
        return event_of(rows[0]) if rows else None

    def neighbours(self, event_id: str, count: int) -> tuple[list[Event], list[Event]]:
        """Return the events of the same gate next to this one: at most so many before it, and after it."""
        here = self.rows(f"{_PLACE} WHERE id = %(id)s", {"id": event_id})
        if not here:
            return [], []
        values = {**here[0], "count": count}
        of_gate = f"{_EVENTS} WHERE device = %(device)s AND ({_AT}, received)"
        before = self.rows(
            f"{of_gate} < (%(at)s, %(received)s) ORDER BY {_AT} DESC, received DESC LIMIT %(count)s", values
        )
        after = self.rows(
            f"{of_gate} > (%(at)s, %(received)s) ORDER BY {_AT}, received LIMIT %(count)s", values
        )
        return [event_of(row) for row in reversed(before)], [event_of(row) for row in after]


class FleetSource:
    """Answers the pages' questions, each in a thread with a connection of its own."""

    file: File | None = (0, 0)
    """A database is not exchanged for another one while it is read."""

    def __init__(self, dsn: str, password: str | None) -> None:
        self.dsn = dsn
        self.password = password
        self._threads = ThreadPoolExecutor(READERS, "database reader")
        self._local = threading.local()
        self._open: set[StoredEvents] = set()

    async def ask(self, question: Callable[[EventBrowser], T]) -> T:
        """Return the question's answer. Raises UnreadableError."""
        return await self.read(question)

    async def read(self, question: Callable[[StoredEvents], T]) -> T:
        """Return the answer to a question that only this store can answer. Raises UnreadableError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, question)

    async def seen(self) -> StoreState:
        """Read the position. `at_rest`: notifications wake the pages, so that it is read once a second."""
        mark = await self.ask(lambda browser: browser.mark())
        return StoreState(self.file, mark, mark, at_rest=True)

    def close(self) -> None:
        self._threads.shutdown()
        for stored in list(self._open):
            self._let_go(stored)

    def _answer(self, question: Callable[[StoredEvents], T]) -> T:
        stored: StoredEvents | None = getattr(self._local, "stored", None)
        if stored is None or stored not in self._open:
            stored = self._local.stored = StoredEvents(self.dsn, self.password)
            self._open.add(stored)
        try:
            return question(stored)
        except UnreadableError:
            self._let_go(stored)
            raise

    def _let_go(self, stored: StoredEvents) -> None:
        self._open.discard(stored)
        stored.close()


class _Condition(NamedTuple):
    where: str
    value: object


def _conditions(filters: Filters) -> tuple[str, dict[str, object]]:
    """Return SQL over the columns of `event`, and its parameters."""
    since, until = filters.since_us, filters.until_us
    given = {
        "since": _Condition(f"{_AT} >= %(since)s", None if since is None else _moment(since)),
        "until": _Condition(f"{_AT} <= %(until)s", None if until is None else _moment(until)),
        "door": _Condition("door = %(door)s", filters.door),
        "partner": _Condition("partner = %(partner)s", filters.partner),
        "member": _Condition("member = %(member)s", filters.member),
        "members": _Condition("member = ANY(%(members)s)", filters.members and list(filters.members)),
        "code": _Condition("credential = %(code)s", filters.code),
        "result": _Condition("result = %(result)s", filters.result and filters.result.value),
        "kind": _Condition("kind = %(kind)s", filters.kind),
        "basis": _Condition("basis = %(basis)s", filters.basis and filters.basis.value),
        "studio": _Condition("studio = %(studio)s", filters.studio),
        "device": _Condition("device = %(device)s", filters.device),
    }
    active = {name: one for name, one in given.items() if one.value is not None}
    values: dict[str, object] = {
        name: one.value.replace("\0", "") if isinstance(one.value, str) else one.value
        for name, one in active.items()
    }
    return " AND ".join(one.where for one in active.values()) or "true", values


def _moment(at_us: int) -> datetime:
    """Return the time in microseconds since the epoch, bounded to what PostgreSQL and Python both have."""
    most_us = (_AT_MOST - _EPOCH) // timedelta(microseconds=1)
    return _EPOCH + timedelta(microseconds=max(0, min(at_us, most_us)))


@contextmanager
def _errors_for_user() -> Iterator[None]:
    try:
        yield
    except errors.QueryCanceled:
        raise UnreadableError(
            "the search takes too long: give a studio, a gate, a member or a time", "see gatectl-fleet(1)"
        ) from None
    except errors.UndefinedTable:
        raise UnreadableError(
            "there are no tables yet", "gatectl fleet ingest makes them at its first start"
        ) from None
    except psycopg.Error as error:
        is_away = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        kind = DatabaseUnreachable if is_away else UnreadableError
        raise kind(f"the database cannot be read: {one_line(error)}", "see database in fleet.toml") from error


# --- From a row to an event ----------------------------------------------------------------------
# A gate may be of a later version, or taken over: a value that has no place in an event is left out.


def _listed(row: DictRow) -> Listed:
    return Listed(row["received"], row["received"], event_of(row))


def event_of(row: Mapping[str, Any]) -> Event:
    """Return the event of a row; `boot` and its clock stay at the gate."""
    request = _request(row["request"])
    attempt = Attempt(
        row["id"],
        row["kind"],
        _us(row["at"]),
        row["tenant"] or "",
        row["studio"] or "",
        row["door"] or "",
        row["scanner"],
        row["credential"],
        row["partner"],
        row["member"],
        request and request.budget_ms,
        "",
        BootUs(0),
        row["of"],
        row["customer"],
    )
    return Event(attempt, _outcome(row, request), row["device"])


def _outcome(row: Mapping[str, Any], request: RequestRecord | None) -> Outcome:
    return Outcome(
        result=_named(Result, row["result"]) or Result.UNKNOWN,
        message=row["message"] or "",
        verdict=_named(Verdict, row["verdict"]),
        status=row["status"],
        fault=_named(Fault, row["fault"]),
        basis=_named(Basis, row["basis"]),
        detail=row["detail"],
        reason=_reason(row["reason"]),
        outage=bool(row["outage"]),
        request=request,
        gate=_gate(row["gate"]),
    )


def _named(kind: type[E], value: object) -> E | None:
    try:
        return kind(value)
    except ValueError:
        return None


def _reason(value: Mapping[str, Any] | None) -> Reason | None:
    parts = [value.get(name) for name in ("key", "text")] if value else []
    texts = [part if isinstance(part, str) else None for part in parts]
    return Reason(*texts) if any(texts) else None


def _request(value: Mapping[str, Any] | None) -> RequestRecord | None:
    if value is None:
        return None
    sent, connection = value.get("sent"), value.get("connection")
    return RequestRecord(
        sent if isinstance(sent, bool) else None,
        _time(value.get("sent_at")),
        _time(value.get("answered_at")),
        _number(value.get("elapsed_ms")),
        round(_number(value.get("budget_ms")) or 0),
        connection if connection in {"warm", "new"} else None,
    )


def _gate(value: Mapping[str, Any] | None) -> GateRecord | None:
    opened_us = _time(value.get("opened_at")) if value else None
    if value is None or opened_us is None:
        return None
    after_ms, open_ms = (_number(value.get(name)) or 0 for name in ("after_ms", "open_ms"))
    return GateRecord(opened_us, after_ms, round(open_ms))


def _number(value: object) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast("float", value)) if is_number and abs(cast("float", value)) < 1e9 else None


def _time(value: object) -> WallUs | None:
    try:
        return _us(datetime.fromisoformat(cast("str", value)).astimezone(UTC))
    except (TypeError, ValueError, OverflowError):
        return None


def _us(at: datetime) -> WallUs:
    return WallUs((max(_AT_LEAST, min(at, _AT_MOST)) - _EPOCH) // timedelta(microseconds=1))
