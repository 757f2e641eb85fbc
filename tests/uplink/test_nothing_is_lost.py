"""Both sides of the conversation over a network that loses, repeats and reorders, with restarts and restores.

The gate may be set back to an older image, the database to an older dump, and each process and the broker
may be restarted at any moment. When the faults end, everything that the gate holds is committed, nothing
twice, in its order.
"""

import copy
import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gatectl.uplink import head_office, wire
from gatectl.uplink.conversation import Conversation, OwnEvent
from gatectl.uplink.head_office import Answer, Stream
from gatectl.uplink.wire import NumberedEvent

ROUNDS_MAX = 40
"""Minutes in which all must be caught up after the last fault."""


class Journal:
    """A gate's journal: numbers without a gap, of which the oldest may have been pruned."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: dict[int, str] = {}
        self.last = 0

    def append(self, event_id: str) -> None:
        self.last += 1
        self.ids[self.last] = event_id

    def prune(self, count: int) -> list[str]:
        return [self.ids.pop(number) for number in sorted(self.ids)[:count]]

    def read(self, after: int, most: int) -> list[NumberedEvent]:
        numbers = sorted(number for number in self.ids if number > after)[:most]
        return [NumberedEvent(number, {"id": self.ids[number]}) for number in numbers]


class Database:
    """Head office's tables."""

    def __init__(self) -> None:
        self.streams: dict[str, Stream] = {}
        self.events: dict[str, tuple[str, int, int]] = {}
        self.conflicts: set[str] = set()
        self.pruned = 0

    def commit(self, step: head_office.Step) -> None:
        stream = step.stream
        self.streams[stream.journal] = stream
        self.pruned += step.pruned
        for one in step.insert:
            place = (stream.journal, stream.generation, one.number)
            assert place not in self.events.values()  # the database would refuse it
            self.events.setdefault(one.id, place)
        self.conflicts |= {one.id for one in step.committed if one.id not in self.events}


class OneGate:
    """A gate, a broker and head office."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.names = 0
        self.journal = Journal("0" * 32)
        self.pruned: set[str] = set()
        """An older image brings them back; they were announced as pruned, and are no loss."""
        self.images = [copy.deepcopy(self.journal)]
        self.database = Database()
        self.dumps = [copy.deepcopy(self.database)]
        self.connection = 0
        self.up: list[tuple[int, bytes, tuple]] = []
        self.down: list[bytes] = []
        self.retained: bytes | None = None
        self.published: list[bytes] = []
        self.conversation = Conversation(self.chance.random)
        self.is_connected = False
        self.look()
        self.connect()

    # --- The gate --------------------------------------------------------------------------------

    def look(self):
        if self.conversation.opened(self.journal.name, self.journal.last):
            self.hello()

    def new_id(self) -> str:
        self.names += 1
        return f"01976f5e-7a00-7000-8000-{self.names:012x}"

    def scans(self):
        for _ in range(self.chance.choice([1, 1, 5, 90])):
            self.journal.append(self.new_id())
        self.look()

    def prune(self):
        self.pruned.update(self.journal.prune(self.chance.choice([1, 30])))

    def keep_an_image(self):
        self.images.append(copy.deepcopy(self.journal))

    def restore_an_image(self):
        self.journal = copy.deepcopy(self.chance.choice(self.images))
        if self.chance.random() < 0.5:
            self.restart_the_uplink()

    def replace_the_journal(self):
        old, self.journal = self.journal, Journal(f"{len(self.images) + self.names:032x}")
        for event_id in old.ids.values():
            self.journal.append(event_id)
        self.look()
        self.hello()

    def restart_the_uplink(self):
        self.disconnect()
        self.conversation = Conversation(self.chance.random)
        self.look()

    def connect(self):
        self.disconnect()
        self.is_connected = True
        self.connection += 1
        self.conversation.connected()
        self.down = [self.retained] if self.retained else []
        self.hello()

    def disconnect(self):
        self.is_connected = False
        self.down = []
        self.conversation.disconnected()

    def hello(self):
        if self.is_connected:
            talk = self.conversation
            payload = wire.encode_state(
                {}, journal=talk.journal, last=talk.last, mark=talk.mark, fork=talk.fork
            )
            self.up.append((self.connection, *payload))

    def send(self):
        while (wanted := self.conversation.wanted(self.now)) is not None:
            own = OwnEvent(self.journal.last, self.journal.ids.get(wanted.after))
            batch = self.conversation.batch(self.journal.read(*wanted), own, self.now)
            if self.conversation.mark is None:
                self.hello()
            if batch is None:
                break
            self.up.append((self.connection, *wire.encode_batch(batch)))

    def time_passes(self):
        self.now += self.chance.choice([0.5, 2, 61, 400])

    # --- The network -----------------------------------------------------------------------------

    def messages_go(self):
        """Messages of one connection keep their order, those of several connections do not."""
        lost = self.chance.choice([0, 0, 0.05, 0.3])
        for _ in range(self.chance.choice([1, 10, 40])):
            self.send()
            repeat, lose = self.chance.random() < lost, self.chance.random() < lost
            if self.down and self.chance.random() < 0.5:
                payload = self.down[0] if repeat else self.down.pop(0)
                if not lose:
                    self.take_mark(payload)
            elif self.up:
                connection = self.chance.choice([number for number, *_ in self.up])
                index = next(index for index, (number, *_) in enumerate(self.up) if number == connection)
                _, *message = self.up[index] if repeat else self.up.pop(index)
                if not lose:
                    self.receive(*message)

    def an_old_mark_comes(self):
        if self.published and self.is_connected:
            self.take_mark(self.chance.choice(self.published))

    def take_mark(self, payload):
        mark = wire.decode_mark(payload)
        own = OwnEvent(self.journal.last, self.journal.ids.get(mark.mark))
        self.conversation.marked(mark, own, self.now)

    def restart_the_broker(self):
        self.retained = None
        self.up = []
        self.disconnect()

    # --- Head office -----------------------------------------------------------------------------

    def receive(self, payload, properties):
        if b'"events"' in payload or properties:
            message = wire.decode_batch(payload, properties)
            step = head_office.take(self.database.streams.get(message.journal), message, self.now)
        else:
            state = wire.decode_state(payload)
            step = head_office.greet(self.database.streams.get(state.journal), state, self.now)
        self.database.commit(step)
        self.publish(step.stream, step.answer)

    def publish(self, stream: Stream, answer: Answer, window: int = wire.WINDOW) -> None:
        self.retained = wire.encode_mark(head_office.mark_of(stream, answer, window)).data
        self.published.append(self.retained)
        if self.is_connected:
            self.down.append(self.retained)

    def restart_the_ingest(self, window=wire.WINDOW):
        for stream in self.database.streams.values():
            self.publish(stream, Answer.AGAIN, window)

    def dump(self):
        self.dumps.append(copy.deepcopy(self.database))

    def restore_a_dump(self):
        self.database = copy.deepcopy(self.chance.choice(self.dumps))
        self.restart_the_ingest()

    def the_window_changes(self):
        self.restart_the_ingest(self.chance.choice([0, 16, 256]))

    # --- The end ---------------------------------------------------------------------------------

    def finish(self):
        """All that the gate holds is committed some minutes after the last fault."""
        if self.chance.random() < 0.3:
            self.restore_a_dump()
        if self.chance.random() < 0.5:
            self.up, self.down = [], []  # the last messages are lost too
        if self.journal.last not in self.journal.ids:
            self.journal.append(self.new_id())  # a pruned end is announced with the next event
        self.look()
        if not self.is_connected:
            self.connect()
        for _ in range(ROUNDS_MAX):
            self.settle()
            if self.is_caught_up():
                break
            self.now += 60
            self.hello()
        assert self.is_caught_up(), (self.database.streams, self.conversation.__dict__)
        assert not set(self.journal.ids.values()) - self.database.events.keys() - self.pruned
        self.check_order()

    def settle(self):
        self.send()
        while self.up or self.down:
            while self.up:
                _, payload, properties = self.up.pop(0)
                self.receive(payload, properties)
            while self.down:
                self.take_mark(self.down.pop(0))
            self.send()

    def is_caught_up(self) -> bool:
        stream = self.database.streams.get(self.journal.name)
        return stream is not None and stream.id == self.journal.ids[self.journal.last]

    def check_order(self):
        """Each generation's events were committed in the order of their numbers."""
        places = list(self.database.events.values())
        for key in {place[:2] for place in places}:
            numbers = [number for *own, number in places if tuple(own) == key]
            assert all(one < other for one, other in pairwise(numbers))


USUAL = [OneGate.scans] * 4 + [OneGate.messages_go] * 8 + [OneGate.connect, OneGate.time_passes] * 2
FAULTS = [
    OneGate.keep_an_image,
    OneGate.restore_an_image,
    OneGate.replace_the_journal,
    OneGate.prune,
    OneGate.restart_the_uplink,
    OneGate.disconnect,
    OneGate.an_old_mark_comes,
    OneGate.restart_the_broker,
    OneGate.restart_the_ingest,
    OneGate.the_window_changes,
    OneGate.dump,
    OneGate.restore_a_dump,
]


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(USUAL + FAULTS), min_size=20, max_size=80))
def test_all_that_the_gate_holds_is_committed_once_and_in_order(seed, steps):
    gate = OneGate(seed)
    for step in steps:
        step(gate)
    gate.finish()
