"""How much a stranger can take of the monitor: connections, time, memory, and tries at the password."""

import asyncio
import contextlib
import functools
import socket
import time
from pathlib import Path

import httpx
import patient_http
import pytest
import uvicorn
from many import fill
from monitors import monitor, monitor_process, require_limit, write_closed_gym
from virtual_loop import run_virtually

from gatectl.journal.paging import Browser
from gatectl.monitor import password as passwords
from gatectl.monitor.connections import (
    ANSWERS_FROM_ONE_PLACE_MAX,
    ANSWERS_MAX,
    CONNECTIONS_MAX,
    FROM_ONE_PLACE_MAX,
    REQUEST_S,
    STALLED_S,
    STREAMS_FROM_ONE_PLACE_MAX,
    STREAMS_MAX,
    BrowserConnection,
    Connections,
    Requests,
)
from gatectl.monitor.feeds import NEWS_MAX
from gatectl.monitor.password import ADDRESSES_MAX, TRIES, TRY_AGAIN_S, Password

PASSWORD = "correct-horse-battery"
HALF_A_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-"
HALF_A_FORM = b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\npass"
A_SECOND = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + HALF_A_REQUEST


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A monitor with a password, and no daemon."""
    folder = tmp_path_factory.mktemp("closed")
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(PASSWORD)
    with monitor(write_closed_gym(folder), "--password-file", str(secret)) as address:
        yield address


def connected(address, source="127.0.0.1", sent=b""):
    host, _, port = address.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), source_address=(source, 0))
    connection.sendall(sent)
    return connection


def get(address, path="/login", source="127.0.0.1"):
    transport = httpx.HTTPTransport(local_address=source)
    with patient_http.Client(base_url=address, transport=transport) as client:
        return client.get(path)


@pytest.mark.parametrize("sent", [b"", HALF_A_REQUEST, HALF_A_FORM], ids=["nothing", "half", "form"])
@pytest.mark.parametrize("sources", [1, 5], ids=["one place", "five places"])
def test_held_connections_keep_no_other_user_out(closed, sent, sources):
    with contextlib.ExitStack() as held:
        for number in range(CONNECTIONS_MAX + 30):
            held.enter_context(connected(closed, f"127.0.0.{1 + number % sources}", sent))
        for source in ("127.0.0.1", "127.0.0.99"):
            assert get(closed, source=source).status_code == 200


def test_a_connection_that_waits_gives_way_the_oldest_first(closed):
    with contextlib.ExitStack() as held:
        first = held.enter_context(connected(closed, "127.0.0.7", HALF_A_REQUEST))
        for _ in range(FROM_ONE_PLACE_MAX):
            last = held.enter_context(connected(closed, "127.0.0.7", HALF_A_REQUEST))
        with contextlib.suppress(ConnectionResetError):
            assert first.recv(1) == b""
        last.sendall(b"A: 1\r\nConnection: close\r\n\r\n")
        assert b"303" in last.recv(100)


def test_streams_of_one_place_leave_room_for_pages_and_for_others(address):
    with contextlib.ExitStack() as held:
        request = b"GET /live/display?door=main HTTP/1.1\r\nHost: localhost\r\n\r\n"
        streams = [
            held.enter_context(connected(address, "127.0.0.8", request))
            for _ in range(STREAMS_FROM_ONE_PLACE_MAX)
        ]
        for stream in streams:
            assert b"200 OK" in stream.recv(100)
        refused = get(address, "/live/display?door=main", "127.0.0.8")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert get(address, "/", "127.0.0.8").status_code == 200
        other = held.enter_context(connected(address, "127.0.0.9", request))
        assert b"200 OK" in other.recv(100)


async def long_answer(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(100):  # far more than the kernel and the transport take in
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


def lifetime(sent, *, drip=b"", app=long_answer):
    """The seconds, on the loop's clock, until a connection is closed that sends this and a drip a second."""

    async def story():
        loop = asyncio.get_running_loop()
        config = uvicorn.Config(app, log_config=None, log_level="error", ws="none", lifespan="off")
        config.load()
        state = uvicorn.server.ServerState()
        make = functools.partial(
            BrowserConnection, Connections(()), config=config, server_state=state, app_state={}
        )
        near, far = socket.socketpair()
        with near:
            transport, _ = await loop.connect_accepted_socket(make, far)
            near.sendall(sent)
            while not transport.is_closing() and loop.time() < 1000:
                await asyncio.sleep(1)
                with contextlib.suppress(OSError):
                    near.sendall(drip)
            return loop.time()

    return run_virtually(story())


@pytest.mark.parametrize(
    ("sent", "drip"),
    [(b"", b""), (HALF_A_REQUEST, b""), (HALF_A_REQUEST, b"a"), (HALF_A_FORM, b""), (A_SECOND, b"a")],
    ids=["nothing", "half", "drip", "form", "second"],
)
def test_a_request_has_its_time(sent, drip):
    async def reads_the_form(_scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert REQUEST_S <= lifetime(sent, drip=drip, app=reads_the_form) <= REQUEST_S + 2


def test_an_answer_that_is_not_read_is_given_up():
    whole = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert STALLED_S <= lifetime(whole) <= STALLED_S + 3


def test_a_request_that_is_no_http_is_refused_without_a_word_in_the_log(address):
    # monitor() finds nothing on its stderr at the end.
    with connected(address, sent=b"\x16\x03\x01 this is TLS\r\n\r\n") as connection:
        assert b"400 Bad Request" in connection.recv(1000)


def test_headers_have_a_bound(address):
    with connected(address) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        with contextlib.suppress(OSError):
            for _ in range(100):
                connection.sendall(b"x" * 10_000)
        with contextlib.suppress(ConnectionResetError):
            assert b"400 Bad Request" in connection.recv(1000)


def test_a_full_table_of_descriptors_is_a_state_and_passes(closed_gym):
    with monitor_process(closed_gym, descriptors=40) as (process, address):
        with contextlib.ExitStack() as held:
            for _ in range(60):
                held.enter_context(connected(address))
            assert process.stderr.readline() == "no connection can be accepted: Too many open files\n"
            assert process.stderr.readline() == "connections can be accepted again\n"
        assert get(address, "/").status_code == 200


def peak_kb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_a_stream_that_asks_for_everything_is_restarted_and_takes_no_memory(closed_gym):
    fill(closed_gym.with_name("journal.db"), 20_000)
    with monitor_process(closed_gym) as (process, address):
        get(address, "/")
        before = peak_kb(process)
        with patient_http.stream("GET", f"{address}/live/events?after=0") as stream:
            lines = stream.iter_lines()
            assert next(line for line in lines if line.startswith("event: ")) == "event: reload"
        assert peak_kb(process) - before < 8_000


def test_news_are_read_up_to_a_bound(tmp_path):
    fill(tmp_path / "journal.db", NEWS_MAX + 100)
    with Browser(tmp_path / "journal.db") as browser:
        news, until = browser.since(0, NEWS_MAX + 1)
        assert (len(news), until) == (NEWS_MAX + 1, news[-1].ended)


def test_parallel_tries_pass_the_limit_no_more_often_than_one_after_the_other(closed):
    form = b"password=wrong"
    head = b"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: 100-continue\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(form)
    with contextlib.ExitStack() as held:
        tries = [held.enter_context(connected(closed, "127.0.0.20", head)) for _ in range(12)]
        for one in tries:
            assert b"100 Continue" in one.recv(1000), "it waits for the form"
        begun_s = time.monotonic()
        for one in tries:
            one.sendall(form)
        statuses = [int(one.recv(20).split()[1]) for one in tries]
        require_limit(time.monotonic() - begun_s, statuses)


def test_wrong_passwords_of_many_addresses_lock_no_other_user_out(closed):
    def try_from(number):
        transport = httpx.HTTPTransport(local_address=f"127.0.1.{number}")
        with patient_http.Client(base_url=closed, transport=transport) as client:
            return [client.post("/login", data={"password": "wrong"}).status_code for _ in range(5)]

    for number in range(1, 13):
        assert try_from(number) == [403] * 5
    transport = httpx.HTTPTransport(local_address="127.0.1.99")
    with patient_http.Client(base_url=closed, transport=transport) as client:
        assert client.post("/login?next=/", data={"password": PASSWORD}).status_code == 303


class Clock:
    """The time of the tries, which a test moves."""

    now = 1000.0
    time = staticmethod(time.time)

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(passwords, "time", found)
    return found


def fail(password, *addresses):
    assert not any(password.is_right(address, "wrong") for address in addresses)


def test_wrong_tries_are_forgotten_one_after_the_other(clock):
    password = Password(PASSWORD)
    fail(password, *["192.0.2.1"] * TRIES)
    assert (password.wait_s("192.0.2.1"), password.wait_s("192.0.2.2")) == (TRY_AGAIN_S, 0)
    clock.now += TRY_AGAIN_S - 1
    assert password.wait_s("192.0.2.1") == pytest.approx(1)
    clock.now += 1
    assert password.wait_s("192.0.2.1") == 0
    fail(password, "192.0.2.1")
    assert password.wait_s("192.0.2.1") == TRY_AGAIN_S
    clock.now += TRIES * TRY_AGAIN_S
    fail(password, *["192.0.2.1"] * (TRIES - 1))
    assert password.wait_s("192.0.2.1") == 0


def test_addresses_beyond_those_that_are_counted_share_one_count(clock):
    password = Password(PASSWORD)
    fail(password, *(f"10.0.{number // 250}.{number % 250}" for number in range(ADDRESSES_MAX)))
    for number in range(TRIES):
        assert password.wait_s(f"192.0.2.{number}") == 0
        fail(password, f"192.0.2.{number}")
    assert password.wait_s("192.0.2.99") > 0
    assert password.wait_s("10.0.0.0") == 0, "it is counted by itself"
    assert len(password._wrong) == ADDRESSES_MAX
    clock.now += TRY_AGAIN_S
    fail(password, "192.0.2.99")
    assert len(password._wrong) == 1, "the others are forgotten"


@pytest.mark.parametrize(
    ("path", "of_one", "of_all"),
    [
        ("/live/events", STREAMS_FROM_ONE_PLACE_MAX, STREAMS_MAX),
        ("/", ANSWERS_FROM_ONE_PLACE_MAX, ANSWERS_MAX),
    ],
)
def test_what_is_answered_at_once_is_bounded_for_one_place_and_for_all(path, of_one, of_all):
    async def story():
        ended, statuses = asyncio.Event(), []

        async def answer(_scope, _receive, _send):
            await ended.wait()

        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def refused(*places):
            """How many requests from these places are refused."""
            statuses.clear()
            for place in places:
                scope = {"type": "http", "path": path, "client": (place, 1)}
                tasks.append(asyncio.create_task(requests(scope, None, send)))
            await asyncio.sleep(0)
            assert set(statuses) <= {503}
            return len(statuses)

        requests, tasks = Requests(answer), []
        for _ in range(2):  # all of them are counted until they end, and no longer
            assert await refused(*["192.0.2.1"] * (of_one + 3)) == 3
            assert await refused(*(f"10.0.{number}.1" for number in range(of_all - of_one + 7))) == 7
            ended.set()
            await asyncio.gather(*tasks)
            ended.clear()
            assert not requests._streams
            assert not requests._answers

    asyncio.run(story())


class Waiting:
    """A connection that has not sent a whole request."""

    waits = True
    is_dropped = False

    def drop(self):
        self.is_dropped = True


@pytest.mark.parametrize(
    ("host", "dropped"), [("192.0.2.7", 3), ("192.0.2.8:99", 0), ("::ffff:192.0.2.8", 0)]
)
def test_connections_of_a_named_proxy_are_those_of_many_browsers(host, dropped):
    connections = Connections(["192.0.2.8"])
    held = [Waiting() for _ in range(FROM_ONE_PLACE_MAX + 3)]
    assert all(connections.admits(one, host) for one in held)
    assert [one.is_dropped for one in held] == [index < dropped for index in range(len(held))]
    more = [Waiting() for _ in range(CONNECTIONS_MAX)]
    assert all(connections.admits(one, "192.0.2.8") for one in more)
    assert all(one.is_dropped for one in held), "all together are bounded too"
