"""The server itself: connections, records, certificates, and nothing left behind."""

import asyncio
import contextlib
import gc
import socket
import ssl
import stat
import threading
import time
import tomllib

import patient_http
import pytest
from asking import ask, check_in, client, line, trust, wire
from limits import NET_S
from partner_rigs import run

from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Authority, Leaf, Simulator


def test_connections_are_kept_between_requests_of_all_protocols():
    async def story():
        async with Simulator() as sim, client(sim) as http:
            for protocol, member in (
                ("perfectgym", "1001"),
                ("wellhub", "1000000000404"),
                ("capitan", "CHUNKED"),
                ("perfectgym", "1204"),
                ("wellhub", "1000000000500"),
            ):
                await ask(http, sim, protocol, member)
            assert (sim.connections, sim.handshakes) == (1, 1)
            assert [request.connection for request in sim.requests] == [1] * 5

    asyncio.run(story())


def test_nothing_waits_for_an_acknowledgement():
    """The end of a connection after an answer, which Nagle's algorithm would delay by 40 ms each time."""

    async def story():
        async with Simulator() as sim:
            for _ in range(100):
                async with line(sim) as one:
                    one.send("perfectgym", "1001")
                    await one.see()
                    started = time.monotonic()
                    sim.close_idle()
                    assert await one.reader.read() == b""
                    if time.monotonic() - started < 0.02:
                        return
            pytest.fail("each took longer")

    asyncio.run(story())


def test_a_record_has_content_and_time():
    async def story():
        async with Simulator() as sim, line(sim) as one:
            started = time.monotonic()
            sent = wire(*check_in(sim, "wellhub", "1000000000200"))
            one.writer.write(sent[:20])
            await sim.until(lambda: sim.requests)
            (request,) = sim.requests
            assert (request.whole, request.method, request.answered) == (False, "", None)
            one.writer.write(sent[20:])
            await one.see()
            assert started <= request.first_byte < request.last_byte <= request.answered <= time.monotonic()
            assert (request.protocol, request.method, request.path) == (
                "wellhub",
                "POST",
                "/access/v1/validate",
            )
            assert request.headers["authorization"] == f"Bearer {sim.partners['wellhub'].key}"
            assert request.body == b'{"gympass_id": "1000000000200"}'
            assert (request.whole, request.status, request.description) == (True, 200, "good")
            assert sim.partners["wellhub"].key not in repr(request)

    asyncio.run(story())


def test_a_request_that_was_cut_is_recorded_as_such():
    async def story():
        async with Simulator() as sim:
            async with line(sim) as one:
                one.writer.write(wire(*check_in(sim, "wellhub", "1000000000200"))[:-5])
                await sim.until(
                    lambda: sim.requests and sim.requests[0].body == b"" and sim.requests[0].method
                )
            assert not sim.requests[0].whole
            assert sim.requests[0].member is None

    asyncio.run(story())


def test_a_client_that_leaves_before_a_late_answer_is_not_answered(monkeypatch):
    monkeypatch.setattr(PROTOCOLS["perfectgym"], "late_s", NET_S)

    async def story():
        async with Simulator() as sim, line(sim) as other:
            async with line(sim) as one:
                one.send("perfectgym", "1602")
                await sim.until(lambda: sim.requests and sim.requests[0].whole)
            await sim.until(lambda: sim.open_connections == 1)
            asyncio.get_running_loop().skip(2 * NET_S)  # the late answer's time has come and gone
            other.send("perfectgym", "1212")
            await other.see()
            assert sim.requests[0].answered is None

    run(story())


def test_requests_sent_ahead_are_answered_in_order():
    async def story():
        async with Simulator() as sim, line(sim) as one:
            one.send("perfectgym", "1212")
            one.send("perfectgym", "1403")
            await sim.until(lambda: sim.requests and sim.requests[0].whole)
            one.send("perfectgym", "1404")
            await sim.until(lambda: len(sim.requests) == 3 and sim.requests[2].answered)
            assert [request.status for request in sim.requests] == [200, 403, 404]
            answered = [request.answered for request in sim.requests]
            assert answered == sorted(answered)

    asyncio.run(story())


@pytest.mark.parametrize("tls", [True, False])
def test_a_client_that_wants_to_close_is_closed(tls):
    async def story():
        async with Simulator(tls=tls) as sim, line(sim) as one:
            method, url, headers, body = check_in(sim, "perfectgym", "1001")
            one.writer.write(wire(method, url, headers | {"Connection": "close"}, body))
            assert (await one.see()).status == 200
            assert await one.reader.read() == b""

    asyncio.run(story())


def test_idle_connections_are_closed_politely_and_busy_ones_are_not():
    async def story():
        async with Simulator() as sim, line(sim) as idle, line(sim) as busy, line(sim) as fresh:
            idle.send("perfectgym", "1001")
            await idle.see()
            busy.send("perfectgym", "1600")
            await sim.until(lambda: len(sim.requests) == 2 and sim.requests[1].whole)
            await sim.until(lambda: sim.handshakes == 3)
            assert sim.close_idle() == 2
            assert await idle.reader.read() == b""
            assert await fresh.reader.read() == b""
            assert sim.close_idle() == 0
            assert not busy.reader.at_eof()

    asyncio.run(story())


def test_all_connections_can_be_reset_handshakes_included():
    async def story():
        async with Simulator() as sim, line(sim) as one:
            bare_reader, bare_writer = await asyncio.open_connection(sim.host, sim.port)
            await sim.until(lambda: sim.connections == 2)
            assert sim.handshakes == 1
            assert sim.drop_all() == 2
            for reader in (one.reader, bare_reader):
                with pytest.raises(ConnectionResetError):
                    await reader.read()
            bare_writer.close()
            with contextlib.suppress(OSError):
                await bare_writer.wait_closed()
            assert (sim.connections, sim.handshakes) == (2, 1)

    asyncio.run(story())


def test_everything_is_gone_at_the_end():
    async def story():
        async with Simulator() as sim:
            folder = sim.ca_file.parent
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            for protocol in PROTOCOLS:
                assert stat.S_IMODE(sim.key_file(protocol).stat().st_mode) == 0o600
                assert sim.key_file(protocol).read_text().strip() == sim.partners[protocol].key
            async with line(sim) as one:
                one.send("perfectgym", "1600")
                await sim.until(lambda: sim.requests and sim.requests[0].whole)
                await sim.__aexit__(None, None, None)
                with pytest.raises(ConnectionResetError):
                    await one.reader.read()
            assert not folder.exists()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(sim.host, sim.port)
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(story())
    gc.collect()  # what was left open would warn now, and a warning is an error


def test_a_taken_port_is_an_error_that_leaves_nothing():
    async def story():
        async with Simulator() as sim:
            other = Simulator(sim.port)
            with pytest.raises(OSError, match="Address already in use"):
                await other.__aenter__()
            assert not other.ca_file.exists()

    asyncio.run(story())


def test_it_listens_on_ipv6_too():
    async def story():
        async with Simulator(host="::1") as sim, client(sim) as http:
            assert sim.url("wellhub") == f"https://[::1]:{sim.port}"
            assert (await ask(http, sim, "wellhub", "1000000000200")).status_code == 200

    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
    asyncio.run(story())


def test_without_tls_it_speaks_plain_http():
    async def story():
        async with Simulator(tls=False) as sim, patient_http.AsyncClient(trust_env=False) as http:
            assert sim.url("perfectgym") == f"http://127.0.0.1:{sim.port}/checkin-validation"
            assert (await ask(http, sim, "perfectgym", "1403")).status_code == 403

    asyncio.run(story())


def test_it_runs_in_a_thread():
    ready, done = threading.Event(), threading.Event()
    running = []

    async def serve():
        async with Simulator() as sim:
            running.append(sim)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(NET_S)
        sim = running[0]
        with patient_http.Client(verify=trust(sim), trust_env=False) as http:
            method, url, headers, body = check_in(sim, "capitan", "GOOD-1")
            assert http.request(method, url, headers=headers, content=body).status_code == 200
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_settings_lead_to_it_and_name_no_key(protocol):
    async def story():
        async with Simulator() as sim:
            text = sim.partner_section(protocol)
            section = tomllib.loads(text)["partners"][protocol]
            assert section["protocol"] == protocol
            assert section["url"] == sim.url(protocol)
            assert section["key"] == {"file": str(sim.key_file(protocol))}
            assert section["ca_file"] == str(sim.ca_file)
            assert sim.partners[protocol].key not in text

    asyncio.run(story())


REFUSED = {
    Leaf.EXPIRED: "certificate has expired",
    Leaf.OTHER_NAME: "mismatch|not valid for",
    Leaf.UNKNOWN_CA: "unable to get local issuer|unable to verify|self.signed",
}


@pytest.mark.parametrize("leaf", REFUSED)
def test_a_client_refuses_the_wrong_leaf_and_sends_nothing(leaf):
    async def story():
        async with Simulator(leaf=leaf) as sim:
            with pytest.raises(ssl.SSLCertVerificationError, match=REFUSED[leaf]):
                await asyncio.open_connection(sim.host, sim.port, ssl=trust(sim), server_hostname="localhost")
            assert sim.connections == 1
            assert sim.requests == []

    asyncio.run(story())


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_good_leaf_is_good_for_every_loopback_name(name):
    async def story():
        async with Simulator() as sim:
            _, writer = await asyncio.open_connection(
                sim.host, sim.port, ssl=trust(sim), server_hostname=name
            )
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def old_client(sim):
    context = trust(sim)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_tls_1_1_alone_is_refused_by_a_client_of_today():
    async def story():
        async with Simulator(leaf=Leaf.OLD_TLS) as sim:
            # OpenSSL's configuration decides which side refuses first, and in which words.
            with pytest.raises(ssl.SSLError, match=r"(?i)protocol version|legacy sigalg"):
                await asyncio.open_connection(sim.host, sim.port, ssl=trust(sim), server_hostname="localhost")
            try:
                _, writer = await asyncio.open_connection(
                    sim.host, sim.port, ssl=old_client(sim), server_hostname="localhost"
                )
            except ssl.SSLError:
                pytest.skip("this OpenSSL has no TLS 1.1 at all")
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.1"
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())


def test_authorities_do_not_trust_each_other():
    here, there = Authority(), Authority()
    assert here.pem.startswith(b"-----BEGIN CERTIFICATE-----")
    assert here.pem != there.pem
