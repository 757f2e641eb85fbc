"""How pages look in a real Chromium: with very long codes, with one partner, on a phone's small screen."""

import pytest
from many import event_of, fill, write
from monitors import monitor, write_closed_gym
from playwright.sync_api import expect

from gatectl.decision.outcomes import Fault, Message

ROWS = "#events tr:not(.day)"
PHONE, DESKTOP = (390, 844), (1280, 900)


@pytest.fixture(scope="module")
def junk(tmp_path_factory):
    """A monitor whose only events are of codes that fill everything."""
    folder = tmp_path_factory.mktemp("junk")
    settings = write_closed_gym(folder)
    unknown = {
        "message": Message.NOT_RECOGNISED,
        "fault": Fault.UNRECOGNISED,
        "partner": None,
        "member": None,
    }
    codes = ("x" * 512, "https://example.com/" + "a1" * 246, "WP 1 " * 100, "ß" * 512)
    write(folder / "journal.db", *(event_of(n, credential=code, **unknown) for n, code in enumerate(codes)))
    with monitor(settings) as address:
        yield address


@pytest.mark.parametrize("path", ["/", "/?codes=whole"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_long_code_takes_a_few_lines(look, junk, path, size):
    page = look(junk + path, width=size[0], height=size[1])
    heights = page.locator(ROWS).evaluate_all("rows => rows.map(row => row.getBoundingClientRect().height)")
    assert len(heights) == 4
    assert max(heights) < 130
    assert page.locator("html").evaluate("page => page.scrollWidth - page.clientWidth") <= 0


def test_the_event_shows_the_whole_of_a_long_code(look, junk):
    page = look(junk)
    page.locator(f"{ROWS} td.time a").last.click()
    expect(page.locator("dd", has_text="x" * 512)).to_have_count(1)
    expect(page.locator(".panel").first).not_to_contain_text("xxx")


def test_one_partners_chart_has_letters_of_the_pages_size(look, junk):
    page = look(f"{junk}/", width=DESKTOP[0], height=DESKTOP[1])
    page.locator("#day > summary").click()
    letters = page.locator("#day svg text").evaluate_all(
        "texts => texts.map(text => text.getBoundingClientRect().height)"
    )
    assert letters
    assert max(letters) < 20


def test_a_phones_first_screen_shows_events_and_its_filters_unfold(look, closed_gym):
    fill(closed_gym.with_name("journal.db"), 30)
    with monitor(closed_gym) as address:
        page = look(address, width=PHONE[0], height=PHONE[1], quiet=True)
        assert page.locator(ROWS).nth(2).bounding_box()["y"] < PHONE[1]
        expect(page.get_by_label("Member")).to_be_hidden()
        page.get_by_role("checkbox", name="Filters").check()
        page.get_by_label("Member").fill("nobody")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#empty")).to_have_text("No event fits these filters.")
        expect(page.get_by_label("Member")).to_have_value("nobody")
