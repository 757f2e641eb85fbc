"""One connection: what came behind the handshake, what is sent while nothing flows, and its end."""

import asyncio
import contextlib
import socket
import ssl

import pytest
from partner_rigs import Asker, Peer, run, until

from gatectl.decision.outcomes import Fault
from gatectl.partners.exchange import PartnerRequest
from gatectl.partners.http.connection import PartnerConnection
from gatectl.partners.http.dial import tls_context
from gatectl.partners.http.failure import ExchangeFailed


class ByHand:
    """A TLS server whose every byte is moved by the test."""

    def __init__(self, context):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.socket, self.client = socket.socketpair()
        self.socket.setblocking(False)
        self.client.setblocking(False)

    async def handshake(self):
        """As far as it goes; what is to be sent last stays here."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.flush()
                self._incoming.write(await loop.sock_recv(self.socket, 65536))
            else:
                return

    def flush(self, cut=None):
        self.socket.send(self._outgoing.read() if cut is None else self._outgoing.read(cut))


@contextlib.asynccontextmanager
async def connected(context, ca_file, behind=lambda _server: None):
    """A connection after its handshake; `behind` puts more into the server's last flight."""
    server = ByHand(context)
    connection = PartnerConnection(server.client, tls_context(ca_file), "localhost")
    negotiating = asyncio.create_task(connection.handshake())
    await server.handshake()
    behind(server)
    server.flush()
    with server.socket:
        try:
            await negotiating
            yield server, connection
        finally:
            connection.close()


@pytest.fixture
def tls_1_2(authority):
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def test_words_in_the_same_packet_as_the_handshake_are_not_an_answer(tls_1_2, ca_file):
    async def story():
        async with connected(tls_1_2, ca_file, lambda server: server.tls.write(b"HTTP/1.1 200 OK")) as (
            _,
            connection,
        ):
            assert not connection.is_quiet()
            with pytest.raises(ExchangeFailed) as lost:
                await connection.send(b"POST")
            assert lost.value.fault is Fault.PARTNER
            assert connection.bytes_sent == 0

    run(story())


def test_an_end_in_the_same_packet_as_the_handshake(tls_1_2, ca_file):
    def end(server):
        with contextlib.suppress(ssl.SSLWantReadError):
            server.tls.unwrap()

    async def story():
        async with connected(tls_1_2, ca_file, end) as (_, connection):
            with pytest.raises(ExchangeFailed) as lost:
                await connection.send(b"POST")
            assert (lost.value.fault, connection.bytes_sent) == (Fault.NETWORK, 0)

    run(story())


def test_tickets_and_the_end_behind_them_are_both_seen(tls, ca_file):
    async def story():
        server = ByHand(tls)
        connection = PartnerConnection(server.client, tls_context(ca_file), "localhost")
        negotiating = asyncio.create_task(connection.handshake())
        await server.handshake()
        tickets = server._outgoing.read()
        assert tickets
        await negotiating
        assert connection.is_quiet()
        server.socket.send(tickets)
        server.socket.close()
        assert not connection.is_quiet()
        connection.close()

    run(story())


def test_half_a_record_is_not_lost(tls, ca_file):
    async def story():
        async with connected(tls, ca_file) as (server, connection):
            server.tls.write(b"answer")
            server.flush(10)
            receiving = asyncio.create_task(connection.receive())
            await asyncio.sleep(0)
            server.flush()
            assert await receiving == b"answer"

    run(story())


def test_damaged_bytes_end_it(tls, ca_file):
    async def story():
        async with connected(tls, ca_file) as (server, connection):
            server.socket.send(b"\x17\x03\x03\x00\x20" + b"x" * 32)
            with pytest.raises(ExchangeFailed) as lost:
                await connection.receive()
            assert lost.value.fault is Fault.TLS
            assert not connection.is_quiet()

    run(story())


BULKY = PartnerRequest("/check", (), b"x" * 8_000_000)


async def deaf(line, _number):
    line.writer.transport.pause_reading()
    await asyncio.Event().wait()


def test_a_partner_that_takes_no_more_bytes_uses_up_the_budget(tls, ca_file):
    async def story():
        async with Peer(deaf, context=tls) as peer, Asker(peer.port, ca_file, keep=True) as asker:
            await asker.stop()
            exchange = await asker.ask_in_vain(lambda: asker.connections[0].bytes_sent, BULKY)
            assert (exchange.lost.fault, exchange.sent) == (Fault.TIMEOUT, True)
            assert 0 < asker.connections[0].bytes_sent < len(BULKY.body)
            assert asker.pool.ready == 0

    run(story())


@pytest.mark.parametrize("question", [BULKY, PartnerRequest("/check", (), b"")])
def test_closing_the_pool_ends_an_ask_under_way(question, tls, ca_file):
    async def story():
        async with Peer(deaf, context=tls) as peer, Asker(peer.port, ca_file, keep=True) as asker:
            await asker.stop()
            asking = asyncio.create_task(asker.ask(question=question))
            await until(lambda: asker.connections[0].bytes_sent)
            await asyncio.sleep(0)
            descriptor, loop = asker.connections[0]._socket.fileno(), asyncio.get_running_loop()
            asker.pool.close()
            # The number may be another socket's next: nothing must be watched under it any more.
            assert not loop.remove_reader(descriptor)
            assert not loop.remove_writer(descriptor)
            exchange = await asking
            assert (exchange.lost.fault, exchange.sent) == (Fault.NETWORK, True)

    run(story())


def test_closing_twice_is_closing_once(tls, ca_file):
    async def story():
        async with connected(tls, ca_file) as (_, connection):
            connection.close()
            connection.close()
            assert not connection.is_quiet()
            assert await connection.receive() == b""

    run(story())


def test_a_disturbed_idle_connection_calls_back_once(tls, ca_file):
    async def story():
        async with connected(tls, ca_file) as (server, connection):
            seen = []
            connection.when_disturbed = lambda: seen.append(connection.is_quiet())
            server.tls.write(b"x")
            server.flush()
            await until(lambda: seen)
            server.tls.write(b"y")
            server.flush()
            server.socket.close()
            await until(lambda: connection._ended)
            assert seen == [False]

    run(story())


def _read_to_the_end(sock):
    while sock.recv(65536):
        pass


def test_a_request_that_was_given_up_never_arrives():
    async def story():
        with socket.create_server(("127.0.0.1", 0)) as listener:
            # A partner whose kernel takes nothing for now, as where the network is away.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client = socket.create_connection(listener.getsockname())
            client.setblocking(False)
            partner, _ = listener.accept()
        with partner:
            connection = PartnerConnection(client, None, "localhost")
            await connection.handshake()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.send(b"x" * (32 << 20))
            connection.close()
            with pytest.raises(ConnectionResetError):
                _read_to_the_end(partner)

    run(story())
