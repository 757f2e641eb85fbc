"""The parts of the daemon that all doors share, the IDs of their events, and their past in the journal."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from gatectl import clock
from gatectl.daemon import gates
from gatectl.daemon.partner_service import PartnerService
from gatectl.decision.door.context import SharedState
from gatectl.decision.event import Event, uuid7
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.timestamps import LoopTime
from gatectl.journal import statements
from gatectl.journal.store import Store
from gatectl.sinks.display_feed import DisplayFeed
from gatectl.sinks.event_counts import EventCounts
from gatectl.sinks.sink import Sinks

if TYPE_CHECKING:
    from gatectl.config.model import DoorSettings
    from gatectl.daemon.door import Door
    from gatectl.decision.door.modes import Order


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


def resume(doors: Mapping[str, Door], orders: asyncio.Future[dict[str, Order]]) -> None:
    """Give the doors the orders that counted before this start."""
    for name, order in orders.result().items():
        if name in doors:
            doors[name].resume(order, None)


async def recall(
    settings: Mapping[str, DoorSettings], doors: Mapping[str, Door], context: SiteContext
) -> None:
    """Give the doors what the journal has of before this start, once the disk answers."""
    store = context.store
    again_s = max(gates.again_s(door) for door in settings.values())
    since_us = clock.timestamp_now().at_us - again_s * 1_000_000
    first_in = [name for name, door in settings.items() if door.first_in]
    try:
        orders = await store.ask(statements.last_orders)
        admitted = await store.ask(partial(statements.last_admissions, doors=first_in))
        unused = await store.ask(partial(statements.unused_admissions, since_us=since_us))
        await _recall_inside(store, doors.values())
    except sqlite3.Error as error:
        what = f"lockdowns, holds, second tries and passages of before this start are not known ({error})"
        context.sinks.take(LogEntry(Priority.WARNING, what))
        return
    for name, door in doors.items():
        door.resume(orders.get(name), admitted.get(name))
        door.recall(unused)


async def _recall_inside(store: Store, doors: Iterable[Door]) -> None:
    """Give the doors that count both ways the passages of this day."""
    counting = [(door.name, door.machine.occupancy) for door in doors if door.machine.occupancy is not None]
    if not counting:
        return
    now_us = clock.timestamp_now().at_us
    since_us = counting[0][1].day_start_us(now_us)  # they all are in one time zone
    passages = await store.ask(partial(statements.passages_since, since_us=since_us))
    for name, occupancy in counting:
        occupancy.recall((is_in for door, is_in in passages if door == name), now_us)
