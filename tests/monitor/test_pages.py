"""The pages over HTTP: their content in both languages, in every state of the store and the daemon."""

import io
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from datetime import datetime

import patient_http
import pytest
from many import event_of, fill, write
from monitors import monitor, write_closed_gym
from patient_http import page_with

from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Basis, Result
from gatectl.journal.paging import Browser, Search
from gatectl.journal.schema import open_store
from gatectl.monitor.handlers import _look
from gatectl.monitor.query import Query
from gatectl.sim.simulated_door import SimulatedDoor


def test_a_scan_is_on_the_page_and_its_story_behind_it(door, page_of):
    door.type_code("WP-1403")
    page = page_with(page_of, "/?member=1403", "Aggregator member check-in not allowed")
    link = page.split('<a href="/events/')[1].split('"')[0]
    story = page_of.get(f"/events/{link}").text
    for words in (
        "perfectgym declined: ask the member to contact",
        "Request sent to perfectgym",
        "Demo Fitness",
        "1403",
    ):
        assert words in story
    german = page_of.get(f"/events/{link}", headers={"Accept-Language": "de-AT,en;q=0.5"}).text
    assert "perfectgym hat abgelehnt" in german
    assert "Aggregator member check-in not allowed" in german, "the exact text is what Support asks for"


def test_the_report_for_support_is_there_to_download(door, page_of):
    door.type_code("WP-1404")
    page = page_with(page_of, "/?member=1404", "not found in partner system")
    event = page.split('<a href="/events/')[1].split('"')[0]
    assert f'href="/events/{event}/report"' in page_of.get(f"/events/{event}").text
    answer = page_of.get(f"/events/{event}/report")
    assert answer.headers["content-disposition"] == f'attachment; filename="gatectl-report-{event}.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = {name.rpartition("/")[2] for name in archive.namelist()}
        text = archive.read(f"gatectl-report-{event}/report.txt").decode()
    assert names == {"report.txt", "event-monitor.svg", "event.json", "settings.json", "system.json"}
    assert "1404 at perfectgym" in text
    assert page_of.get("/events/nope/report").status_code == 404


def test_markup_in_a_code_is_text(door, page_of):
    door.type_code("<script>alert(1)</script>")
    page = page_with(page_of, "/?codes=whole", "&lt;script&gt;alert(1)")
    assert "<script>alert" not in page


def test_a_code_cannot_turn_the_writing_around(door, page_of):
    door.type_code("abc\u202edef")
    assert "\u202e" not in page_with(page_of, "/?codes=whole", "abc\\u202edef")


def test_the_language_is_the_readers_and_can_be_switched(page_of):
    assert '<html lang="en">' in page_of.get("/").text
    assert '<html lang="de">' in page_of.get("/", headers={"Accept-Language": "de"}).text
    chosen = page_of.get("/language", params={"to": "de", "next": "/?door=main"})
    assert chosen.headers["location"] == "/?door=main"
    assert '<html lang="de">' in page_of.get("/").text
    page_of.get("/language", params={"to": "en", "next": "/"})
    assert '<html lang="en">' in page_of.get("/", headers={"Accept-Language": "de"}).text
    page_of.cookies.clear()


def test_cause_basis_and_customer_are_shown_if_they_are_set(closed_gym):
    settled = event_of(
        1, result=Result.ADMITTED, message=Message.CHECKED_IN, basis=Basis.SETTLED, customer="4711"
    )
    failed = event_of(
        2, message=Message.NO_VERDICT, fault=Fault.NETWORK, detail="connection refused (203.0.113.4:443)"
    )
    manual = event_of(
        3, kind="manual", credential=None, partner=None, member=None, of=settled.attempt.id,
        result=Result.ADMITTED, message="Opened by hand: a test", basis=Basis.MANUAL,
    )  # fmt: skip
    write(closed_gym.with_name("journal.db"), settled, failed, manual)
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        page = client.get("/").text
        assert "Basis: settled (the late answer" in page
        assert "Customer 4711" in page
        assert "connection refused (203.0.113.4:443)" in page
        story = client.get(f"/events/{settled.attempt.id}").text
        assert "<dt>Basis</dt><dd><bdi>settled (the late answer to an unanswered request)" in story
        assert "<dt>Customer</dt><dd><bdi>4711" in story
        story = client.get(f"/events/{failed.attempt.id}").text
        assert "<bdi>connection refused (203.0.113.4:443)" in story
        assert "Basis" not in story
        story = client.get(f"/events/{manual.attempt.id}").text
        assert "<bdi>manual (a person opened)" in story
        assert settled.attempt.id in story
        assert "Grundlage" in client.get("/", headers={"Accept-Language": "de"}).text


def test_a_list_shows_the_end_of_a_code_and_the_event_the_whole(closed_gym):
    event = event_of()
    write(closed_gym.with_name("journal.db"), event)
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        page = client.get("/").text
        assert "1000000000453" not in page
        assert "<bdi>…0453</bdi>" in page
        assert "1000000000453" in client.get(f"/events/{event.attempt.id}").text
        link = re.search(r'<a href="(/\?[^"]*codes=whole[^"]*)"', page)[1]
        whole = client.get(link).text
        assert "<bdi>1000000000453</bdi>" in whole
        stream = re.search(r'data-live="(/live[^"]*)"', whole)[1]
        assert "codes=whole" in stream


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ({"door": "staff"}, "staff", "RARE"),
        ({"partner": "capitan", "member": "RARE"}, "RARE", "staff</td>"),
        ({"result": "unknown"}, "Interrupted", "RARE"),
        ({"until": "1971-01-01"}, "No event fits", "RARE"),
        ({"since": "tomorrow"}, "tomorrow is not a time", "no such thing"),
        ({"result": "nonsense", "before": "x"}, "Older", "RARE"),
    ],
)
def test_filters(full, query, shown, hidden):
    with patient_http.Client(base_url=full) as client:
        page = client.get("/", params=query).text
    assert shown in page
    assert hidden not in page


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    with closed_monitor(folder) as address:
        yield address


def closed_monitor(folder):
    settings = write_closed_gym(folder)
    fill(folder / "journal.db", 300)
    return monitor(settings)


def test_older_pages_follow_without_gaps_and_end(full):
    seen, address = [], "/"
    with patient_http.Client(base_url=full) as client:
        while address:
            page = client.get(address).text
            seen += [part.split('"')[0] for part in page.split('<a href="/events/')[1:]]
            older = page.partition('<a rel="next" href="')[2].partition('"')[0]
            address = older.replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 300
    assert seen == sorted(seen, reverse=True)


def test_without_a_daemon_the_events_are_still_there(full):
    with patient_http.Client(base_url=full) as client:
        page = client.get("/").text
        assert "gatectl is not running" in page
        assert page.count('<a href="/events/') == 50
        assert "Out of order" in client.get("/display/main").text


def test_without_a_store_the_page_says_so_and_goes_on(closed_gym):
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "The journal cannot be read" in page.text
        assert client.get("/events/x").status_code == 503
        open_store(closed_gym.with_name("journal.db")).close()
        assert "No events." in client.get("/").text


def test_a_store_that_was_put_aside_makes_room_for_the_new_one(closed_gym):
    store = closed_gym.with_name("journal.db")
    fill(store, 10)
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        assert client.get("/").text.count('<a href="/events/') == 10
        store.rename(store.with_name("aside"))
        fill(store, 3)
        assert client.get("/").text.count('<a href="/events/') == 3
        store.write_bytes(b"no store " * 1000)
        assert "The journal cannot be read" in client.get("/").text


def test_a_restored_store_is_shown_without_a_restart(closed_gym, tmp_path):
    def run(*command):
        subprocess.run(
            [sys.executable, "-m", "gatectl", *command, "-c", closed_gym], check=True, capture_output=True
        )

    store = closed_gym.with_name("journal.db")
    write(store, event_of(1, credential="first"))
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        run("backup", tmp_path / "copy")
        write(store, event_of(2, credential="second"))
        assert "<bdi>second</bdi>" in client.get("/").text
        run("restore", tmp_path / "copy")
        page = client.get("/").text
        assert "<bdi>first</bdi>" in page
        assert "<bdi>second</bdi>" not in page


def test_events_pruned_while_the_page_is_open_are_gone(closed_gym):
    store = closed_gym.with_name("journal.db")
    fill(store, 10)
    with monitor(closed_gym) as address, patient_http.Client(base_url=address) as client:
        event = client.get("/").text.split('<a href="/events/')[1].split('"')[0]
        connection = sqlite3.connect(store, isolation_level=None)
        connection.execute("UPDATE marks SET value = 9e18 WHERE name = 'kept_from_us'")
        connection.execute("DELETE FROM outcomes")
        connection.execute("DELETE FROM attempts")
        answer = client.get(f"/events/{event}")
        assert answer.status_code == 404
        assert "There is no such event" in answer.text
        assert "No events." in client.get("/").text
        connection.close()


@pytest.mark.parametrize(
    "path", ["/events/nope", "/events/%00", "/events/" + "x" * 5000, "/display/nowhere", "/x"]
)
def test_members_that_do_not_exist(page_of, path):
    assert page_of.get(path).status_code == 404


@pytest.mark.parametrize("before", ["0", "-1", "9" * 30, "1e9", "٣"])
def test_a_made_up_place_is_no_error(page_of, before):
    assert page_of.get("/", params={"before": before}).status_code == 200


def test_an_outage_is_shown_in_a_plain_sentence(tmp_path):
    with SimulatedDoor(tmp_path, lambda _: None) as door, monitor(door.settings) as address:
        for code in ("WP-1500", "WP-1503", "WP-1400"):
            door.type_code(code)
        with patient_http.Client(base_url=address) as client:
            page = page_with(client, "/", "There is no need to contact Support")
            assert "perfectgym: outage since" in page
            german = client.get("/", headers={"Accept-Language": "de"}).text
            assert "perfectgym: Ausfall seit" in german


SCANS = int(os.environ.get("GATECTL_EVENTS", "100000"))


STEPS_MAX = 30_000
"""Of SQLite's machine, for a page: some milliseconds. A search through all events takes many times that."""


def test_a_page_of_a_hundred_thousand_events_reads_few_of_them(tmp_path):
    """The first view, and each filter; SQLite counts its own steps, so that no clock is looked at."""
    fill(tmp_path / "journal.db", SCANS)
    queries = [
        {},
        {"door": "main"},
        {"door": "staff"},
        {"door": "nowhere"},
        {"partner": "capitan"},
        {"member": "RARE"},
        {"result": "rejected"},
        {"result": "unknown"},
        {"door": "staff", "result": "rejected"},
        {"partner": "capitan", "result": "unknown"},
        {"since": "2000-01-01"},
        {"until": "2026-01-01"},
        {"before": str(SCANS // 2)},
    ]
    today = datetime.now().astimezone().date()
    with Browser(tmp_path / "journal.db") as browser:
        for query in queries:
            steps = []
            browser._connection.set_progress_handler(lambda steps=steps: steps.append(100), 100)
            _look(browser, Query.of(query), today)
            assert 0 < sum(steps) <= STEPS_MAX, query


def test_a_walk_that_takes_too_long_says_how_far_it_came(tmp_path, monkeypatch):
    path = tmp_path / "journal.db"
    fill(path, 50)
    monkeypatch.setattr("gatectl.journal.paging.SPAN", 10)
    monkeypatch.setattr("gatectl.journal.paging.PATIENCE_S", -1.0)
    with Browser(path) as browser:
        page = browser.page(Search(), 20, browser.mark())
    assert (len(page.events), page.older, page.complete) == (10, 41, False)
