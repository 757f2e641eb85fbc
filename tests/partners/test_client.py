"""The client against hostile peers, over real TLS on loopback: what went out, what it came to, and when."""

import asyncio
import gzip
import select
import zlib

import pytest
from limits import NET_S
from partner_rigs import OK, QUESTION, Asker, Peer, answers, check_invariants, reply, run, until

import gatectl
from gatectl.decision.outcomes import Fault
from gatectl.partners.http.answer import BODY_MAX, EVENTS_AT_ONCE, INTERIM_MAX
from gatectl.partners.http.connection import PartnerConnection


def against(play, tls, ca_file, story, **asker):
    """Runs `story(peer, asker)` with a peer that plays `play`."""

    async def main():
        async with Peer(play, context=tls) as peer, Asker(peer.port, ca_file, **asker) as ask:
            await story(peer, ask)

    run(main())


def test_the_bytes_of_a_request(tls, ca_file):
    async def story(peer, asker):
        exchange = await asker.ask()
        assert exchange.answer.status == 200
        assert peer.received == (
            b"POST /check HTTP/1.1\r\n"
            b"Host: localhost:%d\r\n"
            b"User-Agent: gatectl/%b\r\n"
            b"Accept: application/json\r\n"
            b"X-API-Key: s3cret-Key\r\n"
            b"Content-Length: 16\r\n"
            b"\r\n"
            b'{"customerId":1}'
        ) % (peer.port, gatectl.__version__.encode())

    against(answers(), tls, ca_file, story)


def test_a_get_names_no_length(tls, ca_file):
    async def story(peer, asker):
        exchange = await asker.ask(question=QUESTION._replace(method="GET", body=b""))
        assert exchange.answer.status == 200
        assert peer.received == (
            b"GET /check HTTP/1.1\r\n"
            b"Host: localhost:%d\r\n"
            b"User-Agent: gatectl/%b\r\n"
            b"Accept: application/json\r\n"
            b"X-API-Key: s3cret-Key\r\n"
            b"\r\n"
        ) % (peer.port, gatectl.__version__.encode())

    against(answers(), tls, ca_file, story)


def test_an_answer_as_it_came(tls, ca_file):
    async def story(_peer, asker):
        exchange = await asker.ask()
        assert exchange.answer.status == 403
        assert exchange.answer.body == b'{"a":1}'
        assert exchange.answer.headers["content-type"] == "application/json"
        assert exchange.answer.headers["x-name"] == "Jos\xe9"
        assert exchange.answer.headers["twice"] == "first"
        assert exchange.answer.received_us > 0
        assert (exchange.sent, exchange.connection) == (True, "new")

    data = reply(b'{"a":1}', "Content-Type: application/json", "TWICE: first", "Twice: 2", status="403 No")
    data = data.replace(b"\r\n", b"\r\nX-Name: Jos\xe9\r\n", 1)
    against(answers(data), tls, ca_file, story)


def chunks(*sizes):
    body = b"".join(b"%x\r\n%b\r\n" % (size, b"x" * size) for size in (*sizes, 0))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body


async def by_close(line, size=2, closed="end"):
    await line.say(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size)
    if closed == "end":
        await line.end()
    else:
        line.cut()


def closing(size, closed="end"):
    return lambda line: by_close(line, size, closed)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "size"),
    [
        (OK, 2),
        (reply(b""), 0),
        (reply(b"x" * BODY_MAX), BODY_MAX),
        (chunks(1, 16, 3), 20),
        (chunks(65000, 536), BODY_MAX),
        (closing(0), 0),
        (closing(20), 20),
        (closing(20, "cut"), 20),
        (closing(BODY_MAX), BODY_MAX),
        (OK.replace(b"HTTP/1.1", b"HTTP/1.0"), 2),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + INTERIM + OK, 2),
        (INTERIM * INTERIM_MAX + OK, 2),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 0),
        (reply(b"{}", "X: " + "y" * 60_000), 2),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", 2),
    ],
)
def test_a_whole_answer(script, size, tls, ca_file):
    async def story(_peer, asker):
        exchange = await asker.ask()
        assert exchange.lost is None
        assert len(exchange.answer.body) == size

    against(answers(script), tls, ca_file, story)


def each(data, size=1):
    """Says it in pieces, each in a TLS record of its own."""

    async def script(line):
        for at in range(0, len(data), size):
            await line.say(data[at : at + size])

    return script


@pytest.mark.parametrize("script", [each(OK), each(INTERIM + chunks(3, 4)), each(reply(b"x" * 5000), 100)])
def test_a_whole_answer_in_pieces(script, tls, ca_file):
    async def story(_peer, asker):
        assert (await asker.ask()).answer.status == 200
        assert (await asker.ask()).connection == "warm"

    against(answers(script), tls, ca_file, story)


async def reset(line):
    line.reset()


def then(data, how):
    """Says it, then ends the connection: `end`, `cut` or `reset`, or not at all: `hang`."""

    async def script(line):
        await line.say(data)
        match how:
            case "end":
                await line.end()
            case "cut":
                line.cut()
            case "reset":
                line.reset()
            case "hang":
                await line.ended()

    return script


SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        *((then(b"", how), Fault.NETWORK) for how in ("end", "cut", "reset")),
        *((then(SHORT, how), Fault.NETWORK) for how in ("end", "cut", "reset")),
        *((then(SHORT[:12], how), Fault.NETWORK) for how in ("end", "cut", "reset")),
        *((then(b"HT", how), Fault.NETWORK) for how in ("end", "cut")),
        (then(INTERIM, "end"), Fault.NETWORK),
        (then(chunks(5)[:-4], "end"), Fault.NETWORK),
        (then(b"HTTP/1.1 200 OK\r\n\r\n{}", "reset"), Fault.NETWORK),
        # Whole, but not the protocol's; the connection stays open, and the answer is decided before the
        # deadline.
        (then(reply(b"x" * (BODY_MAX + 1)), "hang"), Fault.PARTNER),
        (then(chunks(65000, 537), "hang"), Fault.PARTNER),
        (closing(BODY_MAX + 1), Fault.PARTNER),
        (then(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "hang"), Fault.PARTNER),
        (then(INTERIM * (INTERIM_MAX + 1), "hang"), Fault.PARTNER),
        (then(b"220 mail.example.com ESMTP ready\r\n", "hang"), Fault.PARTNER),
        (then(b"220 mail", "end"), Fault.PARTNER),
        (then(b"HTTX", "hang"), Fault.PARTNER),
        (then(b"\x00", "hang"), Fault.PARTNER),
        (then(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "hang"), Fault.PARTNER),
        (then(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "hang"), Fault.PARTNER),
        (then(b"HTTP/2.0 200 OK\r\n\r\n", "hang"), Fault.PARTNER),
        (then(b"HTTP/1.1 abc\r\n\r\n", "end"), Fault.PARTNER),
        (then(b"HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\n", "hang"), Fault.PARTNER),
        (then(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "hang"), Fault.PARTNER),
        (then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "hang"), Fault.PARTNER),
        (then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "hang"), Fault.PARTNER),
        (then(chunks(5).replace(b"5\r\n", b"zz\r\n", 1), "hang"), Fault.PARTNER),
        (then(chunks(5).replace(b"xxxxx\r\n", b"xxxxxx\n", 1), "hang"), Fault.PARTNER),
        (then(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "hang"), Fault.PARTNER),
    ],
)
def test_an_incomplete_answer_is_reported_at_once_and_never_asked_again(script, fault, tls, ca_file):
    async def story(peer, asker):
        exchange = await asker.ask()
        assert exchange.lost.fault is fault, exchange.lost
        assert exchange.sent
        assert peer.requests == 1
        # And it leaves nothing behind for the next one.
        assert (await asker.ask()).answer.status == 200
        assert peer.requests == 2

    against(answers(script), tls, ca_file, story)


async def drip(line):
    """One byte at a time, each of them in time, and the whole far over the budget."""
    await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n")
    for _ in range(65536):
        await line.say(b"x")
        await asyncio.sleep(0)


def endless(data):
    async def script(line):
        while True:
            await line.say(data)

    return script


@pytest.mark.parametrize(
    "script",
    [
        then(b"", "hang"),
        drip,
        then(SHORT, "hang"),
        then(b"HTTP/1.1 200 OK\r\n\r\n{}", "hang"),
        then(chunks(4)[:-5], "hang"),
        then(INTERIM, "hang"),
        then(b"HTTP/", "hang"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_the_budget_is_one_deadline_over_all(script, keep, tls, ca_file):
    async def story(peer, asker):
        loop = asyncio.get_running_loop()
        await asker.stop()
        start = loop.time()
        exchange = await asker.ask_in_vain(lambda: peer.lines and peer.lines[-1].says)
        assert exchange.lost.fault is Fault.TIMEOUT
        assert exchange.sent
        assert exchange.connection == ("warm" if keep else "new")
        assert start + NET_S <= exchange.ended_at < start + 2 * NET_S
        assert peer.requests == 1

    against(answers(script), tls, ca_file, story, keep=keep)


def test_floods_end_before_the_budget(tls, ca_file):
    async def story(peer, asker):
        for _ in range(3):
            assert (await asker.ask()).lost.fault is Fault.PARTNER
        assert peer.requests == 3

    floods = (
        endless(INTERIM),
        endless(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 999),
        endless(OK[:-4] + b"x" * 999),
    )
    against(answers(*floods), tls, ca_file, story)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("budget_s", [0.0, -5.0])
def test_a_deadline_that_is_over_sends_nothing(budget_s, keep, tls, ca_file):
    async def story(peer, asker):
        exchange = await asker.ask(budget_s)
        assert exchange.lost.fault is Fault.TIMEOUT
        assert not exchange.sent
        if keep:  # and the unused connection still serves
            assert asker.pool.ready == 1
            assert (await asker.ask()).connection == "warm"
            assert asker.dials == 1
        assert peer.requests == keep

    against(answers(), tls, ca_file, story, keep=keep)


def hold_up_the_loop():
    """The deadline passes, and nothing else happens meanwhile."""
    asyncio.get_running_loop().skip()


def test_a_connection_that_comes_too_late_carries_nothing(tls, ca_file):
    async def story(peer, asker):
        deadline = asyncio.get_running_loop().time() + NET_S
        dial = asker.dialler.dial

        async def slow(on_progress):
            connection = await dial(on_progress)
            hold_up_the_loop()
            return connection

        asker._dial = slow
        exchange = await asker.client.ask(asker.client.prepare(QUESTION), deadline)
        check_invariants(exchange, deadline)
        assert (exchange.lost.fault, exchange.sent, peer.requests) == (Fault.TIMEOUT, False, 0)
        assert exchange.dialled.tls_s is not None

    against(answers(), tls, ca_file, story)


def test_an_answer_that_is_whole_after_the_deadline_is_none(tls, ca_file):
    class Late(PartnerConnection):
        """Its last bytes come in time, but the loop was held up meanwhile, and never suspends again."""

        async def receive(self):
            data = await super().receive()
            hold_up_the_loop()
            return data

    async def story(_peer, asker):
        nonlocal deadline
        deadline = asyncio.get_running_loop().time() + NET_S
        connection = await asker.dialler.dial()
        connection.__class__ = Late
        asker.pool._offer(connection)
        exchange = await asker.client.ask(asker.client.prepare(QUESTION), deadline)
        check_invariants(exchange, deadline)
        assert exchange.connection == "warm"
        assert exchange.lost.fault is Fault.TIMEOUT

    deadline = 0.0
    against(answers(), tls, ca_file, story)


def test_a_loop_blocked_past_the_deadline_admits_no_member(tls, ca_file):
    async def story(peer, asker):
        loop = asyncio.get_running_loop()
        deadline = loop.time() + NET_S
        asking = asyncio.ensure_future(asker.client.ask(asker.client.prepare(QUESTION), deadline))
        await until(lambda: peer.requests == 1)
        while not peer.lines[0].said:  # the answer lies in the kernel from here on
            await asyncio.sleep(0)
        hold_up_the_loop()
        exchange = await asking
        check_invariants(exchange, deadline)
        assert exchange.lost.fault is Fault.TIMEOUT

    async def play(line, _number):
        line.said = False
        await line.request()
        line.writer.write(OK)
        line.said = True
        await line.ended()

    against(play, tls, ca_file, story, keep=True)


@pytest.mark.parametrize("how", ["end", "cut", "reset", "say"])
def test_a_ready_connection_that_ends_or_speaks_is_replaced_unasked(how, tls, ca_file):
    async def play(line, number):
        if number == 0:
            await gate.wait()
            await {"end": then(b"", "end"), "cut": then(b"", "cut"), "reset": reset}.get(how, then(OK, ""))(
                line
            )
            await line.ended()
        else:
            await answers()(line, number)

    async def story(peer, asker):
        nonlocal gate
        first = asker.connections[0]
        gate.set()
        await until(lambda: len(asker.connections) == 2 and asker.pool.ready == 1)
        assert first._socket.fileno() < 0
        assert peer.received == b""
        exchange = await asker.ask()
        assert exchange.connection == "warm"
        assert exchange.answer.status == 200
        assert peer.requests == 1
        assert peer.lines[0].received == b""

    gate = asyncio.Event()
    against(play, tls, ca_file, story, keep=True)


@pytest.mark.parametrize("how", ["end", "cut", "reset", "say"])
def test_a_loss_noticed_at_a_scan_costs_that_scan_nothing(how, tls, ca_file):
    """The loop had no time to see that the ready connection ended, or spoke."""

    async def play(line, number):
        if number == 0:
            await gate.wait()
            match how:
                case "end":
                    line.writer.close()
                case "cut":
                    line.cut()
                case "reset":
                    line.reset()
                case "say":
                    line.writer.write(reply(b'{"smuggled":true}'))
            if how == "say":
                await line.ended()
        else:
            await answers()(line, number)

    async def story(peer, asker):
        await asker.stop()
        connection = asker.connections[0]
        # As if the loop were busy: nothing is read until the scan comes.
        asyncio.get_running_loop().remove_reader(connection._socket)
        gate.set()
        await until(lambda: _has_come(connection))
        exchange = await asker.ask()
        assert exchange.answer.body == b"{}"
        assert exchange.connection == "new"
        assert peer.requests == 1
        assert peer.lines[0].received == b""

    gate = asyncio.Event()
    against(play, tls, ca_file, story, keep=True)


def _has_come(connection):
    poll = select.poll()
    poll.register(connection._socket, select.POLLIN)
    return bool(poll.poll(0))


def test_a_new_connection_that_speaks_first_is_not_asked(tls, ca_file):
    async def play(line, _number):
        await line.say(reply(b'{"smuggled":true}'))
        await line.ended()

    async def story(peer, asker):
        async def dial(on_progress):
            connection = await asker.dialler.dial(on_progress)
            await until(lambda: connection._received)
            return connection

        asker._dial = dial
        exchange = await asker.ask()
        assert (exchange.lost.fault, exchange.sent) == (Fault.PARTNER, False)
        assert peer.received == b""

    against(play, tls, ca_file, story)


@pytest.mark.parametrize(
    "first",
    [
        OK + b"x",
        OK + reply(b'{"smuggled":true}'),
        OK + INTERIM,
        chunks(2) + b"\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n{}",
        reply(b"{}", "Connection: close"),
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_a_connection_that_cannot_carry_another_is_left(first, tls, ca_file):
    async def story(peer, asker):
        assert (await asker.ask()).answer.status in {200, 204}
        assert asker.pool.ready == 0
        exchange = await asker.ask()
        assert (exchange.connection, exchange.answer.body) == ("new", b"{}")
        assert len(peer.lines) == 2
        assert b"POST" not in peer.lines[0].received[10:]

    against(answers(first), tls, ca_file, story)


@pytest.mark.parametrize(
    ("first", "has_surplus"),
    [
        (OK, False),
        (OK + b"x", True),
        (OK + b"\r\n", True),
        (reply(b'{"authorized":fals') + b"e}", True),
        (OK + reply(b'{"smuggled":true}'), True),
        (chunks(2), False),
        (chunks(2) + b"x", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n{}", True),
        (reply(b"{}", "Connection: close") + b"x", True),
        (INTERIM + OK + b"x", True),
        (reply(b"{}", status="403 No") + b"x", True),
    ],
)
@pytest.mark.parametrize("records", [1, 2])
def test_bytes_behind_an_answer_are_seen(first, has_surplus, records, tls, ca_file):
    """Also where they came in a TLS record of their own, as long as they are there by then."""

    async def play(line, number):
        await line.request()
        if number or records == 1:
            line.writer.write(first)
        else:
            line.writer.write(first[:-1])
            line.writer.write(first[-1:])
        line.said = True
        await line.ended()

    async def story(_peer, asker):
        answer = (await asker.ask()).answer
        assert answer.has_surplus == has_surplus
        assert asker.pool.ready == (not has_surplus)

    against(play, tls, ca_file, story)


def test_bytes_behind_an_answer_are_seen_though_they_came_while_it_was_read(tls, ca_file):
    class Slow(PartnerConnection):
        """The rest comes to the kernel while the answer is in hand."""

        async def receive(self):
            data = await super().receive()
            line.writer.write(b"e}")
            while not _has_come(self):
                pass
            return data

    async def play(own, _number):
        nonlocal line
        line = own
        await line.request()
        await line.say(reply(b'{"authorized":fals'))
        await line.ended()

    async def story(_peer, asker):
        connection = await asker.dialler.dial()
        connection.__class__ = Slow
        asker.pool._offer(connection)
        assert (await asker.ask()).answer.has_surplus

    line = None
    against(play, tls, ca_file, story)


ODD_LINES = [
    b"PHP Warning: Undefined index in /srv/x.php",
    b"no header",
    b"get-ban-to-cache-result/forum.php: x",
    b": x",
    b"X\xff: y",
    b"Warning: x\r\n\tstill the warning",
    b"PHP Warning: Content-Length is odd",
    b" a continuation of nothing",
]


@pytest.mark.parametrize("line", ODD_LINES)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_an_odd_header_line_is_skipped(line, end, tls, ca_file):
    async def story(_peer, asker):
        for _ in range(2):
            exchange = await asker.ask()
            assert (exchange.answer.status, exchange.answer.body) == (200, b"{}")
        assert exchange.connection == "warm"

    for data in (
        OK.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1),
        OK.replace(b"\r\n\r\n", b"\r\nX: y\r\n" + line + b"\r\n\r\n"),
    ):
        spoken = data.replace(b"\r\n", end)
        against(answers(INTERIM + spoken, spoken), tls, ca_file, story)


FRAMING = [
    b"Content-Length : 5",
    b" Content-Length: 5",
    b"\tTransfer-Encoding: chunked",
    b"Content-Length\t: 5",
    b"Content Length: 5",
    b"Content-Length 5",
    b"\x0bContent-Length: 5",
    b"Content-Length\x00: 5",
    b"\xa0Transfer-Encoding: chunked",
    b"Transfer Encoding: chunked",
    b"TRANSFER-ENCODING : chunked",
    b"PHP Warning\rContent-Length: 5",
    b"PHP Warning: x\rContent-Length: 5",
    b"PHP Warning: x\r\n Content-Length: 5",
]


@pytest.mark.parametrize("line", FRAMING)
def test_a_misspelled_line_that_frames_the_body_is_refused(line, tls, ca_file):
    async def story(_peer, asker):
        for _ in range(2):
            exchange = await asker.ask()
            assert exchange.lost.fault is Fault.PARTNER
            assert exchange.lost.detail == "not an HTTP answer: a line that frames the body is misspelled"

    first = OK.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)
    second = OK.replace(b"\r\n\r\n", b"\r\nX: y\r\n" + line + b"\r\n\r\n")
    against(answers(first, second), tls, ca_file, story)


def coded(body, *names):
    return reply(body, *(f"Content-Encoding: {name}" for name in names))


PLAIN = b'{"authorized":false}'
RAW_DEFLATE = zlib.compress(PLAIN)[2:-4]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (coded(gzip.compress(PLAIN), "gzip"), PLAIN),
        (coded(gzip.compress(PLAIN), "X-GZIP"), PLAIN),
        (coded(zlib.compress(PLAIN), "deflate"), PLAIN),
        (coded(RAW_DEFLATE, "deflate"), PLAIN),
        (coded(zlib.compress(gzip.compress(PLAIN)), "gzip, deflate"), PLAIN),
        (coded(zlib.compress(gzip.compress(PLAIN)), "gzip", "deflate"), PLAIN),
        (coded(gzip.compress(b""), "gzip"), b""),
        (coded(b"", "gzip"), b""),
        (coded(PLAIN, "utf-8"), PLAIN),
        (coded(PLAIN, "UTF-8, identity, none"), PLAIN),
        (coded(PLAIN, ""), PLAIN),
        (coded(gzip.compress(PLAIN), "utf-8", "gzip"), PLAIN),
        (coded(gzip.compress(b" " * BODY_MAX), "gzip"), b" " * BODY_MAX),
    ],
)
def test_an_unrequested_coding_is_decoded(data, body, tls, ca_file):
    async def story(_peer, asker):
        answer = (await asker.ask()).answer
        assert (answer.body, answer.is_packed) == (body, False)

    against(answers(data), tls, ca_file, story)


@pytest.mark.parametrize(
    "data",
    [
        coded(b"\x1b\x04", "br"),
        coded(gzip.compress(PLAIN), "gzip, br"),
        coded(PLAIN, "gzip"),
        coded(PLAIN, "deflate"),
        coded(gzip.compress(PLAIN)[:-1], "gzip"),
        coded(gzip.compress(PLAIN) + b"x", "gzip"),
        coded(gzip.compress(gzip.compress(gzip.compress(PLAIN))), "gzip, gzip, gzip"),
    ],
)
def test_a_coding_that_cannot_be_undone(data, tls, ca_file):
    async def story(_peer, asker):
        assert (await asker.ask()).answer.is_packed

    against(answers(data), tls, ca_file, story)


@pytest.mark.parametrize(
    "body", [gzip.compress(b" " * (BODY_MAX + 1)), gzip.compress(gzip.compress(b" " * 10**8))]
)
def test_a_bomb_is_an_answer_that_is_too_large(body, tls, ca_file):
    async def story(_peer, asker):
        lost = (await asker.ask()).lost
        assert (lost.fault, lost.detail) == (Fault.PARTNER, "answer larger than 64 KiB")

    against(answers(coded(body, "gzip, gzip" if len(body) > 500 else "gzip")), tls, ca_file, story)


def test_after_a_5xx_the_connection_is_not_used_again(tls, ca_file):
    async def story(peer, asker):
        assert (await asker.ask()).answer.status == 503
        exchange = await asker.ask()
        assert (exchange.connection, exchange.answer.status) == ("new", 404)
        assert (await asker.ask()).connection == "warm"
        assert len(peer.lines) == 2

    script = (reply(b"", status="503 Away"), reply(b"", status="404 Not Found"))
    against(answers(*script), tls, ca_file, story)


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (b"220 mail.example.com ESMTP ready\r\n", "not an HTTP answer"),
        (b"HTTP/1.1 abc\r\n\r\n", "not an HTTP answer: its status line cannot be read"),
        (OK.replace(b"200", b"200\r\nX: \0"), "not an HTTP answer: a header line cannot be read"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "not an HTTP answer: its Content-Length cannot be read",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "not an HTTP answer: two Content-Lengths that differ",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "not an HTTP answer: a Transfer-Encoding that is not chunked",
        ),
        (
            b"HTTP/1.1 200 OK\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n",
            "not an HTTP answer: two Transfer-Encodings",
        ),
        (
            chunks(5).replace(b"5\r\n", b"zz\r\n", 1),
            "not an HTTP answer: the length of a chunk cannot be read",
        ),
        (
            chunks(5).replace(b"xxxxx\r\n", b"xxxxxx\n", 1),
            "not an HTTP answer: a chunk is longer than its length",
        ),
        (
            b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n",
            "not an HTTP answer: it switches to another protocol",
        ),
        (INTERIM * (INTERIM_MAX + 1), "over 100 interim answers"),
        (reply(b"x" * (BODY_MAX + 1)), "answer larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "header larger than 64 KiB"),
        (reply(b"", "X: " + "y" * (BODY_MAX + 400)), "header larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", "over 256 header lines"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + (b"1;" + b"e" * 30_000 + b"\r\nx\r\n") * 10,
            "over 256 KiB around the answer",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"e" * 70_000,
            "not an HTTP answer: a line larger than 64 KiB",
        ),
        (then(b"", "end"), "closed before an answer came"),
        (then(SHORT, "end"), "closed before the answer was whole"),
        (then(SHORT[:12], "end"), "closed before the answer was whole"),
        (then(INTERIM, "end"), "closed before the answer was whole"),
    ],
)
def test_the_exact_failure_is_said_in_our_own_words(script, detail, tls, ca_file):
    async def story(_peer, asker):
        lost = (await asker.ask()).lost
        assert lost.detail == detail

    against(answers(script), tls, ca_file, story)


def test_an_answer_in_tiny_chunks_leaves_the_loop_its_turns(tls, ca_file):
    async def story(_peer, asker):
        turns = 0

        async def others():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        connection = await asker.dialler.dial()
        asker.pool._offer(connection)
        asking = asyncio.create_task(asker.ask())
        await until(lambda: len(connection._received) > 10_000, "most of the answer has come")
        others_task = asyncio.create_task(others())
        assert len((await asking).answer.body) == 3000
        others_task.cancel()
        assert turns > 3000 // EVENTS_AT_ONCE

    against(answers(chunks(*[1] * 3000)), tls, ca_file, story)


def test_bytes_that_trail_an_answer_later_are_never_the_next_answer(tls, ca_file):
    async def play(line, number):
        await line.request()
        await line.say(OK)
        if number == 0:
            await gate.wait()
            line.writer.write(reply(b'{"smuggled":true}'))
        await line.ended()

    async def story(_peer, asker):
        assert (await asker.ask()).answer.body == b"{}"
        assert asker.pool.ready == 1
        gate.set()
        await until(lambda: asker.pool.ready == 0, "the connection is dropped")
        exchange = await asker.ask()
        assert (exchange.connection, exchange.answer.body) == ("new", b"{}")

    gate = asyncio.Event()
    against(play, tls, ca_file, story)


class Stutter:
    """A socket with scripted sends: a number takes so many bytes, an error is raised."""

    def __init__(self, real, *sends):
        self._real, self._sends = real, list(sends)

    def __getattr__(self, name):
        return getattr(self._real, name)

    def send(self, data):
        step = self._sends.pop(0) if self._sends else len(data)
        if isinstance(step, OSError):
            raise step
        return self._real.send(data[:step])


def stuttering(connection, *sends):
    asyncio.get_running_loop().remove_reader(connection._socket)
    connection._socket = Stutter(connection._socket, *sends)
    asyncio.get_running_loop().add_reader(connection._socket, connection._on_readable)


def test_a_ready_connection_that_takes_no_byte_is_replaced_by_another(tls, ca_file):
    async def story(peer, asker):
        await asker.stop()
        stuttering(asker.connections[0], BrokenPipeError())
        exchange = await asker.ask()
        assert (exchange.connection, exchange.answer.status) == ("new", 200)
        assert peer.requests == 1

    against(answers(), tls, ca_file, story, keep=True)


def test_a_new_connection_that_takes_no_byte_is_the_end_of_it(tls, ca_file):
    async def story(peer, asker):
        async def dial(on_progress):
            connection = await asker.dialler.dial(on_progress)
            stuttering(connection, ConnectionResetError())
            return connection

        asker._dial = dial
        exchange = await asker.ask()
        assert (exchange.lost.fault, exchange.sent) == (Fault.NETWORK, False)
        assert (asker.dials, peer.requests) == (1, 0)

    against(answers(), tls, ca_file, story)


def test_once_a_byte_left_nothing_is_repeated(tls, ca_file):
    async def story(peer, asker):
        await asker.stop()
        stuttering(asker.connections[0], 1, ConnectionResetError())
        exchange = await asker.ask()
        assert (exchange.lost.fault, exchange.sent, exchange.connection) == (Fault.NETWORK, True, "warm")
        assert (asker.dials, peer.requests) == (1, 0)

    against(answers(), tls, ca_file, story, keep=True)


def test_a_request_that_leaves_in_pieces_is_one(tls, ca_file):
    async def story(peer, asker):
        stuttering(asker.connections[0], 5, BlockingIOError(), 1, BlockingIOError(), 7)
        assert (await asker.ask()).answer.status == 200
        assert peer.requests == 1
        assert (await asker.ask()).connection == "warm"

    against(answers(), tls, ca_file, story, keep=True)


def test_cancelled_at_every_step_every_connection_is_accounted_for(tls, ca_file):
    """Each scan is cancelled one turn of the loop later than the one before."""

    async def story(peer, asker):
        for turns in range(10_000):
            asking = asyncio.create_task(asker.ask())
            for _ in range(turns):
                await asyncio.sleep(0)
            if asking.done():
                break
            asking.cancel()
            await asyncio.wait({asking})
            assert asking.cancelled()
            assert not asker.pool._waiting
            await until(lambda: not asker.pool._in_use)
            assert asker.pool.ready <= 1
        assert turns > 3
        open_wires = [connection for connection in asker.connections if connection._socket.fileno() >= 0]
        assert list(asker.pool._idle) == open_wires
        assert peer.requests <= turns + 1

    against(answers(), tls, ca_file, story)


@pytest.mark.parametrize(("want", "asks"), [(1, 2), (2, 5)])
def test_more_asks_at_once_than_ready_connections(want, asks, tls, ca_file):
    async def story(peer, asker):
        exchanges = await asyncio.gather(*(asker.ask() for _ in range(asks)))
        assert [exchange.answer.status for exchange in exchanges] == [200] * asks
        assert [exchange.connection for exchange in exchanges].count("warm") >= want
        assert peer.requests == asks
        await asker.ready()
        await until(lambda: sum(connection._socket.fileno() >= 0 for connection in asker.connections) == want)

    against(answers(), tls, ca_file, story, want=want, keep=True)


def test_a_ready_connection_says_when_it_was_made(tls, ca_file):
    async def story(_peer, asker):
        begun = asyncio.get_running_loop().time()
        first, second = await asker.ask(), await asker.ask()
        assert [first.connection, second.connection] == ["warm", "warm"]
        assert first.dialled == second.dialled == asker.connections[0].dialled
        assert first.dialled.at < begun

    against(answers(), tls, ca_file, story, keep=True)


def test_the_failure_of_a_second_dial_is_the_one_reported(tls, ca_file):
    """The ready one took no byte, and the partner is gone: how far the second one came is what counts."""

    async def story(peer, asker):
        await asker.stop()
        begun = asyncio.get_running_loop().time()
        stuttering(asker.connections[0], BrokenPipeError())
        peer._server.close()
        exchange = await asker.ask()
        assert (exchange.lost.fault, exchange.sent, exchange.connection) == (Fault.NETWORK, False, "new")
        assert exchange.dialled.at >= begun
        assert exchange.dialled.look_up_s is not None
        assert exchange.dialled.connect_s is None

    against(answers(), tls, ca_file, story, keep=True)


def test_a_scan_takes_over_the_connection_that_another_gives_back(tls, ca_file):
    async def story(peer, asker):
        await asker.stop()
        asker._dial = lambda _on_progress: asyncio.Event().wait()  # its own never comes about
        first = asyncio.create_task(asker.ask())
        await asyncio.sleep(0)
        second = asyncio.create_task(asker.ask())
        exchanges = await asyncio.gather(first, second)
        assert [exchange.connection for exchange in exchanges] == ["warm", "warm"]
        assert [exchange.dialled for exchange in exchanges] == [asker.connections[0].dialled] * 2
        assert (len(peer.lines), peer.requests) == (1, 2)

    against(answers(), tls, ca_file, story, keep=True)
