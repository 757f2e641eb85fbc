"""Ingest with gates that were taken over or are of another version, their presence, and the age of events."""

import asyncio
import contextlib
import json
import random
import signal
import zlib
from datetime import UTC, datetime

import aiomqtt
import psycopg
import pytest
from fleet_rig import IngestProcess, caught_up, enrol, running, until
from hypothesis import given
from hypothesis import strategies as st
from limits import NET_S
from office_rig import Office
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from virtual_gate import VirtualJournal, client, event_of
from virtual_loop import run_virtually

from gatectl.cli.main import main
from gatectl.fleet import fleet_metrics, new_office
from gatectl.fleet.database import migrations
from gatectl.fleet.ingest import GATE_BYTES_MAX, MESSAGE_BYTES_LEAST, Inbox, _Exchange
from gatectl.fleet.intake import COLUMNS, FIELDS, Incoming, Intake, row_of
from gatectl.fleet.local_services import free_port
from gatectl.fleet.overview import OverviewReader
from gatectl.fleet.stored_events import StoredEvents
from gatectl.uplink.conversation import RECONNECT_MAX_S
from gatectl.uplink.head_office import Attendance
from gatectl.uplink.wire import (
    NUMBER_MAX,
    EventBatch,
    NumberedEvent,
    Presence,
    encode_batch,
    encode_presence,
)

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*FIELDS, "at", "passage"]), ODD))
def test_each_field_of_an_event_is_in_its_column_or_in_extra(fields):
    row = row_of(NumberedEvent(1, {"id": "i", **fields}), "d", "j", 1, datetime.now(UTC))
    assert set(row) == set(COLUMNS)
    for name, value in fields.items():
        if value is None:
            assert (row["extra"] or {}).get(name) is None
        elif name in (row["extra"] or {}):
            assert row["extra"][name] == value
        else:
            assert name == "at" or row[name] == value


def batch(journal, *events, generation=1, after=0):
    numbered = tuple(NumberedEvent(after + 1 + index, event) for index, event in enumerate(events))
    return encode_batch(EventBatch(journal.identity, generation, after, after + len(events), numbered))


BOMB = zlib.compress(b" " * (64 << 20))
EMPTY = {"v": 1, "journal": "a" * 32, "generation": 1, "after": 0, "until": 1, "events": []}
HOSTILE = [
    (b"", None),
    (b"\xff\xfe", None),
    (b"{}", None),
    (b"[" * 100_000, None),
    (BOMB, "deflate"),
    (b"{}", "br"),
    (json.dumps(EMPTY | {"after": 5}).encode(), None),
    (json.dumps(EMPTY | {"until": 10**30}).encode(), None),
]


def test_hostile_messages_are_refused_with_a_log_line_and_nobody_else_suffers(fleet):
    honest = fleet.gate("honest")
    hostile = enrol(fleet.office, "hostile")

    async def attack():
        async with client(fleet.broker, hostile, "hostile") as connected:
            for data, encoding in HOSTILE:
                properties = Properties(PacketTypes.PUBLISH)
                if encoding:
                    properties.UserProperty = [("content-encoding", encoding)]
                for channel in ("events", "state", "here"):
                    topic = f"gatectl/1/hostile/{channel}"
                    await connected.publish(topic, data, qos=1, properties=properties)

    async def scenario():
        async with running(honest):
            await attack()
            honest.journal.append(10)
            honest.wake()
            await caught_up(honest)

    asyncio.run(scenario())
    assert set(fleet.ids("honest")) == honest.journal.ids()
    assert fleet.ids("hostile") == []
    assert fleet.alarms() == ["refused"]
    assert len([line for line in fleet.ingest.lines() if line.startswith("hostile: not taken")]) == 1


HEAVY = 200
"""States that each take tens of milliseconds to read."""
NOTE_WHAT_IS_TAKEN = """
CREATE TABLE taken (number integer);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
    INSERT INTO taken SELECT coalesce((state->>'number')::integer, -1) FROM device WHERE device = 'hostile';
    RETURN new;
END$$;
CREATE TRIGGER note BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION note()
"""
"""The database keeps the number of the last state before the event: a slow test would look too late."""


def test_a_gate_that_floods_delays_no_other_one(fleet):
    hostile, honest = enrol(fleet.office, "hostile"), VirtualJournal()
    honest.append()
    states = [json.dumps({"v": 1, "number": number, "heavy": [[]] * 60_000}) for number in range(HEAVY)]
    here = encode_presence(Presence(online=True, session="1-1")).data

    async def scenario():
        async with (
            client(fleet.broker, hostile, "hostile") as flooding,
            client(fleet.broker, enrol(fleet.office, "honest"), "honest") as connected,
        ):
            await flooding.publish("gatectl/1/hostile/here", here, qos=1)
            await until(lambda: fleet.rows("SELECT FROM device WHERE device = 'hostile' AND online"))
            with psycopg.connect(fleet.database, autocommit=True) as connection:
                connection.execute(NOTE_WHAT_IS_TAKEN)
            with fleet.ingest.paused():  # so that it begins with all of them, however slow this test is
                for state in states:
                    await flooding.publish("gatectl/1/hostile/state", state, qos=1)
                events = batch(honest, *honest.events.values()).data
                await connected.publish("gatectl/1/honest/events", events)
            await until(lambda: fleet.rows("SELECT FROM taken"))

    asyncio.run(scenario())
    ((taken,),) = fleet.rows("SELECT number FROM taken")
    assert taken < HEAVY // 3


def message(device, size):
    return aiomqtt.Message(f"gatectl/1/{device}/events", bytes(size), 1, False, 1, None)


def test_the_messages_of_one_gate_that_wait_are_bounded():
    inbox = Inbox()
    for _ in range(GATE_BYTES_MAX // MESSAGE_BYTES_LEAST - 1):
        inbox.put_nowait(message("hostile", 1))
    with pytest.raises(asyncio.QueueFull):
        inbox.put_nowait(message("hostile", MESSAGE_BYTES_LEAST + 1))
    inbox.put_nowait(message("honest", 1))
    inbox.put_nowait(message("hostile", 1))
    turns = [str(inbox.get_nowait().topic).split("/")[2] for _ in range(3)]
    assert turns == ["hostile", "honest", "hostile"]


CHANCE = random.Random(5)
LONG = "".join(chr(CHANCE.randrange(0x20, 0xD7FF)) for _ in range(20_000))
"""Text that does not compress: a row with it is too large for an index."""
DEEP = {"\0": {"\udfff": [None]}}
ODD_FIELDS = [
    *({name: LONG} for name in FIELDS),
    *({"at": at} for at in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "x", 5, LONG)),
    *({"later": value} for value in ("a\0b", "\ud800", 10**30, -(10**30), 1.7e308, DEEP)),
    {"status": 10**30, "outage": "x", "reason": {"\0": 1}, "request": [], "gate": 5},
]


def raw_batch(journal, entries, after=0):
    """A batch as bytes, whatever its events are."""
    until = after + len(entries)
    body = {"v": 1, "journal": journal.identity, "generation": 1, "after": after, "until": until}
    body["events"] = [{"number": after + index, "event": event} for index, event in enumerate(entries, 1)]
    return json.dumps(body).encode()


async def _sent_by(fleet, name, *payloads, mark):
    """Publish as this device, and return when the mark is there."""
    async with client(fleet.broker, enrol(fleet.office, name), name) as connected:
        for payload in payloads:
            await connected.publish(f"gatectl/1/{name}/events", payload, qos=1)
        await until(lambda: (1, mark) in fleet.marks())


def test_an_odd_event_stops_neither_its_gate_nor_others(fleet):
    honest, odd = fleet.gate("honest"), VirtualJournal()
    honest.journal.append(10)
    events = [event_of(number) | fields for number, fields in enumerate(ODD_FIELDS, 1)]
    entries = [5, None, [], {"id": "x"}, {"id": event_of(1)["id"] * 2}, *events]

    async def scenario():
        # Several, as the broker takes 256 KiB at once.
        steps = [raw_batch(odd, [entry], index) for index, entry in enumerate(entries)]
        await _sent_by(fleet, "odd", *steps, mark=len(entries))
        async with running(honest):
            await caught_up(honest)

    asyncio.run(scenario())
    assert set(fleet.ids("odd")) == {event["id"] for event in events}
    assert set(fleet.ids("honest")) == honest.journal.ids()
    assert fleet.alarms() == ["refused"]
    assert not [line for line in fleet.ingest.lines() if "away" in line]
    assert fleet.rows("SELECT extra->>'later' FROM event WHERE extra->>'later' LIKE 'a%%'") == [("a\ufffdb",)]
    assert fleet.rows("SELECT count(*) FROM event WHERE extra->>'member' = %s", LONG) == [(1,)]


TOO_LARGE = """
CREATE FUNCTION too_large() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded'; END$$;
CREATE TRIGGER too_large BEFORE INSERT ON event FOR EACH ROW WHEN (new.door = 'long')
    EXECUTE FUNCTION too_large()
"""


@pytest.mark.parametrize(
    ("limit", "bad"),
    [
        ("ALTER TABLE event ADD CHECK (door <> 'bad')", "bad"),
        (TOO_LARGE, "long"),
    ],
    ids=["violated", "too-large"],
)
def test_an_event_that_the_database_refuses_is_left_out_alone(fleet, limit, bad):
    with psycopg.connect(fleet.database, autocommit=True) as connection:
        connection.execute(limit)
    events = [event_of(number) | ({"door": bad} if number in {3, 9} else {}) for number in range(1, 11)]
    asyncio.run(_sent_by(fleet, "odd", raw_batch(VirtualJournal(), events), mark=10))
    assert fleet.rows("SELECT array_agg(number ORDER BY number) FROM event") == [([1, 2, 4, 5, 6, 7, 8, 10],)]
    assert fleet.rows("SELECT pruned FROM journal") == [(2,)]
    assert fleet.alarms() == ["refused"]


def test_a_broker_that_refuses_ingests_certificate_is_named(broker, settings_of_database, tmp_path):  # noqa: ARG001
    foreign = tmp_path / "foreign"
    new_office.create(foreign, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
    office = settings_of_database.parent
    for name in ("ingest.crt", "ingest.key"):
        (office / name).write_bytes((foreign / name).read_bytes())
    ingest = IngestProcess(office)
    ingest.launch()
    said = "the broker is away: the broker ended the connection before it began: does it refuse this cert"
    try:
        asyncio.run(until(lambda: any(line.startswith(said) for line in ingest.lines())))
    finally:
        ingest.stop()


READ_ONLY = """
CREATE FUNCTION read_only() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction'; END$$;
CREATE TRIGGER read_only BEFORE INSERT ON event EXECUTE FUNCTION read_only()
"""


def test_a_database_that_takes_no_writes_for_a_while_loses_no_event(fleet):
    gate = fleet.gate("berlin-1")
    gate.journal.append(10)

    async def scenario():
        async with running(gate):
            await until(lambda: any("the database is away" in line for line in fleet.ingest.lines()))
            with psycopg.connect(fleet.database, autocommit=True) as connection:
                connection.execute("DROP TRIGGER read_only ON event")
            await caught_up(gate)

    with psycopg.connect(fleet.database, autocommit=True) as connection:
        connection.execute(READ_ONLY)
    asyncio.run(scenario())
    assert set(fleet.ids("berlin-1")) == gate.journal.ids()
    assert fleet.alarms() == []


FOREIGN = {
    "a table of ours": "CREATE TABLE device (id integer)",
    "another schema_version": "CREATE TABLE schema_version (version text)",
    "no version in it": "CREATE TABLE schema_version (installed_rank integer)",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_database_of_another_program_is_refused_and_left_as_it_is(
    settings_of_database, database, capsys, name
):
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FOREIGN[name])
        before = connection.execute(tables).fetchall()
        assert main(["fleet", "ingest", "-c", str(settings_of_database)]) == 1
        assert connection.execute(tables).fetchall() == before
    first, hint = capsys.readouterr().err.splitlines()
    assert first.startswith("the tables cannot be made in this database: ")
    assert hint.startswith("hint: head office needs a database of its own")


def test_numbers_at_their_limits_leave_the_pages_of_all_gates_as_they_are(database):
    with contextlib.closing(Office(database)) as office:
        office.scan("honest", "Berlin")
        for _ in range(3):
            office.take(Incoming("odd", EventBatch(VirtualJournal().identity, 1, 0, NUMBER_MAX, ())))
        office.health("odd", status={"journal": {"lost": 10**30}, "cards": 10**400}, last=NUMBER_MAX)
    stored = StoredEvents(database, None)
    found = OverviewReader().read(stored, datetime.now(UTC))
    stored.close()
    assert {gate.device: gate.lost for gate in found.gates} == {"honest": 0, "odd": NUMBER_MAX}
    assert list(
        text_string_to_metric_families(fleet_metrics.text(found, fleet_metrics.FleetEventCounts(), 0.0))
    )


def test_a_gate_cannot_move_the_mark_of_another_ones_journal(fleet):
    victim = fleet.gate("victim")
    thief = fleet.gate("thief", VirtualJournal(victim.journal.identity))
    thief.journal.append(50)
    victim.journal.append(50)

    async def scenario():
        async with running(thief):
            await caught_up(thief)
        async with running(victim):
            await caught_up(victim)

    asyncio.run(scenario())
    assert set(fleet.ids("victim")) == victim.journal.ids()


def test_the_journals_of_one_device_are_bounded(fleet):
    hostile = enrol(fleet.office, "hostile")

    async def scenario():
        async with client(fleet.broker, hostile, "hostile") as connected:
            for _ in range(60):
                payload = batch(VirtualJournal(), event_of(1))
                await connected.publish("gatectl/1/hostile/events", payload.data, qos=1)
            await until(lambda: "refused" in fleet.alarms())

    asyncio.run(scenario())
    assert fleet.rows("SELECT count(*) FROM journal") == [(50,)]
    assert "hostile: not taken: it has too many journals" in fleet.ingest.lines()


def test_a_late_will_of_an_old_connection_is_ignored(fleet):
    context = enrol(fleet.office, "berlin-1")
    process = "0123456789abcdef"

    async def scenario():
        async with client(fleet.broker, context, "berlin-1") as connected:
            for number, online in ((1, True), (2, True), (1, False)):
                payload = encode_presence(Presence(online, f"{process}-{number}"))
                await connected.publish("gatectl/1/berlin-1/here", payload.data, qos=1, retain=True)
            first = batch(VirtualJournal(), event_of(1))
            await connected.publish("gatectl/1/berlin-1/events", first.data, qos=1)
            await until(lambda: fleet.ids("berlin-1"))
            assert fleet.rows("SELECT online FROM device") == [(True,)]
            payload = encode_presence(Presence(False, f"{process}-2"))
            await connected.publish("gatectl/1/berlin-1/here", payload.data, qos=1, retain=True)
            await until(lambda: fleet.rows("SELECT online FROM device") == [(False,)])

    asyncio.run(scenario())


def test_a_gates_health_is_kept_as_it_was_sent(fleet):
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with running(gate):
            query = "SELECT state->>'version', online FROM device"
            await until(lambda: fleet.rows(query) == [("test", True)])

    asyncio.run(scenario())


def test_events_are_pruned_by_the_day_they_came_in(fleet):
    gate = fleet.gate("berlin-1")
    gate.journal.append(20, at="2001-01-01T00:00:00Z")  # a gate without a clock

    async def scenario():
        async with running(gate):
            await caught_up(gate)

    asyncio.run(scenario())
    fleet.ingest.stop()
    fleet.rows("UPDATE event SET received_at = now() - interval '89 days' RETURNING 1")
    fleet.rows("UPDATE event SET received_at = now() - interval '91 days' WHERE number <= 15 RETURNING 1")
    fleet.ingest.start()
    asyncio.run(until(lambda: fleet.rows("SELECT count(*), min(number) FROM event") == [(5, 16)]))
    assert fleet.marks() == [(1, 20)]  # it is not asked for what was pruned


def test_each_commit_notifies_readers(fleet):
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with await psycopg.AsyncConnection.connect(fleet.database, autocommit=True) as reader:
            await reader.execute("LISTEN events")
            async with running(gate):
                gate.journal.append()
                gate.wake()
                async with asyncio.timeout(NET_S):
                    note = await anext(reader.notifies())
                assert note.channel == "events"

    asyncio.run(scenario())


def test_tables_of_a_later_version_are_left_alone(ingest, settings_of_database, database, capsys):
    ingest.stop(signal.SIGTERM)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO schema_version VALUES (%s)", (len(migrations()) + 1,))
    assert main(["fleet", "ingest", "-c", str(settings_of_database)]) == 1
    assert "the tables are of a later gatectl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('url = "mqtts', 'url = "mqtt', "fleet.toml:4: broker.url: must begin with mqtts://"),
        ("ca_file", "ca", "fleet.toml:7: broker.ca: is not a known key"),
        ("keep_days = 90", "keep_days = -1", "database.keep_days: must be a whole number, 0 to 3650"),
        ('\ndsn = "dbname=', '\ndsn = "hunter2 dbname=', "database.dsn: is not a connection string"),
        ("[database]", "[db]", "fleet.toml: database: is missing"),
    ],
)
@pytest.mark.parametrize("action", ["ingest", "monitor"])
def test_wrong_settings_are_said_with_their_line(office, capsys, action, before, after, complaint):
    path = office / "fleet.toml"
    path.write_text(path.read_text().replace(before, after, 1))
    assert main(["fleet", action, "-c", str(path)]) == 78
    said = capsys.readouterr().err
    assert complaint.split(": ", 1)[1] in said
    assert "hunter2" not in said


def test_settings_and_certificates_that_are_not_there(office, tmp_path, capsys):
    assert main(["fleet", "ingest", "-c", str(tmp_path / "none.toml")]) == 78
    assert "`gatectl fleet init DIR` makes one" in capsys.readouterr().err
    (office / "ca.crt").unlink()
    (office / "ingest.key").unlink()
    (office / "ingest.crt").write_text("no certificate")
    assert main(["fleet", "ingest", "-c", str(office / "fleet.toml")]) == 78
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if not line.startswith("hint: ")]
    assert [line.split(": ")[1] for line in lines] == ["broker.certificate", "broker.key", "broker.ca_file"]
    assert said.count("hint: ") == 3


@pytest.mark.parametrize(
    ("setting", "action"),
    [("database.password", "ingest"), ("database.password", "monitor"), ("monitor.pseudonym_key", "monitor")],
)
def test_a_secret_that_is_not_there_is_a_problem_of_its_setting(office, capsys, setting, action):
    path = office / "fleet.toml"
    text = path.read_text().replace("keep_days", 'password = { file = "database-password" }\nkeep_days')
    if setting != "database.password":
        (office / "database-password").write_text("hunter2 hunter2")
        (office / "database-password").chmod(0o600)
        (office / "pseudonym").unlink()
    path.write_text(text)
    assert main(["fleet", action, "-c", str(path)]) == 78
    assert f"{setting}: {office}" in capsys.readouterr().err


def test_a_gate_whose_will_was_lost_with_the_broker_is_offline_after_a_while():
    known = {name: Attendance(name != "away", f"{name}-1") for name in ("back", "gone", "away")}

    async def story():
        exchange = _Exchange(None)
        exchange._intake = Intake(attendances=known)
        settling = asyncio.create_task(exchange._settle())
        await asyncio.sleep(RECONNECT_MAX_S)
        exchange._round([Incoming("back", Presence(online=True, session="back-2"))])
        assert exchange._queue.empty()
        await settling
        return [exchange._queue.get_nowait() for _ in range(exchange._queue.qsize())]

    assert run_virtually(story()) == [Incoming("gone", Presence(online=False, session="gone-1"))]
