"""Gates, a real broker, a real PostgreSQL and ingest: each event is there once, whatever ends in between.

Smaller counts than scripts/fleet-bench, which takes them as arguments.
"""

import asyncio
import contextlib
import random
import re
import signal
from pathlib import Path

import psycopg
from fleet_rig import caught_up, enrol, running, until
from virtual_gate import WAIT_S, client, event_of

from gatectl.fleet.local_services import LocalBroker
from gatectl.fleet.marks import SLOW_WINDOW
from gatectl.uplink.wire import WINDOW, decode_mark

MANUAL = Path(__file__).parents[2] / "config/man/gatectl-fleet.1"

KILLS = 4


async def under_load(gates, disturb, times):
    """Let the gates have events all the time, and disturb them so many times; then all catches up."""

    async def scan():
        while True:
            gate = random.choice(gates)
            gate.journal.append(random.choice([1, 1, 1, 20]))
            gate.wake()
            await asyncio.sleep(0.01)

    async with running(*gates):
        scanning = asyncio.create_task(scan())
        for _ in range(times):
            before = sum(gate.mark for gate in gates)
            await until(lambda before=before: sum(gate.mark for gate in gates) > before)
            await asyncio.sleep(random.uniform(0, 0.1))
            await asyncio.to_thread(disturb)
        scanning.cancel()
        await caught_up(*gates)


def assert_complete(fleet, *gates):
    for gate in gates:
        ids = fleet.ids(gate.device)
        assert len(ids) == len(set(ids)) == gate.journal.last
        assert set(ids) == gate.journal.ids()


def test_what_a_gate_decides_is_committed_and_then_marked(fleet):
    gate = fleet.gate("berlin-1")

    async def scenario():
        gate.journal.append(100)
        async with running(gate):
            await caught_up(gate)
            gate.journal.append()
            gate.wake()
            await caught_up(gate)

    asyncio.run(scenario())
    events = fleet.rows("SELECT id::text, number, device, studio, message FROM event ORDER BY received")
    assert [number for _, number, *_ in events] == list(range(1, 102))
    assert {row[0] for row in events} == gate.journal.ids()
    assert {row[2:] for row in events} == {("berlin-1", "Berlin", "Aggregator member checked in")}
    assert fleet.rows("SELECT mark, pruned, mark_id::text FROM journal") == [
        (101, 0, gate.journal.events[101]["id"])
    ]
    assert fleet.rows("SELECT tenant, studio, online FROM device") == [("FitCo GmbH", "Berlin", True)]


def test_a_broker_that_is_killed_and_forgets_everything(fleet):
    gates = [fleet.gate(f"gate-{number}") for number in range(3)]

    def kill():
        fleet.broker.stop(signal.SIGKILL)
        fleet.broker.start()

    asyncio.run(under_load(gates, kill, KILLS))
    assert_complete(fleet, *gates)
    assert fleet.alarms() == []


def test_an_ingest_that_is_killed(fleet):
    gates = [fleet.gate(f"gate-{number}") for number in range(3)]

    def kill():
        fleet.ingest.stop(signal.SIGKILL)
        fleet.ingest.launch()

    asyncio.run(under_load(gates, kill, KILLS))
    assert_complete(fleet, *gates)
    assert fleet.alarms() == []


def test_a_database_that_is_stopped_at_once(fleet, cluster):
    gates = [fleet.gate(f"gate-{number}") for number in range(3)]

    def kill():
        cluster.stop(signal.SIGQUIT)
        cluster.start()

    asyncio.run(under_load(gates, kill, KILLS))
    assert_complete(fleet, *gates)
    assert fleet.alarms() == []


def test_while_the_database_is_away_the_gates_pause(fleet, cluster):
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with running(gate):
            gate.journal.append()
            gate.wake()
            await caught_up(gate)
            await asyncio.to_thread(cluster.stop, signal.SIGQUIT)
            try:
                gate.journal.append(1000)
                gate.wake()
                await until(lambda: gate.window == 0)
            finally:
                await asyncio.to_thread(cluster.start)
            await caught_up(gate)
            assert gate.window in {SLOW_WINDOW, WINDOW}

    asyncio.run(scenario())
    assert_complete(fleet, gate)
    assert any("the database is away" in line for line in fleet.ingest.lines())


def test_a_database_restored_from_an_old_dump_becomes_complete_again(fleet, cluster, tmp_path):
    old, new = fleet.gate("berlin-1"), fleet.gate("berlin-2")

    async def scenario():
        async with running(old):
            old.journal.append(50)
            old.wake()
            await caught_up(old)
            dump = tmp_path / "dump.sql"
            name = fleet.database.split("dbname=")[1].split()[0]
            dump.write_bytes(await asyncio.to_thread(cluster.program, "pg_dump", "--create", name))
            async with running(new):
                for gate in (old, new):
                    gate.journal.append(200)
                    gate.wake()
                await caught_up(old, new)
                await asyncio.to_thread(fleet.ingest.stop)  # else it would make new tables in between
                cluster.program("dropdb", "--force", name)
                with dump.open("rb") as script:
                    cluster.program("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", stdin=script)
                await asyncio.to_thread(fleet.ingest.start)
                await until(lambda: all(fleet.has_all(gate) for gate in (old, new)))

    asyncio.run(scenario())
    assert_complete(fleet, old, new)
    assert fleet.alarms() == []


def test_a_database_that_is_set_back_under_a_running_ingest(fleet):
    """No gate has anything new: ingest sees it by itself."""
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with running(gate):
            gate.journal.append(50)
            gate.wake()
            await caught_up(gate)
            fleet.rows("UPDATE journal SET mark = 10, mark_id = NULL RETURNING 1")
            fleet.rows("DELETE FROM event WHERE number > 10 RETURNING 1")
            await until(lambda: fleet.has_all(gate))

    asyncio.run(scenario())
    assert_complete(fleet, gate)


def test_after_a_start_each_known_gate_is_asked_for_what_lies_beyond_its_mark(fleet):
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with running(gate):
            gate.journal.append(5)
            gate.wake()
            await caught_up(gate)
        await asyncio.to_thread(fleet.broker.stop)
        await asyncio.to_thread(fleet.broker.start)
        async with client(fleet.broker, enrol(fleet.office, "berlin-1"), "berlin-1") as connected:
            await connected.subscribe("gatectl/1/berlin-1/mark", qos=1)
            return decode_mark((await anext(aiter(connected.messages))).payload)

    mark = asyncio.run(asyncio.wait_for(scenario(), WAIT_S))
    assert (mark.mark, mark.id, mark.again) == (5, gate.journal.events[5]["id"], True)


def test_an_old_image_is_restored_and_decides_on_without_a_line(fleet):
    gate = fleet.gate("berlin-1")

    async def scenario():
        gate.journal.append(100)
        image = gate.journal.copy()
        gate.journal.append(100)
        async with running(gate):
            await caught_up(gate)
        image.append(500)  # beyond the mark, so that its number alone would look right
        restored = fleet.gate("berlin-1", image)
        async with running(restored):
            await caught_up(restored)
        return restored

    restored = asyncio.run(scenario())
    assert set(fleet.ids("berlin-1")) == gate.journal.ids() | restored.journal.ids()
    assert len(fleet.ids("berlin-1")) == 700
    assert fleet.marks() == [(1, 200), (2, 600)]
    assert fleet.alarms() == ["new_generation"]


def test_two_machines_under_one_name_lose_nothing_and_raise_an_alarm(fleet):
    """They take turns, as the broker lets one of them in at a time."""
    first = fleet.gate("berlin-1")
    first.journal.append(10)
    second = fleet.gate("berlin-1", first.journal.copy())

    async def turn_of(gate):
        gate.journal.append(5)
        async with running(gate):
            await until(lambda: gate.journal.ids() <= set(fleet.ids("berlin-1")))

    async def scenario():
        await turn_of(first)
        await turn_of(second)
        async with running(first):
            await until(lambda: "two_machines" in fleet.alarms())
        # A further generation is begun once in five minutes at most.
        fleet.ingest.stop()
        fleet.rows("UPDATE journal SET opened_at = opened_at - interval '1 hour' RETURNING 1")
        fleet.ingest.start()
        await turn_of(first)

    asyncio.run(scenario())
    assert first.journal.ids() | second.journal.ids() == set(fleet.ids("berlin-1"))
    assert fleet.alarms() == ["new_generation", "two_machines"]


def test_a_card_cloned_into_a_second_device_loses_nothing_and_raises_an_alarm(fleet):
    first = fleet.gate("berlin-1")
    first.journal.append(10)

    async def scenario():
        async with running(first):
            await caught_up(first)
            clone = fleet.gate("berlin-2", first.journal.copy())
            async with running(clone):
                for gate in (first, clone):
                    gate.journal.append(5)
                    gate.wake()
                await caught_up(first, clone)
        return clone

    clone = asyncio.run(scenario())
    ids = [row[0] for row in fleet.rows("SELECT id::text FROM event")]
    assert sorted(ids) == sorted(first.journal.ids() | clone.journal.ids())
    assert fleet.rows("SELECT count(*) FROM event WHERE conflict") == [(5,)]
    assert fleet.marks() == [(1, 15), (1, 15)]
    assert fleet.alarms() == ["two_machines"]


def test_a_gate_is_taken_away_as_the_manual_says(fleet):
    away, stays = fleet.gate("berlin-1"), fleet.gate("munich-1")
    manual = MANUAL.read_text("utf-8").replace("\\-", "-")
    statement = re.search(r'psql gatectl -c "\n(WITH .*?)"', manual, re.DOTALL)[1]
    statement = statement.replace("NAME", "berlin-1")

    async def scenario():
        for gate in (away, stays):
            gate.journal.append(3)
        async with running(away, stays):
            await caught_up(away, stays)
        fleet.broker.stop()
        fleet.broker.start()
        async with running(stays):
            await until(
                lambda: fleet.rows("SELECT online FROM device WHERE device = 'munich-1'") == [(True,)]
            )
            with psycopg.connect(fleet.database, autocommit=True) as connection:
                connection.execute(statement)
            stays.journal.append(3)
            stays.wake()
            await caught_up(stays)

    asyncio.run(scenario())
    assert fleet.rows("SELECT device FROM device") == [("munich-1",)]
    assert set(fleet.ids("berlin-1")) == away.journal.ids()
    assert set(fleet.ids("munich-1")) == stays.journal.ids()


def test_events_that_were_pruned_at_the_gate_are_counted(fleet):
    gate = fleet.gate("berlin-1")
    gate.journal.append(300)
    for number in (*range(1, 101), 150, 151):
        del gate.journal.events[number]

    async def scenario():
        async with running(gate):
            await caught_up(gate)

    asyncio.run(scenario())
    assert set(fleet.ids("berlin-1")) == gate.journal.ids()
    assert fleet.rows("SELECT mark, pruned FROM journal") == [(300, 102)]
    assert fleet.alarms() == ["pruned"]


def test_a_second_ingest_waits_and_takes_over(fleet, second_ingest):
    gate = fleet.gate("berlin-1")

    async def scenario():
        async with running(gate):
            gate.journal.append(10)
            gate.wake()
            await caught_up(gate)
            second_ingest.launch()
            await until(lambda: any("another ingest is active" in line for line in second_ingest.lines()))
            gate.journal.append(10)
            gate.wake()
            await caught_up(gate)
            assert not any("taking in events" in line for line in second_ingest.lines())
            await asyncio.to_thread(fleet.ingest.stop, signal.SIGKILL)
            gate.journal.append(10)
            gate.wake()
            await caught_up(gate)

    asyncio.run(scenario())
    assert_complete(fleet, gate)
    assert any("taking in events" in line for line in second_ingest.lines())


def test_a_newer_gates_fields_are_kept(fleet):
    gate = fleet.gate("berlin-1")
    odd = {"passage": {"at": "door"}, "status": "two hundred", "door": 7}
    gate.journal.append()
    gate.journal.events[1] = event_of(1, at="yesterday", **odd)

    async def scenario():
        async with running(gate):
            await caught_up(gate)

    asyncio.run(scenario())
    ((extra, status, door),) = fleet.rows("SELECT extra, status, door FROM event")
    assert extra == {"passage": {"at": "door"}, "status": "two hundred", "door": 7, "at": "yesterday"}
    assert (status, door) == (None, None)


def test_a_broker_that_drops_messages_and_acknowledges_them(fleet):
    """Mosquitto's answer to a full queue: a success for the sender, and nothing for ingest."""
    settings = fleet.office / "mosquitto.conf"
    text = settings.read_text().replace("max_inflight_messages 100", "max_inflight_messages 1")
    settings.write_text(text.replace("max_queued_messages 50000", "max_queued_messages 10"))
    fleet.broker.stop()
    LocalBroker(fleet.office)  # takes the settings over
    fleet.broker.start()
    gates = [fleet.gate(f"gate-{number}") for number in range(10)]

    def append_to(some):
        for gate in some:
            gate.journal.append()
            gate.wake()

    async def scenario():
        async with running(*gates):
            await until(lambda: all(gate.window for gate in gates))
            with fleet.ingest.paused():  # so that thirty messages are too many, however fast it is
                for _ in range(3):
                    before = {gate: gate.batches for gate in gates}
                    append_to(gates)
                    await until(lambda before=before: all(gate.batches > before[gate] for gate in gates))
            # A gap is noticed by what comes behind it; without that, after a minute.
            while late := [gate for gate in gates if gate.mark < gate.journal.last]:
                append_to(late)
                with contextlib.suppress(TimeoutError):
                    await until(lambda: all(gate.mark == gate.journal.last for gate in gates), within_s=0.5)

    asyncio.run(asyncio.wait_for(scenario(), WAIT_S))
    assert_complete(fleet, *gates)
    assert "messages are being dropped" in (fleet.office / "mosquitto.log").read_text()
