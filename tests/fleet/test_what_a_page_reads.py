"""The monitor over many events: a page reads its own rows and not the whole table, whatever its filters.

PostgreSQL itself counts the rows that it reads, so that no clock is looked at.
"""

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest
from many_events import RARE, fill, hashed

from gatectl.decision.verdict import Basis, Result
from gatectl.fleet.database import Database
from gatectl.fleet.erase import _CARDS, _EVENTS_OF, Tables, _MemberTraces
from gatectl.fleet.stored_events import StoredEvents
from gatectl.journal.filters import Filters
from gatectl.journal.paging import Search
from gatectl.journal.reader import PAGE

EVENTS = 20_000
SIZE = 50

FEW = 10 * SIZE
"""Rows that a page may read: its own, those of its gates and partners, and what a filter lets through."""

OLD_US = round(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1e6)

FILTERS = {
    "none": Filters(),
    "studio": Filters(studio="Studio 1"),
    "no such studio": Filters(studio="nowhere"),
    "device": Filters(device="gate-1"),
    "no such device": Filters(device="nobody"),
    "member": Filters(member=hashed("m", 1)),
    "members": Filters(members=(hashed("m", 1), hashed("m", 2), "1")),
    "code": Filters(code=hashed("c", 1)),
    "result": Filters(result=Result.REJECTED),
    "rare result": Filters(result=Result.UNKNOWN),
    "no such result": Filters(result=Result.FORCED),
    "rare kind": Filters(kind="manual"),
    "no such kind": Filters(kind="erased"),
    "scans": Filters(kind="scan"),
    "rare basis": Filters(basis=Basis.GRACE),
    "no such basis": Filters(basis=Basis.FIRE),
    "partner": Filters(partner="egym"),
    "no such partner": Filters(partner="nobody"),
    "no such door": Filters(door="nowhere"),
    "before all of them": Filters(until_us=OLD_US),
}


class Reading:
    """The monitor's connection to many events; a context manager's value of the fixture."""

    def __init__(self, dsn):
        self.stored = StoredEvents(dsn, None)

    def rows(self, question):
        """Return how many rows of events PostgreSQL reads for the answer to a question."""
        before = self._count()
        question(self.stored)
        return self._count() - before

    def _count(self):
        self.stored.rows("SELECT pg_stat_force_next_flush()")
        self.stored.rows("SELECT pg_stat_clear_snapshot()")
        found = self.stored.rows(
            "SELECT seq_tup_read + idx_tup_fetch AS count FROM pg_stat_user_tables WHERE relname = 'event'"
        )
        return found[0]["count"]


@pytest.fixture(scope="module")
def many(cluster):
    cluster.program("createdb", "many_events")
    dsn = cluster.dsn("many_events")
    fill(dsn, EVENTS)
    reading = Reading(dsn)
    yield reading
    reading.stored.close()
    cluster.program("dropdb", "--force", "many_events")


def test_the_count_is_that_of_rows(many):
    everything = many.rows(lambda stored: stored.rows("SELECT count(message) FROM event"))
    assert everything == EVENTS < RARE


@pytest.mark.parametrize("name", FILTERS)
def test_the_list(many, name):
    search = Search(FILTERS[name])
    assert many.rows(lambda stored: stored.page(search, SIZE, stored.mark())) <= FEW
    before = Search(FILTERS[name], 100)
    assert many.rows(lambda stored: stored.page(before, SIZE, stored.mark())) <= FEW


@pytest.mark.parametrize("name", FILTERS)
def test_a_file_for_spreadsheets_a_batch_at_a_time(many, name):
    def two_batches(stored):
        _, following = stored.batch(FILTERS[name], None, stored.mark())
        stored.batch(FILTERS[name], following, stored.mark())

    assert many.rows(two_batches) <= 8 * PAGE


def test_an_erasure_finds_the_members_events_and_cards_by_their_indexes(many, cluster):
    tables = Tables(cluster.dsn("many_events"), None)
    with contextlib.closing(tables):
        read = (
            "SELECT sum(idx_tup_read) AS count FROM pg_stat_user_indexes WHERE indexrelname = 'event_partner'"
        )

        def rows(question):
            return many.rows(lambda _: (question(), tables._rows("SELECT pg_stat_force_next_flush()")))

        before = many.stored.rows(read)[0]["count"]
        assert rows(tables.partners) <= FEW
        many.stored.rows("SELECT pg_stat_clear_snapshot()")
        assert many.stored.rows(read)[0]["count"] - before <= FEW
        member, card = hashed("m", 1), hashed("c", 1)
        traces = _MemberTraces("no", None, [member], [card])
        assert rows(lambda: [tables._rows(words, traces.values()) for words in (_EVENTS_OF, _CARDS)]) <= FEW


def test_a_prune_with_nothing_to_prune(many, cluster):
    async def prune():
        database = await Database.open(cluster.dsn("many_events"), None, lambda: None)
        try:
            return await database.prune(180)
        finally:
            await database.close()

    pruned = []
    assert many.rows(lambda _: pruned.append(asyncio.run(prune()))) <= FEW
    assert pruned == [0]
