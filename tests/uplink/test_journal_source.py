"""The journal as the uplink reads it: where it ends, and which file it is now."""

import asyncio
from contextlib import closing

import pytest
from damage import write
from records import record

from gatectl.journal import salvage
from gatectl.journal.backup import back_up, restore
from gatectl.journal.reader import UnreadableError
from gatectl.journal.schema import open_store
from gatectl.uplink.journal_source import JournalEnd, JournalSource, NumberedReader


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def end(path):
    with NumberedReader(path) as reader:
        return reader.end()


def test_a_store_has_no_end_while_events_of_a_damaged_one_are_still_to_come(path):
    """Their numbers are below the end: head office would count them as pruned."""
    write(path, events=200, enrolled=0)
    before = end(path)
    salvage.take_place(path, {}, [], 1)
    with closing(open_store(path)) as connection:
        carrying = salvage.carrying_of(connection, path)
        ends = [end(path)]
        while carrying.step():
            ends.append(end(path))
    assert set(ends) == {None}
    assert end(path) == before
    assert before.last == 200


def test_numbers_that_were_pruned_count_for_the_end(path):
    write(path, events=5, enrolled=0)
    with closing(open_store(path)) as connection:
        connection.execute("UPDATE marks SET value = 70 WHERE name = 'pruned_to'")
        (identity,) = connection.execute("SELECT id FROM journal").fetchone()
    assert end(path) == JournalEnd(identity, 70)


def test_events_come_by_their_numbers(path):
    events, _ = write(path, events=9, enrolled=0)
    with NumberedReader(path) as reader:
        assert reader.after(3, 4) == [(number, events[number - 1]) for number in (4, 5, 6, 7)]
        assert [reader.id_at(number) for number in (0, 1, 9, 10)] == [
            None,
            events[0].attempt.id,
            events[8].attempt.id,
            None,
        ]


def test_the_file_that_took_the_journals_place_is_read(path):
    async def story():
        source = JournalSource(path)
        try:
            with pytest.raises(UnreadableError):
                await source.ask(NumberedReader.end)
            for number in (1, 2):
                with closing(open_store(path)) as store:
                    record(store, number)
                    assert (await source.ask(NumberedReader.end)).last == number
            back_up(path, path.with_name("backup"))
            with closing(open_store(path)) as store:
                record(store, 3)
                assert (await source.ask(NumberedReader.end)).last == 3
            restore(path, path.with_name("backup"))
            assert (await source.ask(NumberedReader.end)).last == 2
        finally:
            source.close()

    asyncio.run(story())


def test_a_file_that_comes_grows_or_goes_is_a_touch(path):
    """Sizes alone: a file's time has steps of milliseconds."""
    source, log = JournalSource(path), path.with_name("journal.db-wal")
    steps = [
        lambda: path.write_bytes(b"a"),
        lambda: log.write_bytes(b""),
        lambda: log.write_bytes(b"ab"),
        lambda: path.write_bytes(b"ab"),
        log.unlink,
        path.unlink,
    ]
    assert source.is_touched(), "it was never looked at"
    for step in steps:
        assert not source.is_touched()
        step()
        assert source.is_touched()
    source.close()
