"""Counts the openings on `already_in`: at most so many for a member in a day of the gym's time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo

from gatectl.decision.event import Attempt
from gatectl.decision.local_time import local
from gatectl.decision.timestamps import WallUs

KEPT_MAX = 1000
"""Openings kept in memory until the journal has them: more than a disk that is late has at all doors."""


class AlreadyInCount:
    """The openings of all doors that the journal may not have yet. `zone` is the gym's, None the system's."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._openings: dict[str, Attempt] = {}
        """By the event's id, the oldest first."""

    def take(self, attempt: Attempt, on_record: Iterable[tuple[str, WallUs]], most: int) -> bool:
        """Takes an opening for this scan, if its partner and member have one left on its day.

        `on_record` are the openings of this partner and member that the journal has: an event's id, and when
        its code was complete.
        """
        day = local(attempt.at_us, self._zone).date()
        known = dict(on_record) | {
            event_id: other.at_us
            for event_id, other in self._openings.items()
            if (other.partner, other.member) == (attempt.partner, attempt.member)
        }
        if sum(local(at_us, self._zone).date() == day for at_us in known.values()) >= most:
            return False
        self._openings[attempt.id] = attempt
        if len(self._openings) > KEPT_MAX:
            del self._openings[next(iter(self._openings))]
        return True

    def give_back(self, event_id: str) -> None:
        """Takes back the opening of a scan whose gate did not open."""
        self._openings.pop(event_id, None)
