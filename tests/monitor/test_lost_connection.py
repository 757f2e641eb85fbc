"""Open pages in a real Chromium whose way to the monitor fails: none is ever left, and each says so."""

import shutil
import sqlite3
from pathlib import Path

import patient_http
import pytest
from many import event_of, fill, write
from monitors import BAD_GATEWAY, Proxy, monitor
from playwright.sync_api import expect

import gatectl
from gatectl.journal.schema import open_store

HONEST_MS = 10_000
"""After so long without a word a page says that it is not connected."""

OTHERS_PAGE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 30\r\nConnection: close\r\n\r\n"
    b"<html><h1>Hotel WiFi</h1></htm"
)


@pytest.fixture
def proxy(address):
    with Proxy(address) as proxy:
        yield proxy


def stay(page):
    """From here on, `is_the_same` shows whether the page was ever left."""
    page.evaluate("window.stays = true")


def is_the_same(page):
    return page.evaluate("window.stays === true")


@pytest.fixture
def display(look, proxy):
    page = look(f"{proxy.address}/display/main", quiet=True)
    page.clock.install()
    page.reload()
    stay(page)
    expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
    return page


def fail(proxy, how):
    if how == "silence":
        proxy.swallow()
    else:
        proxy.cut({"502": BAD_GATEWAY, "another page": OTHERS_PAGE, "cut": b""}[how])


@pytest.mark.parametrize("how", ["502", "another page", "cut", "silence"])
def test_a_display_says_so_within_ten_seconds_and_comes_back(display, proxy, address, how):
    fail(proxy, how)
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.no_connection h1")).to_have_text("No connection")
    for _ in range(5):
        display.clock.run_for(HONEST_MS)
        expect(display.locator("main.no_connection")).to_be_visible()
    proxy.lead_to(address)
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.idle:not(.unconnected)")).to_be_visible()
    assert is_the_same(display)


def test_a_page_with_a_kiosk_browsers_own_script_is_not_taken_for_an_old_one(display, proxy, address):
    display.evaluate(
        """() => {
            const script = document.createElement("script");
            Object.assign(script, {type: "text/plain", src: "/kiosk.js"});
            document.head.append(script);
            window.kept = document.querySelector("main");
        }"""
    )
    fail(proxy, "502")
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.no_connection")).to_be_visible()
    proxy.lead_to(address)
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.idle:not(.unconnected)")).to_be_visible()
    assert display.evaluate("window.kept.isConnected")


@pytest.mark.parametrize("path", ["/live/display?door=main", "/live/events"])
def test_a_stream_without_news_has_heartbeats_that_a_script_sees(address, path):
    with patient_http.stream("GET", address + path) as stream:
        heartbeats = (line for line in stream.iter_lines() if line == "event: here")
        assert [next(heartbeats), next(heartbeats)] == ["event: here"] * 2


def test_a_scan_shows_after_the_connection_was_lost(display, proxy, address, door):
    fail(proxy, "502")
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.no_connection")).to_be_visible()
    proxy.lead_to(address)
    display.clock.run_for(HONEST_MS)
    expect(display.locator("main.idle:not(.unconnected)")).to_be_visible()
    door.type_code("1000000000200")
    expect(display.locator("main.welcome")).to_be_visible()


@pytest.mark.parametrize("how", ["502", "silence"])
def test_the_list_says_so_and_comes_back(look, proxy, address, how):
    page = look(proxy.address, quiet=True)
    page.clock.install()
    page.reload()
    stay(page)
    expect(page.locator("#live")).to_have_class("on")
    fail(proxy, how)
    page.clock.run_for(HONEST_MS)
    expect(page.locator("#live")).to_have_class("off")
    page.clock.run_for(3 * HONEST_MS)
    proxy.lead_to(address)
    page.clock.run_for(HONEST_MS)
    expect(page.locator("#live")).to_have_class("on")
    assert is_the_same(page)


def test_a_list_of_another_journal_is_reloaded_in_place(look, closed_gym):
    store = closed_gym.with_name("journal.db")
    write(store, event_of(credential="the first"))
    open_now = sqlite3.connect(store)  # as the daemon has it: it is no store at rest
    open_now.execute("SELECT * FROM events").fetchone()
    with monitor(closed_gym) as address:
        page = look(f"{address}/?codes=whole", quiet=True)
        stay(page)
        expect(page.locator("#live")).to_have_class("on")
        expect(page.locator("#events")).to_contain_text("the first")
        store.rename(store.with_name("aside"))
        new = open_store(store)
        write(store, event_of(2, credential="the second"))
        expect(page.locator("#events")).to_contain_text("the second")
        expect(page.locator("#events")).not_to_contain_text("the first")
        expect(page.locator("#live")).to_have_class("on")
        write(store, event_of(3, credential="the third"))
        expect(page.locator("#events")).to_contain_text("the third")
        assert is_the_same(page)
        new.close()
    open_now.close()


def test_a_new_version_takes_the_place_of_an_open_page(look, door, tmp_path):
    """After an upgrade the monitor has other scripts: the display takes them up by itself."""
    shutil.copytree(Path(gatectl.__file__).parent, tmp_path / "gatectl")
    script = tmp_path / "gatectl/monitor/static/display.js"
    script.write_text(script.read_text("utf-8") + "document.documentElement.dataset.version = 2;\n", "utf-8")
    with monitor(door.settings) as address, Proxy(address) as proxy:
        page = look(f"{proxy.address}/display/main", quiet=True)
        page.clock.install()
        page.reload()
        stay(page)
        expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
        proxy.cut(BAD_GATEWAY)
        page.clock.run_for(HONEST_MS)
        expect(page.locator("main.no_connection")).to_be_visible()
        with monitor(door.settings, cwd=tmp_path) as upgraded:
            proxy.lead_to(upgraded)
            page.clock.run_for(HONEST_MS)
            expect(page.locator("html[data-version='2'] main.idle:not(.unconnected)")).to_be_visible()
            door.type_code("1000000000200")
            expect(page.locator("main.welcome")).to_be_visible()
            assert is_the_same(page)


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_over_plain_http_a_page_says_what_keeps_a_tablet_awake(look, closed_gym, language):
    fill(closed_gym.with_name("journal.db"), 1)
    with monitor(closed_gym, "--name", "gym.test") as address:
        port = address.rpartition(":")[2]
        for host, is_secure in ((f"http://gym.test:{port}", False), (address, True)):
            for path in ("/", "/display/main"):
                page = look(host + path, language=language, quiet=True)
                assert page.evaluate("window.isSecureContext") is is_secure
                note = page.locator("#awake")
                expect(note).to_be_visible(visible=not is_secure)
                expect(note).to_contain_text("Fully Kiosk: Keep Screen On")


def test_the_note_leaves_the_display_to_the_members(look, closed_gym):
    with monitor(closed_gym, "--name", "gym.test") as address:
        page = look(f"http://gym.test:{address.rpartition(':')[2]}/display/main", quiet=True)
        page.clock.install()
        page.reload()
        expect(page.locator("#awake")).to_be_visible()
        page.clock.run_for(121_000)
        expect(page.locator("#awake")).to_be_hidden()
