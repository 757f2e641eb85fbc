"""Delete events that are older than `journal.keep_days`.

A clock that is years ahead must not empty the journal. So nothing is deleted while the clock was set in the
last hours or has not reached its time server, and the age of the running boot's events is measured on the
boot clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from gatectl.decision.timestamps import DAY_US, HOUR_US, Timestamp
from gatectl.journal.schema import transaction

STEP = 20
"""Events per step: some forty pages of a store with a million events, whose indexes are spread all over it.
More would take an SD card longer than a scan waits for its record."""

EVERY_US = 6 * HOUR_US
"""Four times a day keeps each deletion small. A wall clock that was set must have run for as long: by then a
time server, asked twice an hour, has corrected a mistyped date."""

_IS_LASTING_LOCKDOWN = (
    "a.kind = 'mode' AND EXISTS (SELECT 1 FROM outcomes AS o WHERE o.seq = a.seq AND o.facts IS NOT NULL"
    " AND o.result = 'lockdown') AND NOT EXISTS (SELECT 1 FROM attempts AS later JOIN outcomes AS o"
    " ON o.seq = later.seq WHERE later.kind = 'mode' AND later.seq > a.seq AND later.door = a.door"
    " AND o.facts IS NOT NULL)"
)
"""A person's order that no later one has ended: the next start has to find it."""


class Pruning:
    """Deletes what is older than `keep_days`, a little at a time; 0 keeps all. `now` is the start."""

    def __init__(self, keep_days: int, now: Timestamp, is_right: Callable[[], bool]) -> None:
        self._keep_us = keep_days * DAY_US
        self._is_right = is_right
        self._seen = now
        self._next_us: int = now.since_boot_us

    def is_due(self, now: Timestamp) -> bool:
        """Return whether there may be something to delete and the clock can be trusted."""
        if now.clock_step_since(self._seen):
            self._next_us = now.since_boot_us + EVERY_US
        self._seen = now
        return self._keep_us > 0 and now.since_boot_us >= self._next_us and self._is_right()

    def step(self, connection: sqlite3.Connection, now: Timestamp) -> bool:
        """One small transaction; False when there is nothing to do until it `is_due` again."""
        if not self.is_due(now):
            return False
        before_us = now.at_us - self._keep_us
        old = connection.execute(
            "SELECT seq FROM attempts AS a WHERE at_us < ? AND (boot <> ? OR since_boot_us < ?)"  # noqa: S608 ours
            f" AND NOT ({_IS_LASTING_LOCKDOWN}) ORDER BY at_us LIMIT ?",
            (before_us, now.boot, now.since_boot_us - self._keep_us, STEP),
        ).fetchall()
        if not old:
            self._next_us = now.since_boot_us + EVERY_US
            return False
        with transaction(connection):
            # The mark moves with the deletion: the triggers refuse to delete younger events.
            connection.execute(
                "UPDATE marks SET value = max(value, ?) WHERE name = 'kept_from_us'", (before_us,)
            )
            # The numbers of the decisions continue after the pruned ones, even if none is left.
            connection.executemany(
                "UPDATE marks SET value = max(value, coalesce((SELECT ended FROM outcomes WHERE seq = ?), 0))"
                " WHERE name = 'pruned_to'",
                old,
            )
            connection.executemany("DELETE FROM outcomes WHERE seq = ?", old)
            connection.executemany("DELETE FROM attempts WHERE seq = ?", old)
        return True
