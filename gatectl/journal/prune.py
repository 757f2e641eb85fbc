"""Forgetting events that are older than the gym wants to keep them."""

from __future__ import annotations

import sqlite3
import time

from gatectl.journal.transaction import transaction

STEP = 100
"""Events a step: a few milliseconds on an SD card, well inside a scan's patience."""

EVERY_S = 6 * 3600.0
"""A day's events are a small heap; four times a day keeps it small."""

DAY_US = 86_400_000_000


class Pruning:
    """Deletes what is older than `keep_days`, a little at a time; 0 keeps all."""

    def __init__(self, keep_days: int) -> None:
        self._keep_us = keep_days * DAY_US
        self._next_at = time.monotonic()

    @property
    def due(self) -> bool:
        return self._keep_us > 0 and time.monotonic() >= self._next_at

    def step(self, connection: sqlite3.Connection, now_us: int) -> bool:
        """One small transaction; False when there is nothing to do until `due` again."""
        if not self.due:
            return False
        before_us = now_us - self._keep_us
        old = [
            (seq,)
            for (seq,) in connection.execute(
                "SELECT seq FROM attempts WHERE at_us < ? ORDER BY at_us LIMIT ?", (before_us, STEP)
            )
        ]
        if not old:
            self._next_at = time.monotonic() + EVERY_S
            return False
        with transaction(connection):
            # The mark moves with the deletion: the triggers let nothing younger go.
            connection.execute(
                "UPDATE marks SET value = max(value, ?) WHERE name = 'kept_from_us'", (before_us,)
            )
            connection.executemany("DELETE FROM outcomes WHERE seq = ?", old)
            connection.executemany("DELETE FROM attempts WHERE seq = ?", old)
        return True
