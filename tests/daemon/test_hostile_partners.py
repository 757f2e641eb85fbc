"""Partners that lie, drip, flood and refuse, against the whole daemon: none opens a gate or stops a door."""

import contextlib
import gzip
import json
import re
import socket
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from harness import BRIEF_MS, GOOD
from limits import NET_S

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Hostile:
    """A TLS server on loopback, a thread for each connection; `play(connection, request)` answers."""

    def __init__(self, context, play):
        self._context, self._play = context, play
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests = 0
        self._threads = []
        self._connections = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                connected, _ = self._listener.accept()
                secured = self._context.wrap_socket(
                    connected, server_side=True, do_handshake_on_connect=False
                )
                self._connections.append(secured)
                thread = threading.Thread(target=self._serve, args=(secured,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, secured):
        with contextlib.suppress(OSError, ValueError), secured:
            secured.do_handshake()
            while request := self._request(secured):
                self.requests += 1
                self._play(secured, request)

    def _request(self, secured):
        request = b""
        while not (
            found := re.search(rb"content-length: (\d+).*?\r\n\r\n(.*)", request, re.DOTALL | re.IGNORECASE)
        ) or (len(found[2]) < int(found[1])):
            data = secured.recv(65536)
            if not data:
                return b""
            request += data
        return request

    def __enter__(self):
        self._accepting.start()
        return self

    def __exit__(self, kind, error, trace):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(NET_S)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in (self._accepting, *self._threads):
            thread.join(NET_S)
            assert not thread.is_alive()


def say(*parts):
    def play(secured):
        for part in parts:
            secured.sendall(part)

    return play


def then_reset(*parts):
    def play(secured):
        say(*parts)(secured)
        secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        secured.close()

    return play


def then_end(*parts):
    def play(secured):
        say(*parts)(secured)
        secured.close()

    return play


def flood(*parts, endless):
    """Says the parts, then the last one until the client has enough."""

    def play(secured):
        say(*parts)(secured)
        with contextlib.suppress(OSError):
            while True:
                secured.sendall(endless)

    return play


def drip(secured):
    """A byte each 100 ms: each read brings something, and the whole is far over the budget."""
    pause = threading.Event()
    with contextlib.suppress(OSError):
        for byte in OK * 10:
            secured.sendall(bytes([byte]))
            pause.wait(0.1)


def not_tls(secured):
    """Bytes that are no TLS record, in the midst of the connection."""
    socket.socket.sendall(secured, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def head(*lines):
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"Content-Length: 2", b"", b"{}"))


def framed(body, *lines):
    return b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body), b"", body))


TOO_MUCH = "over 256 KiB around the answer"
TOO_LONG = "not an HTTP answer: a line larger than 64 KiB"
LARGE_HEAD, LARGE_BODY = "header larger than 64 KiB", "answer larger than 64 KiB"
SURPLUS = "200 with more bytes behind its end"

PLAYS = [
    ("drip", drip, "timeout", "no whole answer within the budget"),
    ("silence", say(), "timeout", "no whole answer within the budget"),
    ("half", say(OK[:-1]), "timeout", "no whole answer within the budget"),
    ("reset inside the body", then_reset(OK[:-1]), "network", r"connection reset by peer \(127.0.0.1:\d+\)"),
    ("end inside the body", then_end(OK[:-1]), "network", "closed before the answer was whole"),
    ("end at once", then_end(), "network", "closed before an answer came"),
    ("surplus", say(OK + b"x"), "partner", SURPLUS),
    ("two answers", say(OK + OK), "partner", SURPLUS),
    ("chunks and more", say(CHUNKED + b"2\r\n{}\r\n0\r\n\r\n{}"), "partner", SURPLUS),
    ("ten thousand headers", say(head(*[b"A: b"] * 10_000)), "partner", "over 256 header lines"),
    ("endless headers", flood(b"HTTP/1.1 200 OK\r\n", endless=b"A: b\r\n" * 1000), "partner", LARGE_HEAD),
    ("endless header", flood(b"HTTP/1.1 200 OK\r\nA: ", endless=b"b" * 9999), "partner", LARGE_HEAD),
    (
        "endless interim",
        flood(endless=b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        "partner",
        "over 100 interim answers",
    ),
    ("endless body", flood(b"HTTP/1.1 200 OK\r\n\r\n", endless=b" " * 9999), "partner", LARGE_BODY),
    (
        "endless chunk extensions",
        flood(CHUNKED, endless=b"1;" + b"e" * 999 + b"\r\n \r\n"),
        "partner",
        TOO_MUCH,
    ),
    ("endless chunk extension", flood(CHUNKED + b"1;", endless=b"e" * 9999), "partner", TOO_LONG),
    ("endless trailer", flood(CHUNKED + b"0\r\n", endless=b"A: b\r\n" * 999), "partner", TOO_LONG),
    ("endless tiny chunks", flood(CHUNKED, endless=b"1\r\n \r\n" * 5000), "partner", TOO_MUCH),
    ("bomb", say(framed(gzip.compress(b" " * 10**7), b"Content-Encoding: gzip")), "partner", LARGE_BODY),
    ("brackets", say(framed(b"[" * 65536)), "partner", "200 with a body that is not JSON"),
    (
        "smuggled length",
        say(head(b"Content-Length : 0")),
        "partner",
        "not an HTTP answer: a line that frames the body is misspelled",
    ),
    ("not TLS any more", not_tls, "tls", "TLS failed: .*"),
    (
        "portal",
        say(framed(b"<html>sign in</html>")),
        "partner",
        "200 with a text/html page, as a captive portal sends it",
    ),
    (
        "proxy",
        say(framed(b"<html>502</html>").replace(b"200 OK", b"502 Bad Gateway")),
        "partner",
        "502 with a text/html page, as a proxy sends it",
    ),
]
MEMBERS = {f"20000000000{number:02}": play for number, (_, play, _, _) in enumerate(PLAYS)}


def play(secured, request):
    member = json.loads(request.split(b"\r\n\r\n", 1)[1])["gympass_id"]
    MEMBERS.get(member, say(OK))(secured)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    authority.file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.file.write_bytes(authority.cert_pem.bytes())
    return authority


def context_of(authority, **dates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", **dates).configure_cert(context)
    return context


def at(server, authority, **more):
    settings = {"url": f"https://127.0.0.1:{server.port}", "ca_file": str(authority.file)}
    return settings | more


@pytest.fixture(scope="module")
def gym(shared_gym, authority):
    with Hostile(context_of(authority), play) as server:
        gym = shared_gym(
            {
                "wellhub-hostile": at(server, authority),
                "wellhub-mute": at(server, authority, budget_ms=BRIEF_MS),
                "wellhub": {},
            },
            {"main": {}, "side": {}},
        )
        gym.hostile = server
        yield gym


def resident_kib(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


@pytest.mark.parametrize(
    ("member", "fault", "detail"),
    [
        pytest.param(member, fault, detail, id=name)
        for member, (name, _, fault, detail) in zip(MEMBERS, PLAYS, strict=True)
    ],
)
def test_no_hostile_answer_opens_the_gate(gym, member, fault, detail):
    openings, asked = len(gym.openings()), gym.hostile.requests
    partner = "wellhub-mute" if fault == "timeout" else "wellhub-hostile"
    gym.scan(f"{partner}:{member}")
    # Meanwhile the other door serves its members.
    other = gym.ask("wellhub", GOOD["wellhub"], "side")
    event = gym.next_event()
    if other["partner"] != "wellhub":
        other, event = event, other
    assert other["result"] == "admitted"
    assert (event["result"], event["verdict"], event["fault"]) == ("rejected", "none", fault)
    assert re.fullmatch(detail, event["detail"]), event["detail"]
    assert event["request"]["sent"] is True
    assert gym.hostile.requests == asked + 1
    assert len(gym.openings()) == openings
    # And the next member is asked about on a connection that nothing is left of it on.
    assert gym.ask(partner, GOOD["wellhub"])["result"] == "admitted"


def test_floods_leave_no_memory_taken(gym):
    floods = [member for member, (name, *_) in zip(MEMBERS, PLAYS, strict=True) if name.startswith("endless")]

    def highest(rounds):
        taken = []
        for _ in range(rounds):
            for member in floods:
                gym.ask("wellhub-hostile", member)
            taken.append(resident_kib(gym.pid))
        return max(taken)

    # It rises and falls with what waits to be collected.
    before = highest(5)
    assert highest(5) - before < 4096


def test_a_refusal_before_the_request_says_why(gym, authority, closed_port):
    """Each in a daemon of its own: what is not sent, is not sent for everybody."""
    past = datetime.now(UTC) - timedelta(days=6)
    with Hostile(context_of(authority, not_after=past), play) as expired:
        gym.stop_following()
        gym.change(
            partners={
                "wellhub-expired": at(expired, authority),
                "wellhub-closed": at(expired, authority, url=f"https://127.0.0.1:{closed_port}"),
                "wellhub-nobody": at(expired, authority, url="https://nobody.invalid"),
            }
        )
        gym.terminate()
        gym.start()
        for partner, fault, detail in (
            ("wellhub-expired", "tls", f"certificate expired on {past:%Y-%m-%d}"),
            ("wellhub-closed", "network", f"connection refused (127.0.0.1:{closed_port})"),
            ("wellhub-nobody", "network", "the name nobody.invalid was not found"),
        ):
            event = gym.ask(partner, GOOD["wellhub"])
            assert (event["fault"], event["request"]["sent"]) == (fault, False)
            assert event["detail"].startswith(detail)
            assert len(event["detail"]) <= 200


def test_a_partner_that_wants_a_certificate_is_not_healthy(gym, authority):
    context = context_of(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    with Hostile(context, play) as server:
        gym.stop_following()
        gym.change(partners={"wellhub-locked": at(server, authority)})
        gym.terminate()
        gym.start()
        gym.logged("partner wellhub-locked: no connection (tls: the partner wants a client certificate)")
        state = gym.status()["partners"]["wellhub-locked"]
        assert state["unconnected"]["fault"] == "tls"
        event = gym.ask("wellhub-locked", GOOD["wellhub"])
        assert event["fault"] == "tls"
        assert event["detail"] == "the partner wants a client certificate"
        assert server.requests == 0


def test_a_refusal_whose_length_is_too_short_opens_no_gate(gym, authority):
    """PerfectGym's status alone decides: the body's missing end must not make a success of it."""
    lie = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n"
    openings = len(gym.openings())
    with Hostile(
        context_of(authority), lambda secured, _: secured.sendall(lie + b'{"authorized":false}')
    ) as server:
        gym.stop_following()
        gym.change(partners={"perfectgym-lies": at(server, authority)})
        gym.terminate()
        gym.start()
        event = gym.ask("perfectgym-lies", GOOD["perfectgym"])
        assert (event["result"], event["verdict"], event["fault"]) == ("rejected", "none", "partner")
        assert (event["status"], event["detail"]) == (200, SURPLUS)
        assert len(gym.openings()) == openings


def test_a_long_name_is_cut_in_the_detail(gym):
    host = ".".join(["a" * 60] * 4)
    gym.stop_following()
    gym.change(partners={"wellhub-long": {"url": f"https://{host}.invalid"}})
    gym.terminate()
    gym.start()
    event = gym.ask("wellhub-long", GOOD["wellhub"])
    assert event["fault"] == "network"
    assert len(event["detail"]) == 200
