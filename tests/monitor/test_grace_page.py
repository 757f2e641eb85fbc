"""The page of who was let in during an outage: its list, its filters, its file, and who may see it."""

import re
import subprocess
import sys

import patient_http
import pytest
from many import event_of, fill, write
from monitors import monitor, write_closed_gym

from gatectl.decision.event import GateRecord, RequestRecord
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Basis, Result, Verdict

PASSWORD = "a long sentence for the monitor"


def visit(number, *, sent=True, **fields):
    return event_of(
        number,
        result=Result.ADMITTED,
        message=Message.GRACE,
        verdict=Verdict.NONE,
        fault=Fault.TIMEOUT if sent else Fault.NETWORK,
        basis=Basis.GRACE,
        outage=True,
        request=RequestRecord(sent, number if sent else None, None, 300.0, 300, "warm"),
        gate=GateRecord(number, 301.0, 3000),
        **fields,
    )


@pytest.fixture(scope="module")
def gym(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gym")
    settings = write_closed_gym(folder)
    fill(folder / "journal.db", 500, newest_us=1_780_000_000_000_000)
    visits = [visit(number, at_us=1_790_000_000_000_000 + number * 10**9) for number in range(1, 60)]
    other = visit(
        60, at_us=1_795_000_000_000_000, sent=False, partner="capitan", member="<b>7", credential="=1"
    )
    write(folder / "journal.db", *visits, other)
    return settings


@pytest.fixture(scope="module")
def client(gym):
    with monitor(gym) as address, patient_http.Client(base_url=address) as client:
        yield client


def rows(page):
    return [
        re.sub(r"<[^>]*>|\s+", " ", row).split()
        for row in re.findall(r'<tr class="admitted".*?</tr>', page, re.DOTALL)
    ]


def test_it_lists_visits_alone_the_newest_first(client):
    page = client.get("/grace").text
    first, *rest = rows(page)
    assert first[2:] == ["main", "capitan", "&lt;b&gt;7", "=1", "network", "not", "counted"]
    assert rest[0][2:] == ["main", "wellhub", *["1000000000453"] * 2, "timeout", "perhaps", "counted"]
    assert len(rest) == 49
    older = client.get(re.search(r'rel="next" href="([^"]*)"', page)[1].replace("&amp;", "&")).text
    assert len(rows(older)) == 10
    assert 'rel="next"' not in older
    story = client.get(re.search(r'href="(/events/[^"]*)"', page)[1]).text
    assert "Let in without the partner: outage" in story
    assert "`gatectl grace` lists all such visits" in story


def test_its_filters(client):
    assert [row[3] for row in rows(client.get("/grace", params={"partner": "capitan"}).text)] == ["capitan"]
    assert len(rows(client.get("/grace", params={"since": "2026-11-01"}).text)) == 1
    nobody = client.get("/grace", params={"partner": "perfectgym"}).text
    assert "Nobody was let in during an outage." in nobody
    assert "soon is not a time." in client.get("/grace", params={"since": "soon"}).text


def test_it_is_there_in_german_and_every_page_leads_to_it(client):
    german = client.get("/grace", headers={"Accept-Language": "de"}).text
    for words in ("Bei Störungen eingelassen", "vielleicht gezählt", "nicht gezählt"):
        assert words in german
    assert '<a href="/grace">Let in during outages</a>' in client.get("/").text


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({}, []),
        ({"partner": "capitan"}, ["--partner", "capitan"]),
        ({"since": "2026-11-01"}, ["--since", "2026-11-01"]),
    ],
)
def test_the_file_is_what_the_command_prints(gym, client, query, options):
    command = [sys.executable, "-m", "gatectl", "grace", "-c", gym, "--csv", *options]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert printed.count(b"\n") >= 2
    link = re.search(r'href="(/grace\.csv\?[^"]*)" download', client.get("/grace", params=query).text)[1]
    answer = client.get(link.replace("&amp;", "&"))
    assert answer.content == printed
    assert re.fullmatch(
        r'attachment; filename="gatectl-grace-\d{4}-\d\d-\d\d\.csv"', answer.headers["content-disposition"]
    )


def test_a_monitor_with_a_password_shows_it_to_nobody_else(gym, tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    with monitor(gym, "--password-file", file) as address, patient_http.Client(base_url=address) as client:
        for path in ("/grace", "/grace.csv"):
            asked = client.get(path)
            assert (asked.status_code, asked.headers["location"]) == (
                303,
                f"/login?next={path.replace('/', '%2F')}",
            )
        assert 'href="/grace"' not in client.get("/login").text
        client.post("/login", params={"next": "/grace"}, data={"password": PASSWORD})
        assert len(rows(client.get("/grace").text)) == 50


def test_a_journal_that_cannot_be_read(tmp_path):
    with monitor(write_closed_gym(tmp_path)) as address:
        answer = patient_http.get(f"{address}/grace")
    assert (answer.status_code, "The journal cannot be read." in answer.text) == (503, True)
