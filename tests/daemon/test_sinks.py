"""Sinks that hang or fail: no door waits for them, no other sink loses anything, losses are counted."""

import asyncio
import contextlib
import threading

from gpiozero.pins.mock import MockFactory
from limits import NET_S

from gatectl.daemon.door import Door
from gatectl.daemon.site_context import SiteContext
from gatectl.decision.door.context import SharedState
from gatectl.decision.door.machine import DoorRules
from gatectl.decision.event import Event
from gatectl.decision.indication import Screen, View
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.verdict import Result
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.relay_pin import RelayPin
from gatectl.devices.gpio.relay_timer import RelayTimer
from gatectl.journal.store import Store
from gatectl.sinks.display_feed import DisplayFeed
from gatectl.sinks.event_counts import EventCounts
from gatectl.sinks.sink import Sinks

ENTRY = LogEntry(Priority.INFO, "an entry")


class ToySink:
    """Keeps the items that it takes."""

    def __init__(self, name, *, kinds=(Event, View, LogEntry), blocks=True):
        self.name, self.kinds, self.blocks = name, kinds, blocks
        self.items = []
        self.taken = threading.Condition()

    def take(self, item):
        with self.taken:
            self.items.append(item)
            self.taken.notify_all()

    def wait_for(self, condition):
        with self.taken:
            assert self.taken.wait_for(lambda: condition(self.items), NET_S), self.items


class RaisingSink(ToySink):
    """Raises at every item as long as `error` is set."""

    error = "no space"
    raised = OSError

    def take(self, item):
        super().take(item)
        if self.error:
            raise self.raised(self.error)


class HangingSink(ToySink):
    """Does not return from an item until `released`."""

    def __init__(self):
        super().__init__("hanging")
        self.released = threading.Event()

    def take(self, item):
        super().take(item)
        assert self.released.wait(NET_S)


def messages(sink):
    return [item.message for item in sink.items if isinstance(item, LogEntry)]


@contextlib.contextmanager
def opened(*sinks, **options):
    made = Sinks(*sinks, **options)
    try:
        yield made
    finally:
        for sink in sinks:
            if isinstance(sink, HangingSink):
                sink.released.set()
        made.close()


@contextlib.asynccontextmanager
async def one_door(sinks, folder):
    """A door with a real gate and store, and the store."""
    relay = RelayPin("main", 17, active_high=True, open_ms=100, factory=MockFactory(), log=sinks.take)
    relay.claim()
    guard = RelayTimer([relay])
    guard.start()
    store = Store(folder / "journal.db", 0, sinks.take)
    store.start()
    site = SharedState(tenant="T", studio="S", routes=[], partners={}, patience_s=5.0)
    context = SiteContext(site, {}, store, sinks, DisplayFeed(), EventCounts(0))
    try:
        await store.opened
        async with asyncio.TaskGroup() as tasks:
            yield Door("main", DoorRules(2.0), Gate(relay, guard, []), context, tasks), store
    finally:
        guard.stop()
        relay.close()
        await store.stop(NET_S)


def events_of(items):
    return [item for item in items if isinstance(item, Event)]


def test_a_door_opens_while_one_sink_hangs_and_two_raise(tmp_path):
    hanging, raising, raising_at_once = (
        HangingSink(),
        RaisingSink("raising"),
        RaisingSink("at once", blocks=False),
    )
    direct, good = ToySink("direct", blocks=False), ToySink("good")

    async def story():
        with opened(hanging, raising, raising_at_once, direct, good, queue_max=8) as sinks:
            async with one_door(sinks, tmp_path) as (door, store):
                events = []
                for number in range(10):
                    events.append(await door.open_by_hand(f"number {number}"))
                    good.wait_for(lambda items: events_of(items)[-1:] == events[-1:])  # it keeps up
                assert [event.outcome.result for event in events] == [Result.ADMITTED] * 10
                stored = "SELECT count(*) FROM events WHERE result = 'admitted'"
                assert await store.ask(lambda connection: connection.execute(stored).fetchone()) == (10,)
            assert events_of(direct.items) == events
            assert events_of(good.items) == events
            assert len(hanging.items) == 1
            status = sinks.status()
        assert status["hanging"] == {"lost": status["hanging"]["lost"], "trouble": "it does not keep up"}
        assert status["hanging"]["lost"] >= 11, "ten events and ten screens, one under way and eight queued"
        assert status["at once"] == {"lost": len(raising_at_once.items), "trouble": "OSError: no space"}
        assert status["direct"] == {"lost": 0, "trouble": None}

    asyncio.run(asyncio.wait_for(story(), NET_S))


def test_losses_are_logged_once_and_so_is_their_end():
    raising, good = RaisingSink("raising", blocks=False), ToySink("good", blocks=False)
    with opened(raising, good) as sinks:
        for _ in range(3):
            sinks.take(ENTRY)
        assert messages(good)[:2] == ["raising: entries are lost (OSError: no space)", ENTRY.message]
        assert messages(good).count(ENTRY.message) == 3
        assert len(messages(good)) == 4
        raising.error = None
        sinks.take(ENTRY)
        # The log entry about the loss was lost too.
        assert messages(good)[4:] == ["raising: works again, 4 entries were lost", ENTRY.message]
        assert sinks.status()["raising"] == {"lost": 4, "trouble": None}
        raising.error = "again"
        sinks.take(ENTRY)
        assert messages(good)[6] == "raising: entries are lost (OSError: again)"


def test_a_sink_that_hung_takes_the_queued_items_in_order_and_the_loss_is_logged():
    hanging, good = HangingSink(), ToySink("good", blocks=False)
    with opened(hanging, good, queue_max=2) as sinks:
        entries = [LogEntry(Priority.INFO, str(number)) for number in range(6)]
        sinks.take(entries[0])
        hanging.wait_for(lambda items: len(items) == 1)
        for entry in entries[1:]:
            sinks.take(entry)
        assert messages(good)[4] == "hanging: entries are lost (it does not keep up)"
        hanging.released.set()
        # Entries 3, 4 and 5, and the one about the loss.
        hanging.wait_for(lambda items: len(items) == 4)
        assert messages(hanging) == ["0", "1", "2", "hanging: works again, 4 entries were lost"]


def test_a_sink_takes_only_its_kinds():
    events = ToySink("events", kinds=(Event,), blocks=False)
    with opened(events) as sinks:
        sinks.take(ENTRY)
        sinks.take(View("main", Screen.IDLE))
    assert events.items == []


def test_closing_waits_for_queued_items():
    queued = ToySink("queued")
    with opened(queued) as sinks:
        for _ in range(100):
            sinks.take(ENTRY)
    assert messages(queued) == [ENTRY.message] * 100


def test_a_bug_in_a_sinks_thread_is_not_hidden():
    """An error that is no failure of the sink ends the thread, and so the daemon."""
    broken = RaisingSink("broken")
    broken.raised = SystemExit
    with opened(broken) as sinks:
        sinks.take(ENTRY)
        (ended,) = sinks.broken
        assert "the thread of broken failed: SystemExit" in str(ended.exception(timeout=NET_S))
