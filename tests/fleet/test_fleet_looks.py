"""The fleet's pages in a real Chromium: on a phone and a desktop, light and dark, readable for everybody.

Screenshots go to $GATECTL_PICTURES, if that is set.
"""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from office_rig import at, door, fleet_monitor, partner, settings_of, status
from playwright.sync_api import expect

from gatectl.decision.outcomes import Message

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
PAGES = {"fleet": "/fleet", "list": "/", "member": "/?member=1403", "grace": "/grace"}


@pytest.fixture
def address(tables, tmp_path):
    with fleet_monitor(settings_of(tmp_path, tables.dsn)) as address:
        yield address


@pytest.fixture
def filled(tables, tmp_path):
    """Five gates: three are well, one is offline and behind, one has several troubles."""
    shut = {"result": "rejected", "basis": None, "message": Message.NO_VERDICT.value, "fault": "timeout"}
    failing = {"wellhub": partner("outage"), "capitan": partner()}
    studios = {
        "berlin-mitte-1": "Berlin Mitte",
        "berlin-mitte-2": "Berlin Mitte",
        "hamburg-altona-1": "Hamburg",
    }
    for number, (device, studio) in enumerate(studios.items()):
        tables.scan(device, studio, at=at(9 - number))
        tables.health(device, settings="sha256:1a2b3c4d5e", certificate_until="2028-11-25T00:00:00Z")
        tables.here(device)
    tables.scan("munich-1", "München", "1403", at=at(130))
    tables.health("munich-1", last=41, settings="sha256:1a2b3c4d5e", oldest_unsent_at=at(120))
    tables.here("munich-1", online=False)
    soon = (datetime.now(UTC) + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ill = status(failing, doors={"main": door(scanner="lost")})
    tables.scan("vienna-1", "Wien", "1403", at=at(1), **shut)
    tables.scan("vienna-1", "Wien", "1403", at=at(1), **{**shut, "result": "admitted", "basis": "grace"})
    tables.health("vienna-1", settings="sha256:5e6f7a8b9c", certificate_until=soon, status=ill)
    tables.here("vienna-1")
    with fleet_monitor(settings_of(tmp_path, tables.dsn)) as address:
        yield address


def fits(page):
    wide = page.locator("html").evaluate("element => element.scrollWidth - element.clientWidth")
    assert wide <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_each_page_fits_and_is_readable_for_everybody(size, scheme, filled, look, pictures):
    for name, path in PAGES.items():
        page = look(filled + path, width=SIZES[size][0], height=SIZES[size][1], scheme=scheme)
        expect(page.locator("#live.on" if name in {"fleet", "list"} else "main")).to_be_visible()
        if pictures:
            page.screenshot(path=pictures / f"fleet-{name}-{size}-{scheme}.png", full_page=True)
        fits(page)
        if name == "fleet":
            expect(page.locator("#gate-vienna-1")).to_contain_text("outage since")
        results = Axe().run(page, options={"resultTypes": ["violations"]})
        assert results.violations_count == 0, results.generate_report()


def test_the_fleets_page_keeps_current_by_itself(tables, address, look, cluster):
    tables.scan("berlin-1", "Berlin")
    tables.health("berlin-1")
    tables.here("berlin-1")
    page = look(f"{address}/fleet", quiet=True)
    page.get_by_role("link", name="berlin-1").focus()
    tables.here("berlin-1", online=False)
    expect(page.locator("#gate-berlin-1")).to_contain_text("offline since")
    expect(page.get_by_role("link", name="berlin-1")).to_be_focused()
    cluster.stop()
    try:
        expect(page.locator("main")).to_contain_text("PostgreSQL cannot be reached")
    finally:
        cluster.start()
    expect(page.locator("#gate-berlin-1")).to_contain_text("offline since")


def test_a_page_that_loses_the_monitor_says_so(tables, tmp_path, look):
    with fleet_monitor(settings_of(tmp_path, tables.dsn)) as address:
        page = look(f"{address}/fleet", quiet=True)
        expect(page.locator("#live")).to_have_class("on")
    expect(page.locator("#live")).to_have_text("Not connected; trying again")
