"""A proxy between a gate and the broker that knows MQTT's packets: it loses or repeats some, or goes silent.

It ends TLS on both sides, with the broker's certificate towards the gate and the gate's towards the broker.
"""

import asyncio
import contextlib
import random
import ssl
import threading
from collections import Counter

from fleet_rig import context_of
from limits import NET_S

PUBLISH, PUBACK = 3, 4
"""Types of packets (MQTT 5, section 2.1.2)."""

UP, DOWN = "to the broker", "to the gate"


class MqttProxy:
    """A context manager; it runs on an event loop of its own, so that tests may wait for processes.

    Of PUBLISH and PUBACK, both ways, it loses `share` of them and repeats as many, by the seed.
    """

    def __init__(self, office, port, device="berlin-1", *, share=0.0, seed=0):
        self._port, self._share, self._seed = port, share, seed
        self._inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._inside.load_cert_chain(office / "server.crt", office / "server.key")
        self._outside = lambda: context_of(office, device)
        self._chances = {}
        self._connections = set()
        self._is_passing = True
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.lost, self.repeated = Counter(), Counter()
        """By direction and type of packet."""
        self.passed_bytes = Counter()
        """By direction."""

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(NET_S)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def go_silent(self):
        """Take everything and pass nothing on, as where a line is cut: neither side gets a word."""
        self._is_passing = False

    @property
    def has_disturbed_everything(self):
        return all(len(places) == 4 for places in (self.lost, self.repeated))

    async def _serve(self):
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._inside)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, reader, writer):
        self._connections.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            outside = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._outside())
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pass_on(UP, reader, outside[1]))
                    tasks.create_task(self._pass_on(DOWN, outside[0], writer))
            except* (OSError, asyncio.IncompleteReadError):
                pass  # one side has ended, and so do both
            finally:
                for end in (writer, outside[1]):
                    end.transport.abort()

    async def _pass_on(self, direction, reader, writer):
        while True:
            kind, packet = await _packet(reader)
            for _ in range(self._times(direction, kind) if self._is_passing else 0):
                writer.write(packet)
                self.passed_bytes[direction] += len(packet)
            await writer.drain()

    def _times(self, direction, kind):
        if kind not in {PUBLISH, PUBACK}:
            return 1
        # Packets of a type have a series of their own: how they mix with others depends on the machine.
        place = (direction, kind)
        chance = self._chances.setdefault(place, random.Random(f"{self._seed} {place}")).random()
        if chance < self._share:
            self.lost[place] += 1
            return 0
        if chance < 2 * self._share:
            self.repeated[place] += 1
            return 2
        return 1


async def _packet(reader):
    """Return the next packet's type and its bytes (MQTT 5, section 2.1)."""
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = await reader.readexactly(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head[0] >> 4, head + await reader.readexactly(length)
