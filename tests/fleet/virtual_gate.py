"""Gates without a door: the uplink's own conversation over real connections, the journal a list in memory."""

import asyncio
import contextlib
import random
import secrets
import time

import aiomqtt
from limits import NET_S
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gatectl.decision.event import timestamp, uuid7
from gatectl.uplink.conversation import Conversation, OwnEvent
from gatectl.uplink.wire import (
    Channel,
    NumberedEvent,
    Presence,
    Topic,
    WireError,
    decode_mark,
    encode_batch,
    encode_presence,
    encode_state,
)

WAIT_S = NET_S
CONNECT_S = NET_S
STATE_S = 2.0
RECONNECT_MAX_S = 1.0
"""A test does not wait as long for a broker as a gate does."""


def client(broker, context, name="", **settings):
    """A connection to the broker on loopback, to be entered."""
    return aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        identifier=name,
        tls_context=context,
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=CONNECT_S,
        **settings,
    )


def event_of(number, studio="Berlin", **fields):
    """A finished scan, as the uplink sends it."""
    at_us = time.time_ns() // 1000
    return {
        "id": uuid7(at_us, secrets.randbits(62)),
        "kind": "scan",
        "at": timestamp(at_us),
        "of": None,
        "tenant": "FitCo GmbH",
        "studio": studio,
        "door": "main",
        "scanner": "/dev/ttyUSB0",
        "credential": None,
        "partner": "wellhub",
        "member": f"p:{number % 1000:032x}",
        "customer": None,
        "result": "admitted",
        "basis": "partner",
        "message": "Aggregator member checked in",
        "verdict": "allowed",
        "status": 200,
        "fault": None,
        "detail": None,
        "reason": None,
        "outage": False,
        "request": {
            "sent": True,
            "sent_at": timestamp(at_us),
            "answered_at": timestamp(at_us),
            "elapsed_ms": 1.0,
        },
        "gate": {"opened_at": timestamp(at_us), "after_ms": 1.5, "open_ms": 3000},
        **fields,
    }


class VirtualJournal:
    """Events by their numbers, from 1; pruned ones are missing."""

    def __init__(self, identity=None):
        self.identity = identity or secrets.token_hex(16)
        self.events = {}
        self.last = 0

    def append(self, count=1, **fields):
        added = [self.last + 1 + index for index in range(count)]
        self.events |= {number: event_of(number, **fields) for number in added}
        self.last += count

    def copy(self):
        """Another machine's journal with the same content, as of a cloned card."""
        other = VirtualJournal(self.identity)
        other.events, other.last = dict(self.events), self.last
        return other

    def ids(self):
        return {event["id"] for event in self.events.values()}

    def read(self, wanted):
        numbers = sorted(number for number in self.events if number > wanted.after)[: wanted.most]
        return [NumberedEvent(number, self.events[number]) for number in numbers]

    def own(self, number):
        event = self.events.get(number)
        return OwnEvent(self.last, event and event["id"])


class VirtualGate:
    """One gate: `run` keeps it connected, `wake` says that the journal has grown."""

    acknowledge_s = CONNECT_S
    """How long the broker's acknowledgement is waited for."""

    def __init__(self, broker, context, device, journal=None):
        self.device = device
        self.journal = journal or VirtualJournal()
        self.batches = 0
        self.connects = 0
        self._broker, self._context = broker, context
        self._process = secrets.token_hex(8)
        self._changed = asyncio.Event()
        self._conversation = Conversation(random.random)

    @property
    def mark(self):
        mark = self._conversation.mark
        return 0 if mark is None else mark.mark

    @property
    def window(self):
        mark = self._conversation.mark
        return None if mark is None else mark.window

    @property
    def has_forked(self):
        return self._conversation.fork is not None

    def wake(self):
        self._changed.set()

    async def run(self):
        delay_s = 0.05
        while True:
            began = self.batches
            try:
                await self._connection()
            except* (aiomqtt.MqttError, OSError):
                self._conversation.disconnected()
            delay_s = 0.05 if self.batches > began else min(delay_s * 2, RECONNECT_MAX_S)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))

    async def _connection(self):
        self.connects += 1
        session = f"{self._process}-{self.connects}"
        here = Topic(self.device, Channel.HERE)
        will = aiomqtt.Will(str(here), encode_presence(Presence(False, session)).data, 1, retain=True)
        async with client(self._broker, self._context, self.device, will=will, clean_start=True) as connected:
            self._conversation.connected()
            self._conversation.opened(self.journal.identity, self.journal.last)
            await connected.subscribe(str(Topic(self.device, Channel.MARK)), qos=1)
            await self._publish(connected, here, encode_presence(Presence(True, session)), retain=True)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._repeat_state(connected))
                tasks.create_task(self._send(connected))
                async for message in connected.messages:
                    await self._marked(connected, message.payload)

    async def _marked(self, connected, payload):
        with contextlib.suppress(WireError):
            mark = decode_mark(payload)
            counts = self._conversation.marked(mark, self.journal.own(mark.mark), time.monotonic())
            if counts and self._conversation.fork is not None:
                await self._say_state(connected)
        self.wake()

    async def _send(self, connected):
        while True:
            self._changed.clear()
            self._conversation.opened(self.journal.identity, self.journal.last)
            while wanted := self._conversation.wanted(time.monotonic()):
                own = self.journal.own(wanted.after)
                batch = self._conversation.batch(self.journal.read(wanted), own, time.monotonic())
                if batch is None:
                    break
                self.batches += 1
                await self._publish(connected, Topic(self.device, Channel.EVENTS), encode_batch(batch))
            at = self._conversation.retry_at
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if at is None else max(0, at - time.monotonic())):
                    await self._changed.wait()

    async def _repeat_state(self, connected):
        """As a gate does every minute: the state or its answer may have been lost."""
        while self._conversation.mark is None:
            await self._say_state(connected)
            await asyncio.sleep(STATE_S)

    async def _say_state(self, connected):
        chat = self._conversation
        payload = encode_state(
            {"at": timestamp(time.time_ns() // 1000), "version": "test"},
            journal=self.journal.identity,
            last=self.journal.last,
            mark=chat.mark,
            fork=chat.fork,
        )
        await self._publish(connected, Topic(self.device, Channel.STATE), payload, retain=True)

    async def _publish(self, connected, topic, payload, *, retain=False):
        properties = Properties(PacketTypes.PUBLISH)
        if payload.properties:
            properties.UserProperty = list(payload.properties)
        settings = {"qos": 1, "retain": retain, "properties": properties, "timeout": self.acknowledge_s}
        await connected.publish(str(topic), payload.data, **settings)
