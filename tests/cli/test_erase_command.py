import json
import sqlite3
from contextlib import closing

import pytest
from records import MINUTE_US, NOT_ALLOWED, NOT_FOUND, START_US, UNRECOGNISED

from gatectl.cli.main import main
from gatectl.decision.outcomes import Message
from gatectl.decision.verdict import Reason
from gatectl.journal.schema import open_store

MEMBER = "9876543210987"
CARD = "04A3B2C1D2"
AS_READ = "04-A3-b2-C1-d2"
CUSTOMER = "555000111222"

MANUAL = {"kind": "manual", **dict.fromkeys(["scanner", "credential", "partner", "member", "customer"])}


@pytest.fixture
def events(run):
    """The events of `events --json`, by the last three digits of the ID."""

    def read(*args):
        found = [json.loads(line) for line in run("events", "--json", *args)[1].splitlines()]
        return {int(event["id"][-3:]): event for event in found if event["kind"] != "erased"}

    return read


def nobody(code):
    return {"credential": code, "member": None, "partner": None, "customer": None}


@pytest.fixture
def some(write, run):
    """Events of the member and of others, before and behind each other."""
    run("cards", "add", AS_READ, "wellhub", MEMBER)
    run("cards", "add", "another", "wellhub", "1111111111111")
    own = {"member": MEMBER, "customer": CUSTOMER}
    write(1, UNRECOGNISED, **nobody("04:a3:b2:c1:d2"))
    write(2, NOT_FOUND, **own, credential=AS_READ, reason=Reason("key", f"no {MEMBER} here"))
    write(3, **own, credential=f"WP-{MEMBER}/{CUSTOMER}", detail=f"asked about {MEMBER}")
    write(4, UNRECOGNISED, **nobody(f"WP-{MEMBER}/{CUSTOMER}"))
    write(5, **MANUAL, message=f"Opened by hand: {MEMBER} forgot {CARD}")
    write(6, credential="another", member="1111111111111")
    write(7, UNRECOGNISED, **nobody("someone else's"))
    write(8, NOT_ALLOWED, member=MEMBER, partner="wellpass", credential="old card 77")
    write(9, UNRECOGNISED, **nobody("old card 77"))


def files(settings):
    """Each file of the store and what is in it."""
    return {path.name: path.read_bytes() for path in settings.parent.glob("journal.db*")}


@pytest.mark.usefixtures("some")
def test_nothing_of_the_member_is_left(run, events, settings):
    before = events()
    assert run("erase", "--member", MEMBER) == (
        0,
        "",
        "erased: 7 events, 1 cards\nnote: backups, reports and the systemd journal keep what they have\n",
    )
    after = events()
    for number in (1, 2, 3, 4, 8, 9):
        changed = dict.fromkeys(("credential", "member", "customer", "reason"))
        assert after[number] | {"detail": None} == before[number] | changed | {"detail": None}
    assert after[3]["detail"] == "asked about [erased]"
    assert after[5]["message"] == "Opened by hand: [erased] forgot [erased]"
    assert [after[number] for number in (6, 7)] == [before[number] for number in (6, 7)]
    assert "another" in run("cards", "list")[1]
    for name, content in files(settings).items():
        for text in (MEMBER, CUSTOMER, CARD, AS_READ, "04:a3:b2:c1:d2", "old card 77"):
            assert text.encode() not in content, name
    assert run("events", "--json", "--member", MEMBER)[1] == ""


@pytest.mark.usefixtures("some")
def test_codes_that_led_to_somebody_else_are_taken_out_too(run, write, events, settings):
    other = {"member": "1111111111111", "partner": "wellhub"}
    write(10, **other, credential="04-a3-b2-c1-d2")  # before the card was this member's
    write(11, **other, credential=f"WP-{MEMBER}/1")
    before = events()
    assert run("erase", "--member", MEMBER)[0] == 0
    after = events()
    assert [after[number] for number in (10, 11)] == [
        before[number] | {"credential": None} for number in (10, 11)
    ]
    assert not any(b"04-a3-b2-c1-d2" in content for content in files(settings).values())


@pytest.mark.usefixtures("some")
def test_one_that_ended_early_is_finished_by_the_next(run, settings):
    path = settings.with_name("journal.db")
    with closing(open_store(path)) as store:
        # As the power may go between two steps.
        store.execute("CREATE TRIGGER out BEFORE DELETE ON cards BEGIN SELECT RAISE(ABORT, 'ended'); END")
        assert run("erase", "--member", MEMBER)[0] == 1
        store.execute("DROP TRIGGER out")
        store.execute("DELETE FROM cards WHERE member = ?", (MEMBER,))
    assert run("events", "--json", "--kind", "erased")[1] == ""
    assert run("erase", "--member", MEMBER)[2].startswith("erased: 0 events, 0 cards\n")
    assert json.loads(run("events", "--json", "--kind", "erased")[1])["result"] == "done"
    assert not any(MEMBER.encode() in content for content in files(settings).values())
    assert run("erase", "--member", MEMBER)[0] == 1, "there is nothing left"


@pytest.mark.usefixtures("some")
def test_copies_next_to_the_store_are_named(run, settings):
    copy = settings.with_name("journal.db.before-version-2")
    copy.write_bytes(b"older")
    assert run("erase", "--member", MEMBER)[2].splitlines()[-1] == (
        f"note: so do these; delete those that are not needed: {copy}"
    )


@pytest.mark.usefixtures("some")
def test_it_is_on_record_without_the_number(run):
    run("erase", "--member", MEMBER)
    (event,) = [
        event
        for line in run("events", "--json")[1].splitlines()
        if (event := json.loads(line))["kind"] == "erased"
    ]
    empty = {name for name, value in event.items() if value is None}
    assert empty >= {
        "door",
        "credential",
        "partner",
        "member",
        "customer",
        "verdict",
        "fault",
        "request",
        "basis",
    }
    assert (event["result"], event["message"]) == ("done", Message.ERASED)
    assert MEMBER not in json.dumps(event)
    text = run("events")[1]
    assert "One member's data erased" in text.replace("\n         ", " ")
    assert "contact" not in text.rpartition("One member's")[2]


@pytest.mark.usefixtures("some")
def test_a_member_of_one_partner_alone(run, events, settings):
    before = events()
    assert run("erase", "--member", MEMBER, "--partner", "wellpass")[0] == 0
    after = events()
    changed = {number for number in after if after[number] != before[number]}
    # Scans without a member may belong to either; openings by hand too.
    assert changed == {4, 5, 8, 9}
    assert AS_READ in run("cards", "list")[1]
    assert run("erase", "--member", MEMBER, "--partner", "wellhub")[0] == 0
    assert not any(MEMBER.encode() in content for content in files(settings).values())


def test_short_numbers_are_not_looked_for_inside_of_others(run, write, events):
    write(1, member="7", partner="wellpass", credential="7")
    write(2, UNRECOGNISED, **nobody("WP-7/3"))
    write(3, UNRECOGNISED, **nobody("WP-77/3"))
    write(4, **MANUAL, message="Opened by hand: 7 guests")
    write(5, UNRECOGNISED, **nobody("1070"))
    assert run("erase", "--member", "7")[0] == 0
    after = events()
    assert [after[number]["credential"] for number in (1, 2, 3, 5)] == [None, None, "WP-77/3", "1070"]
    assert after[4]["message"] == "Opened by hand: 7 guests"


def test_data_of_pruned_events_in_unused_parts_is_gone_too(run, write, settings):
    for number in range(400):
        write(number, member=MEMBER, credential=f"{CARD}-{number}")
    with closing(open_store(settings.with_name("journal.db"))) as store:
        store.execute("PRAGMA secure_delete = OFF").fetchall()  # Debian's SQLite has it on, others do not
        before_us = START_US + 399 * MINUTE_US
        store.execute("UPDATE marks SET value = ? WHERE name = 'kept_from_us'", (before_us,))
        store.execute("DELETE FROM outcomes WHERE seq < 400")
        store.execute("DELETE FROM attempts WHERE seq < 400")
        assert store.execute("PRAGMA freelist_count").fetchone()[0] > 0
    assert run("erase", "--member", MEMBER)[0] == 0
    assert not any(MEMBER.encode() in content for content in files(settings).values())
    with closing(sqlite3.connect(settings.with_name("journal.db"))) as whole:
        assert whole.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.usefixtures("some")
def test_everything_else_stays_append_only(run, settings):
    assert run("erase", "--member", MEMBER)[0] == 0
    with closing(open_store(settings.with_name("journal.db"))) as store:
        for statement in (
            "UPDATE attempts SET member = NULL",
            "UPDATE attempts SET credential = 'x'",
            "UPDATE outcomes SET message = 'x'",
            "UPDATE outcomes SET reason_text = NULL",
            "DELETE FROM outcomes",
            "DELETE FROM attempts",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                store.execute(statement)


def test_a_constant_reader_is_reported(run, write, settings, monkeypatch):
    monkeypatch.setattr("gatectl.journal.schema.BUSY_TIMEOUT_MS", 1)
    write(1, member=MEMBER)
    with closing(sqlite3.connect(settings.with_name("journal.db"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM attempts").fetchone()
        status, _, err = run("erase", "--member", MEMBER)
    assert status == 1
    assert "another program reads it all the time" in err
    assert run("erase", "--member", MEMBER)[0] == 0
    assert not any(MEMBER.encode() in content for content in files(settings).values())


@pytest.mark.usefixtures("some")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--member", "1234"], "there is nothing of member '1234'\n"),
        (
            ["--member", "another", "--partner", "wellhub"],
            "there is nothing of member 'another' of wellhub\n",
        ),
        (
            ["--member", MEMBER, "--partner", "welpass"],
            "there is no partner 'welpass', neither in the settings nor in the journal",
        ),
    ],
)
def test_members_that_do_not_exist(run, events, args, message):
    before = events()
    status, out, err = run("erase", *args)
    assert (status, out) == (1, "")
    assert err.startswith(message)
    assert events() == before


def test_no_store_is_made(run, settings):
    assert run("erase", "--member", MEMBER)[0] == 1
    assert files(settings) == {}


def test_a_member_has_to_be_named(settings):
    assert main(["erase", "-c", str(settings)]) == 2
