"""`gatectl fleet erase` on a real database: nothing leads to the member, and nobody else loses anything."""

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from limits import NET_S
from many_events import fill
from office_rig import KEY, PRIVACY, settings_of
from virtual_gate import event_of

from gatectl.cli.main import main
from gatectl.fleet.intake import Incoming
from gatectl.uplink.privacy import Privacy
from gatectl.uplink.wire import EventBatch, NumberedEvent

NUMBER, OTHER = "9081726354012", "9081726354099"
CARD = "04A1B2C3D4"
PLAIN = Privacy("plain")
WHOSE = [PRIVACY.pseudonym("member", partner, NUMBER) for partner in ("wellhub", "capitan")]
SECRETS = [NUMBER, *(one.removeprefix("p:") for one in WHOSE), PRIVACY.pseudonym("credential", CARD)[2:]]
JOURNAL = "ab" * 16


@pytest.fixture
def settings(tmp_path, database):
    return settings_of(tmp_path, database)


def scan(number=NUMBER, partner="wellhub", card=CARD, **fields):
    return event_of(1, "Berlin", partner=partner, member=number, credential=card, **fields)


def erase(settings, *more, number=NUMBER):
    return main(["fleet", "erase", "--member", number, *more, "-c", str(settings)])


def rows(dsn, statement, *values):
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement, values).fetchall()


def everything(dsn):
    texts = rows(dsn, "SELECT event::text FROM event UNION ALL SELECT device::text FROM device")
    return "\n".join(text for (text,) in texts)


def test_nothing_leads_to_the_member_and_others_keep_what_they_have(tables, settings, database, capsys):
    last = PRIVACY.event(scan())
    tables.events(
        "berlin-1",
        PRIVACY.event(scan()),
        PRIVACY.event(scan(partner="capitan")),
        PRIVACY.event(scan(number=None, partner=None)),  # his card, before it was known
        PRIVACY.event(scan(number=OTHER, card="other")),
        PRIVACY.event(scan(number=OTHER, card="other")) | {"later": {"who": [WHOSE[0], "x"]}},
        PRIVACY.event(scan(number=OTHER, card="other")) | {"detail": f"number {NUMBER}", "x": f"a{NUMBER}b"},
    )
    tables.events("berlin-2", PLAIN.event(scan()), PLAIN.event(scan(number=OTHER)))
    tables.health("berlin-1", status={"last_event": last, "cards": 3})
    assert all(secret in everything(database) for secret in SECRETS)
    assert erase(settings) == 0
    shown = capsys.readouterr().err
    assert shown.splitlines()[0] == "erased: 6 events"
    assert "`gatectl erase` there" in shown
    left = everything(database)
    assert not [secret for secret in SECRETS if secret in left]
    other = PRIVACY.pseudonym("member", "wellhub", OTHER)
    assert rows(database, "SELECT count(*) FROM event WHERE member = ANY(%s)", [other, OTHER]) == [(4,)]
    assert rows(database, "SELECT count(*) FROM event") == [(8,)]
    assert rows(database, "SELECT state->'status'->>'cards' FROM device WHERE device = 'berlin-1'") == [
        ("3",)
    ]


def test_of_one_partner_alone(tables, settings, database, capsys):
    tables.events(
        "berlin-1", PRIVACY.event(scan(card=None)), PRIVACY.event(scan(card=None, partner="capitan"))
    )
    assert erase(settings, "--partner", "capitan") == 0
    assert capsys.readouterr().err.splitlines()[0] == "erased: 1 events"
    assert rows(database, "SELECT partner FROM event WHERE member IS NOT NULL") == [("wellhub",)]
    assert erase(settings, "--partner", "wellhubb") == 1
    assert "there is no event of a partner 'wellhubb'" in capsys.readouterr().err


def test_a_number_that_is_not_there_is_said_and_not_remembered(tables, settings, database, capsys):
    tables.events("berlin-1", PRIVACY.event(scan()))
    assert erase(settings, number="09081726354012") == 1
    assert "there is nothing of member '09081726354012'" in capsys.readouterr().err
    assert rows(database, "SELECT count(*) FROM erased") == [(0,)]


def test_what_a_gate_sends_again_is_without_the_member_and_a_new_visit_is_not(tables, settings, database):
    def sent(*events):
        numbered = tuple(NumberedEvent(number, event) for number, event in enumerate(events, 1))
        tables.take(Incoming("berlin-1", EventBatch(JOURNAL, 1, 0, len(events), numbered)))

    before = [PRIVACY.event(scan()), PRIVACY.event(scan(number=None, partner=None))]
    sent(*before)
    assert erase(settings) == 0
    rows(database, "DELETE FROM event RETURNING 1")
    rows(database, "UPDATE journal SET mark = 0, mark_id = NULL RETURNING 1")
    tables.health("berlin-1", status={"last_event": before[0]})
    after = PRIVACY.event(scan())
    sent(*before, after)
    assert rows(database, "SELECT member, credential FROM event ORDER BY number") == [
        (None, None),
        (None, None),
        (after["member"], after["credential"]),
    ]
    ((state,),) = rows(database, "SELECT state::text FROM device")
    assert WHOSE[0] not in state


def test_what_a_gate_of_a_later_version_sends_again_names_the_member_in_no_field(tables, settings, database):
    tables.events("berlin-1", PRIVACY.event(scan()))
    other = PRIVACY.event(scan(number=OTHER, card="other"))
    again = [other | {"id": event_of(1)["id"], "later": {"who": [WHOSE[0]]}, "detail": WHOSE[0]}]
    again.append(other | {"id": event_of(1)["id"], "later": {"who": ["x"]}, "detail": "y"})
    assert erase(settings) == 0
    tables.events("berlin-1", *again)
    assert WHOSE[0] not in everything(database)
    assert rows(database, "SELECT member, detail, extra FROM event ORDER BY number OFFSET 1") == [
        (other["member"], None, None),
        (other["member"], "y", {"later": {"who": ["x"]}}),
    ]


def test_an_erasure_waits_for_no_dump_and_lets_ingest_wait_for_none(tables, settings, database):
    tables.events("berlin-1", PRIVACY.event(scan()))
    with psycopg.connect(database) as dump:
        dump.execute(f"SET idle_in_transaction_session_timeout = '{NET_S:.0f}s'")
        dump.execute("SELECT FROM erased, event, device")
        assert erase(settings) == 0
        tables.scan("berlin-1", "Berlin")
        dump.execute("SELECT")  # it was not ended meanwhile


def test_an_erasure_and_ingest_never_wait_for_each_other(tables, settings, database):
    for device in ("a", "b"):
        tables.events(device, PRIVACY.event(scan()))
        tables.health(device, status={"last_event": PRIVACY.event(scan()), "cards": 3})
    change = "UPDATE device SET state_at = now() WHERE device = %s"
    with psycopg.connect(database) as ingest, ThreadPoolExecutor(1) as other:
        ingest.execute(change, ["b"])
        erased = other.submit(erase, settings)
        waiting = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        until_s = time.monotonic() + NET_S
        while not rows(database, waiting):
            assert time.monotonic() < until_s
            time.sleep(0.02)
        ingest.execute(change, ["a"])
        ingest.commit()
        assert erased.result(NET_S) == 0
    assert WHOSE[0] not in everything(database)


def test_a_prune_leaves_events_that_an_erasure_has_locked_for_later(tables, database):
    ids = tables.events("berlin-1", *(PRIVACY.event(scan()) for _ in range(3)))
    rows(database, "UPDATE event SET received_at = now() - interval '100 days' RETURNING 1")
    with psycopg.connect(database) as erasure:
        erasure.execute("UPDATE event SET member = NULL WHERE id = %s", [ids[0]])
        assert tables.prune(90) == 2
    assert tables.prune(90) == 1


def test_the_indexes_have_nothing_of_the_member_any_more(settings, database):
    fill(database, 20_000)
    pseudonym = WHOSE[0]
    rows(database, "UPDATE event SET member = %s WHERE number = 7 RETURNING 1", pseudonym)
    assert erase(settings) == 0
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SET enable_bitmapscan = off")
        counted = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'event_member'"
        before = connection.execute(counted).fetchone()
        connection.execute("SELECT id FROM event WHERE member = %s", [pseudonym])
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_clear_snapshot()")
        assert connection.execute(counted).fetchone() == before


def test_a_short_number_is_taken_out_of_its_own_column_alone(tables, settings, database):
    tables.events(
        "berlin-1", PRIVACY.event(scan(number="12", card=None)), PRIVACY.event(scan(OTHER, status=412))
    )
    assert erase(settings, number="12") == 0
    assert rows(database, "SELECT member IS NULL, status FROM event ORDER BY number") == [
        (True, 200),
        (False, 412),
    ]


def test_a_number_is_no_pattern(tables, settings, database):
    texts = (r"of A_1%\2.9*", r"of AB1XX\2.9*", r"of A_1%\2X99")
    mine = PRIVACY.event(scan(number=r"A_1%\2.9*", card=None))
    others = (PRIVACY.event(scan(OTHER, card="other")) | {"detail": text} for text in texts)
    tables.events("berlin-1", mine, *others)
    assert erase(settings, number=r"A_1%\2.9*") == 0
    assert rows(database, "SELECT detail FROM event ORDER BY number OFFSET 1") == [
        ("of [erased]",),
        *((text,) for text in texts[1:]),
    ]


def test_without_the_tenants_key_plain_numbers_are_found(tables, database, tmp_path, capsys):
    tables.events("berlin-2", PLAIN.event(scan()))
    assert erase(settings_of(tmp_path, database, monitor="")) == 0
    assert "plain numbers alone are found" in capsys.readouterr().err
    assert NUMBER not in everything(database)
    assert KEY.hex() not in everything(database)


def test_a_database_without_tables_is_said_in_one_line(settings, capsys):
    assert erase(settings) == 1
    assert capsys.readouterr().err.splitlines() == [
        "the database has not the tables of this gatectl",
        "hint: start `gatectl fleet ingest` of this version first: it makes the tables",
    ]


def test_a_database_that_is_away_is_said_in_one_line(tmp_path, capsys):
    assert erase(settings_of(tmp_path, "host=127.0.0.1 port=1 connect_timeout=2")) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert "the database: " in first
    assert hint == "hint: [database] of fleet.toml says how it is reached"
