"""The member's display through the whole daemon: the partner's words, and what it says when one is gone."""

import threading
from contextlib import ExitStack

import pytest
from harness import HANG, Gym, code
from limits import NET_S
from monitors import Proxy, monitor
from playwright.sync_api import expect

from gatectl.sim.simulated_door import SimulatedDoor

WORDS = {
    "en-GB": {
        "idle": "Please scan",
        "checking": "One moment …",
        "welcome": "Welcome!",
        "try_again": "Please try again",
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
    page = look(f"{address}/display/main", language=language, quiet=True, stopped=True)
    expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
    return page


def is_on(page, screen, language):
    expect(page.locator(f"main.{screen}")).to_be_visible()
    expect(page.locator("h1")).to_have_text(WORDS[language][screen])


def test_the_members_own_words_are_shown_until_idle_and_kept_nowhere(running, look):
    with running.start() as door, monitor(door.settings) as address:
        pages = {language: display(look, address, language) for language in WORDS}
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


@pytest.fixture
def slow_gym(tmp_path):
    """A door whose partner has all the time that a budget may have."""
    with Gym(tmp_path, {"wellhub": {"budget_ms": 30_000}}) as gym:
        yield gym.start()


def test_a_display_shows_that_it_is_checking_and_goes_back_to_idle(slow_gym, look):
    seen = threading.Event()
    slow_gym.partners.on_request = lambda _: seen.wait(NET_S)
    with monitor(slow_gym.settings) as address:
        page = display(look, address, "en-GB")
        slow_gym.scan(code("wellhub", "1000000000503"))
        is_on(page, "checking", "en-GB")
        seen.set()
        is_on(page, "try_again", "en-GB")
        page.clock.fast_forward(60_000)
        is_on(page, "idle", "en-GB")


def test_a_display_that_is_cut_off_while_it_checks_does_not_check_for_ever(slow_gym, look):
    with monitor(slow_gym.settings) as address, Proxy(address) as proxy:
        page = display(look, proxy.address, "en-GB")
        slow_gym.scan(code("wellhub", HANG["wellhub"]))
        is_on(page, "checking", "en-GB")
        proxy.cut()
        expect(page.locator("main.checking.unconnected")).to_be_visible()
        page.clock.fast_forward(60_000)
        is_on(page, "no_connection", "en-GB")
