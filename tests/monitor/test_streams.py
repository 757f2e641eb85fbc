"""A stream that breaks goes on where it was: no event is missing, and none is there twice."""

import itertools
import threading

import patient_http
import pytest
from monitors import Proxy, monitor
from playwright.sync_api import expect

from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from gatectl.sim.simulated_door import SimulatedDoor

ROWS = "#events tr:not(.day)"
CODES = (f"STREAM-{number}" for number in itertools.count())
"""Codes without a route: decided at once, and each different."""


@pytest.fixture(scope="module")
def door(tmp_path_factory):
    """There are no other scans here."""
    with SimulatedDoor(tmp_path_factory.mktemp("door"), str) as door:
        yield door


@pytest.fixture(scope="module")
def address(door):
    with monitor(door.settings) as address:
        yield address


@pytest.fixture
def client(address):
    with patient_http.Client(base_url=address) as client:
        yield client


@pytest.fixture
def scan(door):
    """Scans so many codes, and gives them back once they are in the journal."""

    def scan_some(count):
        codes = []
        with Reader(door.journal) as reader:
            for code in itertools.islice(CODES, count):
                mark = reader.mark()
                door.type_code(code)
                assert next(reader.follow(Filters(), mark)).attempt.credential == code
                codes.append(code)
        return codes

    return scan_some


def mark_of(client, path="/"):
    """The point at which a page that is opened now lets its stream begin."""
    return client.get(path).text.partition("after=")[2].partition('"')[0]


def rows(client, *, after=None, last_id=None, **query):
    """The rows of a stream: ID and code, as long as one takes them."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    with client.stream(
        "GET", "/live/events", params=query | {"codes": "whole", "after": after or ""}, headers=headers
    ) as stream:
        name = data = event_id = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name, data = value, ""
            elif field == "data":
                data += value
            elif field == "id":
                event_id = value
            elif not line and name == "row":
                yield event_id, data.partition("<bdi>")[2].partition("</bdi>")[0]
                name = ""


def test_a_stream_goes_on_after_its_last_row(client, scan):
    before = mark_of(client)
    codes = scan(3)
    # There was no listener: those three are news for the monitor itself, too.
    stream = rows(client, after=before)
    first = list(itertools.islice(stream, 3))
    codes += scan(1)
    first += itertools.islice(stream, 1)
    stream.close()
    assert [code for _, code in first] == codes
    stream = rows(client, after=before, last_id=first[1][0])
    assert [next(stream), next(stream)] == first[2:]
    (new,) = scan(1)
    assert next(stream)[1] == new
    stream.close()


def test_a_filtered_stream_goes_on_too(client, scan, door):
    before = mark_of(client, "/?member=1403")
    door.type_code("WP-1403")
    stream = rows(client, after=before, member="1403")
    last_id, code = next(stream)
    assert code == "WP-1403"
    stream.close()
    scan(2)
    door.type_code("WP-1403")
    again = rows(client, after=before, last_id=last_id, member="1403")
    later_id, code = next(again)
    assert (code, int(later_id) > int(last_id)) == ("WP-1403", True)
    again.close()


def test_streams_that_break_amid_scans_lose_and_double_nothing(client, scan):
    before = mark_of(client)
    scanned = []
    scanning = threading.Thread(target=lambda: scanned.extend(scan(60)))
    scanning.start()
    seen = []
    while len(seen) < 60:
        last_id = seen[-1][0] if seen else None
        stream = rows(client, after=before, last_id=last_id)
        seen += itertools.islice(stream, min(7, 60 - len(seen)))
        stream.close()
    scanning.join()
    assert [code for _, code in seen] == scanned


def codes_on(page):
    return page.locator(f"{ROWS} td.credential").all_inner_texts()


def test_an_open_page_gets_what_it_missed_once(scan, address, look):
    with Proxy(address) as proxy:
        page = look(f"{proxy.address}/?codes=whole", quiet=True)
        expect(page.locator("#live")).to_have_class("on")
        (first,) = scan(1)
        expect(page.locator(ROWS).first).to_contain_text(first)
        page.evaluate("document.title = 'the same page'")
        proxy.cut()
        expect(page.locator("#live")).to_have_class("off")
        missed = scan(3)
        proxy.lead_to(address)
        expect(page.locator("#live")).to_have_class("on")
        (last,) = scan(1)
        expect(page.locator(ROWS).first).to_contain_text(last)
        assert codes_on(page)[:5] == [last, *reversed(missed), first]
        assert page.title() == "the same page"


def test_an_open_page_outlives_a_restart_of_the_monitor(door, scan, look):
    with monitor(door.settings) as address:
        port = address.rpartition(":")[2]
        page = look(f"{address}/?codes=whole", quiet=True)
        expect(page.locator("#live")).to_have_class("on")
        (first,) = scan(1)
        expect(page.locator(ROWS).first).to_contain_text(first)
    expect(page.locator("#live")).to_have_class("off")
    missed = scan(2)
    with monitor(door.settings, "--listen", f"127.0.0.1:{port}"):
        expect(page.locator("#live")).to_have_class("on")
        expect(page.locator(ROWS).first).to_contain_text(missed[-1])
        assert codes_on(page)[:3] == [*reversed(missed), first]
