"""Access to the pages, by user and origin, and the limits of a page."""

import socket
import subprocess
import sys
import unicodedata

import patient_http
import pytest
from limits import NET_S
from monitors import monitor, try_until_refused

PASSWORD = "correct-horse-battery"
PAGES = (
    "/",
    "/?door=main",
    "/events/x",
    "/display/main",
    "/live/events",
    "/live/display?door=main",
    "/nowhere",
)


@pytest.fixture(scope="module")
def secret(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "password"
    path.touch(mode=0o600)
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture(scope="module")
def guarded(door, secret):
    with monitor(door.settings, "--password-file", str(secret)) as address:
        yield address


@pytest.fixture
def stranger(guarded):
    with patient_http.Client(base_url=guarded) as client:
        yield client


def sign_in(client, password=PASSWORD, **more):
    return client.post("/login?next=/", data={"password": password}, **more)


def command(settings, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "gatectl", "monitor", "-c", settings, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=NET_S,
        check=False,
    )


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_shown_without_the_password(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code in {303, 401}
    assert "wellhub" not in answer.text
    if answer.status_code == 303:
        assert answer.headers["location"].startswith("/login?next=%2F")


@pytest.mark.parametrize("path", ["/live/events", "/live/display?door=main"])
@pytest.mark.parametrize("headers", [{"Sec-Fetch-Mode": "cors"}, {}], ids=["new browser", "old browser"])
def test_a_stream_without_the_password_is_refused_and_not_led_elsewhere(stranger, path, headers):
    assert stranger.get(path, headers=headers).status_code == 401


def test_the_password_opens_and_the_session_is_kept_in_a_strict_cookie(stranger):
    assert "Sign out" not in stranger.get("/login").text
    answer = sign_in(stranger)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie, "a browser would not send it over plain HTTP"
    assert PASSWORD not in cookie
    assert "Sign out" in stranger.get("/").text
    assert stranger.post("/logout").headers["location"] == "/login"
    assert stranger.get("/").status_code == 303


@pytest.mark.parametrize(
    "session", ["", "x", "99999999999.", "99999999999.x", "99999999999." + "0" * 64, "²." + "0" * 64]
)
def test_a_session_that_the_password_did_not_make_opens_nothing(stranger, session):
    cookie = f"gatectl_session={session}".encode("latin-1")
    assert stranger.get("/", headers={b"Cookie": cookie}).status_code == 303


def test_wrong_passwords_are_counted_and_then_not_even_compared(door, secret):
    with (
        monitor(door.settings, "--password-file", str(secret)) as address,
        patient_http.Client(base_url=address) as client,
    ):
        try_until_refused(lambda: sign_in(client, "wrong").status_code)
        answer = sign_in(client)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 10
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"]
)
def test_no_way_out_leads_elsewhere(stranger, to):
    answer = stranger.post("/login", params={"next": to}, data={"password": PASSWORD})
    assert answer.headers["location"] == "/"
    assert stranger.get("/language", params={"to": "de", "next": to}).headers["location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout"])
def test_another_sites_form_does_nothing(stranger, path, headers):
    answer = stranger.post(path, data={"password": PASSWORD}, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8480", "127.0.0.1.evil.example", "", "[x"])
def test_a_name_that_was_made_to_lead_here_gets_nothing(page_of, host):
    for path in ("/", "/static/monitor.js"):
        assert page_of.get(path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1", "[::1]:8480"])
def test_this_machines_own_names_will_do(page_of, host):
    assert page_of.get("/", headers={"Host": host}).status_code == 200


def test_an_address_will_do_where_there_is_a_password_but_no_foreign_name(stranger):
    assert stranger.get("/login", headers={"Host": "192.168.1.20:8480"}).status_code == 200
    assert stranger.get("/login", headers={"Host": "evil.example"}).status_code == 421


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 on loopback")


@needs_ipv6
def test_it_listens_at_an_ipv6_address_and_says_where(closed_gym):
    with monitor(closed_gym, "--listen", "[::1]:0") as address:
        assert address.startswith("http://[::1]:")
        with patient_http.Client(base_url=address) as client:
            assert client.get("/").status_code == 200
            port = address.rpartition(":")[2]
            for host in ("[::1]", f"[::1]:{port}", f"[0:0:0:0:0:0:0:1]:{port}", f"localhost:{port}"):
                assert client.get("/", headers={"Host": host}).status_code == 200, host
            for host in ("[2001:db8::1]", f"[2001:db8::1]:{port}", "[::1", "::1:80", "[::1].evil.example"):
                assert client.get("/", headers={"Host": host}).status_code == 421, host


@needs_ipv6
def test_every_address_is_served_where_there_is_a_password(closed_gym, secret):
    with monitor(closed_gym, "--listen", "[::]:0", "--password-file", str(secret)) as address:
        port = address.rpartition(":")[2]
        with patient_http.Client(base_url=f"http://[::1]:{port}") as client:
            assert client.get("/").headers["location"] == "/login?next=%2F"
            for host in ("[::1]", "[2001:db8::1]:8480", "[::ffff:192.168.1.20]:8480", "192.168.1.20"):
                assert client.get("/login", headers={"Host": host}).status_code == 200, host
            assert client.get("/login", headers={"Host": "evil.example"}).status_code == 421
            assert sign_in(client).status_code == 303
            origin = {"Origin": f"http://[::1]:{port}"}
            assert sign_in(client, headers=origin).status_code == 303
            assert sign_in(client, headers={"Origin": "http://[2001:db8::1]"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/monitor.css", "/events/x", "/display/main"])
def test_every_answer_says_what_a_page_may_do(page_of, path):
    headers = page_of.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers
    assert "static" in path or headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2Fetc%2Fpasswd",
        "/static/",
        "/display/../../etc/passwd",
        "/display/%2e%2e%2fgatectl.toml",
        "/events/..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_to_a_file(page_of, path):
    answer = page_of.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert "import" not in answer.text


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:80"])
def test_another_address_is_refused_without_a_password(closed_gym, listen):
    done = command(closed_gym, "--listen", listen)
    assert done.returncode == 2
    assert "there is no password" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize(
    ("content", "mode", "what"),
    [
        (PASSWORD.encode(), 0o604, "can be read by everyone"),
        (b"", 0o600, "is empty"),
        (b" \n", 0o600, "is empty"),
        (b"seven77", 0o600, "fewer than 8 characters"),
        ("Schlüsselwort".encode("latin-1"), 0o600, "is not UTF-8 text"),
        (b"x" * 9000, 0o600, "is longer than 8192 bytes"),
        (None, 0o600, "does not exist"),
    ],
)
@pytest.mark.parametrize("place", ["option", "settings"])
def test_a_password_file_must_be_fit(closed_gym, tmp_path, content, mode, what, place):
    path = tmp_path / "the-password"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    options = ["--password-file", path]
    if place == "settings":
        closed_gym.write_text(
            f'{closed_gym.read_text()}\n[monitor]\npassword = {{ file = "the-password" }}\n'
        )
        options = []
    done = command(closed_gym, "--listen", "0.0.0.0:0", *options)
    assert done.returncode == (78 if place == "settings" else 1)
    first = done.stderr.splitlines()[0]
    assert first.startswith(f"{closed_gym}:" if place == "settings" else str(path))
    assert str(path) in first
    assert what in done.stderr
    assert "hint: " in done.stderr
    given = (content or b"").decode("latin-1").strip()
    assert not given or given not in done.stderr


@pytest.mark.parametrize(
    ("content", "typed"),
    [
        (" an old  cup of tea \n", "an old  cup of tea"),
        ("Prüfung am Öltank\n", "Prüfung am Öltank"),
        ("Prüfung am Öltank", unicodedata.normalize("NFD", "Prüfung am Öltank")),
        ("\ufeffpass wörd & + = %41\r\n", "pass wörd & + = %41"),
        ("пароль 🔑 gym", "пароль 🔑 gym"),
    ],
)
def test_a_password_is_any_text(closed_gym, tmp_path, content, typed):
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(content, "utf-8")
    with (
        monitor(closed_gym, "--password-file", path) as address,
        patient_http.Client(base_url=address) as client,
    ):
        assert sign_in(client, "another one").status_code == 403
        assert sign_in(client, typed).status_code == 303


def test_the_settings_hold_what_the_options_do_and_the_options_win(closed_gym, tmp_path):
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(PASSWORD)
    more = '[monitor]\nlisten = "127.0.0.2:0"\nnames = ["gate.example"]\npassword = { file = "password" }\n'
    closed_gym.write_text(f"{closed_gym.read_text()}\n{more}")
    with monitor(closed_gym, listen=None) as address:
        assert address.startswith("http://127.0.0.2:")
        assert patient_http.get(address, headers={"Host": "gate.example"}).status_code == 303
    with monitor(closed_gym, "--name", "other.example") as address:
        assert address.startswith("http://127.0.0.1:")
        assert patient_http.get(address, headers={"Host": "other.example"}).status_code == 303
        assert patient_http.get(address, headers={"Host": "gate.example"}).status_code == 421


def test_settings_that_let_everybody_in_are_refused_by_line(closed_gym):
    closed_gym.write_text(f'{closed_gym.read_text()}\n[monitor]\nlisten = "0.0.0.0:0"\n')
    line = closed_gym.read_text().count("\n")
    for arguments in ((), ("link", "main")):
        done = command(closed_gym, *arguments)
        assert done.returncode == 78
        assert done.stderr.startswith(f"{closed_gym}:{line}: monitor.listen: 0.0.0.0 can be reached from")
        assert "hint: " in done.stderr


def test_a_form_that_is_too_long_is_refused(stranger):
    assert sign_in(stranger, "x" * 10_000).status_code == 413
