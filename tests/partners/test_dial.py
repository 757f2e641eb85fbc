"""Look-up, connect and TLS: what each failure is called, and that nothing of a request left."""

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from limits import NET_S
from partner_rigs import Asker, Peer, answers, run, until

from gatectl.decision.outcomes import Fault
from gatectl.partners.http import dial
from gatectl.partners.http.connection import no_progress
from gatectl.partners.http.dial import Resolver, connect, tls_context
from gatectl.partners.http.failure import ExchangeFailed, failure_of
from gatectl.sim.server import Leaf

ROUNDING_S = 1e-6
"""Sums of differences of the clock's numbers."""


async def asked(port, ca_file, **options):
    async with Asker(port, ca_file, **options) as asker:
        return await asker.ask()


def unsent(exchange, fault, *done):
    """Nothing was sent; where steps are named, these and no others were done."""
    assert exchange.lost.fault is fault, exchange.lost
    assert not exchange.sent
    assert exchange.connection == "new"
    if done:
        assert steps(exchange.dialled) == [*done]


STEPS = {"at": "begun", "look_up_s": "look-up", "connect_s": "connect", "tls_s": "TLS"}


def steps(dialled):
    return [name for field, name in STEPS.items() if getattr(dialled, field) is not None]


@pytest.mark.parametrize("leaf", [leaf for leaf in Leaf if leaf is not Leaf.GOOD])
def test_a_partner_that_cannot_be_trusted(leaf, authority, ca_file):
    async def story():
        async with Peer(answers(), context=authority.server_context(leaf)) as peer:
            unsent(await asked(peer.port, ca_file), Fault.TLS, "begun", "look-up", "connect")
            assert peer.received == b""

    run(story())


TODAY = datetime.now(UTC)
PAST, FUTURE = TODAY - timedelta(days=6), TODAY + timedelta(days=6)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(
    ("dates", "names", "detail"),
    [
        ({"not_after": PAST}, ["localhost"], f"certificate expired on {PAST:%Y-%m-%d}"),
        ({"not_before": FUTURE}, ["localhost"], f"certificate not yet valid (from {FUTURE:%Y-%m-%d})"),
        ({}, ["other.example.com"], "certificate is for another name"),
        ({}, ["127.0.0.1"], "certificate is for another name"),
    ],
)
def test_why_a_certificate_is_refused(dates, names, detail, version, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert(*names, **dates).configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())

    async def story():
        async with Peer(answers(), context=context) as peer:
            exchange = await asked(peer.port, ca_file)
            unsent(exchange, Fault.TLS, "begun", "look-up", "connect")
            assert exchange.lost.detail == detail

    run(story())


def test_why_an_unknown_authority_is_refused(authority, ca_file):
    async def story():
        async with Peer(answers(), context=authority.server_context(Leaf.UNKNOWN_CA)) as peer:
            lost = (await asked(peer.port, ca_file)).lost
            assert lost.detail.startswith("certificate not trusted: ")

    run(story())


@pytest.mark.parametrize("trusted", ["root", "intermediate", "leaf"])
def test_a_ca_file_may_hold_any_certificate_of_the_chain(trusted, tmp_path):
    root = trustme.CA()
    intermediate = root.create_child_ca()
    leaf = intermediate.issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    ca_file = tmp_path / "trusted.pem"
    held = {
        "root": root.cert_pem,
        "intermediate": intermediate.cert_pem,
        "leaf": leaf.cert_chain_pems[0],
    }
    ca_file.write_bytes(held[trusted].bytes())
    stranger = trustme.CA().create_child_ca().issue_cert("localhost")
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.configure_cert(other)

    async def story():
        async with Peer(answers(), context=context) as peer:
            assert (await asked(peer.port, ca_file)).answer.status == 200
        async with Peer(answers(), context=other) as peer:
            unsent(await asked(peer.port, ca_file), Fault.TLS)

    run(story())


def test_the_systems_store_trusts_whole_chains_alone():
    assert not tls_context(None).verify_flags & ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_name_in_the_certificate_is_the_one_asked(host, tls, ca_file):
    async def story():
        async with Peer(answers(), context=tls) as peer:
            assert (await asked(peer.port, ca_file, host=host)).answer.status == 200
            unsent(await asked(peer.port, ca_file, host="127.0.0.2"), Fault.NETWORK)

    run(story())


def test_another_name_for_the_same_machine_is_refused(tls, ca_file):
    async def story():
        async with Peer(answers(), context=tls, host="127.0.0.2") as peer:
            unsent(await asked(peer.port, ca_file, host="127.0.0.2"), Fault.TLS)

    run(story())


def test_tls_1_2_will_do(authority, ca_file):
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    async def story():
        async with Peer(answers(), context=context) as peer:
            exchange = await asked(peer.port, ca_file)
            assert exchange.answer.status == 200

    run(story())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("keep", [False, True])
def test_a_partner_that_wants_a_client_certificate(version, keep, authority, ca_file):
    """TLS 1.3 refuses after the client's handshake: bytes may have left, and the record says so exactly."""
    context = authority.server_context()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca_file)

    async def story():
        async with Peer(answers(), context=context) as peer:
            async with Asker(peer.port, ca_file) as asker:
                keeper = asyncio.create_task(asker.pool.keep()) if keep else None
                if keeper:
                    await until(lambda: asker.dials >= 1 and asker.linked)
                exchange = await asker.ask()
                if keeper:
                    keeper.cancel()
                    await asyncio.wait({keeper})
            assert exchange.lost.fault in {Fault.TLS, Fault.NETWORK}
            assert exchange.sent == any(connection.bytes_sent for connection in asker.connections)
            if version is ssl.TLSVersion.TLSv1_2:
                assert (exchange.lost.fault, exchange.sent) == (Fault.TLS, False)
            assert peer.received == b""

    run(story())


async def plain_text(line, _number):
    await line.reader.read(1)
    await line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await line.end()


async def plain_end(line, _number):
    await line.reader.read(1)
    await line.end()


async def plain_reset(line, _number):
    await line.reader.read(1)
    line.reset()


async def plain_banner(line, _number):
    await line.say(b"220 mail.example.com ESMTP\r\n")
    await line.ended()


@pytest.mark.parametrize(
    ("play", "fault"),
    [
        (plain_text, Fault.TLS),
        (plain_banner, Fault.TLS),
        (plain_end, Fault.NETWORK),
        (plain_reset, Fault.NETWORK),
    ],
)
def test_a_server_without_tls(play, fault, ca_file):
    async def story():
        async with Peer(play) as peer:
            unsent(await asked(peer.port, ca_file), fault, "begun", "look-up", "connect")

    run(story())


def test_a_server_that_answers_no_handshake(ca_file):
    greeted = asyncio.Event()

    async def play(line, _number):
        await line.reader.read(1)
        greeted.set()
        await line.ended()

    async def story():
        async with Peer(play) as peer, Asker(peer.port, ca_file) as asker:
            exchange = await asker.ask_in_vain(greeted.is_set)
            unsent(exchange, Fault.TIMEOUT, "begun", "look-up", "connect")

    run(story())


def test_a_refused_connection(ca_file, closed_port):
    async def story():
        exchange = await asked(closed_port, ca_file, host="127.0.0.1")
        unsent(exchange, Fault.NETWORK, "begun", "look-up")
        assert exchange.lost.detail == f"connection refused (127.0.0.1:{closed_port})"

    run(story())


def test_every_address_that_failed_is_named(closed_port):
    async def story():
        port = closed_port
        addresses = found(*((f"127.0.0.{n}", port) for n in range(1, 6)))
        with pytest.raises(ExchangeFailed) as lost:
            await connect(addresses)
        named = ", ".join(f"127.0.0.{n}:{port}" for n in range(1, 4))
        assert lost.value.detail == f"connection refused ({named}, 2 more)"
        # An address that no interface has, and one without a listener.
        with pytest.raises(ExchangeFailed) as lost:
            await connect(found(("::1", port), ("127.0.0.1", port), ("255.255.255.255", port)))
        assert "connection refused" in lost.value.detail
        assert f"([::1]:{port}, 127.0.0.1:{port}, 255.255.255.255:{port})" in lost.value.detail

    run(story())


@pytest.mark.parametrize("good_first", [True, False])
def test_an_attempt_that_fails_does_not_win_over_a_successful_one(good_first, monkeypatch):
    """Both end in one turn of the loop."""
    monkeypatch.setattr(dial, "NEXT_ATTEMPT_S", 0.01)

    async def story():
        ours, theirs = socket.socketpair()
        together = asyncio.Event()
        begun = 0

        async def attempt(*_, **__):
            nonlocal begun
            begun += 1
            is_good = (begun == 1) == good_first
            await together.wait()
            if is_good:
                return ours
            raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

        monkeypatch.setattr(dial, "start_connection", attempt)
        connecting = asyncio.create_task(dial._first_to_connect(found(("127.0.0.1", 1))))
        await until(lambda: begun == 2)
        together.set()
        assert await connecting is ours
        ours.close()
        theirs.close()

    run(story())


def test_while_one_attempt_is_under_way_a_failed_one_does_not_end_the_dial(monkeypatch):
    monkeypatch.setattr(dial, "NEXT_ATTEMPT_S", 0.01)

    async def story():
        ours, theirs = socket.socketpair()
        failed, is_connected = asyncio.Event(), asyncio.Event()
        begun = 0

        async def attempt(*_, **__):
            nonlocal begun
            begun += 1
            if begun == 1:
                await failed.wait()
                raise OSError(errno.EHOSTUNREACH, "no route")
            await is_connected.wait()
            return ours if begun >= 2 else None

        monkeypatch.setattr(dial, "start_connection", attempt)
        connecting = asyncio.create_task(dial._first_to_connect(found(("127.0.0.1", 1))))
        await until(lambda: begun == 2)
        failed.set()
        await until(lambda: begun == 3)
        is_connected.set()
        assert await connecting is ours
        ours.close()
        theirs.close()

    run(story())


@contextlib.contextmanager
def deaf_listener(family=socket.AF_INET, host="127.0.0.1"):
    """A listener whose queue is full: the kernel drops what else knocks, as a dead network does."""
    with socket.socket(family, socket.SOCK_STREAM) as listener, contextlib.ExitStack() as stack:
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(2):
            knocking = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_hangs(ca_file):
    async def story():
        with deaf_listener() as port:
            async with Asker(port, ca_file, host="127.0.0.1") as asker:
                before = knocking(port)
                exchange = await asker.ask_in_vain(lambda: knocking(port) > before)
            unsent(exchange, Fault.TIMEOUT, "begun", "look-up")

    run(story())


def knocking(port):
    """How many connections of this process wait at this port, not accepted."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    theirs = (line.split()[2:4] for line in lines)
    return sum(remote.endswith(f":{port:04X}") and state == "02" for remote, state in theirs)


def test_without_an_answer_it_dials_again_and_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr(dial, "NEXT_ATTEMPT_S", 0.01)

    async def story():
        with deaf_listener() as port:
            before = knocking(port)
            connecting = asyncio.create_task(connect(found(("127.0.0.1", port))))
            await until(lambda: knocking(port) >= before + 3)
            connecting.cancel()
            await asyncio.wait({connecting})
            await until(lambda: knocking(port) == before)

    run(story())


def found(*addresses):
    """The result of `getaddrinfo` for these."""
    return [
        (socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
        for host, port in addresses
    ]


@pytest.fixture
def lookups(monkeypatch):
    """The system's look-up of a name: `answer` is called for it. A literal address is looked up as ever."""
    real = socket.getaddrinfo

    class NameServer:
        asked = 0
        gone = answer = staticmethod(
            lambda: (_ for _ in ()).throw(socket.gaierror(socket.EAI_NONAME, "no such name"))
        )

    def getaddrinfo(*name, flags=0, **hints):
        if flags:
            return real(*name, flags=flags, **hints)
        NameServer.asked += 1
        return NameServer.answer()

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return NameServer


def test_a_name_that_is_not_found(lookups, ca_file):
    async def story():
        exchange = await asked(1, ca_file, host="partner.example")
        unsent(exchange, Fault.NETWORK, "begun")
        assert "partner.example" in exchange.lost.detail

    run(story())
    assert lookups.asked == 1


def test_a_name_that_cannot_be_one():
    async def story():
        for host in ("a..b", "x" * 64):
            with pytest.raises(ExchangeFailed) as lost:
                await Resolver(host, 1).look_up()
            assert lost.value.fault is Fault.NETWORK

    run(story())


def test_a_name_server_that_hangs_holds_one_thread_and_ends_with_the_budget(lookups, ca_file, closed_port):
    released, entered = threading.Event(), threading.Event()

    def hang():
        entered.set()
        released.wait()
        return found(("127.0.0.1", closed_port))

    lookups.answer = staticmethod(hang)

    async def story():
        try:
            async with Asker(1, ca_file, host="partner.example") as asker:
                for _ in range(3):
                    unsent(await asker.ask_in_vain(entered.is_set), Fault.TIMEOUT, "begun")
                both = await asyncio.gather(*(asker.ask_in_vain(entered.is_set) for _ in range(2)))
                assert [exchange.lost.fault for exchange in both] == [Fault.TIMEOUT] * 2
                assert lookups.asked == 1
                released.set()
                unsent(await asker.ask(), Fault.NETWORK)  # its answer serves the next request
        finally:
            released.set()

    run(story())


def test_known_addresses_serve_while_the_name_server_is_gone_or_hangs(lookups, tls):
    released = threading.Event()

    async def story():
        async with Peer(answers(), context=tls) as peer:
            resolver = Resolver("partner.example", peer.port)
            here = found(("127.0.0.1", peer.port))
            lookups.answer = staticmethod(lambda: here)
            assert await resolver.look_up() == (here, False)

            def gone():
                raise socket.gaierror(socket.EAI_AGAIN, "try again")

            lookups.answer = staticmethod(gone)
            assert await resolver.look_up() == (here, True)

            there = found(("127.0.0.9", peer.port))

            def hang():
                released.wait()
                return there

            lookups.answer = staticmethod(hang)
            assert await resolver.look_up() == (here, True)
            released.set()
            await until(lambda: resolver._last == there, "a late answer is taken, too")

    try:
        run(story())
    finally:
        released.set()


def test_a_look_up_that_outlives_the_loop_says_nothing(lookups):
    released, entered = threading.Event(), threading.Event()

    def hang():
        entered.set()
        released.wait()
        return []

    lookups.answer = staticmethod(hang)

    async def story():
        looking = asyncio.create_task(Resolver("partner.example", 1).look_up())
        await until(entered.is_set)
        looking.cancel()
        await asyncio.wait({looking})

    run(story())
    threads = [thread for thread in threading.enumerate() if thread.name == "look-up partner.example"]
    released.set()
    for thread in threads:
        thread.join(NET_S)  # an error in it would be a warning, and a warning fails the test


def has_ipv6():
    with socket.socket(socket.AF_INET6) as bound:
        try:
            bound.bind(("::1", 0))
        except OSError:
            return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")


@needs_ipv6
@pytest.mark.parametrize("dead", ["refused", "deaf"])
def test_dead_ipv6_leaves_time_for_ipv4(dead, lookups, tls, ca_file, closed_port):
    async def story():
        async with Peer(answers(), context=tls, host="127.0.0.1") as peer:
            with deaf_listener(socket.AF_INET6, "::1") as deaf:
                port = deaf if dead == "deaf" else closed_port
                lookups.answer = staticmethod(lambda: found(("::1", port), ("127.0.0.1", peer.port)))
                async with Asker(peer.port, ca_file, host="localhost") as asker:
                    exchange = await asker.ask()
                    assert exchange.answer.status == 200
                    assert dial.NEXT_ADDRESS_S < 0.75 / 2, "the smallest default budget"

    run(story())


@needs_ipv6
def test_ipv6_alone(tls, ca_file):
    async def story():
        async with Peer(answers(), context=tls, host="::1") as peer:
            exchange = await asked(peer.port, ca_file, host="[::1]")
            assert exchange.answer.status == 200
            assert f"Host: [::1]:{peer.port}\r\n".encode() in peer.received

    run(story())


@needs_ipv6
def test_every_address_dead(lookups, ca_file, closed_port):
    async def story():
        dead = found(("::1", closed_port), ("127.0.0.1", closed_port))
        lookups.answer = staticmethod(lambda: dead)
        unsent(await asked(1, ca_file, host="partner.example"), Fault.NETWORK)

    run(story())


def test_cancelled_at_every_step_nothing_stays_open(tls, ca_file):
    """Each run is cancelled one turn of the loop later than the one before."""

    async def story():
        async with Peer(answers(), context=tls) as peer:
            dialler = Asker(peer.port, ca_file).dialler
            for turns in range(10_000):
                dialling = asyncio.create_task(dialler.dial())
                for _ in range(turns):
                    await asyncio.sleep(0)
                if dialling.done():
                    dialling.result().close()
                    break
                dialling.cancel()
                await asyncio.wait({dialling})
                assert dialling.cancelled()
            assert turns > 3

    run(story())


def test_plain_http_on_loopback():
    async def story():
        async with Peer(answers()) as peer:
            exchange = await asked(peer.port, None)
            assert exchange.answer.status == 200
            assert steps(exchange.dialled) == ["begun", "look-up", "connect"]

    run(story())


def spin():
    """Lets the clock go on, with nothing else happening; gives the times before and after."""
    before = after = time.monotonic()
    while after < before + 0.01:
        after = time.monotonic()
    return before, after


def test_each_step_has_its_own_time(lookups, authority, ca_file):
    """The name server and the partner take their time, and say when that was."""
    slow = {}
    context = authority.server_context()

    def answer():
        slow["look-up"] = spin()
        return found(("127.0.0.1", peer.port))

    def take_time(_line, _name, _context):
        slow["TLS"] = spin()

    lookups.answer = staticmethod(answer)
    context.sni_callback = take_time
    peer = Peer(answers(), context=context)

    async def story():
        async with peer:
            before, progress = time.monotonic(), []
            connection = await Asker(peer.port, ca_file, host="localhost").dialler.dial(progress.append)
            after = time.monotonic()
            connection.close()
            assert [len(steps(dialled)) for dialled in progress] == [1, 2, 3, 4]
            dialled = progress[-1]
            assert connection.dialled == dialled
            assert dialled.stale is False
            looked_up = dialled.at + dialled.look_up_s
            connected = looked_up + dialled.connect_s
            assert before <= dialled.at <= slow["look-up"][0]
            assert slow["look-up"][1] <= looked_up <= connected <= slow["TLS"][0]
            assert slow["TLS"][1] <= connected + dialled.tls_s <= after + ROUNDING_S

    run(story())


def test_the_last_good_answer_serves_and_the_evidence_says_so(lookups, tls, ca_file):
    async def story():
        async with Peer(answers(), context=tls) as peer, Asker(peer.port, ca_file) as asker:
            lookups.answer = staticmethod(lambda: found(("127.0.0.1", peer.port)))
            asker.pool.release((await asker.pool.acquire(no_progress))[0], reusable=False)
            lookups.answer = lookups.gone
            exchange = await asker.ask()
            assert exchange.answer.status == 200
            assert exchange.dialled.stale is True
            assert steps(exchange.dialled) == ["begun", "look-up", "connect", "TLS"]

    run(story())


def test_the_kernel_watches_idle_connections(tls):
    async def story():
        async with Peer(answers(), context=tls) as peer:
            connected = await connect(found(("127.0.0.1", peer.port)))
            with connected:
                assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10

    run(story())


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectionResetError(errno.ECONNRESET, "reset"), Fault.NETWORK),
        (BrokenPipeError(errno.EPIPE, "broken"), Fault.NETWORK),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), Fault.NETWORK),
        (OSError(errno.ENETUNREACH, "unreachable"), Fault.NETWORK),
        (OSError("Multiple exceptions"), Fault.NETWORK),
        (ssl.SSLError(1, "x"), Fault.TLS),
        (ssl.SSLEOFError(8, "x"), Fault.TLS),
        (ssl.SSLCertVerificationError(1, "x"), Fault.TLS),
    ],
)
def test_whose_fault_an_error_is(error, fault):
    if isinstance(error, ssl.SSLError):
        error.reason, error.verify_message, error.verify_code = "SOME_REASON", "expired", 10
    lost = failure_of(error)
    assert lost.fault is fault
    assert lost.detail
