"""The pages in a real Chromium: live, by keyboard, on a phone, in the dark, and readable for everybody.

Screenshots go to $GATECTL_PICTURES, if that is set.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
ROWS = "#events tr:not(.day)"
CODES = {
    "welcome": "1000000000200",
    "ask_at_desk": "CAP-ALERTS",
    "declined": "WP-1403",
    "check_in_first": "1000000000404",
    "not_found": "WP-1404",
    "try_again": "WP-1503",
    "unrecognised": "hello",
}


SWAP_TIMERS = """() => {
    for (const [name, timer] of Object.entries(globalThis.running ?? {})) {
        globalThis.running[name] = globalThis[name];
        globalThis[name] = timer;
    }
}"""


def accessible(page):
    page.evaluate(SWAP_TIMERS)  # Axe needs time that passes
    results = Axe().run(page, options={"resultTypes": ["violations"]})
    page.evaluate(SWAP_TIMERS)
    assert results.violations_count == 0, results.generate_report()


def fits(page):
    """Nothing sticks out at the side."""
    wide = page.locator("html").evaluate("element => element.scrollWidth - element.clientWidth")
    assert wide <= 0


@pytest.fixture
def live(look, address):
    """Opens the list, live."""

    def open_list(path="/", **more):
        page = look(address + path, **more)
        expect(page.locator("#live")).to_have_class("on")
        return page

    return open_list


@pytest.fixture
def display(look, address):
    def open_display(**more):
        page = look(f"{address}/display/main", stopped=True, **more)
        expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
        return page

    return open_display


def test_a_scan_appears_on_top_by_itself(door, live):
    page = live()
    before = page.locator(ROWS).count()
    door.type_code("1000000000200")
    expect(page.locator(ROWS)).to_have_count(before + 1)
    expect(page.locator(ROWS).first).to_contain_text("…0200")
    expect(page.locator(ROWS).first).to_contain_text("Admitted")


def test_only_what_fits_the_filters_appears(door, live):
    page = live("/?member=1403")
    before = page.locator(ROWS).count()
    door.type_code("WP-1001")
    door.type_code("WP-1403")
    expect(page.locator(ROWS)).to_have_count(before + 1)
    expect(page.locator(ROWS).first).to_contain_text("…1403")


def test_news_during_a_pause_wait(door, live):
    page = live()
    before = page.locator(ROWS).count()
    page.get_by_role("button", name="Pause").click()
    door.type_code("1000000000200")
    expect(page.get_by_role("button", name="Go on (1 new)")).to_be_visible()
    assert page.locator(ROWS).count() == before
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(ROWS)).to_have_count(before + 1)


def test_a_code_that_is_markup_runs_nowhere(door, live):
    page = live("/?codes=whole")
    door.type_code("<img src=x onerror=document.title='gone'>")
    expect(page.locator(ROWS).first).to_contain_text("<img src=x")
    page.locator(f"{ROWS} td.time a").first.click()
    expect(page.locator("dd", has_text="<img src=x").first).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title() != "gone"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("scheme", "language"), [("light", "en-GB"), ("dark", "de-DE")])
def test_every_page_is_accessible_and_fits(door, live, look, address, pictures, size, scheme, language):
    width, height = SIZES[size]
    as_is = {"width": width, "height": height, "scheme": scheme, "language": language}
    for code in CODES.values():
        door.type_code(code)
    pages = {"list": live(**as_is)}
    pages["list"].locator("#day > summary").click()
    pages["list"].locator("#day figure details summary").first.click()
    pages["event"] = look(f"{address}/", **as_is)
    pages["event"].locator(f"{ROWS} td.time a").first.click()
    pages["display"] = look(f"{address}/display/main", **as_is)
    pages["nothing"] = look(f"{address}/?member=nobody", **as_is)
    for name, page in pages.items():
        page.wait_for_load_state("load")
        if pictures:
            page.screenshot(path=pictures / f"{name}-{size}-{scheme}.png", full_page=True)
        fits(page)
        accessible(page)


@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
@pytest.mark.parametrize("width", [360, 390, 600, 800, 1057, 1152, 1280])
def test_the_list_fits_every_width_and_breaks_no_word(door, live, width, language):
    for code in ("x" * 120, "WP-1403", "WP-1503"):
        door.type_code(code)
    as_is = {"width": width, "height": 844, "language": language}
    filtered = live(f"/?result=rejected&partner={'a-long-name-' * 4}", **as_is)
    fits(filtered)
    page = live("/?result=rejected", **as_is)
    page.locator("#day > summary").click()
    page.locator("#day figure details summary").first.click()
    fits(page)
    for heading in page.locator(".numbers").first.locator("th[scope=col]").all():
        lines_of_words = heading.evaluate(
            """heading => {
                const text = heading.firstChild, range = document.createRange(), breaks = [];
                for (const word of heading.textContent.matchAll(/\\S+/g)) {
                    range.setStart(text, word.index);
                    range.setEnd(text, word.index + word[0].length);
                    breaks.push(range.getClientRects().length);
                }
                return breaks;
            }"""
        )
        assert set(lines_of_words) == {1}, heading.inner_text()
    if width >= 1280:
        bottoms = filtered.locator(".filters select, .filters input, .filters button").evaluate_all(
            "fields => fields.map(field => Math.round(field.getBoundingClientRect().bottom))"
        )
        assert len(set(bottoms)) == 1, "one line"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_display_shows_each_outcome(door, display, pictures, size, scheme):
    width, height = SIZES[size]
    page = display(width=width, height=height, scheme=scheme)
    for screen, code in CODES.items():
        door.type_code(code)
        expect(page.locator("main")).to_have_class(screen)
        if pictures:
            page.screenshot(path=pictures / f"display-{screen}-{size}-{scheme}.png")
        accessible(page)
        fits(page)


def test_the_display_shows_the_partners_words_to_the_member(door, display):
    page = display()
    door.type_code("CAP-ALERTS")
    expect(page.locator("#lines li")).to_have_text(["No waiver."])
    door.type_code("1000000000404")
    expect(page.locator("h1")).to_have_text("Check in in your app first")
    expect(page.locator("#lines")).to_be_hidden()


def test_the_list_is_used_by_keyboard_alone(live):
    page = live()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator("#day > summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#day")).to_have_attribute("open", "")
    page.get_by_label("Member").focus()
    page.keyboard.type("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_have_text("No event fits these filters.")
