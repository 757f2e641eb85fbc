"""Take one member's data out of head office's tables; the events stay, without what leads to the member.

The pseudonyms are remembered by their digests, with the time: ingest takes the member out of events from
before it, which a gate sends again after a restore here or there. A number that gates send in plain is not
remembered: its digest would be found by trying all numbers.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import Connection

from gatectl.errors import GatectlError, near, one_line
from gatectl.fleet.intake import Row, time_of
from gatectl.fleet.settings import require_postgresql
from gatectl.journal.erase import ERASED, WHOLE_CHARS, WORD_CHARS
from gatectl.uplink.privacy import PREFIX, Privacy

STEP = 1000
"""Events in one statement, so that ingest does not wait for long."""

SPAN = 20_000
"""Events whose texts one statement searches: no index has the numbers in them."""

CONNECT_S = 10
"""For a person at a terminal, who waits."""

# From one name to the next in the index: there are few names, and many events.
_PARTNERS = """
WITH RECURSIVE known AS (
    (SELECT partner FROM event WHERE partner IS NOT NULL ORDER BY partner LIMIT 1)
    UNION ALL
    SELECT (SELECT partner FROM event WHERE partner > known.partner ORDER BY partner LIMIT 1)
    FROM known WHERE known.partner IS NOT NULL
)
SELECT partner FROM known WHERE partner IS NOT NULL
"""
_AT_PARTNER = "(%(partner)s::text IS NULL OR partner = %(partner)s)"
_OWN = f"(member = ANY(%(pseudonyms)s) OR (member = %(number)s AND {_AT_PARTNER}))"
_EVENTS_OF = f"SELECT id, credential FROM event WHERE {_OWN}"  # noqa: S608 - made of this module's own words
_CARDS = f"""
SELECT id FROM event WHERE credential = ANY(%(codes)s) AND (partner IS NULL OR {_AT_PARTNER})
"""  # noqa: S608
_FIRST_AND_LAST = "SELECT coalesce(min(received), 0), coalesce(max(received), 0) FROM event"
# LIKE first, which is faster than a regular expression.
_TEXTS = f"""
SELECT id FROM event, concat_ws(' ', message, detail, reason, request, gate, extra) AS words
WHERE received > %(after)s AND received <= %(until)s AND (partner IS NULL OR {_AT_PARTNER})
    AND CASE WHEN words LIKE ANY (%(parts)s) THEN words ~ %(pattern)s END
"""  # noqa: S608
_TAKE_OUT = f"""
UPDATE event SET
    member = CASE WHEN {_OWN} THEN NULL ELSE member END,
    customer = CASE WHEN {_OWN} THEN NULL ELSE customer END,
    credential = CASE WHEN {_OWN} OR credential = ANY(%(codes)s) THEN NULL ELSE credential END,
    reason = CASE WHEN {_OWN} OR reason::text ~ %(pattern)s THEN NULL ELSE reason END,
    message = regexp_replace(message, %(pattern)s, '{ERASED}', 'g'),
    detail = regexp_replace(detail, %(pattern)s, '{ERASED}', 'g'),
    request = CASE WHEN request::text ~ %(pattern)s THEN NULL ELSE request END,
    gate = CASE WHEN gate::text ~ %(pattern)s THEN NULL ELSE gate END,
    extra = CASE WHEN extra::text ~ %(pattern)s THEN NULL ELSE extra END
WHERE id = ANY(%(ids)s)
"""  # noqa: S608
_DEVICES = "SELECT device FROM device WHERE state::text ~ %(pattern)s"
_STATE = """
UPDATE device SET state = CASE WHEN (state #- '{status,last_event}')::text ~ %(pattern)s THEN NULL
    ELSE state #- '{status,last_event}' END WHERE device = %(device)s AND state::text ~ %(pattern)s
"""
_REMEMBER = """
INSERT INTO erased SELECT unnest(%s::text[]) ON CONFLICT (digest) DO UPDATE SET at = now()
RETURNING digest, xmax = 0
"""


class Tables:
    """A connection that erases. Raises GatectlError for one that cannot be had."""

    def __init__(self, dsn: str, password: str | None) -> None:
        try:
            self._connection: Connection[Any] = psycopg.connect(
                dsn,
                autocommit=True,
                password=password,
                connect_timeout=CONNECT_S,
                application_name="gatectl fleet erase",
            )
        except psycopg.Error as error:
            raise _failed(error) from error
        require_postgresql(self._connection.info)

    def close(self) -> None:
        self._connection.close()

    def partners(self) -> list[str]:
        """Return the partners of all events."""
        return [name for (name,) in self._rows(_PARTNERS)]

    def erase(self, number: str, partner: str | None, privacy: Privacy | None) -> int:
        """Take a member out, at every partner where none is given; return the number of events.

        Without the rules with the tenant's key only the plain number is known.
        """
        try:
            partners = self.partners()
            if partner is not None and partner not in partners:
                hints = near(partner, partners) or (f"there are: {', '.join(partners) or 'none'}",)
                raise GatectlError(f"there is no event of a partner {partner!r}", *hints)
            return self._erase(_MemberTraces.of(number, partner, partners, privacy))
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            hint = "start `gatectl fleet ingest` of this version first: it makes the tables"
            raise GatectlError("the database has not the tables of this gatectl", hint) from error
        except psycopg.Error as error:
            raise _failed(error) from error

    def _erase(self, traces: _MemberTraces) -> int:
        new = self._remember(traces)
        own = self._rows(_EVENTS_OF, traces.values())
        traces = traces.with_codes(code for _, code in own if code)
        new += self._remember(traces)
        found = {row[0] for row in own} | {row[0] for row in self._rows(_CARDS, traces.values())}
        found |= set(self._in_texts(traces))
        ids = list(found)
        for begin in range(0, len(ids), STEP):
            values = traces.values() | {"ids": ids[begin : begin + STEP]}
            self._connection.execute(_TAKE_OUT.encode(), values)
        devices = self._rows(_DEVICES, traces.values())
        for (device,) in devices:
            # One at a time: ingest, which locks several, could wait for one while it has another.
            self._connection.execute(_STATE, traces.values() | {"device": device})
        if not found and not devices:
            # A wrong number must not be remembered: it may be another member's.
            self._connection.execute("DELETE FROM erased WHERE digest = ANY(%s)", (new,))
            of = f" of {traces.partner}" if traces.partner else ""
            hint = "numbers compare exactly, leading zeros count"
            raise GatectlError(f"there is nothing of member {traces.number!r}{of}", hint)
        return len(found)

    def _in_texts(self, traces: _MemberTraces) -> Iterator[Any]:
        """Yield the IDs of events whose texts name the member."""
        ((first, last),) = self._rows(_FIRST_AND_LAST)
        for after in range(first - 1, last, SPAN) if traces.parts else ():
            span = {"after": after, "until": min(after + SPAN, last)}
            yield from (row[0] for row in self._rows(_TEXTS, traces.values() | span))

    def _remember(self, traces: _MemberTraces) -> list[str]:
        """Let ingest take the member out from now on; return the digests that were not there."""
        digests = sorted(map(digest_of, [*traces.pseudonyms, *traces.hidden_codes]))
        with self._connection.transaction():
            # A round of ingest that has looked already must have ended before the search begins. Readers do
            # not matter: behind a dump of hours, ingest would wait too.
            self._connection.execute("LOCK TABLE erased IN EXCLUSIVE MODE")
            rows = self._rows(_REMEMBER, (digests,))
        return [digest for digest, is_new in rows if is_new]

    def vacuum(self) -> None:
        """Free the places of the rows' former versions, and take those out of the indexes."""
        try:
            # By itself it leaves the indexes alone where few rows are old.
            self._connection.execute("VACUUM (INDEX_CLEANUP ON) event, device")
        except psycopg.Error as error:
            raise _failed(error) from error

    def _rows(self, statement: str, values: Any = None) -> list[Any]:
        return self._connection.execute(statement.encode(), values).fetchall()


def _failed(error: psycopg.Error) -> GatectlError:
    return GatectlError(f"the database: {one_line(error)}", "[database] of fleet.toml says how it is reached")


class _MemberTraces(NamedTuple):
    """The values that lead to the member."""

    number: str
    partner: str | None
    pseudonyms: list[str]
    """Of the member, at each partner."""
    codes: list[str]
    """Of the member's cards, as gates send them."""

    @classmethod
    def of(
        cls, number: str, partner: str | None, partners: Iterable[str], privacy: Privacy | None
    ) -> _MemberTraces:
        if privacy is None:
            return cls(number, partner, [], [])
        names = partners if partner is None else [partner]
        pseudonyms = [privacy.pseudonym("member", name, number) for name in names]
        return cls(number, partner, pseudonyms, [privacy.pseudonym("credential", number)])

    def with_codes(self, codes: Iterable[str]) -> _MemberTraces:
        return self._replace(codes=sorted({*self.codes, *codes}))

    @property
    def hidden_codes(self) -> list[str]:
        return [code for code in self.codes if code.startswith(PREFIX)]

    def values(self) -> dict[str, Any]:
        return {**self._asdict(), "pattern": self._pattern(), "parts": self.parts}

    @property
    def parts(self) -> list[str]:
        """Return patterns of LIKE, one of which fits each text that names the member."""
        is_sought = len(self.number) >= WORD_CHARS
        texts = [*self.pseudonyms, *self.hidden_codes, *([self.number] if is_sought else [])]
        return ["%" + re.sub(r"([\\%_])", r"\\\1", text) + "%" for text in texts]

    def _pattern(self) -> str:
        """Return a regular expression of PostgreSQL for texts that name the member."""
        number = re.sub(r"(\W)", r"\\\1", self.number)
        parts = [*self.pseudonyms, *self.hidden_codes]
        if len(self.number) >= WHOLE_CHARS:
            parts.append(number)
        elif len(self.number) >= WORD_CHARS and any(map(str.isdigit, self.number)):
            parts.append(rf"(?<![[:alnum:]]){number}(?![[:alnum:]])")
        return "|".join(parts) or "(?!)"


# --- While events come in ------------------------------------------------------------------------


def digest_of(pseudonym: str) -> str:
    """Return what is remembered of a pseudonym."""
    return hashlib.sha256(pseudonym.encode()).hexdigest()


_PSEUDONYM = re.compile(PREFIX + "[0-9a-f]{32}")

_KEPT = ("id", "journal", "generation", "number", "device", "kind", "at")
"""Columns that each row has."""


def digests_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the digests of all pseudonyms in rows."""
    return sorted({digest_of(one) for row in rows for one in _pseudonyms(row)})


def take_out(rows: Iterable[Row], erased: Mapping[str, datetime]) -> None:
    """Take the members out of rows from before the time at which each was erased."""
    for row in rows:
        at = time_of(row.get("at"))
        untils = {one: erased[digest_of(one)] for one in _pseudonyms(row) if digest_of(one) in erased}
        gone = {one for one, until in untils.items() if at is None or at <= until}
        if row.get("member") in gone:
            row |= {"member": None, "customer": None, "credential": None, "reason": None}
        named = [name for name, value in row.items() if name not in _KEPT and gone & _pseudonyms(value)]
        row.update(dict.fromkeys(named))


def last_events(states: Mapping[str, Mapping[str, Any]]) -> Iterator[Row]:
    """Yield the last event in each gate's health."""
    for state in states.values():
        status = state.get("status")
        last = status.get("last_event") if isinstance(status, dict) else None
        if isinstance(last, dict):
            yield last


def _pseudonyms(value: object) -> set[str]:
    return set(_PSEUDONYM.findall(json.dumps(value)))
