"""One connection to the broker: MQTT 5 over mutual TLS, by aiomqtt.

Each connection has a client object of its own, with a clean start. A paho client that reconnects sends all
that it has at once, whatever its limits (paho.mqtt.python issues 492 and 698).
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as MqttProperties
from paho.mqtt.reasoncodes import ReasonCode

from gatectl.uplink import wire
from gatectl.uplink.wire import Channel, Payload, Presence, Topic

T = TypeVar("T")

KEEPALIVE_S = 30
WILL_DELAY_S = 30
"""A gate whose plug is pulled is shown offline after 45 s of silence and this delay. A connection that is
lost and made again in time is not shown at all."""

SESSION_S = 60
"""The broker keeps the session for longer than the will's delay: else the will would go out at once."""

TIMEOUT_S = 30.0
"""For each answer of the broker. A line of a gym may be slow, and a TLS handshake takes several turns."""

INBOX_MAX = 64
"""Marks that wait; more of them are dropped, and head office answers the next state with a mark."""

IN_FLIGHT_MAX = 4
"""Batches that the broker has not acknowledged: a window of 256 events."""

MISC_S = 7.0
"""Between two looks at the keepalive. aiomqtt's own second would wake an idle machine too often."""

TAKEN_OVER = 0x8E
"""The reason of a disconnect: another connection uses the same name (MQTT 5, section 3.14.2.1). Mosquitto
2.0.11 ends the connection without one."""

_NO_REASON = 0x80
_BROKEN_OFF = "it broke off: by the line, the broker, or another machine with this gate's name"

_SILENT = logging.getLogger("gatectl.uplink.mqtt")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
"""A hostile broker could fill the log through the library; the caller reports what matters."""


class ConnectionLost(Exception):
    """There is no connection any more, or there never was; the message says why."""

    def __init__(self, why: str, *, taken_over: bool = False) -> None:
        super().__init__(why)
        self.taken_over = taken_over


class BrokerAccess(NamedTuple):
    """The broker's address, and the files that prove who speaks."""

    host: str
    port: int
    device: str
    certificate: Path
    key: Path
    ca_file: Path

    def context(self) -> ssl.SSLContext:
        """Read the files, for each connection: a renewed certificate needs no restart."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self.ca_file)
        context.load_cert_chain(self.certificate, self.key)
        return context


class CancellableClient(aiomqtt.Client):
    """A client whose operations end when their task is cancelled.

    aiomqtt waits with asyncio.wait_for, which before Python 3.12 returns the result instead where both come
    together (gh-86296): the task would go on, and its process would not stop.

    No packet may be larger than was agreed: paho would keep as much as a hostile broker announces and sends.

    A packet that cannot be read ends the connection. On one that paho does not count as malformed, as with a
    topic that is not UTF-8, it would raise, keep packet and socket, and read the same again without end.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        agreed = _properties(PacketTypes.CONNECT, MaximumPacketSize=wire.PAYLOAD_BYTES_MAX)
        super().__init__(*arguments, **{"properties": agreed} | more)
        receive = self._client._sock_recv  # noqa: SLF001 - where paho asks for the rest of a packet

        def receive_bounded(bufsize: int) -> bytes:
            if bufsize > wire.PAYLOAD_BYTES_MAX:
                raise OSError("a packet is larger than was agreed")
            return receive(bufsize)

        handle = self._client._packet_handle  # noqa: SLF001 - where paho takes a whole packet apart

        def handle_guarded() -> Any:
            try:
                return handle()
            except Exception as error:
                raise MalformedPacket from error

        self._client._sock_recv = receive_bounded  # type: ignore[method-assign] # noqa: SLF001
        self._client._packet_handle = handle_guarded  # type: ignore[method-assign] # noqa: SLF001

    async def _wait_for(self, fut: Awaitable[T], timeout: float | None) -> T:  # noqa: ASYNC109 - aiomqtt's
        longest_s = self.timeout if timeout is None else timeout
        try:
            async with asyncio.timeout(None if longest_s == math.inf else longest_s):
                return await fut
        except TimeoutError:
            raise aiomqtt.MqttError("operation timed out") from None

    def _on_disconnect(self, *arguments: Any) -> None:
        if not self._connected.done():
            # aiomqtt would wait for its time limit.
            what = "the broker ended the connection before it began: does it refuse this certificate?"
            self._connected.set_exception(aiomqtt.MqttError(what))
        super()._on_disconnect(*arguments)

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except BaseException:
            # aiomqtt leaves the socket of a connection that fails half-way open, and its task running.
            self._client._sock_close()  # noqa: SLF001 - disconnect() would wait for the broker
            if self._misc_task is not None:
                self._misc_task.cancel()
            raise


class _Client(CancellableClient):
    async def _misc_loop(self) -> None:
        while self._client.loop_misc() == MQTT_ERR_SUCCESS:  # noqa: ASYNC110 - paho's keepalive has no event
            await asyncio.sleep(MISC_S)


class Connection:
    """A connection that is established, and subscribed to the marks."""

    def __init__(self, client: aiomqtt.Client, device: str) -> None:
        self._client = client
        self._device = device
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)

    async def marks(self) -> AsyncIterator[bytes]:
        """Yield the payloads on the mark's topic, until the connection is lost."""
        expected = str(Topic(self._device, Channel.MARK))
        try:
            async for message in self._client.messages:
                if str(message.topic) == expected and isinstance(message.payload, bytes):
                    yield message.payload
        except aiomqtt.MqttError as error:
            raise _lost(error) from error

    async def begin(self, tasks: asyncio.TaskGroup, channel: Channel, payload: Payload) -> None:
        """Send without waiting for the acknowledgement, which means nothing; wait for room in flight."""
        await self._in_flight.acquire()
        tasks.create_task(self._finish(channel, payload))

    async def _finish(self, channel: Channel, payload: Payload) -> None:
        try:
            await self.send(channel, payload)
        finally:
            self._in_flight.release()

    async def send(self, channel: Channel, payload: Payload) -> None:
        """Send, and wait for the broker's acknowledgement as a sign of life. Raises ConnectionLost."""
        properties = None
        if payload.properties:
            properties = _properties(PacketTypes.PUBLISH, UserProperty=list(payload.properties))
        topic, retain = str(Topic(self._device, channel)), channel is not Channel.EVENTS
        try:
            await self._client.publish(topic, payload.data, qos=1, retain=retain, properties=properties)
        except (aiomqtt.MqttError, ValueError) as error:
            raise _lost(error) from error


@asynccontextmanager
async def connected(access: BrokerAccess, session: str) -> AsyncIterator[Connection]:
    """Connect, subscribe to the marks, and announce the gate; announce its leave. Raises ConnectionLost."""
    try:
        async with _client(access, session) as client:
            codes = await client.subscribe(str(Topic(access.device, Channel.MARK)), qos=1)
            if any(isinstance(code, ReasonCode) and code.is_failure for code in codes):
                raise ConnectionLost("the broker refuses the gate its topics: does the ACL know this device?")
            connection = Connection(client, access.device)
            await connection.send(Channel.HERE, wire.encode_presence(Presence(online=True, session=session)))
            yield connection
            # A normal end takes the will back.
            await connection.send(Channel.HERE, wire.encode_presence(Presence(online=False, session=session)))
    except (aiomqtt.MqttError, OSError, ValueError) as error:
        raise _lost(error) from error


def _client(access: BrokerAccess, session: str) -> aiomqtt.Client:
    will_topic = str(Topic(access.device, Channel.HERE))
    will_delay = _properties(PacketTypes.WILLMESSAGE, WillDelayInterval=WILL_DELAY_S)
    offline = wire.encode_presence(Presence(online=False, session=session)).data
    return _Client(
        access.host,
        access.port,
        identifier=access.device,
        # As the certificate says. Brokers that take no user's name out of it go by this one.
        username=access.device,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        keepalive=KEEPALIVE_S,
        timeout=TIMEOUT_S,
        properties=_properties(
            PacketTypes.CONNECT, SessionExpiryInterval=SESSION_S, MaximumPacketSize=wire.PAYLOAD_BYTES_MAX
        ),
        will=aiomqtt.Will(will_topic, offline, 1, retain=True, properties=will_delay),
        tls_context=access.context(),
        max_queued_incoming_messages=INBOX_MAX,
        max_queued_outgoing_messages=2 * IN_FLIGHT_MAX,
        logger=_SILENT,
    )


def _properties(packet: int, **values: Any) -> MqttProperties:
    properties = MqttProperties(packet)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


def _lost(error: Exception) -> ConnectionLost:
    """Return the cause in an installer's words."""
    causes: list[Any] = [error, error.__cause__, error.__context__]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConnectionLost(f"the broker's certificate is refused: {cause.verify_message}")
        if isinstance(cause, ssl.SSLError):
            return ConnectionLost(
                f"TLS failed: {(cause.reason or 'handshake failure').replace('_', ' ').lower()}"
            )
    for cause in causes:
        code = getattr(cause, "rc", None)
        if isinstance(code, ReasonCode) and code.value == _NO_REASON:
            return ConnectionLost(_BROKEN_OFF)
        if isinstance(code, ReasonCode):
            return ConnectionLost(f"the broker: {str(code).lower()}", taken_over=code.value == TAKEN_OVER)
        if isinstance(cause, OSError) and cause.strerror:
            return ConnectionLost(cause.strerror.lower())
    return ConnectionLost(str(error).lower() or type(error).__name__)
