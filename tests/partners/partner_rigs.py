"""Shared by the partners' tests: a peer that sends any bytes over real TLS, and a client that asks it."""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import time
from pathlib import Path

from limits import NET_S

from gatectl.partners.capitan import CapitanProtocol
from gatectl.partners.device_api import DeviceApiProtocol
from gatectl.partners.exchange import Endpoint, PartnerRequest, PartnerResponse
from gatectl.partners.http.client import Client
from gatectl.partners.http.dial import Dialler, tls_context
from gatectl.partners.http.pool import Pool
from gatectl.partners.perfectgym import PerfectGymProtocol
from gatectl.partners.wellhub.check_in import WellhubProtocol

KEY = "s3cret-Key"
PERFECTGYM = PerfectGymProtocol(Endpoint.of("https://api.example.com/check"), None, KEY)
WELLHUB = WellhubProtocol(Endpoint.of("https://api.example.com"), "1234", KEY)
CAPITAN = CapitanProtocol(Endpoint.of("https://api.example.com"), 3, KEY)
DEVICE_API = DeviceApiProtocol(Endpoint.of("https://gym.example.com"), KEY)
ALL = {"perfectgym": PERFECTGYM, "wellhub": WELLHUB, "capitan": CAPITAN, "device-api": DEVICE_API}

QUESTION = PartnerRequest("/check", (("Accept", "application/json"), ("X-API-Key", KEY)), b'{"customerId":1}')

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def answer(status, body=b"", headers=None, received_us=0, **flaws):
    return PartnerResponse(status, headers or {}, body, received_us, **flaws)


def reply(body, *lines, status="200 OK"):
    """An answer's bytes, framed by its length."""
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


class SkippingLoop(asyncio.SelectorEventLoop):
    """A loop on the real clock, which `skip` puts forward.

    So a budget ends at a known step of the exchange, however long the machine takes to get there.
    """

    _skipped_s = 0.0

    def time(self):
        return super().time() + self._skipped_s

    def skip(self, seconds=NET_S):
        self._skipped_s += seconds


def run(story):
    """Run the coroutine, and check that it leaves no task or open file behind."""

    async def main():
        before = _sockets()
        await story
        me = asyncio.current_task()
        await until(lambda: asyncio.all_tasks() == {me}, "no task is left behind")

        await until(lambda: _sockets() <= before, "no socket is left open")

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(main())


def _sockets():
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing itself
            found.add(str(link.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def until(condition, what="the condition holds"):
    """Lets everything else run until the condition holds."""
    end = time.monotonic() + NET_S
    while not condition():
        assert time.monotonic() < end, f"it never came about that {what}"
        await asyncio.sleep(0)


class Line:
    """A peer's end of one connection, after TLS."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.received = b""
        self.says = 0
        """How often it has said something."""

    async def request(self):
        """One whole request, or None at the end of the connection."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            named = re.search(rb"(?i)\r\ncontent-length: (\d+)\r\n", head)
            body = await self.reader.readexactly(int(named[1])) if named else b""
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError) as error:
            self.received += getattr(error, "partial", b"")
            return None
        self.received += head + body
        return head + body

    async def say(self, data):
        self.writer.write(data)
        await self.writer.drain()
        self.says += 1

    async def end(self):
        """Closes in good order: close_notify and FIN."""
        self.writer.close()

    def cut(self):
        """Closes without TLS's closing alert: FIN alone."""
        self.writer.transport.abort()

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def ended(self):
        """Waits until the client is gone."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while data := await self.reader.read(65536):
                self.received += data


class Peer:
    """A server on loopback. Each connection is played by `play(line, number)`, the first being 0."""

    def __init__(self, play, *, context=None, host="127.0.0.1", port=0):
        self._play, self._context, self._at = play, context, (host, port)
        self.lines = []
        self.failures = []
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, *self._at, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        line = Line(reader, writer)
        self.lines.append(line)
        try:
            await self._play(line, len(self.lines) - 1)
        except (ConnectionError, ssl.SSLError, asyncio.CancelledError):
            pass
        except Exception as error:  # noqa: BLE001 - raised where the test sees it
            self.failures.append(error)
        finally:
            self._tasks.discard(task)

    async def __aexit__(self, kind, error, trace):
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        for line in self.lines:
            line.writer.transport.abort()
        await until(lambda: not self._tasks, "the peer's connections end")
        await self._server.wait_closed()
        assert not self.failures

    @property
    def received(self):
        """All that came on all connections."""
        return b"".join(line.received for line in self.lines)

    @property
    def requests(self):
        return self.received.count(b"POST ")


def answers(*scripts):
    """Plays one script per request, on any connection; bytes are sent, callables are awaited.

    After the last script each request gets a plain success.
    """
    left = list(scripts)

    async def play(line, _number):
        while await line.request() is not None:
            script = left.pop(0) if left else OK
            if isinstance(script, bytes):
                await line.say(script)
            else:
                await script(line)

    return play


class Asker:
    """A client as the daemon has it, with its pool, and what the pool said."""

    def __init__(
        self, port, ca_file, *, host="localhost", want=1, keep=False, dial=None, proxy=None, client=()
    ):
        scheme = "https" if ca_file else "http"
        self.endpoint = Endpoint.of(f"{scheme}://{host}:{port}/check")
        self.dialler = Dialler(self.endpoint, tls_context(ca_file, *client) if ca_file else None, proxy)
        self.linked = []
        self.dials = 0
        self.connections = []
        self._dial = dial or self.dialler.dial
        self.pool = Pool(self._counted, want, self.linked.append)
        self.client = Client(self.endpoint, self.pool)
        self._want, self._keep, self._keeper = want, keep, None

    async def _counted(self, on_progress):
        self.dials += 1
        connection = await self._dial(on_progress)
        self.connections.append(connection)
        return connection

    async def __aenter__(self):
        if self._keep:
            self._keeper = asyncio.create_task(self.pool.keep())
            await self.ready()
        return self

    async def __aexit__(self, kind, error, trace):
        await self.stop()
        self.pool.close()

    async def stop(self):
        """No more connections are made ready."""
        if self._keeper:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def ready(self):
        await until(lambda: self.pool.ready == self._want, "the connections are ready")

    async def ask(self, budget_s=NET_S, question=QUESTION):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + budget_s
        exchange = await self.client.ask(self.client.prepare(question), deadline)
        check_invariants(exchange, deadline)
        return exchange

    async def ask_in_vain(self, reached, question=QUESTION):
        """Ask, and let the budget end once `reached()` holds."""
        asking = asyncio.create_task(self.ask(question=question))
        await asyncio.sleep(0)  # its deadline is made
        await until(reached)
        asyncio.get_running_loop().skip()
        return await asking


def check_invariants(exchange, deadline):
    assert (exchange.answer is None) != (exchange.lost is None)
    assert (exchange.answered_at is None) == (exchange.answer is None)
    assert exchange.sent == (exchange.sent_at is not None)
    dialled = exchange.dialled
    if dialled is not None:
        # Each step follows the one before it.
        done = [dialled.look_up_s, dialled.connect_s, dialled.tls_s]
        assert done == sorted(done, key=lambda took_s: took_s is None)
        assert all(took_s >= 0 for took_s in done if took_s is not None)
        assert (dialled.look_up_s is None) == (dialled.stale is None)
    if exchange.sent:
        assert dialled.at + dialled.look_up_s + dialled.connect_s <= exchange.sent_at
    if exchange.answer is not None:
        assert exchange.sent
        assert exchange.sent_at <= exchange.answered_at == exchange.ended_at <= deadline
