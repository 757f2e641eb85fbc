"""A scan's whole way, from the reader to the open page of the fleet, also while parts of it are away."""

import contextlib
import itertools
import queue
import re
import signal
import statistics
import sys
import threading
import time
from html import unescape

import httpx
import pytest
from limits import NET_S
from monitors import Proxy
from office_rig import fleet_monitor
from virtual_gate import WAIT_S

from gatectl.cli.fleet_demo import CODES, STUDIOS, start_gate
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader

pytestmark = pytest.mark.timeout(900)
BERLIN, HAMBURG, MUNICH = STUDIOS
WILL_S = NET_S + 60
"""The broker waits 30 s for a gate whose line was cut, and the gate up to 32 s until it tries again."""
SCANS = 30


class Page:
    """The fleet's monitor in a browser: its pages, and the live rows of the open list."""

    def __init__(self, address):
        self._client = httpx.Client(base_url=address, timeout=WAIT_S)
        self._rows = queue.SimpleQueue()
        html = self._client.get("/").raise_for_status().text
        stream = unescape(re.search(r'data-live="(/live/[^"]*)"', html)[1])
        self._following = threading.Thread(target=self._follow, args=(stream,))
        self._following.start()

    def _follow(self, stream):
        with self._client.stream("GET", stream) as answer:
            for line in answer.iter_lines():
                for event_id in re.findall(r' id="e([0-9a-f-]{36})"', line):
                    self._rows.put((time.monotonic(), event_id))

    def next_row(self):
        """Return when the next live row came, and its event's ID."""
        return self._rows.get(timeout=WAIT_S)

    def get(self, path):
        return self._client.get(path)

    def shows(self, *patterns, path="/fleet", within_s=WAIT_S):
        """Return the page's text without tags, as soon as it has all of these."""
        until_s = time.monotonic() + within_s
        while True:
            page = self.get(path)
            text = unescape(" ".join(re.sub(r"<[^>]+>", " ", page.text).split()))
            if all(re.search(pattern, text) for pattern in patterns):
                return text
            assert time.monotonic() < until_s, text
            time.sleep(0.05)

    def close(self):
        """Return when the stream has ended, which the monitor's end does."""
        self._following.join()
        self._client.close()


@pytest.fixture
def line(broker):
    """The line of the gate in Munich, which can be cut."""
    with Proxy(f"http://127.0.0.1:{broker.port}") as proxy:
        yield proxy


@pytest.fixture
def gates(fleet, line, tmp_path):
    """Three whole gates: daemon, scanner, partners and uplink."""
    with contextlib.ExitStack() as stack:
        ports = dict.fromkeys(STUDIOS, fleet.broker.port) | {MUNICH: int(line.address.rpartition(":")[2])}
        yield {
            device: start_gate(stack, tmp_path, fleet.office, port, device) for device, port in ports.items()
        }


@pytest.fixture
def page(ingest, settings_of_database):  # noqa: ARG001 - ingest makes the tables
    text = settings_of_database.read_text()
    settings_of_database.write_text(text.replace("[monitor]", '[monitor]\nlisten = "127.0.0.1:0"'))
    with contextlib.ExitStack() as stack:
        page = Page(stack.enter_context(fleet_monitor(settings_of_database)))
        yield page
        stack.close()
        page.close()


def ids_of(gate):
    with Reader(gate.door.journal) as reader:
        return [event.attempt.id for event in reader.query(Filters())]


def scan_at(*gates):
    for gate, code in zip(gates, itertools.cycle(CODES), strict=False):
        before = len(ids_of(gate))
        gate.door.type_code(code)
        until_s = time.monotonic() + WAIT_S
        while len(ids_of(gate)) == before:
            assert time.monotonic() < until_s
            time.sleep(0.02)


def has_all(fleet, gates, within_s=WAIT_S):
    """Return when head office has each event of the gates; each is there once."""
    until_s = time.monotonic() + within_s
    while any(sorted(fleet.ids(device)) != sorted(ids_of(gate)) for device, gate in gates.items()):
        assert time.monotonic() < until_s
        time.sleep(0.05)
    assert fleet.rows("SELECT count(*) - count(DISTINCT (journal, number)) FROM event") == [(0,)]


def test_a_scan_at_a_gate_is_on_the_open_page(gates, page, fleet, capsys):
    page.shows("3 of 3 online")
    took_s, ids = [], []
    for gate, code in zip(itertools.islice(itertools.cycle(gates.values()), SCANS), itertools.cycle(CODES)):
        begun_s = time.monotonic()
        gate.door.type_code(code)
        at_s, event_id = page.next_row()
        took_s.append(at_s - begun_s)
        ids.append(event_id)
    with capsys.disabled():
        sys.stdout.write(
            f"\nfrom the scan to the row on the page, {SCANS} scans: "
            f"half within {statistics.median(took_s) * 1000:.0f} ms, all within {max(took_s) * 1000:.0f} ms\n"
        )
    assert sorted(ids) == sorted(itertools.chain(*map(ids_of, gates.values())))
    has_all(fleet, gates)


def test_a_gate_whose_line_is_cut_is_offline_alone_and_catches_up(gates, page, fleet, line):
    page.shows("3 of 3 online")
    line.cut()
    scan_at(*gates.values(), gates[MUNICH], gates[MUNICH])
    text = page.shows(r"2 of 3 online", within_s=WILL_S)
    assert re.search(rf"Gates offline: 1 \({MUNICH}\)\.", text)
    assert re.search(rf"▲ {MUNICH} Munich offline since \d\d:\d\d not known while offline", text)
    assert all(re.search(rf"● {device} \w+ online since", text) for device in (BERLIN, HAMBURG))
    line.lead_to(f"http://127.0.0.1:{fleet.broker.port}")
    page.shows("3 of 3 online", within_s=WILL_S)
    has_all(fleet, gates)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_without_the_broker_no_gate_is_blamed_and_all_is_there_afterwards(how, gates, page, fleet, line):
    page.shows("3 of 3 online")
    line.cut()  # leads to the broker
    fleet.broker.stop(how)
    text = page.shows(r"Ingest has not reached the broker since \d\d:\d\d, so no gate can be heard\.")
    scan_at(*gates.values())
    text = page.shows("has not reached the broker")
    assert not re.search("Gates offline|▲ (berlin|hamburg|munich)|Gates that need somebody", text)
    assert "go on by themselves" in page.shows("has not reached the broker", path="/")
    fleet.broker.start()
    line.lead_to(f"http://127.0.0.1:{fleet.broker.port}")
    has_all(fleet, gates, WILL_S)
    text = page.shows(r"● Gates 3 of 3 online (?!\(last known)", within_s=WILL_S)
    assert "reached the broker" not in text


def test_without_postgresql_the_pages_say_so_and_all_is_there_afterwards(gates, page, fleet, cluster):
    page.shows("3 of 3 online")
    cluster.stop()
    try:
        page.shows("The events cannot be read: PostgreSQL cannot be reached.", "go on by themselves")
        page.shows("The events cannot be read: PostgreSQL cannot be reached.", path="/")
        assert (page.get("/fleet").status_code, page.get("/").status_code) == (503, 200)
        scan_at(*gates.values())
    finally:
        cluster.start()
    has_all(fleet, gates, WILL_S)
    page.shows("3 of 3 online", within_s=WILL_S)
    assert len(re.findall(r'id="e[0-9a-f-]{36}"', page.get("/").text)) == len(
        [event_id for gate in gates.values() for event_id in ids_of(gate)]
    )


def test_without_ingest_the_page_says_that_nothing_comes_in(gates, page, fleet):
    page.shows("3 of 3 online")
    fleet.ingest.stop(signal.SIGKILL)
    text = page.shows("Nothing comes in: gatectl fleet ingest is not connected")
    assert "3 of 3 online (last known)" in text
    scan_at(*gates.values())
    fleet.ingest.start()
    page.shows(r"3 of 3 online (?!\(last known)")
    has_all(fleet, gates)
