"""How long a sign-in lasts: made anew while it is used, over when it is not, or the password is another."""

import time

import httpx
import pytest
from monitors import Proxy, monitor
from playwright.sync_api import expect

from gatectl.monitor import password as passwords
from gatectl.monitor.guard import COOKIE
from gatectl.monitor.password import RENEW_S, SESSION_S, Password

PASSWORD = "correct-horse-battery"
SOON_MS = 20_000
"""Nothing here takes so long; a machine that is busy is no failure."""


def write_password(path, text=PASSWORD):
    path.touch(mode=0o600)
    path.write_text(f"{text}\n")
    return path


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    return write_password(tmp_path_factory.mktemp("secret") / "password")


@pytest.fixture(scope="module")
def guarded(door, secret):
    with monitor(door.settings, "--password-file", str(secret)) as address:
        yield address


@pytest.fixture
def session_of(monkeypatch):
    """A session that was made so many seconds ago, by this password."""

    def make(age_s, text=PASSWORD):
        made_at = time.time() - age_s
        with monkeypatch.context() as patch:
            patch.setattr(passwords.time, "time", lambda: made_at)
            return Password(text).session()

    return make


def get(address, path, session):
    """Head of the answer alone: a stream has no end."""
    with httpx.stream("GET", address + path, headers={"Cookie": f"{COOKIE}={session}"}) as answer:
        return answer


PATHS = ["/", "/display/main", "/live/display?door=main"]
LEEWAY_S = 120


@pytest.mark.parametrize("path", PATHS)
def test_a_young_session_stays_as_it_is(guarded, session_of, path):
    answer = get(guarded, path, session_of(RENEW_S - LEEWAY_S))
    assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)


@pytest.mark.parametrize("path", PATHS)
def test_an_older_one_is_made_anew_when_it_is_used(guarded, session_of, path):
    old = session_of(SESSION_S - LEEWAY_S)
    answer = get(guarded, path, old)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert f"Max-Age={SESSION_S};" in cookie
    new = cookie.partition("=")[2].partition(";")[0]
    assert new != old
    again = get(guarded, path, new)
    assert (again.status_code, again.headers.get("set-cookie")) == (200, None)


def test_a_session_that_nobody_used_is_over(guarded, session_of):
    session = session_of(SESSION_S + LEEWAY_S)
    assert get(guarded, "/", session).headers["location"].startswith("/login")
    assert get(guarded, "/live/events", session).status_code != 200


def test_another_passwords_session_opens_nothing(guarded, session_of):
    assert get(guarded, "/", session_of(0)).status_code == 200
    assert get(guarded, "/", session_of(0, "another-password")).status_code == 303


def test_a_session_that_is_lengthened_by_hand_opens_nothing(guarded, session_of):
    until, _, signature = session_of(SESSION_S + LEEWAY_S).partition(".")
    assert get(guarded, "/", f"{int(until) + SESSION_S}.{signature}").status_code == 303


def test_a_display_signs_in_stays_over_a_restart_and_is_asked_for_a_new_password(door, tmp_path, look):
    """In a browser: the way of a tablet at a door."""
    secret = write_password(tmp_path / "password")
    with monitor(door.settings, "--password-file", str(secret)) as address, Proxy(address) as proxy:
        page = look(f"{proxy.address}/display/main", quiet=True)
        page.get_by_label("Password").fill("a-wrong-one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the password.")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("main.idle:not(.unconnected)")).to_be_visible(timeout=SOON_MS)
        proxy.cut()
        expect(page.locator("main.unconnected")).to_be_visible(timeout=SOON_MS)
        page.clock.install()
        with monitor(door.settings, "--password-file", str(secret)) as again:
            proxy.lead_to(again)
            expect(page.locator("main.idle:not(.unconnected)")).to_be_visible(timeout=SOON_MS)
            proxy.cut()
            expect(page.locator("main.unconnected")).to_be_visible(timeout=SOON_MS)
        write_password(secret, "a-new-password")
        with monitor(door.settings, "--password-file", str(secret)) as another:
            proxy.lead_to(another)
            page.clock.fast_forward(60_000)
            expect(page.get_by_label("Password")).to_be_visible(timeout=SOON_MS)
            page.get_by_label("Password").fill("a-new-password")
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("main.idle:not(.unconnected)")).to_be_visible(timeout=SOON_MS)
