"""The state of the fleet, read again and again out of PostgreSQL."""

import contextlib
from datetime import UTC, datetime, timedelta

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


def test_words_of_a_day_are_made_again_on_the_next_one(tables, read):
    """A time of today has no day in it."""
    tables.health("one", status=status({"wellhub": partner("outage")}))
    today = read()["one"].health
    assert read(NOW + timedelta(days=1))["one"].health is not today
