"""Out of the monitor: a search by code and time, a day's chart, and a file for spreadsheets."""

import asyncio
import csv
import io
import re
import subprocess
import sys
from datetime import UTC, datetime

import patient_http
import pytest
from many import event_of, fill, write
from monitors import monitor, write_closed_gym
from starlette.requests import Request

from gatectl.decision.verdict import Result
from gatectl.journal.filters import Filters
from gatectl.journal.paging import Browser
from gatectl.monitor.chart import day_of
from gatectl.monitor.handlers import PageHandlers
from gatectl.monitor.journal_worker import JournalWorker
from gatectl.monitor.renderer import SiteInfo

BERLIN = "Europe/Berlin"


def at(text):
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1_000_000)


@pytest.fixture(scope="module")
def gym(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gym")
    settings = write_closed_gym(folder)
    settings.write_text(settings.read_text().replace("[site]", f'[site]\ntimezone = "{BERLIN}"'))
    fill(folder / "journal.db", 1200, newest_us=at("2026-06-01T12:00:00Z"))
    more = [
        event_of(1, at_us=at("2026-10-25T00:30:00Z"), credential="04:A2:B3:C4:D5:E6:F7", partner="capitan"),
        event_of(2, at_us=at("2026-10-25T01:30:00Z"), credential="=1+1", partner="capitan"),
        event_of(3, at_us=at("2026-10-25T22:30:00Z"), credential="late", partner="capitan"),
        event_of(4, at_us=at("2026-03-29T00:30:00Z"), partner="capitan", member="7;7", customer="12"),
        event_of(5, at_us=at("2026-03-29T01:30:00Z"), partner="capitan", reason=None),
        event_of(
            6, at_us=at("2027-04-01T10:00:00Z"), kind="manual", credential=None, member=None, partner=None,
            result=Result.ADMITTED, message="Opened by hand: Müller, Öltank",
        ),
    ]  # fmt: skip
    write(folder / "journal.db", *more)
    return settings


@pytest.fixture(scope="module")
def client(gym):
    with monitor(gym) as address, patient_http.Client(base_url=address) as client:
        yield client


def command(settings, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "gatectl", "events", "-c", settings, "--csv", *arguments],
        capture_output=True,
        check=True,
    )
    return done.stdout


def shown(client, **query):
    return re.findall(r"<bdi>([^<]*)</bdi></td>\s*<td class=\"partner\"", client.get("/", params=query).text)


def test_the_download_is_what_the_command_prints(gym, client):
    answer = client.get("/events.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="gatectl-events-\d{4}-\d\d-\d\d\.csv"', answer.headers["content-disposition"]
    )
    assert answer.content == command(gym)
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 1 + 1206
    assert "'=1+1" in {cell for row in rows for cell in row}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({"partner": "capitan"}, ["--partner", "capitan"]),
        ({"code": "04a2b3c4d5e6f7"}, ["--code", "04a2b3c4d5e6f7"]),
        ({"kind": "manual"}, ["--kind", "manual"]),
        ({"result": "rejected", "since": "2026-10-25", "until": "2026-10-25"},
         ["--result", "rejected", "--since", "2026-10-25", "--until", "2026-10-25"]),
        ({"member": "nobody"}, ["--member", "nobody"]),
    ],
)  # fmt: skip
def test_the_download_has_the_lists_filters(gym, client, query, options):
    assert client.get("/events.csv", params=query).content == command(gym, *options)


def test_the_list_offers_its_download(client):
    page = client.get("/", params={"partner": "capitan", "codes": "whole"}).text
    link = re.search(r'href="(/events\.csv\?[^"]*)" download', page)[1].replace("&amp;", "&")
    assert client.get(link).text.count("capitan") > 4


def test_a_code_is_found_in_any_notation(client):
    assert shown(client, code="04a2b3c4d5e6f7", codes="whole") == ["04:A2:B3:C4:D5:E6:F7"]
    for printed in ("1304792892040951", "69778125050061316", "F7E6D5C4B3A204"):
        assert shown(client, code=printed, codes="whole") == ["04:A2:B3:C4:D5:E6:F7"], (
            "another of its numbers"
        )
    assert shown(client, code="late", codes="whole") == ["late"]
    assert shown(client, code="lat") == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"until": "2026-10-25T02:30", "since": "2026-10-25"}, ["=1+1", "…6:F7"]),
        ({"until": "2026-10-25", "since": "2026-10-25T03:00"}, ["late"]),
        ({"until": "2026-10-25T01:29", "since": "2026-10-25"}, []),
    ],
)
def test_until_means_the_whole_minute_and_day_and_both_of_an_hour_that_comes_twice(client, query, found):
    assert shown(client, **query) == found


def test_both_passes_of_a_repeated_hour_are_distinguished_in_the_list(client):
    page = client.get("/", params={"since": "2026-10-25", "until": "2026-10-25"}).text
    assert re.findall(r">(0?2:30:00[^<]*)</time>", page) == ["02:30:00+01:00", "02:30:00+02:00"]


@pytest.mark.parametrize(
    ("day", "hours", "marks"),
    [
        ("2026-10-25", ["02:00+02:00", "02:00+01:00", "23:00"], ["0", "6", "12", "18"]),
        ("2026-03-29", ["01:00", "03:00"], ["0", "6", "12", "18"]),
    ],
)
def test_the_days_chart_is_right_around_the_change_of_the_clocks(client, day, hours, marks):
    page = client.get("/", params={"day": day}).text
    assert re.findall(r'<th scope="row">([^<]*)</th>', page) == hours
    assert re.findall(r'<text x="[\d.]+" y="135">(\d+)</text>', page) == marks
    bars = [float(x) for x in re.findall(r'<rect class="refused" x="([\d.]+)"', page)]
    places = {name: float(x) for x, name in re.findall(r'<text x="([\d.]+)" y="135">(\d+)</text>', page)}
    assert bars == sorted(set(bars)), "no bar is over another"
    if day == "2026-10-25":
        assert places["6"] > 480 / 4, "seven hours before it"
        assert bars[-1] < 480
    else:
        assert places["6"] < 480 / 4, "five hours before it"


def test_a_days_chart_leads_to_the_day_before_and_the_day_after(client):
    page = client.get("/", params={"day": "2026-03-01"}).text
    assert re.findall(r'href="/\?day=([\d-]+)#day"', page) == ["2026-02-28", "2026-03-02"]


def test_a_day_without_a_change_has_24_hours_of_the_same_width(tmp_path):
    fill(tmp_path / "journal.db", 1440)
    with Browser(tmp_path / "journal.db") as browser:
        day = day_of(browser, datetime.now().astimezone().date())
    assert [x for x, _ in day.marks] == [0, 120, 240, 360]


def test_batches_of_an_export_are_bounded_and_miss_nothing(tmp_path):
    fill(tmp_path / "journal.db", 1300)
    with Browser(tmp_path / "journal.db") as browser:
        found, low, until = [], None, browser.mark()
        while True:
            events, low = browser.batch(Filters(partner="wellhub"), low, until)
            assert len(events) <= 500
            found += events
            if low is None:
                break
        assert [event.attempt.id for event in found] == [
            event.attempt.id for event in browser.query(Filters(partner="wellhub"), until=until)
        ]
        assert browser.batch(Filters(member="nobody"), None, until) == ([], None)


def test_a_download_whose_journal_is_replaced_says_at_its_end_that_it_is_not_whole(tmp_path):
    """The store is exchanged between two batches, as `gatectl restore` does."""
    store = tmp_path / "journal.db"
    fill(store, 1200)
    desk = JournalWorker(store)
    pages = PageHandlers(SiteInfo("", "", (), {}), desk, None, None, None)
    scope = {"type": "http", "method": "GET", "path": "/events.csv", "query_string": b"", "headers": []}

    async def story():
        answer = await pages.download(Request(scope))
        parts = []
        async for part in answer.body_iterator:
            parts.append(part)
            if len(parts) == 1:
                store.rename(tmp_path / "aside")
                fill(store, 30)
        return parts

    parts = asyncio.run(story())
    desk.close()
    assert len(parts) == 2
    assert parts[1] == "incomplete: the journal cannot be read any further\n"
