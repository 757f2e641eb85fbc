"""`gatectl uplink` with a real broker: what it sends, what it takes, and how it ends."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import aiomqtt
import pytest
from fleet_rig import context_of, until
from uplink_rig import UplinkGate, peak_kib
from virtual_gate import WAIT_S, client

from gatectl.cli.control import call
from gatectl.fleet import new_office
from gatectl.fleet.authority import CertificateAuthority
from gatectl.fleet.local_services import LocalBroker, free_port
from gatectl.journal.backup import restore
from gatectl.sim.simulated_door import SimulatedDoor
from gatectl.uplink import wire
from gatectl.uplink.journal_source import NumberedReader
from gatectl.uplink.mqtt import CancellableClient
from gatectl.uplink.privacy import Privacy
from gatectl.uplink.wire import Mark

CODE = "9081726354012"
LIES = 3000


@pytest.fixture
def gate(tmp_path, office, broker):
    return UplinkGate(tmp_path / "gate", office, broker.port)


def test_events_reach_the_database_in_order(gate, fleet):
    ids = gate.scan(200)
    with gate:
        gate.wait(gate.has_sent_all)
        ids += gate.scan()
        gate.wait(gate.has_sent_all)
    assert fleet.ids("berlin-1") == ids


def test_members_reach_the_database_as_pseudonyms(gate, fleet):
    gate.scan(9, member=CODE, credential=f"WP-{CODE}", partner="wellpass", detail=f"number {CODE}")
    with gate:
        gate.wait(gate.has_sent_all)
    member = Privacy("pseudonym", gate.pseudonym_key).pseudonym("member", "wellpass", CODE)
    rows = fleet.rows("SELECT to_jsonb(event)::text FROM event")
    assert len(rows) == 9
    assert all(member.removeprefix("p:") in text and CODE not in text for (text,) in rows)
    assert CODE not in gate.log.read_text()


def test_status_says_that_it_is_connected_and_how_far(gate, fleet):  # noqa: ARG001
    gate.scan(3)
    assert "not running" in gate.run("status").stderr
    with gate:
        gate.wait(gate.has_sent_all)
        shown = gate.run("status")
        assert (shown.returncode, shown.stdout.splitlines()[1]) == (0, "head office has every event")
        assert json.loads(gate.run("status", "--json").stdout)["last"] == 3
    assert "not running" in gate.run("status").stderr


def test_the_state_says_how_far_behind_the_gate_is_once_a_mark_has_come(gate, fleet):
    gate.scan(3)
    with gate:
        gate.wait(lambda _status: fleet.rows("SELECT 1 FROM device WHERE state->>'behind' IS NOT NULL"))


def test_the_status_says_what_waits_while_the_line_is_cut(gate, fleet):
    gate.scan(5)
    with gate:
        gate.wait(gate.has_sent_all)
        fleet.broker.stop(signal.SIGKILL)
        gate.wait(lambda status: not status["connected"])
        gate.scan(2)
        gate.wait(lambda status: status["pending"] == 2)
        with NumberedReader(gate.journal) as reader:
            ((_, oldest),) = reader.after(5, 1)
        assert gate.status()["oldest_pending_at"] == oldest.to_json()["at"]
        assert gate.run("status").stdout.splitlines()[1].startswith("2 events wait since ")
        fleet.broker.start()
        gate.wait(gate.has_sent_all)
        assert (gate.status()["pending"], gate.status()["oldest_pending_at"]) == (0, None)


def test_a_broker_that_is_killed_costs_nothing(gate, fleet):
    ids = gate.scan(100)
    with gate:
        gate.wait(gate.has_sent_all)
        for _ in range(3):
            fleet.broker.stop(signal.SIGKILL)
            ids += gate.scan(70)
            gate.wait(lambda status: not status["connected"])
            assert gate.run("status").returncode == 1
            fleet.broker.start()
            gate.wait(gate.has_sent_all)
    assert fleet.ids("berlin-1") == ids


def test_an_uplink_that_is_killed_costs_nothing(gate, fleet):
    ids = []
    for _ in range(5):
        gate.start()
        ids += gate.scan(50)
        gate.wait(lambda status: status.get("pid") == gate.pid and status["connected"])
        gate.stop(signal.SIGKILL)
    with gate:
        gate.wait(gate.has_sent_all)
    assert fleet.ids("berlin-1") == ids


def test_an_older_image_that_grew_past_the_mark_is_sent_as_a_new_generation(gate, fleet):
    first = gate.scan(10)
    shutil.copy(gate.journal, gate.folder / "image.db")
    lost = gate.scan(20)
    with gate:
        gate.wait(gate.has_sent_all)
    for path in gate.folder.glob("journal.db*"):
        path.unlink()
    shutil.copy(gate.folder / "image.db", gate.journal)
    gate.last = 10
    after = gate.scan(40)
    with gate:
        gate.wait(lambda status: status.get("generation") == 2 and status["mark"] == gate.last)
    assert sorted(fleet.ids("berlin-1")) == sorted(first + lost + after)


def test_a_backup_that_grew_past_the_mark_under_a_running_uplink_is_sent_whole(gate, fleet):
    first = gate.scan(10)
    copy = gate.folder / "backup.db"
    shutil.copy(gate.journal, copy)
    lost = gate.scan(20)
    with gate:
        gate.wait(gate.has_sent_all)
        live, gate.journal, gate.last = gate.journal, copy, 10
        after = gate.scan(40)
        gate.journal = live
        restore(live, copy)
        gate.wait(lambda status: status.get("generation") == 2 and status["mark"] == gate.last)
    assert sorted(fleet.ids("berlin-1")) == sorted(first + lost + after)


def test_a_database_from_an_old_dump_becomes_complete_again(gate, fleet):
    ids = gate.scan(30)
    with gate:
        gate.wait(gate.has_sent_all)
        fleet.ingest.stop()
        fleet.rows("DELETE FROM event WHERE number > 10 RETURNING 1")
        fleet.rows("UPDATE journal SET mark = 10, mark_id = %s RETURNING 1", ids[9])
        fleet.ingest.start()
        gate.wait(lambda status: len(fleet.ids("berlin-1")) == 30 and gate.has_sent_all(status))
    assert sorted(fleet.ids("berlin-1")) == ids


@pytest.mark.parametrize("case", ["foreign gate", "foreign broker", "revoked"])
def test_certificates_that_are_refused_are_named(case, tmp_path, office, broker):
    other = tmp_path / "other"
    new_office.create(other, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
    gate = UplinkGate(
        tmp_path / "gate", office, broker.port, authority=other if case == "foreign gate" else None
    )
    if case == "foreign broker":
        text = gate.settings.read_text()
        gate.settings.write_text(text.replace(f"{office}/ca.crt", f"{other}/ca.crt"))
    if case == "revoked":
        CertificateAuthority(office).revoke("berlin-1")
        broker.stop()
        broker.start()
    with gate:
        gate.wait(lambda status: status.get("cause") not in {None, "not tried yet"})
        cause = gate.status()["cause"]
        assert not gate.status()["connected"]
    assert "certificate" in cause
    assert gate.run("status").returncode == 1


async def _marks_of_a_liar(broker, office, gate):
    """Publish mutated marks in the gate's topic, as head office does."""
    chance = random.Random(7)
    topic = f"gatectl/1/{gate.device}/mark"
    genuine = wire.encode_mark(Mark("9f" * 16, 1, 3, "01976f5e-7a00-7000-8000-000000000001")).data
    async with client(broker, context_of(office, "ingest")) as liar:
        for _ in range(LIES):
            data = bytearray(genuine)
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            await liar.publish(topic, bytes(data), qos=1)


def resident_kib(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_a_broker_that_lies_changes_nothing(gate, broker, office):
    gate.scan(5)
    with gate:
        gate.wait(lambda status: status.get("connected"))
        gate.wait(lambda status: status["journal"])
        before = resident_kib(gate.pid)
        asyncio.run(_marks_of_a_liar(broker, office, gate))
        gate.wait(lambda status: status["refused_marks"] > 0)
        assert resident_kib(gate.pid) - before < 4096
        assert (gate.status()["connected"], gate.status()["mark"]) == (True, None)
        assert len([line for line in gate.log.read_text().splitlines() if "not understood" in line]) == 1


async def _flood(broker, office, gate):
    """Publish marks that each want everything again; return how many batches came, and in what time."""
    batches = asyncio.Queue()
    started = asyncio.get_running_loop().time()
    async with client(broker, context_of(office, "ingest")) as liar:
        await liar.subscribe(wire.subscription(wire.Channel.EVENTS), qos=0)

        async def count():
            async for message in liar.messages:
                batches.put_nowait(wire.decode_batch(message.payload))

        counting = asyncio.create_task(count())
        for generation in range(1, LIES):
            mark = Mark(gate.status()["journal"], generation, 0, None)
            await liar.publish(f"gatectl/1/{gate.device}/mark", wire.encode_mark(mark).data, qos=1)
        await until(batches.qsize)
        counting.cancel()
    return batches.qsize(), asyncio.get_running_loop().time() - started


def test_a_flood_of_marks_is_paced_and_costs_no_memory(gate, broker, office):
    gate.scan(5)
    with gate:
        gate.wait(lambda status: status.get("connected") and status["journal"])
        before = resident_kib(gate.pid)
        batches, seconds = asyncio.run(_flood(broker, office, gate))
        assert 1 <= batches <= seconds + 2
        assert resident_kib(gate.pid) - before < 4096
        assert gate.status()["connected"]
        assert len(gate.log.read_text().splitlines()) == 1


ANNOUNCED = 200 << 20
"""The bytes of a packet that a hostile broker begins to send."""


async def _packet(reader):
    """Return the first byte and the body of a client's packet (MQTT 5, section 2.1)."""
    first, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length, shift = length | (byte & 127) << shift, shift + 7
        if not byte & 128:
            return first >> 4, await reader.readexactly(length)


async def _flood_with_one_packet(reader, writer):
    """Accept the gate, and answer its first message by a packet that never ends."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            kind, body = await _packet(reader)
            if kind == 1:
                writer.write(b"\x20\x03\0\0\0")
            elif kind == 8:
                writer.write(b"\x90\x04" + body[:2] + b"\0\x01")
            elif kind == 3:
                break
        writer.write(b"\x30" + bytes([0x80, 0x80, 0x80, ANNOUNCED >> 21]))
        for _ in range(ANNOUNCED >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()
    writer.close()


def test_a_packet_without_end_costs_no_memory(office, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(office / "server.crt", office / "server.key")
    peaks = []

    async def story():
        served = asyncio.Event()

        async def serve(reader, writer):
            await _flood_with_one_packet(reader, writer)
            served.set()

        server = await asyncio.start_server(serve, "127.0.0.1", free_port(), ssl=context)
        (port,) = {socket.getsockname()[1] for socket in server.sockets}
        hostile = UplinkGate(tmp_path / "hostile", office, port, device="berlin-2")
        with hostile:
            async with asyncio.timeout(2 * WAIT_S):
                await served.wait()
            peaks.append(peak_kib(hostile.pid))
        server.close()

    asyncio.run(story())
    assert peaks[0] < 64 << 10


async def _send_a_topic_that_is_no_text(reader, writer):
    await _packet(reader)
    writer.write(b"\x20\x03\0\0\0\x30\x04\0\x01\xff\0")
    await reader.read()
    writer.close()


def test_a_packet_that_cannot_be_read_ends_the_connection():
    async def connect():
        server = await asyncio.start_server(_send_a_topic_that_is_no_text, "127.0.0.1", free_port())
        (port,) = {socket.getsockname()[1] for socket in server.sockets}
        client = CancellableClient("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5)
        async with server, client:
            with pytest.raises(aiomqtt.MqttError):
                await anext(client.messages)
            return client._client.socket()

    assert asyncio.run(connect()) is None


async def _presences(broker, office, listening):
    """Yield what the broker says about gates."""
    async with client(broker, context_of(office, "ingest")) as office_client:
        await office_client.subscribe(wire.subscription(wire.Channel.HERE), qos=1)
        listening.set()
        async with asyncio.timeout(2 * WAIT_S):
            async for message in office_client.messages:
                yield wire.decode_presence(message.payload)


def test_the_will_names_the_connection_that_is_gone(gate, broker, office):
    """It takes the will's delay."""

    async def watch():
        listening = asyncio.Event()
        presences = _presences(broker, office, listening)
        coming = asyncio.ensure_future(anext(presences))
        await listening.wait()
        gate.start()
        first = await coming
        gate.stop(signal.SIGKILL)
        will = await anext(presences)
        gate.start()
        second = await anext(presences)
        assert await asyncio.to_thread(gate.stop) == 0
        return first, will, second, await anext(presences)

    first, will, second, leave = asyncio.run(watch())
    assert [first.online, will.online, second.online, leave.online] == [True, False, True, False]
    assert (will.session, leave.session) == (first.session, second.session)
    assert first.session != second.session


def test_a_stop_at_any_moment_says_that_the_gate_is_gone(gate, broker, office):
    async def watch():
        listening = asyncio.Event()
        presences = _presences(broker, office, listening)
        coming = asyncio.ensure_future(anext(presences))
        await listening.wait()
        for _ in range(10):
            gate.start()
            assert (await coming).online
            assert await asyncio.to_thread(gate.stop) == 0
            assert not (await anext(presences)).online
            coming = asyncio.ensure_future(anext(presences))
        coming.cancel()

    asyncio.run(watch())


def test_a_cancellation_that_comes_with_the_acknowledgement_counts():
    async def cancel():
        client = CancellableClient("localhost", protocol=aiomqtt.ProtocolVersion.V5)
        acknowledged = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(client._wait_for(acknowledged, None))
        await asyncio.sleep(0)
        acknowledged.set_result(None)
        waiting.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert asyncio.run(cancel())


def test_another_connection_with_this_name_is_said(gate, broker, office):
    with gate:
        gate.wait(lambda status: status.get("connected"))
        other = context_of(office, "berlin-1")

        async def take_over():
            async with client(broker, other, "berlin-1"):
                await asyncio.to_thread(gate.wait, lambda status: not status["connected"])

        asyncio.run(take_over())
        assert "another machine with this gate's name" in gate.status()["cause"]


def test_a_broker_that_goes_by_the_user_name_has_the_devices_own(tmp_path, office, mosquitto):  # noqa: ARG001
    settings = office / "mosquitto.conf"
    text = settings.read_text().replace("allow_anonymous false", "allow_anonymous true")
    settings.write_text(text.replace("use_identity_as_username true", ""))
    with LocalBroker(office) as broker, UplinkGate(tmp_path / "gate", office, broker.port) as gate:
        gate.wait(lambda status: status.get("connected"))


def test_a_request_is_made_signed_and_accepted(gate, office):
    (gate.folder / "device.key").unlink()
    done = gate.run("csr")
    request = Path(done.stdout.strip())
    assert (done.returncode, request.name) == (0, "device.csr")
    assert stat.S_IMODE((gate.folder / "device.key").stat().st_mode) == 0o640
    key = (gate.folder / "device.key").read_bytes()
    device, certificate = CertificateAuthority(office).sign(request.read_bytes())
    assert device == "berlin-1"
    (gate.folder / "device.crt").write_bytes(certificate)
    context = ssl.create_default_context()
    context.load_cert_chain(gate.folder / "device.crt", gate.folder / "device.key")
    assert gate.run("csr").returncode == 0
    assert (gate.folder / "device.key").read_bytes() == key


def test_a_request_that_cannot_be_made_says_why_in_one_line_with_a_hint(gate):
    settings = gate.settings.read_text()
    (gate.folder / "device.key").write_text("no key")
    done = gate.run("csr")
    first, *hints = done.stderr.splitlines()
    assert (done.returncode, len(hints), done.stdout) == (1, 1, "")
    assert first.startswith(f"{gate.folder}/device.csr: openssl req failed: ")
    place = f'{{ file = "{gate.folder}/device.key" }}'
    gate.settings.write_text(settings.replace(place, '{ credential = "device-key" }'))
    done = gate.run("csr")
    assert done.returncode == 78
    assert "uplink.key: is a credential of systemd" in done.stderr
    assert "hint: " in done.stderr


def check(gate):
    command = [sys.executable, "-m", "gatectl", "check", "-c", str(gate.settings)]
    environ = os.environ | {"GPIOZERO_PIN_FACTORY": "mock"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environ)


def test_check_looks_at_the_files_of_the_uplink(gate, office):
    assert check(gate).returncode == 0
    text = gate.settings.read_text()
    cases = {
        'device = "berlin-2"': "uplink.certificate: is for 'berlin-1', and uplink.device is 'berlin-2'",
        'device = "Berlin 1"': "uplink.device: must be 1 to 64 small letters, digits and hyphens",
    }
    for changed, line in cases.items():
        gate.settings.write_text(text.replace('device = "berlin-1"', changed))
        done = check(gate)
        assert done.returncode == 78
        assert line in done.stderr
    gate.settings.write_text(text)
    (gate.folder / "device.key").chmod(0o644)
    assert "can be read by everyone" in check(gate).stderr
    (gate.folder / "device.key").chmod(0o640)
    (gate.folder / "pseudonym").write_text("zz")
    assert "uplink.pseudonym_key: the key is not 64 hex digits" in check(gate).stderr
    assert office.exists()


def test_a_scan_at_a_door_reaches_head_office_without_the_persons_numbers(gate, fleet):
    codes = ["1000000000001", "1000000000404", "WP-NEVER-KNOWN"]
    with SimulatedDoor(gate.folder, lambda _line: None) as door, gate:
        gate.wait(lambda status: status.get("mark") is not None)
        for count, code in enumerate(codes, 1):
            door.type_code(code)
            gate.wait(lambda status, count=count: status["mark"] == count and status["behind"] == 0)
        call(door.control, {"command": "open", "door": "main", "reason": "Kirsten forgot her card"})
        gate.wait(lambda status: status["mark"] == len(codes) + 1)
    rows = [text for (text,) in fleet.rows("SELECT to_jsonb(event)::text FROM event")]
    (state,) = fleet.rows("SELECT state::text FROM device")
    assert len(rows) == len(codes) + 1
    assert '"doors"' in state[0]
    for secret in (*codes, "Kirsten"):
        assert secret not in " ".join((*rows, *state, gate.log.read_text()))


def test_the_missing_extra_is_named_with_the_command_that_installs_it(gate):
    program = "import sys; sys.modules['aiomqtt'] = None; from gatectl.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "uplink", "-c", str(gate.settings)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "hint: scripts/install --uplink installs it" in done.stderr


def test_the_daemon_imports_nothing_of_it():
    program = (
        "import gatectl.cli.run, gatectl.daemon.serve, gatectl.config.reader, sys;"
        "print([name for name in sys.modules if 'uplink' in name or 'mqtt' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_the_uplinks_process_imports_nothing_of_the_settings():
    program = (
        "import gatectl.uplink.process, sys;"
        "print([name for name in sys.modules if 'pydantic' in name or name.startswith('gatectl.config')])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
