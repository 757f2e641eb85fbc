"""The member's display through the whole daemon: the partner's words, and what it says when one is gone."""

from contextlib import ExitStack

import pytest
from monitors import Proxy, monitor
from playwright.sync_api import expect

from gatectl.sim.simulated_door import SimulatedDoor

SOON_MS = 20_000
"""Nothing here takes so long; a machine that is busy is no failure."""

WORDS = {
    "en-GB": {
        "idle": "Please scan",
        "checking": "One moment …",
        "welcome": "Welcome!",
        "ask_at_desk": "Check-in not possible",
        "offline": "Out of order",
        "no_connection": "No connection",
    },
    "de-DE": {
        "idle": "Bitte scannen",
        "welcome": "Willkommen!",
        "ask_at_desk": "Check-in nicht möglich",
        "offline": "Außer Betrieb",
    },
}
MILESTONES = ["Your 100th visit!", "Well done, …: every route of this wall"]
ALERTS = ["No waiver.", "Your belay test is out of date."]


class Running:
    """A door that is started in its folder, and again after it has ended."""

    def __init__(self, folder):
        self.folder = folder
        self.said = []
        """The log entries of its daemons."""

    def start(self):
        (self.folder / "ready.sock").unlink(missing_ok=True)
        return SimulatedDoor(self.folder, self.said.append)


@pytest.fixture
def running(tmp_path):
    return Running(tmp_path)


def display(look, address, language):
    """A page that outlives its monitor: a browser complains of that."""
    page = look(f"{address}/display/main", language=language, quiet=True)
    expect(page.locator("main.idle:not(.unconnected)")).to_be_visible(timeout=SOON_MS)
    return page


def is_on(page, screen, language):
    expect(page.locator(f"main.{screen}")).to_be_visible(timeout=SOON_MS)
    expect(page.locator("h1")).to_have_text(WORDS[language][screen])


def test_the_members_own_words_are_shown_until_idle_and_kept_nowhere(running, look):
    with running.start() as door, monitor(door.settings) as address:
        pages = {language: display(look, address, language) for language in WORDS}
        for page in pages.values():
            page.clock.install()
        for code, screen, lines in (
            ("CAP-MILESTONES", "welcome", MILESTONES),
            ("CAP-ALERTS-TWO", "ask_at_desk", ALERTS),
        ):
            door.type_code(code)
            for language, page in pages.items():
                is_on(page, screen, language)
                expect(page.locator("#lines li")).to_have_text(lines)
                page.clock.fast_forward(60_000)
                is_on(page, "idle", language)
                expect(page.locator("#lines li")).to_have_count(0)
                assert all(line not in page.content() for line in lines)
        assert "100th" not in display(look, address, "en-GB").content(), "nobody else reads it"
    held = str(running.said) + "".join(
        path.read_bytes().decode("latin-1") for path in running.folder.glob("journal.db*")
    )
    assert "MILESTONES" in held, "the code is on the record"
    assert "100th" not in held
    assert "Well done" not in held


@pytest.mark.parametrize("language", WORDS)
def test_a_display_says_when_the_daemon_is_gone_and_recovers_by_itself(running, look, language):
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        door = first.enter_context(running.start())
        address = stack.enter_context(monitor(door.settings))
        page = display(look, address, language)
        first.close()
        is_on(page, "offline", language)
        opened_now = look(f"{address}/display/main", language=language, quiet=True)
        is_on(opened_now, "offline", language)
        again = stack.enter_context(running.start())
        for each in (page, opened_now):
            is_on(each, "idle", language)
        again.type_code("1000000000200")
        is_on(page, "welcome", language)


def test_a_display_that_is_cut_off_while_it_checks_does_not_check_for_ever(door, address, look):
    with Proxy(address) as proxy:
        page = display(look, proxy.address, "en-GB")
        page.clock.install()
        door.type_code("WP-1600")
        is_on(page, "checking", "en-GB")
        proxy.cut()
        expect(page.locator("main.checking.unconnected")).to_be_visible(timeout=SOON_MS)
        page.clock.fast_forward(60_000)
        is_on(page, "no_connection", "en-GB")
