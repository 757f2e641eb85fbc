"""The state of the fleet, read again and again out of PostgreSQL."""

import contextlib
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from office_rig import Office, partner, status

from gatectl.fleet.erase import Tables
from gatectl.fleet.overview import OverviewReader
from gatectl.fleet.stored_events import StoredEvents

NOW = datetime.now(UTC)
MEMBER = "1000000000200"


@pytest.fixture
def tables(database):
    with contextlib.closing(Office(database)) as office:
        yield office


@pytest.fixture
def stored(database):
    with contextlib.closing(StoredEvents(database, None)) as stored:
        yield stored


@pytest.fixture
def read(stored):
    """Read the overview again and again with one reader; gives the gates by device."""
    reader = OverviewReader()

    def read(now=NOW):
        return {gate.device: gate for gate in reader.read(stored, now).gates}

    return read


def test_only_health_that_has_changed_is_read_again(tables, read):
    for device in ("one", "two"):
        tables.health(device)
    first = read()
    tables.health("two", status=status({"wellhub": partner("outage")}))
    second = read()
    assert second["one"].health is first["one"].health
    assert (second["two"].health.partners["wellhub"]["state"], len(second)) == ("outage", 2)


def test_a_gate_whose_health_is_kept_goes_offline_and_falls_behind(tables, read):
    tables.here("one")
    tables.health("one", last=5)
    before = read()["one"]
    assert (before.online, before.behind) == (True, 5)
    tables.scan("one", "Berlin")
    tables.here("one", online=False)
    after = read()["one"]
    assert (after.online, after.behind, after.studio) == (False, 4, "Berlin")
    assert after.health.fields == before.health.fields


def test_a_member_who_is_erased_is_in_no_health_that_was_read_before(tables, database, read):
    tables.health("one", about=f"for {MEMBER}")
    assert MEMBER in str(read()["one"].health.fields)
    with contextlib.closing(Tables(database, None)) as erasing:
        erasing.erase(MEMBER, None, None)
    assert MEMBER not in str(read()["one"].health.fields)


def test_what_the_broker_kept_of_a_gate_is_no_sign_of_life(tables, database, read):
    sent = {"at": "2026-11-26T08:00:00.000000Z"}
    tables.health("one", **sent)
    with psycopg.connect(database, autocommit=True) as connection:
        earlier = "now() - interval '1 hour'"
        connection.execute(f"UPDATE device SET state_at = {earlier}, first_seen = {earlier}")
        connection.execute(f"UPDATE journal SET moved_at = {earlier}")
    before = read()["one"].seen
    tables.health("one", **sent)
    assert read()["one"].seen == before
    tables.health("one", at="2026-11-26T08:01:00.000000Z")
    assert read()["one"].seen > before


def test_a_gate_has_no_name_of_a_studio_that_fills_every_page(tables, read):
    tables.health("one", tenant="FitCo GmbH", studio="Berlin")
    tables.health("one", studio="x" * 200_000)
    tables.health("two", studio="x" * 200_000)
    assert (read()["one"].studio, read()["two"].studio) == ("Berlin", "")


def test_words_of_a_day_are_made_again_on_the_next_one(tables, read):
    """A time of today has no day in it."""
    tables.health("one", status=status({"wellhub": partner("outage")}))
    today = read()["one"].health
    assert read(NOW + timedelta(days=1))["one"].health is not today
