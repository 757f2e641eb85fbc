"""Measure the fleet monitor over millions of events, page by page, over HTTP from the real monitor.

A page is fetched again and again with other values, so that the figures include what is not in memory.
"""

import asyncio
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
from many_events import FILL_OPTIONS, fill, hashed
from office_rig import Office, fleet_monitor, settings_of

from gatectl.fleet.database import Database
from gatectl.fleet.local_services import LocalDatabase

FOLDER = Path("/var/tmp")
"""It is on the disk: /tmp may be in memory."""

FETCHES = 20
FILES = 3
LIVE = 10
TIMEOUT_S = 60.0


def pages():
    """Yield for each page its name, path, query for the fetch of a number, and the seconds to reach."""

    def ago(days):
        return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"

    def the_day(days):
        return {"since": ago(days), "until": ago(days)}

    yield "first page", "/", lambda _: {}, 0.2
    for name, query in {
        "member": lambda n: {"member": hashed("m", n * 997)},
        "member's number, nobody's": lambda n: {"member": str(n)},
        "code": lambda n: {"code": hashed("c", n * 997)},
        "studio": lambda n: {"studio": f"Studio {n}"},
        "gate": lambda n: {"device": f"gate-{n}"},
        "partner": lambda n: {"partner": ("wellhub", "egym")[n % 2]},
        "partner, rare": lambda _: {"partner": "house"},
        "partner, none": lambda _: {"partner": "nobody"},
        "result": lambda _: {"result": "rejected"},
        "result, rare": lambda _: {"result": "unknown"},
        "kind, rare": lambda _: {"kind": "manual"},
        "kind, none": lambda _: {"kind": "erased"},
        "door, rare": lambda _: {"door": "side"},
        "studio and result, none": lambda n: {"studio": f"Studio {n}", "result": "unknown"},
        "studio and member, none": lambda n: {"studio": "Studio 1", "member": hashed("m", n * 991)},
        "a day two months ago": lambda n: the_day(50 + n),
        "a partner's day two months ago": lambda n: {**the_day(50 + n), "partner": "egym"},
    }.items():
        yield f"filter: {name}", "/", query, 0.5
    yield "page in the middle", "/", lambda n: {"before": 10_000 + n * 1000}, 0.5
    yield "last page", "/", lambda _: {"before": 40}, 0.5
    yield "last page of a result", "/", lambda _: {"before": 500, "result": "rejected"}, 0.5
    yield "grace", "/grace", lambda n: {"studio": f"Studio {n}"} if n % 2 else {}, 0.5
    yield "chart of a day", "/", lambda n: {"day": ago(1 + n)}, None
    yield "fleet", "/fleet", lambda _: {}, None
    yield "metrics", "/metrics", lambda _: {}, None
    yield "file: a member", "/events.csv", lambda n: {"member": hashed("m", n * 983)}, None
    yield "file: a studio's week", "/events.csv", lambda n: {"studio": f"Studio {n}", "since": ago(7)}, None
    yield "file: a kind, rare", "/events.csv", lambda _: {"kind": "manual"}, None
    hour = {"since": f"{ago(1)} 10:00", "until": f"{ago(1)} 10:59"}
    yield "file: an hour of all", "/events.csv", lambda _: hour, None
    yield "file: a day of all", "/events.csv", lambda n: the_day(1 + n), None


def run(count, say):
    """Measure over so many events; return whether all targets were reached."""
    with tempfile.TemporaryDirectory(dir=FOLDER, prefix="gatectl-fleet-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        begun = time.monotonic()
        with LocalDatabase(folder / "postgresql", FILL_OPTIONS) as cluster:
            cluster.program("createdb", "gatectl")
            fill(cluster.dsn("gatectl"), count)
        say(f"{count} events made in {time.monotonic() - begun:.0f} s")
        with LocalDatabase(folder / "postgresql") as cluster:
            return measure(cluster.dsn("gatectl"), folder, say)


def measure(dsn, folder, say):
    """Measure over a database that is filled; return whether all targets were reached."""
    with (
        fleet_monitor(settings_of(folder, dsn)) as address,
        httpx.Client(base_url=address, timeout=TIMEOUT_S) as client,
    ):
        slow = [name for name, *page in pages() if not _is_fast(client, name, *page, say)]
        if not _live_rows(client, dsn, say):
            slow.append("live row")
    asyncio.run(_prune(dsn, say))
    say(f"too slow: {', '.join(slow) or 'none'}")
    return not slow


def _is_fast(client, name, path, query, at_most_s, say):
    took = []
    for number in range(FILES if path.endswith(".csv") else FETCHES):
        begun = time.monotonic()
        answer = client.get(path, params=query(number))
        took.append(time.monotonic() - begun)
        if answer.status_code != 200 or "too long" in answer.text:
            say(f"{name}: no answer in time, status {answer.status_code}")
            return False
    p50, worst = statistics.median(took), max(took)
    target = "" if at_most_s is None else f" (to reach: {at_most_s * 1000:.0f})"
    say(f"{name}: p50 {p50 * 1000:.0f} ms, worst {worst * 1000:.0f} ms{target}, {len(answer.content)} bytes")
    return at_most_s is None or p50 <= at_most_s


def _live_rows(client, dsn, say):
    """Commit scans one at a time, and wait for each on an open page."""
    office, took = Office(dsn), []
    stream = re.search(r'data-live="(/live/[^"]*)"', client.get("/").text)[1]
    with client.stream("GET", unescape(stream)) as answer:
        lines = answer.iter_lines()
        next(lines)  # it is open
        for number in range(LIVE):
            event_id = office.scan("gate-1", "Studio 1", str(number))
            begun = time.monotonic()
            next(line for line in lines if event_id in line)
            took.append(time.monotonic() - begun)
    office.close()
    p50, worst = statistics.median(took), max(took)
    say(f"live row after its commit: p50 {p50 * 1000:.0f} ms, worst {worst * 1000:.0f} ms (to reach: 1000)")
    return worst <= 1.0


async def _prune(dsn, say):
    database = await Database.open(dsn, None, lambda: None)
    try:
        for keep_days in (180, 80):
            begun = time.monotonic()
            count = await database.prune(keep_days)
            took_s = time.monotonic() - begun
            say(f"prune of what is older than {keep_days} days: {count} at once in {took_s:.2f} s")
    finally:
        await database.close()
