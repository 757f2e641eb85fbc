"""`gatectl check --devices --connect`: with and without a running gatectl, and each failure."""

import contextlib
import json
import os
import re
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from control_server import daemon_that_answers
from limits import NET_S
from partners import Partners

from gatectl.cli.main import main
from gatectl.cli.try_partners import partners
from gatectl.config.reader import load_with_keys
from gatectl.sim.server import Leaf
from gatectl.sim.simulated_door import SimulatedDoor
from gatectl.sim.virtual_scanners import VirtualSerialScanner

REST = """
[journal]
path = "journal.db"
[control]
socket = "control.sock"
[gpio]
pin_factory = "mock"
[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "serial"
port = "scanner"
[[doors.main.scanners]]
type = "evdev"
device = "keyboard"
"""


@pytest.fixture
def check(tmp_path, monkeypatch, capsys):
    """Checks settings with these sections: status, stdout and stderr; times become `N`."""
    monkeypatch.delenv("GPIOZERO_PIN_FACTORY", raising=False)

    def run(sections, *args, settings=None):
        path = settings or tmp_path / "gatectl.toml"
        if settings is None:
            path.write_text(sections + REST, "utf-8")
        status = main(["check", *args, "-c", str(path)])
        out, err = (re.sub(r"\d+ ms", "N ms", text) for text in capsys.readouterr())
        return status, out.replace(f"{tmp_path}/", ""), err.replace(f"{tmp_path}/", "")

    return run


def found(out):
    """The results, without those about the settings."""
    return [line for line in out.splitlines() if line.startswith("ok: ")]


def test_every_device_on_its_line(check, tmp_path):
    with VirtualSerialScanner(tmp_path / "scanner"):
        status, out, err = check("", "--devices")
    assert status == 1
    assert found(out) == [
        "ok: relay of main: driven off, N ms",
        "ok: scanner scanner of main (9600 baud, line): opened, N ms",
    ]
    assert err.splitlines() == [
        "scanner keyboard of main (layout us): unplugged, N ms",
        "hint: is it plugged in, may this user read it, and does no other program hold it? gatectl devices",
    ]


def test_a_running_gatectl_keeps_its_devices_and_reports_them(check, tmp_path):
    with SimulatedDoor(tmp_path, lambda _: None) as door:
        status, out, err = check("", "--devices", settings=door.settings)
        assert (status, err) == (0, "")
        rules = [line for line in out.splitlines()[1:] if line.startswith("partner http: ")]
        assert len(rules) > 1
        assert out.splitlines()[1 + len(rules) :] == [
            "ok: relay of main: the running gatectl has it, shut",
            "ok: scanner scanner of main (9600 baud, line): the running gatectl has it, 0 codes so far",
        ]
        text = door.settings.read_text().replace("[doors.main", "[doors.side").replace('"scanner"', '"other"')
        door.settings.write_text(text)
        status, _, err = check("", "--devices", settings=door.settings)
        assert status == 1
        assert err.startswith("door side: the running gatectl does not know it\nhint: ")


def test_a_scanner_that_the_running_gatectl_waits_for(check, tmp_path):
    answer = {"doors": {"main": {"gate": {"open": False}, "scanners": []}}, "partners": {}}
    lost = {"state": "lost", "since": "2026-11-22T19:35:01.000042Z", "cause": "unplugged", "codes": 3}
    answer["doors"]["main"]["scanners"] = [{"scanner": str(tmp_path / "scanner")} | lost]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(json.dumps(answer).encode() + b"\n")

    daemon = threading.Thread(target=serve)
    daemon.start()
    status, _, err = check("", "--devices")
    daemon.join()
    listener.close()
    assert status == 1
    assert err.splitlines() == [
        "scanner scanner of main (9600 baud, line): lost since 2026-11-22T19:35:01.000042Z (unplugged)",
        "hint: is it plugged in, and set up as the settings say? gatectl devices",
        "scanner keyboard of main (layout us): the running gatectl does not know it",
        "hint: settings that are newer than the running gatectl? systemctl restart gatectl",
    ]


def test_every_partner_on_its_line_and_no_request(check):
    with Partners() as gym:
        sections = [gym.simulator.partner_section(name) for name in ("wellhub", "perfectgym")]
        status, out, err = check("\n".join(sections), "--connect")
        assert gym.requests == []
        port = gym.simulator.port
    assert (status, err) == (0, "")
    steps = r"look-up N ms, connect N ms, TLS N ms \(TLSv1\.3\), certificate to \d{4}-\d\d-\d\d"
    first, second = found(out)
    assert re.fullmatch(rf"ok: partner wellhub at 127\.0\.0\.1:{port}: {steps}", first)
    assert re.fullmatch(rf"ok: partner perfectgym at 127\.0\.0\.1:{port}: {steps}", second)


def test_a_connection_without_tls(check):
    with Partners(tls=False) as gym:
        status, out, _ = check(gym.simulator.partner_section("wellhub"), "--connect")
    assert status == 0
    assert "connect N ms, TLS none\n" in out


@pytest.mark.parametrize(
    ("leaf", "why"),
    [
        (Leaf.EXPIRED, "certificate expired on "),
        (Leaf.OTHER_NAME, "certificate is for another name"),
        (Leaf.UNKNOWN_CA, "certificate not trusted: "),
    ],
)
def test_a_certificate_that_is_refused(check, leaf, why):
    with Partners(leaf=leaf) as gym:
        status, _, err = check(gym.simulator.partner_section("wellhub"), "--connect")
    assert status == 1
    line, hint = err.splitlines()
    assert f"tls: {why}" in line
    assert line.endswith("(the look-up N ms, the connection N ms, tried for N ms)")
    assert "ca_file" in hint


@contextlib.contextmanager
def partner_that(play, context):
    """A TLS server whose connections are each given to `play`, in a thread of its own; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):  # the listener is closed, or the client has gone
                while True:
                    connected, _ = listener.accept()
                    with connected, context.wrap_socket(connected, server_side=True) as secured:
                        play(secured)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    serving.join(NET_S)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", ["end", "certificate", "banner"])
def test_a_partner_that_refuses_behind_the_handshake(check, kind, version, tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    if kind == "certificate":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca_file)
    section = (
        f'[partners.w]\nprotocol = "wellhub"\ngym_id = "1"\nkey = {{ env = "HOME" }}\nca_file = "{ca_file}"\n'
    )
    play = {
        "end": lambda _: None,
        "certificate": lambda _: None,
        "banner": lambda secured: secured.send(b"220 hi"),
    }
    with partner_that(play[kind], context) as port:
        status, _, err = check(f'{section}url = "https://127.0.0.1:{port}"\n', "--connect")
    assert status == 1
    line, hint = err.splitlines()
    if kind == "certificate":
        assert re.search("tls: (the partner wants a client certificate|TLS failed: .*handshake)", line)
    elif kind == "banner":
        assert "partner: an answer that nobody had asked for, right behind the handshake" in line
    else:
        assert f"network: closed before the request (127.0.0.1:{port}), right behind the handshake" in line
    if (kind, version) != ("certificate", ssl.TLSVersion.TLSv1_2):
        assert (
            hint
            == "hint: does the partner want a client certificate, or know this gym's address (an allow list)?"
        )


def test_no_server(check, closed_port):
    section = '[partners.w]\nprotocol = "wellhub"\ngym_id = "1"\nkey = { env = "HOME" }\n'
    status, _, err = check(f'{section}url = "https://127.0.0.1:{closed_port}"\n', "--connect")
    assert status == 1
    assert err.splitlines()[0] == (
        f"partner w at 127.0.0.1:{closed_port}: network: connection refused (127.0.0.1:{closed_port})"
        " (the look-up N ms, tried for N ms)"
    )


def test_a_partner_that_says_nothing(check, tmp_path):
    section = '[partners.w]\nprotocol = "wellhub"\ngym_id = "1"\nkey = { env = "HOME" }\n'
    with socket.create_server(("127.0.0.1", 0)) as mute:
        check(f'{section}url = "https://127.0.0.1:{mute.getsockname()[1]}"\n')
        settings, secrets = load_with_keys(tmp_path / "gatectl.toml", os.environ)
        (result,) = partners(settings, secrets, patience_s=2)
    line = re.sub(r"\d+ ms", "N ms", result.line)
    assert "TLS took over 2 s (the look-up N ms, the connection N ms, tried for N ms)" in line
    assert "firewall" in result.hint


def test_a_certificate_that_ends_soon(check, tmp_path):
    authority = trustme.CA()
    ends = datetime.now(UTC) + timedelta(days=3, hours=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=ends.replace(tzinfo=None)).configure_cert(context)
    ca_file = tmp_path / "short.pem"
    ca_file.write_bytes(authority.cert_pem.bytes())
    section = (
        f'[partners.w]\nprotocol = "wellhub"\ngym_id = "1"\nkey = {{ env = "HOME" }}\nca_file = "{ca_file}"\n'
    )
    with partner_that(lambda secured: secured.recv(1), context) as port:
        status, out, _ = check(f'{section}url = "https://127.0.0.1:{port}"\n', "--connect")
    assert status == 0
    assert f"certificate to {ends:%Y-%m-%d}" in out
    assert "the certificate ends in 3 days" in out


def test_the_clock_as_the_last_answer_shows_it(check, tmp_path):
    answered = threading.Event()
    with SimulatedDoor(tmp_path, lambda line: answered.set() if "checked in" in line else None) as door:
        _, out, _ = check("", "--connect", settings=door.settings)
        assert "clock" not in out
        door.type_code("1000000000200")
        assert answered.wait(NET_S)
        _, out, _ = check("", "--connect", settings=door.settings)
        assert out.count("clock agrees") == 1
        assert "warning" not in out
    for ahead, words in ((94, "94 s ahead of"), (-7, "7 s behind")):
        status = {"partners": {"wellhub": {"clock_ahead_s": ahead}}}
        with Partners() as gym, daemon_that_answers(tmp_path / "control.sock", status):
            _, out, _ = check(gym.simulator.partner_section("wellhub"), "--connect")
        assert f", clock {words} the partner's" in out
        assert f"this machine's clock is {words} the partner's" in out
