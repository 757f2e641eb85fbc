"""The Event Monitor over all gates: real PostgreSQL, filled by ingest's own code, and the real process."""

import asyncio
import contextlib
import csv
import re
import time
from datetime import UTC, datetime, timedelta
from html import unescape

import patient_http
import psycopg
import pytest
from limits import NET_S
from office_rig import KEY, PRIVACY, SINCE, at, door, fleet_monitor, partner, settings_of, status
from patient_http import page_with
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from virtual_gate import event_of

from gatectl.decision.outcomes import Message
from gatectl.fleet.fleet_metrics import SERIES_MAX, TIMED_MAX, FleetEventCounts, FleetMetrics
from gatectl.fleet.intake import Incoming
from gatectl.fleet.overview import OfficeAlarm, Overview
from gatectl.fleet.stored_events import DatabaseUnreachable, FleetSource, StoredEvents
from gatectl.fleet.web import SITE, FleetFeeds, FleetRenderer, MemberLookup
from gatectl.journal.reader import UnreadableError
from gatectl.monitor.feeds import HealthNews
from gatectl.monitor.renderer import StaticFiles
from gatectl.uplink.privacy import Privacy
from gatectl.uplink.wire import EventBatch, NumberedEvent

EVENT_ID = re.compile(r'<tr class="[^"]*" id="e([0-9a-f-]{36})"')


@pytest.fixture
def pages(tables, tmp_path):
    """A client of the running monitor."""
    with (
        fleet_monitor(settings_of(tmp_path, tables.dsn)) as address,
        patient_http.Client(base_url=address) as client,
    ):
        yield client


def listed(pages, **query):
    """The IDs of the events on the list's page."""
    return EVENT_ID.findall(pages.get("/", params=query).raise_for_status().text)


def badge(html, name):
    """The state of a badge in the strip at the top."""
    return re.search(rf"<b>{name}</b> ([^<]*)</li>", html)[1]


def gate_row(html, device):
    """The row of a gate on the fleet's page, without its tags."""
    row = re.search(rf'<tr class="(\w+)" id="gate-{device}">(.*?)</tr>', html, re.DOTALL)
    return row[1], " ".join(re.sub(r"<[^>]+>", " ", row[2]).split())


def test_the_list_has_the_newest_scan_of_all_gates_first_whenever_it_came_in(pages, tables):
    new = tables.scan("berlin-1", "Berlin", at=at(1))
    old = tables.scan("munich-1", "München", at=at(600))
    middle = tables.scan("berlin-1", "Berlin", at=at(30))
    assert listed(pages) == [new, middle, old]
    html = pages.get("/").text
    assert "München" in html
    assert "Checked in" in html or "Aggregator member checked in" in html


def test_a_gate_whose_clock_is_ahead_is_not_on_top_for_ever(pages, tables):
    first = tables.scan("berlin-1", "Berlin", at=at(1))
    ahead = [tables.scan("munich-1", "München", at=at(-525_600)) for _ in range(60)]
    last = tables.scan("berlin-1", "Berlin", at=at(0))
    assert listed(pages)[:2] == [last, ahead[-1]]
    assert listed(pages, partner="wellhub")[0] == last
    assert listed(pages, device="munich-1") == ahead[::-1][:50]
    before = re.search(r'rel="next" href="/\?before=(\d+)"', pages.get("/").text)[1]
    assert listed(pages, before=before) == [*ahead[10::-1], first]
    lines = pages.get("/events.csv").text.splitlines()
    assert [line.rpartition(",")[2] for line in lines[1:]] == [first, *ahead, last]


@pytest.mark.parametrize(("minutes_ago", "is_wrong"), [(-525_600, True), (60, True), (0, False), (-4, False)])
def test_a_gate_whose_clock_is_wrong_is_said_to_be(pages, tables, minutes_ago, is_wrong):
    tables.health("berlin-1", at=at(minutes_ago))
    tables.here("berlin-1")
    html = page_with(pages, "/fleet", "1 of 1 online")
    assert ("its clock was at " in gate_row(html, "berlin-1")[1]) == is_wrong
    assert ("Gates that need somebody: 1 (berlin-1)." in html) == is_wrong
    tables.here("berlin-1", online=False)
    html = page_with(pages, "/fleet", "0 of 1 online")
    assert "its clock was at " not in html


def test_the_list_is_filtered_by_studio_and_by_gate(pages, tables):
    first = tables.scan("berlin-1", "Berlin", at=at(3))
    second = tables.scan("berlin-2", "Berlin", at=at(2))
    third = tables.scan("munich-1", "München", at=at(1))
    assert listed(pages, studio="Berlin") == [second, first]
    assert listed(pages, device="berlin-1") == [first]
    assert listed(pages, studio="Berlin", device="munich-1") == []
    html = page_with(pages, "/", '<option value="München"')
    assert all(f'<option value="{name}"' in html for name in ("Berlin", "München", "berlin-2", "wellhub"))
    assert listed(pages) == [third, second, first]


def test_the_pages_of_the_list_have_every_event_once_also_where_many_have_one_time(pages, tables):
    moment = at(5)
    ids = tables.events("berlin-1", *(event_of(number, at=moment) for number in range(120)))
    found, query = [], {}
    while True:
        html = pages.get("/", params=query).text
        found += EVENT_ID.findall(html)
        older = re.search(r'rel="next" href="/\?before=(\d+)"', html)
        if older is None:
            break
        query = {"before": older[1]}
    assert found == ids[::-1]


def test_a_member_is_found_by_number_at_each_partner(pages, tables):
    tables.scan("berlin-1", "Berlin", "1400", at=at(4))
    first = tables.scan("berlin-1", "Berlin", "1403", at=at(3))
    second = tables.scan("munich-1", "München", "1403", partner="wellpass", at=at(2))
    plain = tables.events("hamburg-1", event_of(1, "Hamburg", member="1403", at=at(1)))
    page_with(pages, "/", '<option value="wellpass"')
    assert listed(pages, member="1403") == [*plain, second, first]
    assert listed(pages, member="1403", partner="wellpass") == [second]
    assert listed(pages, code="card-1403") == [second, first]
    pseudonym = Privacy("pseudonym", KEY).pseudonym("member", "wellhub", "1403")
    assert listed(pages, member=pseudonym) == [first]
    assert listed(pages, member="140") == []
    assert "monitor.pseudonym_key" not in pages.get("/", params={"member": "1403"}).text


def test_without_the_tenants_key_a_look_up_says_what_it_needs(tables, tmp_path):
    tables.scan("berlin-1", "Berlin", "1403")
    settings = settings_of(tmp_path, tables.dsn, "# no key")
    with fleet_monitor(settings) as address:
        html = patient_http.get(f"{address}/", params={"member": "1403"}).text
    assert "monitor.pseudonym_key" in html
    assert not EVENT_ID.findall(html)


def test_an_events_page_has_the_words_of_a_gates_monitor_and_nothing_that_only_a_gate_has(pages, tables):
    failed = {"result": "rejected", "verdict": "none", "fault": "network", "status": None, "basis": None}
    event_id = tables.scan("berlin-1", "Berlin", message=Message.NO_VERDICT.value, gate=None, **failed)
    html = pages.get(f"/events/{event_id}").raise_for_status().text
    assert Message.NO_VERDICT.value in html
    assert "berlin-1" in html
    assert "/report" not in html
    assert pages.get(f"/events/{event_id}/report").status_code == 404
    assert pages.get("/events/00000000-0000-7000-8000-000000000000").status_code == 404
    assert pages.get("/events/no-uuid").status_code == 404
    assert pages.get("/display/main").status_code == 404


def test_what_a_hostile_gate_or_one_of_a_later_version_sends_is_listed_and_breaks_no_page(pages, tables):
    odd = [
        {"kind": "teleport", "result": "beamed", "verdict": "maybe", "fault": "gremlins", "basis": "luck"},
        {"request": {"sent": "x", "sent_at": 7, "elapsed_ms": "long", "budget_ms": [], "connection": 9}},
        {"request": {"elapsed_ms": 10**400, "answered_at": at(0)}},
        {"gate": {"opened_at": "soon", "after_ms": {}, "open_ms": "?"}, "reason": {"key": 3, "text": []}},
        {"at": "0001-01-01T00:00:00.000000Z"},
        {"at": "9999-12-31T23:59:59.999999Z", "studio": None, "door": None, "message": None},
        {"studio": "<script>alert(1)</script>", "message": "<b>bold</b>"},
    ]
    ids = tables.events(
        "odd-1",
        *(event_of(1, **fields) if "studio" not in fields else {**event_of(1), **fields} for fields in odd),
    )
    tables.health("odd-1", status={"doors": [], "partners": {"x": {"state": 7}}}, certificate_until="soon")
    tables.here("odd-1")
    tables.health(
        "odd-2", status={"doors": ["x"], "partners": ["y"], "journal": [1]}, settings=[1], version=3
    )
    tables.here("odd-2")
    tables.health("odd-3", status=["up"])
    page_with(pages, "/fleet", "odd-3")
    assert set(listed(pages)) == set(ids)
    for event_id in ids:
        pages.get(f"/events/{event_id}").raise_for_status()
    pages.get("/events.csv").raise_for_status()
    pages.get("/metrics").raise_for_status()
    for path in ("/?day=", "/fleet", "/grace"):
        html = pages.get(path).raise_for_status().text
        assert "<script>alert" not in html


def test_who_was_let_in_during_an_outage_is_listed_for_the_whole_fleet(pages, tables):
    tables.scan("berlin-1", "Berlin", at=at(2))
    graced = tables.scan("munich-1", "München", basis="grace", fault="timeout", verdict="none", at=at(1))
    html = pages.get("/grace").raise_for_status().text
    assert re.findall(r'id="e([0-9a-f-]{36})"', html) == [graced]
    header, row = csv.reader(pages.get("/grace.csv").raise_for_status().text.splitlines())
    assert header[2:5] == ["studio", "device", "door"]
    assert row[2:5] == ["München", "munich-1", "main"]


def test_the_download_has_every_event(pages, tables):
    ids = tables.events("berlin-1", *(event_of(number, at=at(9)) for number in range(1203)))
    tables.scan("munich-1", "München")
    lines = pages.get("/events.csv", params={"device": "berlin-1"}).raise_for_status().text.splitlines()
    assert [line.rpartition(",")[2] for line in lines[1:]] == ids
    header, row, *_ = csv.reader(lines)
    named = dict(zip(header, row, strict=True))
    assert [named[name] for name in ("studio", "device", "door")] == ["Berlin", "berlin-1", "main"]


def test_the_day_is_drawn_for_who_asks(pages, tables):
    tables.scan("berlin-1", "Berlin")
    tables.scan("berlin-1", "Berlin", result="rejected", basis=None)
    assert "<svg" not in pages.get("/").text
    html = pages.get("/", params={"day": ""}).text
    assert "<figcaption>wellhub: 1 admitted, 1" in html


def test_the_fleets_page_says_of_each_gate_what_is_wrong(pages, tables):
    soon = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    tables.events("berlin-1", *(event_of(number, "Berlin") for number in range(3)))
    tables.health("berlin-1", settings="sha256:aaaaaaaa0", certificate_until="2030-01-01T00:00:00Z")
    tables.here("berlin-1")
    tables.scan("munich-1", "München")
    tables.health("munich-1", last=41, settings="sha256:aaaaaaaa0", oldest_unsent_at=at(120))
    tables.here("munich-1")
    tables.here("munich-1", online=False)
    lost = status(
        doors={"main": door(scanner="lost")},
        journal={"error": None, "late": 0, "lost": 7, "in_memory": False},
    )
    tables.scan("hamburg-1", "Hamburg")
    tables.health("hamburg-1", settings="sha256:bbbbbbbb0", certificate_until=soon, status=lost)
    tables.here("hamburg-1")
    html = page_with(pages, "/fleet", "2 of 3 online")
    assert 'id="gate-hamburg-1"' in html
    well, berlin = gate_row(html, "berlin-1")
    assert well == "well"
    assert re.fullmatch(r"● berlin-1 Berlin online since \d\d:\d\d 2030-01-01 aaaaaaaa 1\.0", berlin)
    ill, munich = gate_row(html, "munich-1")
    assert ill == "ill"
    assert re.search(r"offline since \d\d:\d\d 40 events behind, since ", munich)
    ill, hamburg = gate_row(html, "hamburg-1")
    assert ill == "ill"
    assert "ttyUSB0" in hamburg
    assert "unplugged" in hamburg
    assert f"{soon[:10]} bbbbbbbb differ from most 1.0 7" in hamburg
    assert "Gates offline: 1 (munich-1)." in html
    assert "Certificates that end within 30 days: 1 (hamburg-1)." in html
    assert badge(html, "Gates") == "2 of 3 online"
    assert "a person wrote this" not in html


def test_a_broker_that_is_away_is_said_once_and_no_gate_is_blamed(pages, tables):
    for device in ("berlin-1", "munich-1", "hamburg-1"):
        tables.scan(device, device.capitalize())
        tables.here(device)
    tables.here("hamburg-1", online=False)
    offline = "UPDATE device SET online_at = now() - interval '1 hour' WHERE NOT online"
    with psycopg.connect(tables.dsn, autocommit=True) as connection:
        connection.execute(offline)
    tables.here("munich-1", online=False)  # as a broker says that ends in order
    tables.broker(connected=False)
    html = page_with(pages, "/fleet", "Ingest has not reached the broker since ")
    assert badge(html, "Gates") == "1 of 3 online (last known)"
    assert "Gates offline: 1 (hamburg-1)." in html
    states = [gate_row(html, device) for device in ("berlin-1", "munich-1", "hamburg-1")]
    assert [well for well, _ in states] == ["well", "well", "ill"]
    words = [r"online since [\d:]+ \(last known\)", "not heard of since [\\d:]+, as the broker was away"]
    words.append(r"offline since .* \(last known\)")
    assert all(re.search(pattern, row) for pattern, (_, row) in zip(words, states, strict=True))
    tables.broker(connected=True)
    html = page_with(pages, "/fleet", "Gates offline: 1 (hamburg-1).")
    assert "Ingest has not" not in page_with(pages, "/fleet", "1 of 3 online</li>")
    assert gate_row(html, "munich-1")[0] == "well"
    back = "UPDATE broker SET since = now() - interval '3 minutes', lost_at = now() - interval '4 minutes'"
    with psycopg.connect(tables.dsn, autocommit=True) as connection:
        connection.execute(back)
    page_with(pages, "/fleet", "Gates offline: 2 (hamburg-1, munich-1).")


def test_ingest_that_does_not_run_is_said_first(pages, tables):
    tables.scan("berlin-1", "Berlin")
    tables.here("berlin-1")
    page_with(pages, "/fleet", "1 of 1 online")
    tables.stop()
    html = page_with(pages, "/fleet", "Nothing comes in: gatectl fleet ingest is not connected")
    assert badge(html, "Gates") == "1 of 1 online (last known)"


def test_the_fleets_page_has_the_alarm_of_a_doors_contact(pages, tables):
    doors = {"main": door(alarm={"name": "forced", "since": SINCE}), "side": door(alarm=None)}
    tables.scan("berlin-1", "Berlin")
    tables.health("berlin-1", status=status(doors=doors))
    tables.here("berlin-1")
    html = page_with(pages, "/fleet", 'id="gate-berlin-1"')
    ill, row = gate_row(html, "berlin-1")
    assert ill == "ill"
    assert f"main: {Message.FORCED.value}" in row
    assert "side:" not in row


def test_one_partner_that_fails_at_many_studios_is_said_in_a_sentence(pages, tables):
    failing = {"wellhub": partner("outage", failing={"fault": "timeout", "status": None, "detail": ""})}
    for device, studio, partners in (
        ("berlin-1", "Berlin", failing),
        ("munich-1", "München", failing),
        ("hamburg-1", "Hamburg", {"wellhub": partner()}),
    ):
        tables.scan(device, studio)
        tables.health(device, status=status(partners))
        tables.here(device)
    html = page_with(pages, "/", "wellhub fails at 2 of 3 studios: Berlin, München.")
    assert badge(html, "wellhub") == "fails at 2 of 3 studios"
    states = re.findall(
        r'<tr class="(well|ill)">\s*<th scope="row">wellhub</th>(.*?)</tr>',
        pages.get("/fleet").text,
        re.DOTALL,
    )
    assert [(well, "Berlin, München" in row, "Hamburg" in row) for well, row in states] == [
        ("ill", True, False),
        ("well", False, True),
    ]


def test_a_partner_that_fails_at_one_studio_is_not_said_to_fail_for_all(pages, tables):
    failing = {"wellhub": partner("outage")}
    for device, partners in (("berlin-1", failing), ("munich-1", {"wellhub": partner()})):
        tables.scan(device, device)
        tables.health(device, status=status(partners))
        tables.here(device)
    html = page_with(pages, "/", "fails at 1 of 2 studios")
    assert "So it is rather" not in html


def test_an_alarm_of_ingest_is_said_on_top(pages, tables):
    tables.scan("berlin-1", "Berlin")
    for session in (
        f"{1:016x}-1",
        f"{2:016x}-1",
        f"{1:016x}-2",
    ):  # a process comes back that another one had replaced
        tables.here("berlin-1", session=session)
    page_with(pages, "/", "berlin-1: two machines write under this name")
    assert "<h2>Alarms</h2>" in pages.get("/fleet").text


def test_the_pages_are_german_for_a_german_browser(pages, tables):
    tables.scan("berlin-1", "Berlin")
    tables.health("berlin-1")
    tables.here("berlin-1", online=False)
    pages.headers["Accept-Language"] = "de"
    page_with(pages, "/fleet", "nicht verbunden seit")


def test_a_database_that_is_away_is_said_and_the_pages_come_back_by_themselves(pages, tables, cluster):
    event_id = tables.scan("berlin-1", "Berlin")
    assert listed(pages) == [event_id]
    cluster.stop()
    try:
        away = "The events cannot be read: PostgreSQL cannot be reached. The gates go on by themselves"
        page_with(pages, "/", away)
        html = page_with(pages, "/fleet", away)
        assert "the database cannot be read: " in html
        answer = pages.get("/metrics")
        assert (answer.status_code, answer.text[:29]) == (503, "the database cannot be read: ")
    finally:
        cluster.start()
    assert listed(pages) == [event_id]


def test_the_monitor_cannot_write(tables):
    stored = StoredEvents(tables.dsn, None)
    try:
        with pytest.raises(UnreadableError, match="read-only"):
            stored.rows("DELETE FROM event RETURNING id")
    finally:
        stored.close()


def test_a_password_guards_every_page(tables, tmp_path):
    (tmp_path / "password").write_text("a long enough password\n")
    (tmp_path / "password").chmod(0o600)
    settings = settings_of(tmp_path, tables.dsn, 'password = { file = "password" }')
    with fleet_monitor(settings) as address, patient_http.Client(base_url=address) as client:
        for path in ("/", "/fleet", "/events.csv"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")
        client.post("/login", data={"password": "a long enough password"})
        assert client.get("/fleet").status_code == 200


def test_a_scan_is_on_an_open_page_when_it_is_committed_and_an_old_one_is_not(pages, tables):
    tables.scan("berlin-1", "Berlin", at=at(1))
    stream = re.search(r'data-live="(/live/[^"]*)"', pages.get("/", params={"studio": "Berlin"}).text)[1]
    news = []
    with pages.stream("GET", unescape(stream)) as answer:
        lines = answer.iter_lines()
        next(lines)  # it is open
        tables.scan("munich-1", "München")
        tables.scan("berlin-1", "Berlin", at=at(60))
        new = tables.scan("berlin-2", "Berlin")
        for line in lines:
            news += EVENT_ID.findall(line)
            if new in news:
                break
    assert news == [new]


def test_a_notification_wakes_the_pages(tables):
    class Watched(FleetFeeds):
        woken = False

        def wake(self):
            self.woken = True

    async def scenario():
        source = FleetSource(tables.dsn, None)
        feeds = Watched(source, MemberLookup(b""))
        following = asyncio.create_task(feeds.follow_notifications())
        try:
            async with asyncio.timeout(NET_S):
                while not feeds.woken:  # the first commits may come before it listens
                    await asyncio.to_thread(tables.scan, "berlin-1", "Berlin")
        finally:
            following.cancel()
            source.close()

    asyncio.run(scenario())


def samples(pages):
    """The samples of /metrics by their name and labels."""
    text = pages.get("/metrics").raise_for_status().text
    families = text_string_to_metric_families(text)
    return text, {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def labelled(name, **labels):
    return (name, *sorted(labels.items()))


def test_one_scrape_has_the_whole_fleet(pages, tables):
    tables.scan("berlin-1", "Berlin", "1403")
    tables.health("berlin-1", certificate_until="2030-01-01T00:00:00Z")
    tables.here("berlin-1")
    tables.scan("munich-1", "München")
    tables.health("munich-1", last=41, status=status({"wellhub": partner("outage")}))
    tables.here("munich-1", online=False)
    page_with(pages, "/metrics", 'gatectl_fleet_up{device="munich-1"')
    before = samples(pages)[1]
    shut = {"result": "rejected", "basis": None, "fault": "timeout"}
    ids = [tables.scan("berlin-1", "Berlin", "1403") for _ in range(2)]
    ids.append(tables.scan("munich-1", "München", "1404", **shut))
    text, found = samples(pages)
    berlin, munich = (
        {"device": device, "studio": studio}
        for device, studio in (("berlin-1", "Berlin"), ("munich-1", "München"))
    )
    assert found[labelled("gatectl_fleet_up", **berlin)] == 1
    assert found[labelled("gatectl_fleet_up", **munich)] == 0
    assert found[labelled("gatectl_fleet_partner_up", **munich, partner="wellhub")] == 0
    assert found[labelled("gatectl_fleet_partner_up", **berlin, partner="wellhub")] == 1
    assert found[labelled("gatectl_fleet_certificate_end_timestamp_seconds", **berlin)] == 1893456000
    assert abs(found[labelled("gatectl_fleet_last_seen_timestamp_seconds", **berlin)] - time.time()) < 600
    at_main = {"kind": "scan", "door": "main", "partner": "wellhub"}
    name = "gatectl_fleet_events_total"
    admitted = labelled(name, device="berlin-1", **at_main, result="admitted", fault="")
    assert found[admitted] == before.get(admitted, 0) + 2
    assert found[labelled(name, device="munich-1", **at_main, result="rejected", fault="timeout")] == 1
    pseudonyms = [PRIVACY.pseudonym("member", "wellhub", number) for number in ("1403", "1404")]
    assert not [secret for secret in (*ids, *pseudonyms, "p:") if secret in text]
    assert samples(pages)[1][admitted] == found[admitted]


def test_a_scrape_has_the_health_of_each_gate(pages, tables):
    inputs = {
        "passage": {"state": "ok", "level": True},
        "contact": {"state": "distrusted", "level": False},
    }
    doors = {"main": door(scanner="lost", inputs=inputs), "side": door()}
    doors["side"]["gate"] |= {"open": True}
    journal = {"error": None, "late": 4, "lost": 7, "in_memory": False}
    partners = {"wellhub": partner("outage"), "wellpass": partner("refusing_key")}
    tables.scan("berlin-1", "Berlin")
    tables.health(
        "berlin-1",
        last=3,
        oldest_unsent_at="2026-11-26T08:00:00.000000Z",
        clock={"synchronised": False},
        status=status(partners, doors=doors, journal=journal),
    )
    page_with(pages, "/metrics", 'gatectl_fleet_behind_events{device="berlin-1",studio="Berlin"} 2.0')
    found = samples(pages)[1]
    expected = {
        ("oldest_pending_timestamp_seconds",): 1795680000,
        ("partner_outage", ("partner", "wellhub")): 1,
        ("partner_outage", ("partner", "wellpass")): 0,
        ("partner_up", ("partner", "wellpass")): 0,
        ("reader_up", ("door", "main"), ("scanner", "/dev/ttyUSB0")): 0,
        ("reader_up", ("door", "side"), ("scanner", "/dev/ttyUSB0")): 1,
        ("input_active", ("door", "main"), ("input", "passage")): 1,
        ("input_up", ("door", "main"), ("input", "contact")): 0,
        ("gate_open", ("door", "main")): 0,
        ("gate_open", ("door", "side")): 1,
        ("gate_up", ("door", "side")): 1,
        ("journal_late",): 4,
        ("journal_lost",): 7,
        ("cards",): 3,
        ("clock_synchronised",): 0,
    }
    berlin = {"device": "berlin-1", "studio": "Berlin"}
    named = {
        labelled(f"gatectl_fleet_{name}", **berlin, **dict(labels)): value
        for (name, *labels), value in expected.items()
    }
    assert {key: found.get(key) for key in named} == named
    assert found["gatectl_start_time_seconds",] == pytest.approx(time.time(), abs=600)
    assert found["gatectl_fleet_ingest_up",] == 1


def test_a_scrape_has_the_times_of_decisions_and_partners(pages, tables):
    samples(pages)
    request = {"sent": True, "elapsed_ms": 100, "budget_ms": 2000}
    opened = {"opened_at": at(0), "after_ms": 101.5, "open_ms": 3000}
    tables.scan("berlin-1", "Berlin", request=request, gate=opened)
    tables.scan("berlin-1", "Berlin", request={**request, "elapsed_ms": 2400}, gate=None, result="rejected")
    tables.scan("berlin-1", "Berlin", request={**request, "elapsed_ms": 10**400}, gate={"after_ms": "soon"})
    found = samples(pages)[1]

    def buckets(name, **labels):
        steps = ("0.05", "0.1", "0.2", "2.0", "5.0", "+Inf")
        bucket = f"gatectl_fleet_{name}_seconds_bucket"
        return [found[labelled(bucket, device="berlin-1", **labels, le=step)] for step in steps]

    assert buckets("decision", door="main") == [0, 0, 1, 1, 2, 3]
    assert buckets("partner", partner="wellhub") == [0, 1, 1, 1, 2, 3]
    total = labelled("gatectl_fleet_decision_seconds_sum", device="berlin-1", door="main")
    assert found[total] == pytest.approx(0.1015 + 2.4 + 1e6)


def test_alarms_are_counted_by_kind(pages, tables):
    one = event_of(1)
    tables.events("berlin-1", one)
    journal, _ = tables._journals["berlin-1"]
    for _ in range(2):
        clone = EventBatch(journal, 1, 0, 1, (NumberedEvent(1, event_of(1)),))
        tables.take(Incoming("berlin-1", clone))
    page_with(pages, "/metrics", 'gatectl_fleet_alarms_total{device="berlin-1",kind="two_machines"} 2.0')


def test_events_are_counted_from_the_start_on_not_from_the_first_scrape(tables):
    async def scenario():
        source = FleetSource(tables.dsn, None)
        metrics = FleetMetrics(FleetFeeds(source, MemberLookup(b"")).overview, source)
        following = asyncio.create_task(metrics.follow())
        try:
            async with asyncio.timeout(NET_S):
                while metrics._counts._mark is None:
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(tables.scan, "berlin-1", "Berlin")
            return (await metrics.rendered())[0]
        finally:
            following.cancel()
            await asyncio.wait([following])
            source.close()

    tables.scan("berlin-1", "Berlin")
    text = asyncio.run(scenario())
    assert re.findall(r'gatectl_fleet_events_total{device="berlin-1".*} (.*)', text) == ["1.0"]


def test_how_far_a_gate_is_behind_is_its_last_number_less_the_mark(pages, tables):
    tables.scan("munich-1", "München")
    tables.health("munich-1", last=41)
    page_with(pages, "/metrics", 'gatectl_fleet_behind_events{device="munich-1",studio="München"} 40.0')


def test_a_gate_cannot_make_up_time_series_without_end(tables):
    counts = FleetEventCounts()
    stored = StoredEvents(tables.dsn, None)
    try:
        counts.count(stored)
        assert counts.events == {}
        made_up = [{"door": f"door-{number}", "kind": "k" * number} for number in range(SERIES_MAX + 9)]
        tables.events("odd-1", *({**event_of(1), **fields} for fields in made_up))
        tables.scan("berlin-1", "Berlin")
        counts.count(stored)
        found = counts.events
        assert sum(found.values()) == SERIES_MAX + 10
        assert found["odd-1", "other", "other", "other", "other", "other"] == 9
        assert len(found) == SERIES_MAX + 2
        assert {labels[1] for labels in found} == {"", "other", "scan"}
        assert len([device for device, _ in counts.decisions if device == "odd-1"]) == TIMED_MAX + 1
    finally:
        stored.close()


def test_the_metrics_ask_for_the_password_themselves(tables, tmp_path):
    (tmp_path / "password").write_text("a long enough password\n")
    (tmp_path / "password").chmod(0o600)
    with fleet_monitor(settings_of(tmp_path, tables.dsn, 'password = { file = "password" }')) as address:
        assert patient_http.get(f"{address}/metrics").status_code == 401
        answer = patient_http.get(f"{address}/metrics", auth=("prometheus", "a long enough password"))
    assert answer.status_code == 200
    assert answer.text.endswith("# EOF\n")


def test_the_strip_is_made_once_for_all_pages_of_a_second():
    """It looks at every gate of the fleet."""
    renderer = FleetRenderer(SITE, StaticFiles().address, has_password=False)
    now = datetime.now(UTC)
    first, second = (
        HealthNews({"overview": Overview(now, alarms=alarms)})
        for alarms in ([], [OfficeAlarm("berlin-1", "pruned", now, now, 1, "3 events")])
    )
    strip = renderer.health(first, "en")
    assert renderer.health(first, "en") is strip
    assert renderer.health(second, "en") != strip
    assert renderer.health(second, "de") != renderer.health(second, "en")


def test_a_search_that_takes_too_long_is_no_outage_of_the_database(tables):
    with contextlib.closing(StoredEvents(tables.dsn, None)) as stored:
        assert stored.rows("SHOW statement_timeout") == [{"statement_timeout": "5s"}]
        stored.rows("SELECT set_config('statement_timeout', '1', false)")
        with pytest.raises(UnreadableError, match="takes too long") as caught:
            stored.rows("SELECT pg_sleep(100)")
    assert not isinstance(caught.value, DatabaseUnreachable)


def test_a_database_without_tables_says_what_makes_them(database):
    with (
        contextlib.closing(StoredEvents(database, None)) as stored,
        pytest.raises(UnreadableError, match="there are no tables yet") as caught,
    ):
        stored.mark()
    assert not isinstance(caught.value, DatabaseUnreachable)
