"""The parts of the daemon that all doors share, and the IDs of their events."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from gatectl import clock
from gatectl.daemon.partner_service import PartnerService
from gatectl.decision.door.context import SharedState
from gatectl.decision.event import Event, uuid7
from gatectl.decision.timestamps import LoopTime
from gatectl.journal.store import Store
from gatectl.sinks.display_feed import DisplayFeed
from gatectl.sinks.event_counts import EventCounts
from gatectl.sinks.sink import Sinks


class EventIds:
    """Makes event IDs of microseconds since the epoch.

    The random bytes are fetched for many IDs at once: each time, a scan might lose the interpreter's lock.
    """

    def __init__(self) -> None:
        self._bytes = b""

    def __call__(self, at_us: int) -> str:
        if not self._bytes:
            self._bytes = os.urandom(64 * 8)
        taken, self._bytes = self._bytes[:8], self._bytes[8:]
        return uuid7(at_us, int.from_bytes(taken))


@dataclass(slots=True)
class SiteContext:
    """`site` is the state that the doors' rules share; the rest performs their effects."""

    site: SharedState
    partners: dict[str, PartnerService]
    store: Store
    sinks: Sinks
    viewers: DisplayFeed
    counts: EventCounts
    keys: tuple[str, ...] = field(default=(), repr=False)
    """The keys of all partners, to mask them in the reasons that people give."""
    instants: clock.InstantClock = field(default_factory=clock.InstantClock)
    watch_inputs: Callable[[str, LoopTime], None] = lambda _door, _until_s: None
    """Has the inputs of a door read every 20 ms until then."""
    last_event: Event | None = None
    in_memory: bool = False
    """Whether the store is on a file system in memory, and lost with the power."""
