"""Who gets a page, from where, and what a page may do."""

import socket
import subprocess
import sys

import httpx
import pytest
from monitors import monitor

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
    with httpx.Client(base_url=guarded) as client:
        yield client


def sign_in(client, password=PASSWORD, **more):
    return client.post("/login?next=/", data={"password": password}, **more)


def command(settings, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "gatectl", "monitor", "-c", settings, *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=30,
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
def test_a_stream_without_the_password_is_refused_and_not_led_elsewhere(stranger, path):
    assert stranger.get(path, headers={"Sec-Fetch-Mode": "cors"}).status_code == 401


def test_the_password_opens_and_the_session_is_kept_in_a_strict_cookie(stranger):
    assert "Sign out" not in stranger.get("/login").text
    answer = sign_in(stranger)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
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
        httpx.Client(base_url=address) as client,
    ):
        assert [sign_in(client, "wrong").status_code for _ in range(6)] == [403] * 5 + [429]
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
        with httpx.Client(base_url=address) as client:
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
        with httpx.Client(base_url=f"http://[::1]:{port}") as client:
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
        (PASSWORD, 0o604, "can be read by everyone"),
        ("", 0o600, "is empty"),
        ("seven77", 0o600, "fewer than 8 characters"),
    ],
)
def test_a_password_file_must_be_fit(closed_gym, tmp_path, content, mode, what):
    path = tmp_path / "password"
    path.write_text(content)
    path.chmod(mode)
    done = command(closed_gym, "--listen", "0.0.0.0:0", "--password-file", path)
    assert done.returncode == 1
    assert what in done.stderr
    assert not content or content not in done.stderr


def test_a_form_that_is_too_long_is_refused(stranger):
    assert sign_in(stranger, "x" * 10_000).status_code == 413
