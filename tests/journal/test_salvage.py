"""The content of a damaged store is carried over; redundant parts are repaired in place."""

import asyncio
import random
import shutil
import sqlite3
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from damage import PAGE, card, event, overwrite, pages_of, roots, write
from limits import NET_S
from records import recorded

from gatectl.decision.cards import key_of
from gatectl.journal import cards as card_table
from gatectl.journal import salvage, statements
from gatectl.journal.filters import Filters
from gatectl.journal.pages import TABLE_LEAF
from gatectl.journal.reader import ForeignFileError, Reader, UnreadableError
from gatectl.journal.reader import enrolled as enrolled_cards
from gatectl.journal.repair import Recovery, StoreHealth, header_problem_of, problem_of, repair
from gatectl.journal.schema import DamagedError, connect_damaged, open_store
from gatectl.journal.store import Store
from gatectl.journal.store_file import NotOursError, require_ours


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.db"


def read(path):
    with Reader(path) as reader:
        return list(reader.query(Filters()))


def enrolled(path):
    with closing(open_store(path)) as connection:
        return {row[0] for row in connection.execute("SELECT code FROM cards")}


def leaves(path, text):
    """The leaves of tables that hold this text."""
    content = path.read_bytes()
    pages = {number: content[(number - 1) * PAGE : number * PAGE] for number in range(1, pages_of(path) + 1)}
    return [number for number, page in pages.items() if page[0] == TABLE_LEAF and text in page]


def carry_over(path, known=()):
    """Puts the store aside and carries everything over; where it is now."""
    aside = salvage.take_place(path, {key_of(one.code): one for one in known}, [], 1)
    with closing(open_store(path)) as connection:
        carrying = salvage.carrying_of(connection, path)
        while carrying.step():
            pass
        assert salvage.carrying_of(connection, path) is None
        assert problem_of(path) is None
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    return aside


@pytest.mark.parametrize("index", [
    "attempts_by_id", "attempts_by_member", "attempts_by_time", "attempts_by_door", "attempts_by_partner",
    "attempts_of", "outcomes_by_attempt", "outcomes_by_result", "outcomes_of_grace", "cards_by_key",
])  # fmt: skip
def test_an_index_without_its_root_is_rebuilt(path, index):
    events, cards = write(path)
    overwrite(path, roots(path)[index])
    with closing(connect_damaged(path)) as connection:
        assert problem_of(path) is not None
        assert repair(connection, path) is None
        assert problem_of(path) is None
    assert read(path) == events
    assert enrolled(path) == {one.code for one in cards}
    with closing(open_store(path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(*statements.attempt_statement(events[0].attempt))


def test_an_index_that_lacks_an_entry_is_rebuilt(path):
    events, _ = write(path)
    with closing(connect_damaged(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        # Forgotten while a row is written, so that it does not know the row.
        sql = connection.execute("SELECT * FROM sqlite_schema WHERE name = 'attempts_by_time'").fetchone()
        connection.execute("DELETE FROM sqlite_schema WHERE name = 'attempts_by_time'")
        connection.execute("PRAGMA writable_schema = RESET")
        new = event(5000)
        connection.execute(*statements.attempt_statement(new.attempt))
        connection.execute(*statements.outcome_statement(new.attempt.id, new.outcome))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", sql)
        connection.execute("PRAGMA writable_schema = RESET")
        assert "attempts_by_time" in problem_of(path)
        assert repair(connection, path) is None
    assert read(path) == [*events, new]


def test_a_header_is_rewritten_from_a_connections_memory(path):
    write(path)
    with closing(open_store(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("SELECT count(*) FROM attempts").fetchone()
        assert header_problem_of(path) is None
        overwrite(path, 1)
        assert header_problem_of(path) is not None
        assert repair(connection, path) is None
        assert header_problem_of(path) is None


@pytest.mark.parametrize("table", ["attempts", "outcomes", "cards", "marks", "sqlite_sequence", "journal"])
def test_a_root_that_is_gone_costs_no_row_of_the_leaves(path, table):
    events, cards = write(path)
    overwrite(path, roots(path)[table])
    carry_over(path)
    assert read(path) == events
    assert enrolled(path) == {one.code for one in cards}


def test_all_keep_their_places_and_the_store_goes_on_behind_them(path):
    events, _ = write(path, events=30)
    with closing(open_store(path)) as connection:
        (identity,) = connection.execute("SELECT id FROM journal").fetchone()
        numbers = connection.execute("SELECT seq, ended FROM outcomes ORDER BY ended").fetchall()
    overwrite(path, roots(path)["attempts_by_id"])
    carry_over(path)
    new = event(99)
    with closing(open_store(path)) as connection:
        assert connection.execute("SELECT id FROM journal").fetchone() == (identity,)
        assert connection.execute("SELECT seq, ended FROM outcomes ORDER BY ended").fetchall() == numbers
        connection.execute(*statements.attempt_statement(new.attempt))
        connection.execute(*statements.outcome_statement(new.attempt.id, new.outcome))
        last = connection.execute("SELECT seq, ended FROM outcomes ORDER BY ended DESC LIMIT 1").fetchone()
    assert last[0] > 30
    assert last[1] == 31
    assert read(path) == [*events, new]


def test_a_lost_page_costs_its_own_rows_alone(path):
    events, _ = write(path)
    overwrite(path, leaves(path, b"code 500")[0])
    carry_over(path)
    left = read(path)
    lost = [one for one in events if one not in left]
    assert 0 < len(lost) < 40
    assert [one for one in events if one not in lost] == left
    assert events[500] in lost
    assert events[-1] in left


def test_an_attempt_whose_outcome_is_lost_ends_as_interrupted(path):
    events, _ = write(path)
    overwrite(path, leaves(path, b"checked in")[-1])
    carry_over(path)
    left = read(path)
    assert [one.attempt for one in left] == [one.attempt for one in events]
    closed = [one for one in left if one not in events]
    assert 0 < len(closed) < 60
    assert {one.outcome.fault for one in closed} == {"interrupted"}


@pytest.mark.parametrize("seed", range(40))
def test_random_lost_pages_cost_their_own_rows_alone(path, seed):
    chance = random.Random(seed)
    events, cards = write(path, events=400, enrolled=100)
    with closing(open_store(path)) as connection:
        connection.execute("DELETE FROM cards WHERE code = 'card 7'")  # which must stay away
    hit = chance.sample(range(1, pages_of(path) + 1), chance.randrange(1, 6))
    before = path.read_bytes()
    for number in hit:
        whole = chance.random() < 0.5
        overwrite(path, number, bytes(PAGE) if whole else chance.randbytes(chance.randrange(1, PAGE + 1)))
    destroyed = b"".join(before[(number - 1) * PAGE : number * PAGE] for number in hit)
    aside = carry_over(path)
    left = read(path)
    by_id = {one.attempt.id: one for one in left}
    for one in events:
        if one.attempt.id.encode() in destroyed:
            continue
        found = by_id.get(one.attempt.id)
        assert found is not None, "its row is on no damaged page"
        assert found.attempt == one.attempt
        assert found.outcome == one.outcome or found.outcome.fault == "interrupted"
    assert {one.attempt for one in left} <= {one.attempt for one in events}, "nothing is made up"
    for one in cards:
        if one.code != "card 7" and one.code.encode() not in destroyed:
            assert one.code in enrolled(path)
    assert "card 7" not in enrolled(path)
    assert aside.exists()


def test_an_outcome_whose_attempt_is_lost_is_no_other_scans(path):
    write(path, events=5)
    overwrite(path, roots(path)["attempts"])
    carry_over(path)
    new = [event(number) for number in range(10, 16)]
    with closing(open_store(path)) as connection:
        for one in new:
            connection.execute(*statements.attempt_statement(one.attempt))
            connection.execute(*statements.outcome_statement(one.attempt.id, one.outcome))
    assert read(path) == new


def test_the_log_belongs_to_what_is_carried_over(path):
    events, _ = write(path, events=20)
    with closing(open_store(path)) as connection:
        new = event(20)
        connection.execute(*statements.attempt_statement(new.attempt))
        connection.execute(*statements.outcome_statement(new.attempt.id, new.outcome))
        overwrite(path, roots(path)["outcomes"])
        salvage.take_place(path, {}, [], 1)
    with closing(open_store(path)) as connection:
        carrying = salvage.carrying_of(connection, path)
        while carrying.step():
            pass
    assert read(path) == [*events, new]


def test_cards_in_memory_are_not_lost_with_their_page(path):
    _, cards = write(path, enrolled=20)
    overwrite(path, roots(path)["cards"])
    aside = carry_over(path, known=[*cards, card(77)])
    assert enrolled(path) == {one.code for one in (*cards, card(77))}
    aside.unlink()


def test_carrying_over_goes_on_after_an_end_in_the_middle(path):
    events, _ = write(path)
    salvage.take_place(path, {}, [], 1)
    with closing(open_store(path)) as connection:
        carrying = salvage.carrying_of(connection, path)
        for _ in range(40):
            carrying.step()
    with closing(open_store(path)) as connection:
        assert statements.close_interrupted(connection) == [], (
            "what is not carried over yet was not interrupted"
        )
        carrying = salvage.carrying_of(connection, path)
        while carrying.step():
            pass
        assert salvage.damage_of(connection) == (1, 300, 1000)
    assert read(path) == events


def test_a_power_cut_between_the_two_stores(path):
    events, _ = write(path, events=20)
    salvage.take_place(path, {}, [], 1)
    path.rename(salvage.successor_of(path))
    salvage.finish_taking_place(path)
    with closing(open_store(path)) as connection:
        carrying = salvage.carrying_of(connection, path)
        while carrying.step():
            pass
    assert read(path) == events


def test_a_store_without_a_first_page_is_ours(path):
    events, cards = write(path, events=50)
    overwrite(path, 1)
    require_ours(path)
    for reading in (Reader, enrolled_cards):
        with pytest.raises(UnreadableError, match="cannot be read") as caught:
            reading(path)
        assert not isinstance(caught.value, ForeignFileError)
        assert caught.value.hints == ("the file is damaged: gatectl run repairs it as far as possible",)
    carry_over(path)
    assert read(path) == events
    assert enrolled(path) == {one.code for one in cards}
    path.write_bytes(bytes(20 * PAGE))
    with pytest.raises(NotOursError):
        require_ours(path)


# With the writer.


@asynccontextmanager
async def store_at(path, entries):
    store = Store(path, 0, entries.append)
    store.start()
    try:
        yield store
    finally:
        await store.stop(NET_S)


async def record(store, one):
    await asyncio.wait_for(recorded(store, one.attempt), NET_S)
    store.finish(one.attempt.id, one.outcome)
    await asyncio.wait_for(store.ask(lambda _connection: None), NET_S)


def logged(entries, *words):
    return [entry for entry in entries if all(word in entry.message for word in words)]


async def until(condition):
    async with asyncio.timeout(NET_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("index", ["attempts_by_member", "attempts_by_id", "outcomes_by_attempt"])
def test_the_next_scan_repairs_an_index_without_a_restart(path, index):
    events, _ = write(path)
    overwrite(path, roots(path)[index])
    entries, new = [], event(5000)

    async def run():
        async with store_at(path, entries) as store:
            await store.opened
            await record(store, new)
            assert (store.health.error, store.health.damage, store.health.lost) == (None, None, 0)

    asyncio.run(run())
    assert read(path) == [*events, new]
    assert [entry.priority for entry in logged(entries, "is being repaired")] == [3]
    assert len(logged(entries, "is repaired: its indexes were rebuilt, and nothing is lost")) == 1
    assert logged(entries, "cannot be written") == []


def test_damage_that_no_scan_meets_is_found_after_the_start(path):
    events, _ = write(path)
    overwrite(path, roots(path)["attempts_by_door"])
    entries = []

    async def run():
        async with store_at(path, entries):
            await until(lambda: logged(entries, "is repaired"))

    asyncio.run(run())
    assert read(path) == events


@pytest.mark.parametrize("table", ["attempts", "outcomes", "cards"])
def test_another_store_takes_the_place_without_a_restart(path, table):
    events, cards = write(path)
    entries, new, taken = [], event(5000), []

    async def run():
        async with store_at(path, entries) as store:
            store.share_cards(lambda: {key_of(one.code): one for one in cards}, taken.append)
            await store.opened
            await asyncio.wait_for(recorded(store, new.attempt), NET_S)
            with closing(connect_damaged(path)) as other:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            overwrite(path, roots(path)[table])
            store.finish(new.attempt.id, new.outcome)
            await until(lambda: logged(entries, "events of the damaged journal were carried over"))
            # The last is written to the one store or to the other.
            assert store.health.damage[1:] in {(300, 1000), (300, 1001)}
            assert store.health.error is None
            await store.acknowledge()
        async with store_at(path, entries) as store:
            await store.opened
            assert store.health.damage is None

    asyncio.run(run())
    assert sorted(read(path), key=lambda one: one.attempt.at_us) == [*events, new]
    assert enrolled(path) == {one.code for one in cards}
    assert len(taken[0]) == 300
    assert len(logged(entries, "was put aside as")) == 1


def test_the_damage_is_reported_until_it_is_acknowledged(path):
    write(path, events=20)
    overwrite(path, roots(path)["outcomes"])
    found = []

    async def run():
        for _ in range(2):
            entries = []
            async with store_at(path, entries) as store:
                await store.opened
                await until(lambda store=store: store.health.damage is not None)
                found.append(store.health.damage.cards)
        assert logged(entries, "the damage is not acknowledged")

    asyncio.run(run())
    assert found == [300, 300]


def test_a_header_is_looked_at_again_and_again(path):
    events, _ = write(path, events=20)
    entries = []

    async def run():
        async with store_at(path, entries) as store:
            await store.opened
            await record(store, event(50))
            with closing(connect_damaged(path)) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            overwrite(path, 1)
            carried = "events of the damaged journal were carried over"
            await until(lambda: logged(entries, "is repaired") or logged(entries, carried))

    asyncio.run(run())
    assert [one for one in read(path) if one in events] == events
    assert len(read(path)) == 21


def test_a_question_that_meets_damage_is_answered_after_the_repair(path):
    write(path)
    overwrite(path, roots(path)["attempts_by_member"])

    async def run():
        async with store_at(path, []) as store:
            await store.opened
            asked = store.ask(lambda connection: statements.unanswered(connection, event(1).attempt, 10**9))
            assert await asyncio.wait_for(asked, NET_S) == []

    asyncio.run(run())


def test_damage_soon_after_a_repair_is_not_repaired_in_place_once_more(path):
    events, _ = write(path, events=20)
    entries = []
    recovery = Recovery(path, entries.append, StoreHealth())
    first = connect_damaged(path)

    def recovered(connection):
        overwrite(path, roots(path)["attempts_by_member"])
        return recovery.recover(connection, DamagedError("the journal is damaged"), {}, lambda: False)

    assert recovered(first) is first
    with closing(recovered(first)) as second:
        assert second is not first
        while recovery.carry(second):
            pass
    assert read(path) == events
    assert [len(logged(entries, words)) for words in ("is repaired", "was put aside as")] == [1, 1]


# A file that is taken away while the writer has it open.


def deleted(path):
    path.unlink()


def deleted_with_its_log(path):
    for ending in ("", "-wal", "-shm", ".lock"):
        Path(f"{path}{ending}").unlink()


def moved(path):
    path.rename(path.with_name("elsewhere.db"))


def deleted_with_its_folder(path):
    shutil.rmtree(path.parent)


def replaced_by_notes(path):
    deleted_with_its_log(path)
    path.write_text("a year of notes\n")


def replaced_by_another_store(path):
    deleted_with_its_log(path)
    with closing(open_store(path)) as connection:
        card_table.put(connection, [card(7000)])


TAKEN = [
    deleted,
    deleted_with_its_log,
    moved,
    deleted_with_its_folder,
    replaced_by_notes,
    replaced_by_another_store,
]


def test_a_store_whose_file_is_taken_away_is_saved_again(tmp_path):
    """All ways at once: each store has its first look after two seconds."""

    async def run(take):
        path = tmp_path / take.__name__ / "journal.db"
        path.parent.mkdir()
        events, enrolments = write(path, events=20, enrolled=5)
        entries, before, lost, after = [], *(event(number) for number in (5000, 5001, 5002))
        async with store_at(path, entries) as store:
            await store.opened
            await record(store, before)
            take(path)
            await record(store, lost)
            await until(lambda: logged(entries, "was saved again") and store.health.error is None)
            await record(store, after)
            assert store.health.damage.cards == 5, take
            # The second one is written before the copy or after it.
            assert store.health.damage.events in {21, 22}, take
            assert store.health.lost == 0
        assert read(path) == [*events, before, lost, after], take
        assert enrolled(path) == {one.code for one in enrolments}, take
        assert problem_of(path) is None, take
        aside = [file for file in path.parent.iterdir() if file.name.startswith(f"{path.name}.replaced-")]
        assert len(aside) == take.__name__.startswith("replaced"), take
        assert not [file for file in path.parent.iterdir() if ".successor" in file.name], take

    async def all_at_once():
        await asyncio.gather(*map(run, TAKEN))

    asyncio.run(all_at_once())


def test_a_damaged_store_whose_file_is_taken_away_is_saved_again_and_replaced(path):
    events, enrolments = write(path, events=20, enrolled=5)
    entries, health = [], StoreHealth()
    connection = open_store(path)
    recovery = Recovery(path, entries.append, health)
    recovery.take_up(connection)
    overwrite(path, roots(path)["marks"])
    connection.execute("PRAGMA shrink_memory")  # it has the page in memory
    deleted(path)
    assert recovery.displaced() is not None
    with closing(recovery.recover(connection, DamagedError("it is damaged"), {}, lambda: False)) as repaired:
        while recovery.carry(repaired):
            pass
        assert (health.damage.cards, health.damage.events) == (5, 20)
        assert recovery.displaced() is None
    assert read(path) == events
    assert enrolled(path) == {one.code for one in enrolments}
    assert len(logged(entries, "was put aside as")) == 1
