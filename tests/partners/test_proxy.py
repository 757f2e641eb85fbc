"""Partners behind a proxy: one deadline over all of it; a fault of the proxy's own names the proxy."""

import asyncio
import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from partner_rigs import KEY, Asker, Peer, answers, run, until
from proxy_server import ProxyServer, closes, drips, resets, says

from gatectl.decision.outcomes import Fault
from gatectl.partners.http.proxy import HEAD_MAX, Proxy

NAME = "partner.invalid"
"""A name that only the proxy finds."""


@pytest.fixture(scope="module")
def at_name(tmp_path_factory):
    """A server's context with a certificate for NAME, and the file of its authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(NAME).configure_cert(context)
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    return context, ca_file


def ask_through(server, at_name, *, credentials=None, until_over=None):
    """One question to a peer behind this proxy; returns the exchange, and what came to the peer.

    The budget ends once `until_over(server)` holds.
    """
    context, ca_file = at_name
    found = []

    async def story():
        proxy = Proxy("127.0.0.1", server.port, credentials)
        async with (
            Peer(answers(), context=context) as peer,
            Asker(peer.port, ca_file, host=NAME, proxy=proxy) as asker,
        ):
            asking = asker.ask_in_vain(lambda: until_over(server)) if until_over else asker.ask()
            exchange = await asking
            found.extend([exchange, peer.received, peer.port])

    run(story())
    return found


def lost_through(play, at_name, **more):
    """The loss of a question through a proxy that plays this, without the proxy's own address."""
    with ProxyServer(play) as server:
        exchange, received, port = ask_through(server, at_name, **more)
    assert (exchange.sent, exchange.sent_at, received) == (False, None, b"")
    detail = exchange.lost.detail
    assert f"the proxy 127.0.0.1:{server.port}" in detail
    return exchange.lost.fault, detail.replace(f"127.0.0.1:{server.port}", "P").replace(f":{port}", ":443")


def test_the_proxy_opens_a_tunnel_and_looks_the_name_up_itself(at_name):
    with ProxyServer() as server:
        exchange, received, port = ask_through(server, at_name)
    assert exchange.answer.status == 200
    assert received.startswith(b"POST /check HTTP/1.1\r\nHost: " + NAME.encode())
    (head,) = server.heads
    assert head.startswith(f"CONNECT {NAME}:{port} HTTP/1.1\r\nHost: {NAME}:{port}\r\n".encode())
    assert KEY.encode() not in head
    assert b"Proxy-Authorization" not in head


@pytest.mark.parametrize("credentials", ["gym:s3cr3t", "gym:mit Umlaut ä: und mehr"])
def test_a_name_and_a_password(at_name, credentials):
    with ProxyServer(credentials=credentials) as server:
        assert ask_through(server, at_name, credentials=credentials)[0].answer.status == 200


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (None, "wants a name and a password: set proxy_key (407)"),
        ("gym:wrong", "refuses the name or the password of proxy_key (407)"),
    ],
)
def test_a_name_and_a_password_that_are_missing_or_wrong(at_name, credentials, words):
    with ProxyServer(credentials="gym:s3cr3t") as server:
        exchange, received, _ = ask_through(server, at_name, credentials=credentials)
    assert (exchange.lost.fault, exchange.sent, received) == (Fault.NETWORK, False, b"")
    assert exchange.lost.detail == f"the proxy 127.0.0.1:{server.port} {words}"
    assert "wrong" not in repr(exchange)


PAGE = b"<html>Your IT department says: max@example.com</html>"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n" + PAGE, f"the proxy P refuses a tunnel to {NAME}:443 (403)"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n", f"the proxy P cannot reach {NAME}:443 (502)"),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n" + PAGE,
         f"the proxy P opened no tunnel to {NAME}:443, but answered 302"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 405 No\r\n\r\n",
         f"the proxy P opened no tunnel to {NAME}:443, but answered 405"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + PAGE,
         "the proxy P sent bytes behind its answer, which are not the partner's"),
        (b"HTTP/1.1 102 Processing\r\n\r\n" * 50, "the proxy P sent over 10 interim answers"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the proxy P is no HTTP proxy"),
        (b"HTTP/1.1 abc\r\n\r\n", "the proxy P is no HTTP proxy"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_MAX + 5000), "the proxy P sent a head larger than 16 KiB"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_tunnel(at_name, answer, detail):
    assert lost_through(says(answer), at_name) == (Fault.NETWORK, detail)


@pytest.mark.parametrize(
    ("play", "detail"),
    [
        (closes(), "the proxy P closed before its answer was whole"),
        (closes(b"HTTP/1.1 200 OK\r\n"), "the proxy P closed before its answer was whole"),
        (resets, "the proxy P: connection reset by peer"),
    ],
)
def test_a_proxy_that_ends_the_connection(at_name, play, detail):
    assert lost_through(play, at_name) == (Fault.NETWORK, detail)


@pytest.mark.parametrize("play", [says(b""), says(b"HTTP/1.1 200 OK\r\n"), drips(b"HTTP/1.1 200 OK\r\nX: y")])
def test_a_proxy_that_hangs_or_drips(at_name, play):
    fault, detail = lost_through(play, at_name, until_over=lambda server: server.heads)
    # An endless head is too large or too late.
    late = (Fault.TIMEOUT, "the proxy P opened no tunnel within the budget")
    large = (Fault.NETWORK, "the proxy P sent a head larger than 16 KiB")
    assert (fault, detail) in {late, large}


def test_a_proxy_that_hangs_once_the_tunnel_is_open(at_name):
    play = says(b"HTTP/1.1 200 OK\r\n\r\n")
    found = lost_through(play, at_name, until_over=lambda _: play.received)
    assert found == (Fault.TIMEOUT, "no TLS handshake through the proxy P within the budget")


def test_a_proxy_that_looks_into_tls(at_name):
    other = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other.issue_cert(NAME).configure_cert(context)

    def intercept(connected, _head):
        connected.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(connected.dup(), server_side=True)

    fault, detail = lost_through(intercept, at_name)
    assert fault is Fault.TLS
    assert detail.startswith("certificate not trusted: ")
    assert detail.endswith(", through the proxy P")


def test_no_server_at_the_proxys_address(at_name, closed_port):
    at = f"127.0.0.1:{closed_port}"

    async def story():
        async with Asker(443, at_name[1], host=NAME, proxy=Proxy("127.0.0.1", closed_port)) as asker:
            lost = (await asker.ask()).lost
            refused = f"the proxy {at}: connection refused ({at})"
            assert (lost.fault, lost.detail) == (Fault.NETWORK, refused)
        async with Asker(443, at_name[1], proxy=Proxy("proxy.invalid", 3128)) as asker:
            lost = (await asker.ask()).lost
            assert lost.fault is Fault.NETWORK
            assert lost.detail.startswith(
                "the proxy proxy.invalid:3128: the name proxy.invalid was not found"
            )

    run(story())


def test_ready_connections_go_through_the_proxy_and_are_replaced(at_name):
    context, ca_file = at_name

    async def story(server):
        async with (
            Peer(answers(), context=context) as peer,
            Asker(peer.port, ca_file, host=NAME, keep=True, proxy=Proxy("127.0.0.1", server.port)) as asker,
        ):
            first = await asker.ask()
            assert (first.connection, first.answer.status, len(server.heads)) == ("warm", 200, 1)
            server.cut()
            await until(lambda: len(server.heads) == 2, "another tunnel is opened")
            await asker.ready()
            second = await asker.ask()
            assert (second.connection, second.answer.status) == ("warm", 200)
            await asker.stop()

    with ProxyServer() as server:
        run(story(server))


def test_a_partner_without_tls_goes_through_it_too():
    async def story(server):
        async with (
            Peer(answers()) as peer,
            Asker(peer.port, None, proxy=Proxy("127.0.0.1", server.port)) as asker,
        ):
            assert (await asker.ask()).answer.status == 200
            assert server.heads[0].startswith(f"CONNECT localhost:{peer.port} ".encode())

    with ProxyServer() as server:
        run(story(server))


@given(
    st.lists(st.sampled_from([b"HTTP/1.1 ", b"200", b"407", b"100 ", b"\r\n", b"\n\n", b"x", b"\0"]))
    | st.binary()
)
def test_nothing_is_sent_without_a_tunnel_for_any_answer(parts):
    said = parts if isinstance(parts, bytes) else b"".join(parts)

    async def story():
        async def play(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            rest = b""
            if writer.can_write_eof():
                writer.write_eof()
            rest = await reader.read()
            writer.close()
            received.append(rest)

        received = []
        server = await asyncio.start_server(play, "127.0.0.1", 0)
        proxy = Proxy("127.0.0.1", server.sockets[0].getsockname()[1])
        async with server, Asker(443, None, proxy=proxy) as asker:
            exchange = await asker.ask()
            await until(lambda: received, "the proxy has received all")
        if exchange.lost.fault is Fault.NETWORK and "proxy" in exchange.lost.detail:
            assert (exchange.sent, received) == (False, [b""])
        else:
            # A whole head with a status of 200 alone, and nothing behind it, is a tunnel.
            assert b"HTTP/1.1 200" in said

    asyncio.run(story())
