"""A display's own link, and what a named proxy says of the browser."""

import itertools
import re
import shlex
import subprocess
import sys
from html import unescape
from urllib.parse import quote

import httpx
import patient_http
import pytest
from limits import NET_S
from monitors import monitor, try_until_refused, write_closed_gym

PASSWORD = "correct horse, battery"
TWO_DOORS = """
[doors.side]
relay = { pin = 27 }
[[doors.side.scanners]]
type = "serial"
port = "other"
[monitor]
password = { file = "password" }
"""
PROXY, OTHER_PROXY = "127.0.0.50", "127.0.0.51"


def write_gym(folder, more=""):
    settings = write_closed_gym(folder)
    settings.write_text(settings.read_text("utf-8") + TWO_DOORS + more, "utf-8")
    set_password(folder, PASSWORD)
    return settings


def set_password(folder, text):
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(text)


@pytest.fixture(scope="module")
def gym(tmp_path_factory):
    return write_gym(tmp_path_factory.mktemp("gym"), f'proxies = ["{PROXY}", "{OTHER_PROXY}"]\n')


@pytest.fixture(scope="module")
def address(gym):
    with monitor(gym) as address:
        yield address


def link(settings, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "gatectl", "monitor", "-c", settings, "link", *arguments],
        capture_output=True, encoding="utf-8", check=False, timeout=NET_S,
    )  # fmt: skip


def link_to(settings, address, door="main"):
    done = link(settings, "--listen", address.removeprefix("http://"), door)
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def test_a_link_opens_its_display_without_the_password(gym, address):
    found = link_to(gym, address)
    assert re.fullmatch(rf"{address}/display/main\?key=[a-z2-7]{{16}}", found)
    page = patient_http.get(found)
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    stream = page.text.partition('data-live="')[2].partition('"')[0].replace("&amp;", "&")
    with patient_http.stream("GET", address + stream) as answer:
        assert answer.status_code == 200
        assert "event: screen" in answer.iter_lines()


def test_a_link_opens_nothing_else(gym, address):
    key = link_to(gym, address).partition("key=")[2]
    for path in ("/", "/events/x", "/events/x/report", "/display/side", "/language"):
        assert patient_http.get(f"{address}{path}?key={key}").status_code == 303, path
    for path in ("/live/events?", "/live/display?door=side&"):
        assert patient_http.get(f"{address}{path}key={key}").status_code == 401, path
    with patient_http.Client(base_url=address) as client:
        assert client.get(f"/display/main?key={key}").status_code == 200
        assert client.get("/").status_code == 303


@pytest.mark.parametrize("key", ["", "x", "a" * 16, "%FF", "key=", "é"])
def test_a_made_up_key_opens_nothing(address, key):
    assert patient_http.get(f"{address}/display/main?key={key}").status_code == 303
    assert patient_http.get(f"{address}/live/display?door=main&key={key}").status_code == 401


def test_a_link_lasts_over_a_restart_and_ends_with_the_password(tmp_path):
    settings = write_gym(tmp_path)
    with monitor(settings) as address:
        path = link_to(settings, address).removeprefix(address)
    with monitor(settings) as address:
        assert patient_http.get(address + path).status_code == 200
    set_password(tmp_path, "another password")
    with monitor(settings) as address:
        ended = patient_http.get(address + path, follow_redirects=True)
        assert ended.url.path == "/login"
        assert "gatectl monitor link main" in ended.text
        assert patient_http.get(link_to(settings, address)).status_code == 200


@pytest.mark.parametrize("door", ["x; reboot", "$(reboot)", "x\nreboot"])
def test_an_ended_link_that_somebody_made_up_puts_nothing_into_the_command(address, door):
    path = f"/display/{quote(door)}?key=x"
    form = unescape(patient_http.get(f"{address}/login", params={"next": path}).text)
    command = form.partition("comes from: ")[2].partition("</p>")[0]
    assert shlex.split(command, posix=True)[:3] == ["gatectl", "monitor", "link"]
    assert len(command.splitlines()) == len(shlex.split(command)[3:]) == 1
    assert command.endswith("'")


def test_without_a_password_a_link_is_the_address_alone(closed_gym):
    assert link(closed_gym, "main").stdout == "http://127.0.0.1:8480/display/main\n"


def test_a_link_says_what_keeps_a_tablet_awake_and_prints_nothing_but_itself(gym):
    done = link(gym, "main")
    assert done.stdout.count("\n") == 1
    assert "keeps a tablet awake over https:// alone" in done.stderr


def test_a_links_host_is_a_name_by_which_browsers_reach_the_monitor(gym):
    done = link(gym, "--name", "gate.example", "--listen", "0.0.0.0:8481", "main")
    assert done.stdout.startswith("http://gate.example:8481/display/main?key=")
    assert link(gym, "--listen", "[::1]:8481", "main").stdout.startswith("http://[::1]:8481/display/")
    anywhere = link(gym, "--listen", "0.0.0.0:8481", "main").stdout
    assert "0.0.0.0" not in anywhere


def test_a_door_that_is_not_there_has_no_link(gym):
    done = link(gym, "mian")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no door 'mian'" in done.stderr
    assert "hint: did you mean main?" in done.stderr


def sign_in(address, source, forwarded=None, password="wrong", proto=None):
    headers = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": proto}
    headers = {name: value for name, value in headers.items() if value}
    transport = httpx.HTTPTransport(local_address=source)
    with patient_http.Client(base_url=address, transport=transport, headers=headers) as client:
        return client.post("/login?next=/", data={"password": password})


@pytest.mark.parametrize(
    ("attacker", "same", "others"),
    [
        ("198.51.100.1", ["203.0.113.9, 198.51.100.1"], ["198.51.100.2", "198.51.100.1, 198.51.100.3"]),
        (f"198.51.100.4, {OTHER_PROXY}", ["198.51.100.4"], [OTHER_PROXY]),
        ("2001:db8::1", ["2001:db8::2", "[2001:db8::3]:99"], ["2001:db8:0:1::1"]),
        ("198.51.100.5:4711", ["198.51.100.5", "::ffff:198.51.100.5"], ["198.51.100.6"]),
        ("unknown", ["", "also, no address"], ["198.51.100.7"]),
    ],
)
def test_behind_a_named_proxy_each_browser_has_its_own_tries(gym, attacker, same, others):
    with monitor(gym) as address:
        try_until_refused(lambda: sign_in(address, PROXY, attacker).status_code)
        assert {sign_in(address, PROXY, one).status_code for one in same} == {429}
        assert {sign_in(address, PROXY, one, PASSWORD).status_code for one in others} == {303}


def test_headers_of_others_about_a_browser_are_ignored(gym):
    with monitor(gym) as address:
        numbers = itertools.count()
        try_until_refused(lambda: sign_in(address, "127.0.0.60", f"198.51.100.{next(numbers)}").status_code)


def test_cookies_are_secure_behind_the_tls_of_a_named_proxy(address):
    for proto, source, is_secure in (
        ("https", PROXY, True),
        ("http", PROXY, False),
        (None, PROXY, False),
        ("https", "127.0.0.61", False),
    ):
        answer = sign_in(address, source, "198.51.100.20", PASSWORD, proto)
        assert answer.status_code == 303
        assert ("; Secure" in answer.headers["set-cookie"]) is is_secure, (proto, source)


def test_the_form_works_behind_a_proxy_that_writes_its_own_host(tmp_path):
    settings = write_gym(tmp_path, 'names = ["gate.example"]\n')
    with monitor(settings) as address, patient_http.Client(base_url=address) as client:
        ours = {"Origin": "https://gate.example"}
        assert client.post("/login", data={"password": PASSWORD}, headers=ours).status_code == 303
        others = {"Origin": "https://gate.example.evil.example"}
        assert client.post("/login", data={"password": PASSWORD}, headers=others).status_code == 403
