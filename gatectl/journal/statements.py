"""The journal's SQL: an attempt, an outcome, and the daemon's queries of past events."""

from __future__ import annotations

import json
import sqlite3
from collections import deque
from collections.abc import Collection
from typing import Any

from gatectl.decision.door.grace import GraceRules, MemberPast, PastScan
from gatectl.decision.door.messages import Unused
from gatectl.decision.door.modes import Mode, Order
from gatectl.decision.event import Attempt, Event, Outcome, interrupted
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import FinishedScan
from gatectl.decision.timestamps import DAY_US, WallUs
from gatectl.decision.verdict import Result, Verdict
from gatectl.journal.schema import transaction

Statement = tuple[str, tuple[Any, ...]]

LAST_SCANS_MAX = 1000
"""The last scans that are read to find the partners' conditions; an outage that is older is over."""

UNANSWERED_MAX = 100
"""Requests of one member that may be settled: more scans than a member makes in an hour."""

DAYS_US = 2 * DAY_US
"""A local day, before and after: a calendar's day is never longer, even with a change of the clocks."""

ALREADY_IN_MAX = 200
"""Openings of one member in these days: more than the settings allow in five calendar days."""

CLOSED_AT_ONCE = 500
"""Interrupted scans that are closed in one transaction."""

LOGGED_MAX = 1000
"""Interrupted scans that a start logs. A crash leaves a few, a lost table of outcomes may leave all."""

ATTEMPT_COLUMNS = (
    "a.id, a.kind, a.at_us, a.tenant, a.studio, a.door, a.scanner, a.credential, a.partner, a.member,"
    ' a.budget_ms, a.boot, a.since_boot_us, a."of", a.customer'
)
"""Of the table `attempts AS a`, in the order of an `Attempt`."""

_INSERT_ATTEMPT = (
    "INSERT INTO attempts (id, kind, at_us, tenant, studio, door, scanner, credential, partner,"
    ' member, budget_ms, boot, since_boot_us, "of", customer)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_OUTCOME = (
    "INSERT INTO outcomes (ended, seq, result, basis, message, verdict, status, fault, detail, reason_key,"
    " reason_text, outage, asked, sent, sent_us, answered_us, elapsed_ms, connection, opened_us, after_ms,"
    " open_ms, evident, dialled_us, look_up_ms, stale, connect_ms, tls_ms, body_bytes, body_sha256, facts)"
    # The writer's lock is held: no other writer takes the number, and a transaction that fails gives it back.
    " SELECT 1 + max((SELECT coalesce(max(ended), 0) FROM outcomes),"
    " (SELECT value FROM marks WHERE name = 'pruned_to')), seq,"
    " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " FROM attempts WHERE id = ?"
)


def attempt_statement(attempt: Attempt) -> Statement:
    """Return the statement that writes the first half of an event."""
    return (
        _INSERT_ATTEMPT,
        (
            attempt.id,
            attempt.kind,
            attempt.at_us,
            attempt.tenant,
            attempt.studio,
            attempt.door,
            attempt.scanner,
            attempt.credential,
            attempt.partner,
            attempt.member,
            attempt.budget_ms,
            attempt.boot,
            attempt.since_boot_us,
            attempt.of,
            attempt.customer,
        ),
    )


def outcome_statement(attempt_id: str, outcome: Outcome) -> Statement:
    """Return the statement that writes the second half; it gives the event the journal's next number."""
    request, gate, reason = outcome.request, outcome.gate, outcome.reason
    evidence = request and request.evidence
    dial, body = evidence and evidence.dial, evidence and evidence.body
    return (
        _INSERT_OUTCOME,
        (
            str(outcome.result),  # exactly `str`, which SQLite takes without a look for an adapter
            outcome.basis and str(outcome.basis),
            outcome.message,
            outcome.verdict and str(outcome.verdict),
            outcome.status,
            outcome.fault and str(outcome.fault),
            outcome.detail,
            reason and reason.key,
            reason and reason.text,
            outcome.outage,
            request is not None,
            request and request.sent,
            request and request.sent_us,
            request and request.answered_us,
            request and request.elapsed_ms,
            request and request.connection,
            gate and gate.opened_us,
            gate and gate.after_ms,
            gate and gate.open_ms,
            evidence is not None,
            dial and dial.begun_us,
            dial and dial.look_up_ms,
            dial and dial.stale,
            dial and dial.connect_ms,
            dial and dial.tls_ms,
            body and body.length,
            body and body.sha256,
            None if outcome.facts is None else json.dumps(outcome.facts, ensure_ascii=False),
            attempt_id,
        ),
    )


def close_interrupted(connection: sqlite3.Connection) -> list[Event]:
    """Give each attempt without an outcome the one it gets now; return the last of them, the oldest first."""
    closed: deque[Event] = deque(maxlen=LOGGED_MAX)
    while events := _interrupted(connection):
        with transaction(connection):
            for event in events:
                connection.execute(*outcome_statement(event.attempt.id, event.outcome))
        closed.extend(events)
    with transaction(connection):
        connection.execute(
            "UPDATE marks SET value = (SELECT coalesce(max(seq), 0) FROM attempts)"
            " WHERE name = 'closed_to_seq'"
        )
    return list(closed)


def _interrupted(connection: sqlite3.Connection) -> list[Event]:
    """The first attempts without an outcome, with the one that they get."""
    rows = connection.execute(
        f"SELECT {ATTEMPT_COLUMNS} FROM attempts AS a LEFT JOIN outcomes AS o ON o.seq = a.seq"  # noqa: S608 ours
        " WHERE a.seq > (SELECT value FROM marks WHERE name = 'closed_to_seq') AND o.seq IS NULL"
        " ORDER BY a.seq LIMIT ?",
        (CLOSED_AT_ONCE,),
    )
    return [Event(attempt, interrupted(attempt)) for attempt in (Attempt(*row) for row in rows)]


def last_scans(connection: sqlite3.Connection) -> list[tuple[str, int, FinishedScan]]:
    """The last scans that had a partner, the oldest first: the partner, when it was (`at_us`), the scan."""
    rows = connection.execute(
        "SELECT partner, at_us, member, verdict, fault, status, reason_key, result, detail FROM"
        " (SELECT * FROM events ORDER BY seq DESC LIMIT ?)"
        " WHERE kind = 'scan' AND partner IS NOT NULL AND member IS NOT NULL ORDER BY seq",
        (LAST_SCANS_MAX,),
    )
    return [
        (
            partner,
            at_us,
            FinishedScan(
                member,
                verdict and Verdict(verdict),
                fault and Fault(fault),
                status,
                reason_key,
                result == Result.ADMITTED,
                detail,
            ),
        )
        for partner, at_us, member, verdict, fault, status, reason_key, result, detail in rows
    ]


def last_orders(connection: sqlite3.Connection) -> dict[str, Order]:
    """The last order of a mode that a person gave, by door; those that ended another are left out."""
    rows = connection.execute(
        "SELECT a.door, o.facts FROM attempts AS a JOIN outcomes AS o ON o.seq = a.seq"
        " WHERE a.kind = 'mode' AND o.facts IS NOT NULL ORDER BY a.seq"
    )
    orders = {}
    for door, facts in rows:
        said = json.loads(facts)
        until_us = said["until_us"]
        orders[door] = Order(
            Mode(said["mode"]), said["reason"], None if until_us is None else WallUs(until_us)
        )
    return {door: order for door, order in orders.items() if order.mode is not Mode.NORMAL}


def last_admissions(connection: sqlite3.Connection, doors: Collection[str]) -> dict[str, WallUs]:
    """When somebody was let in last at each of these doors, as far as the latest two days tell."""
    if not doors:
        return {}
    rows = connection.execute(
        # The code may have been read in another span than the one in which the gate opened.
        "SELECT door, max(opened_us) FROM events WHERE at_us > (SELECT max(at_us) FROM attempts) - ?"
        " AND kind IN ('scan', 'manual') AND result = 'admitted' AND basis IS NOT 'fire' GROUP BY door",
        (DAYS_US,),
    )
    return {door: WallUs(at_us) for door, at_us in rows if door in doors}


def unused_admissions(connection: sqlite3.Connection, since_us: int) -> list[Unused]:
    """Admissions that were known not to be used since then, and had no second try yet; the oldest first."""
    rows = connection.execute(
        f"SELECT {ATTEMPT_COLUMNS}, p.at_us FROM attempts AS p JOIN outcomes AS o ON o.seq = p.seq"  # noqa: S608 ours
        ' JOIN attempts AS a ON a.id = p."of" JOIN outcomes AS ao ON ao.seq = a.seq'
        " WHERE p.at_us >= ? AND p.kind = 'passage' AND o.result = 'not_passed'"
        " AND a.kind = 'scan' AND ao.basis IS NOT 'again'"
        " AND NOT EXISTS (SELECT 1 FROM attempts AS s JOIN outcomes AS so ON so.seq = s.seq"
        """ WHERE s."of" = a.id AND s.kind = 'scan' AND so.result IS NOT 'rejected')"""
        " ORDER BY p.seq",
        (since_us,),
    )
    return [Unused(Attempt(*columns), WallUs(known_us)) for *columns, known_us in rows]


def passages_since(connection: sqlite3.Connection, since_us: int) -> list[tuple[str, bool]]:
    """The passages from then until this start, the oldest first: the door, and whether somebody came in."""
    rows = connection.execute(
        "SELECT a.door, o.result FROM attempts AS a JOIN outcomes AS o ON o.seq = a.seq"
        " WHERE a.at_us >= ? AND a.kind = 'passage' AND o.result IN ('passed', 'unexpected', 'left')"
        " AND a.seq <= (SELECT value FROM marks WHERE name = 'closed_to_seq') ORDER BY a.seq",
        (since_us,),
    )
    return [(door, result != Result.LEFT) for door, result in rows]


def unanswered(connection: sqlite3.Connection, attempt: Attempt, settle_us: int) -> list[str]:
    """Our own requests that may be what this refusal answers; the latest first, as event IDs.

    The same partner and member, not older than `settle_us`, sent or perhaps sent, with no whole answer.
    A later success of the partner, settled ones included, used them up. Within a boot the age is measured on
    the boot clock, so a step of the wall clock does not matter.
    """
    rows = connection.execute(
        "SELECT e.id FROM events AS e WHERE e.member = :member AND e.partner = :partner"
        " AND e.id <> :id AND e.asked AND e.sent IS NOT 0 AND e.answered_us IS NULL"
        " AND CASE e.boot WHEN :boot THEN e.since_boot_us >= :since_boot ELSE e.at_us >= :since END"
        " AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.member = :member"
        "   AND later.partner = :partner AND later.seq > e.seq AND later.verdict = 'allowed')"
        " ORDER BY e.seq DESC LIMIT :most",
        {
            "most": UNANSWERED_MAX,
            "member": attempt.member,
            "partner": attempt.partner,
            "id": attempt.id,
            "since": attempt.at_us - settle_us,
            "boot": attempt.boot,
            "since_boot": attempt.since_boot_us - settle_us,
        },
    )
    return [row[0] for row in rows]


def already_in(connection: sqlite3.Connection, attempt: Attempt) -> list[tuple[str, WallUs]]:
    """The openings on `already_in` of this partner and member in the days around: id and time (`at_us`)."""
    rows = connection.execute(
        "SELECT e.id, e.at_us FROM events AS e WHERE e.member = :member AND e.partner = :partner"
        " AND e.basis = 'already_in' AND e.at_us BETWEEN :at - :around AND :at + :around"
        " ORDER BY e.seq DESC LIMIT :most",
        {
            "most": ALREADY_IN_MAX,
            "member": attempt.member,
            "partner": attempt.partner,
            "at": attempt.at_us,
            "around": DAYS_US,
        },
    )
    return list(rows)


def came_back(connection: sqlite3.Connection, attempt: Attempt, return_us: int) -> bool:
    """Whether this partner's member passed at any door within `return_us`.

    Within a boot the age is measured on the boot clock; a passage that the wall clock has in the future is of
    an unknown age, and is none.
    """
    found = connection.execute(
        "SELECT 1 FROM events AS e WHERE e.member = :member AND e.partner = :partner"
        " AND e.kind = 'passage' AND e.result = 'passed'"
        " AND CASE e.boot WHEN :boot THEN e.since_boot_us >= :since_boot"
        "   ELSE e.at_us BETWEEN :since AND :at END LIMIT 1",
        {
            "member": attempt.member,
            "partner": attempt.partner,
            "at": attempt.at_us,
            "since": attempt.at_us - return_us,
            "boot": attempt.boot,
            "since_boot": attempt.since_boot_us - return_us,
        },
    )
    return found.fetchone() is not None


def past_of(
    connection: sqlite3.Connection, attempt: Attempt, settle_us: int, return_us: int
) -> tuple[list[str], list[tuple[str, WallUs]], bool]:
    """The past of a partner's member: unanswered requests, openings on `already_in`, whether he passed."""
    waiting = unanswered(connection, attempt, settle_us) if settle_us else []
    passed = return_us > 0 and came_back(connection, attempt, return_us)
    return waiting, already_in(connection, attempt), passed


_BY_THE_PARTNER = "('partner', 'settled', 'already_in', 'return')"
"""The bases of an admission for which the partner's word counts."""
_VERDICTS = "('allowed', 'not_allowed', 'not_found')"


def since_last_verdict(connection: sqlite3.Connection, partner: str) -> list[PastScan]:
    """The scans of a partner since its last verdict, the oldest first: those of the outage under way."""
    # Newest first through the index by partner, so the time depends on the outage's length alone.
    (last,) = connection.execute(
        "SELECT coalesce((SELECT a.seq FROM attempts AS a CROSS JOIN outcomes AS o USING (seq)"  # noqa: S608 ours
        f" WHERE a.partner = ? AND a.kind = 'scan' AND o.verdict IN {_VERDICTS}"
        " ORDER BY a.seq DESC LIMIT 1), 0)",
        (partner,),
    ).fetchone()
    rows = connection.execute(
        "SELECT a.id, a.at_us, a.member, o.outage, o.fault IS 'tls', o.basis IS 'grace'"
        " FROM attempts AS a CROSS JOIN outcomes AS o USING (seq)"
        " WHERE a.partner = ? AND a.seq > ? AND a.kind = 'scan' ORDER BY a.seq",
        (partner, last),
    )
    return [
        PastScan(event_id, WallUs(at_us), member, bool(outage), bool(is_tls), bool(is_graced))
        for event_id, at_us, member, outage, is_tls, is_graced in rows
    ]


def member_past(connection: sqlite3.Connection, attempt: Attempt, rules: GraceRules) -> MemberPast | None:
    """The evidence about an attempt's member; None where the attempt itself is not on disk.

    Then the disk takes no records, and later nobody could count whom it let in.
    """
    if connection.execute("SELECT 1 FROM attempts WHERE id = ?", (attempt.id,)).fetchone() is None:
        return None
    (newest_us,) = connection.execute("SELECT max(at_us) FROM attempts").fetchone()
    member = {"member": attempt.member, "partner": attempt.partner}
    of_member = (
        " FROM attempts AS a CROSS JOIN outcomes AS o USING (seq)"
        " WHERE a.member = :member AND a.partner = :partner AND a.kind = 'scan'"
    )
    admitted = connection.execute(
        f"SELECT a.at_us {of_member} AND o.result = 'admitted' AND o.basis IN {_BY_THE_PARTNER}"
        " AND a.at_us > :since ORDER BY a.seq DESC LIMIT :visits",
        member | {"since": newest_us - rules.seen_days * DAY_US, "visits": rules.visits},
    )
    newest = connection.execute(
        f"SELECT o.verdict = 'allowed' OR o.result = 'admitted' {of_member}"
        f" AND o.verdict IN {_VERDICTS} ORDER BY a.seq DESC LIMIT 1",
        member,
    ).fetchone()
    graced = connection.execute(f"SELECT max(a.at_us) {of_member} AND o.basis = 'grace'", member).fetchone()
    return MemberPast(
        WallUs(newest_us),
        [WallUs(at_us) for (at_us,) in admitted],
        newest is not None and bool(newest[0]),
        [WallUs(at_us) for at_us in graced if at_us is not None],
    )
