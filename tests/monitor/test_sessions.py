"""The life of a session: renewed while it is used, ended by disuse or a new password."""

import time

import patient_http
import pytest
from monitors import Proxy, monitor, write_closed_gym
from playwright.sync_api import expect

from gatectl.monitor import password as passwords
from gatectl.monitor.password import RENEW_S, SESSION_S, SIGNED_OUT_MAX, Password, SignedOut
from gatectl.monitor.security import COOKIE

PASSWORD = "correct-horse-battery"


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


def get(address, path, session, **more):
    """Head of the answer alone: a stream has no end."""
    with patient_http.stream(
        "GET", address + path, headers={"Cookie": f"{COOKIE}={session}", **more}
    ) as answer:
        return answer


def sign_out(address, session):
    headers = {"Cookie": f"{COOKIE}={session}"}
    assert patient_http.post(f"{address}/logout", headers=headers).headers["location"] == "/login"


PATHS = ["/", "/display/main", "/live/display?door=main"]
LEEWAY_S = 120


@pytest.mark.parametrize("path", PATHS)
def test_a_young_session_stays_as_it_is(guarded, session_of, path):
    answer = get(guarded, path, session_of(RENEW_S - LEEWAY_S))
    assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)


@pytest.mark.parametrize("path", PATHS)
def test_an_older_session_is_renewed_at_its_use(guarded, session_of, path):
    old = session_of(SESSION_S - LEEWAY_S)
    answer = get(guarded, path, old)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"]
    assert f"Max-Age={SESSION_S};" in cookie
    new = cookie.partition("=")[2].partition(";")[0]
    assert new != old
    again = get(guarded, path, new)
    assert (again.status_code, again.headers.get("set-cookie")) == (200, None)


def test_an_unused_session_expires(guarded, session_of):
    session = session_of(SESSION_S + LEEWAY_S)
    assert get(guarded, "/", session).headers["location"].startswith("/login")
    assert get(guarded, "/live/events", session).status_code != 200


def test_another_passwords_session_opens_nothing(guarded, session_of):
    assert get(guarded, "/", session_of(0)).status_code == 200
    assert get(guarded, "/", session_of(0, "another-password")).status_code == 303


def test_a_session_that_is_lengthened_by_hand_opens_nothing(guarded, session_of):
    until, _, rest = session_of(SESSION_S + LEEWAY_S).partition(".")
    assert get(guarded, "/", f"{int(until) + SESSION_S}.{rest}").status_code == 303


def test_signing_out_ends_the_session_and_all_its_renewals_and_no_other(guarded, session_of):
    old, other = session_of(SESSION_S - LEEWAY_S), session_of(0)
    renewed = get(guarded, "/", old).headers["set-cookie"].partition("=")[2].partition(";")[0]
    sign_out(guarded, renewed)
    for ended in (old, renewed):
        assert get(guarded, "/", ended).headers["location"].startswith("/login")
        assert get(guarded, "/live/events", ended).status_code == 401
    assert get(guarded, "/", other).status_code == 200


def test_signing_out_ends_the_sessions_open_streams(guarded, session_of):
    session = session_of(0)
    headers = {"Cookie": f"{COOKIE}={session}"}
    with patient_http.stream("GET", f"{guarded}/live/display?door=main", headers=headers) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line == "event: screen")
        sign_out(guarded, session)
        rest = list(lines)  # it comes to an end
    assert "event: screen" not in rest


def test_a_restart_brings_no_ended_session_back(door, secret, session_of, tmp_path):
    guard = ("--password-file", str(secret))
    stays, goes = session_of(0), session_of(0)
    with monitor(door.settings, *guard, STATE_DIRECTORY=str(tmp_path)) as address:
        sign_out(address, goes)
    assert "correct" not in "".join(path.read_text() for path in tmp_path.iterdir())
    with monitor(door.settings, *guard, STATE_DIRECTORY=str(tmp_path)) as address:
        assert get(address, "/", goes).status_code == 303
        assert get(address, "/", stays).status_code == 200


@pytest.mark.parametrize("content", ["", "no json", "[]", '{"ended": []}', '{"ended": {"a": "b"}}'])
def test_a_spoiled_file_of_ended_sessions_stops_nothing(content, tmp_path):
    (tmp_path / "signed-out.json").write_text(content)
    signed_out = SignedOut(tmp_path)
    assert not signed_out.holds("a", 1.0)
    signed_out.add("a", 2.0, SESSION_S)
    assert SignedOut(tmp_path).holds("a", 1.0)


def test_more_ended_sessions_than_are_kept_end_all_that_were_made_before():
    signed_out = SignedOut(None)
    for number in range(SIGNED_OUT_MAX + 1):
        signed_out.add(f"sign-in {number}", 100.0 + number, SESSION_S)
    assert signed_out.holds("sign-in 0", 50.0)
    assert signed_out.holds("another", 99.0)
    assert not signed_out.holds("another", 100.0 + SIGNED_OUT_MAX)
    assert len(signed_out) == 1


def test_sign_outs_are_forgotten_when_no_session_of_them_can_be_valid():
    signed_out = SignedOut(None)
    signed_out.add("old", 0.0, SESSION_S)
    signed_out.add("new", SESSION_S + 1.0, SESSION_S)
    assert len(signed_out) == 1


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
        expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
        proxy.cut()
        expect(page.locator("main.unconnected")).to_be_visible()
        page.clock.install()
        with monitor(door.settings, "--password-file", str(secret)) as again:
            proxy.lead_to(again)
            expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()
            proxy.cut()
            expect(page.locator("main.unconnected")).to_be_visible()
        write_password(secret, "a-new-password")
        with monitor(door.settings, "--password-file", str(secret)) as another:
            proxy.lead_to(another)
            page.clock.fast_forward(60_000)
            expect(page.get_by_label("Password")).to_be_visible()
            page.get_by_label("Password").fill("a-new-password")
            page.get_by_role("button", name="Sign in").click()
            expect(page.locator("main.idle:not(.unconnected)")).to_be_visible()


def test_a_renewed_session_stays_on_tls_behind_a_named_proxy(session_of, tmp_path):
    settings = write_closed_gym(tmp_path)
    write_password(tmp_path / "password")
    more = '[monitor]\npassword = { file = "password" }\nproxies = ["127.0.0.1"]\n'
    settings.write_text(f"{settings.read_text('utf-8')}\n{more}", "utf-8")
    with monitor(settings) as address:
        for proto in ("https", "http"):
            headers = {"X-Forwarded-Proto": proto}
            cookie = get(address, "/", session_of(SESSION_S - LEEWAY_S), **headers).headers["set-cookie"]
            assert ("; Secure" in cookie) is (proto == "https")
