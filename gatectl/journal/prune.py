"""Forgetting events that are older than the gym wants to keep them.

A clock that is years ahead must not empty the journal. So nothing is forgotten by a clock that was set in
the last hours, nor by one that has not heard its time server; and the events of the running boot are as old
as the clock since the boot says, whatever the wall clock named them before it was set.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from gatectl.decision.timestamps import Timestamp
from gatectl.journal.schema import transaction

STEP = 20
"""Events a step: some forty pages of a store with a million events, whose indexes lie all over it. More would
take an SD card longer than a scan's patience."""

EVERY_US = 6 * 3_600_000_000
"""A day's events are a small heap; four times a day keeps it small. A wall clock that was set must have run
for as long: a time server, asked twice an hour, has put a mistyped date right by then."""

DAY_US = 86_400_000_000


class Pruning:
    """Deletes what is older than `keep_days`, a little at a time; 0 keeps all. `now` is its begin."""

    def __init__(self, keep_days: int, now: Timestamp, is_right: Callable[[], bool]) -> None:
        self._keep_us = keep_days * DAY_US
        self._is_right = is_right
        self._seen = now
        self._next_us: int = now.since_boot_us

    def is_due(self, now: Timestamp) -> bool:
        """Whether there may be something to delete, and the clock is to be believed."""
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
            "SELECT seq FROM attempts WHERE at_us < ? AND (boot <> ? OR since_boot_us < ?)"
            " ORDER BY at_us LIMIT ?",
            (before_us, now.boot, now.since_boot_us - self._keep_us, STEP),
        ).fetchall()
        if not old:
            self._next_us = now.since_boot_us + EVERY_US
            return False
        with transaction(connection):
            # The mark moves with the deletion: the triggers let nothing younger go.
            connection.execute(
                "UPDATE marks SET value = max(value, ?) WHERE name = 'kept_from_us'", (before_us,)
            )
            # The numbers of the decisions go on behind those that are pruned, also where nothing is left.
            connection.executemany(
                "UPDATE marks SET value = max(value, coalesce((SELECT ended FROM outcomes WHERE seq = ?), 0))"
                " WHERE name = 'pruned_to'",
                old,
            )
            connection.executemany("DELETE FROM outcomes WHERE seq = ?", old)
            connection.executemany("DELETE FROM attempts WHERE seq = ?", old)
        return True
