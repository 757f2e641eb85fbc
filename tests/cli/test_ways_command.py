"""`gatectl check` and `gatectl codes` go to a partner in the way that a scan takes: proxy and certificate."""

import re
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from partners import Partners
from proxy_server import ProxyServer, says
from tls_server import TlsServer

from gatectl.cli.main import main
from gatectl.journal.reader import enrolled

MEMBER = "1000000000200"
REST = """
[journal]
path = "journal.db"
[gpio]
pin_factory = "mock"
[[routes]]
match = '[0-9]{13}'
partner = "wellhub"
[doors.main]
relay = { pin = 17 }
[[doors.main.scanners]]
type = "serial"
port = "scanner"
"""


@pytest.fixture
def command(tmp_path, capsys):
    """Runs a command on settings with this partner: status, stdout and stderr; times become `N`."""
    path = tmp_path / "gatectl.toml"

    def run(partner, *arguments):
        path.write_text(partner + REST, "utf-8")
        status = main([*arguments, "-c", str(path)])
        return status, *(re.sub(r"\d+ ms", "N ms", text) for text in capsys.readouterr())

    return run


@pytest.fixture
def partners():
    with Partners() as partners:
        yield partners


def through(proxy, simulator, folder, key=None):
    """The simulator's wellhub behind this proxy."""
    lines = [simulator.partner_section("wellhub"), f'proxy = "{proxy.url}"']
    if key is not None:
        (folder / "proxy").write_text(key)
        (folder / "proxy").chmod(0o600)
        lines.append('proxy_key = { file = "proxy" }')
    return "\n".join(lines)


def test_check_connects_through_the_proxy(command, partners, tmp_path):
    port = partners.simulator.port
    with ProxyServer(credentials="gym:s3cr3t") as proxy:
        section = through(proxy, partners.simulator, tmp_path, "gym:s3cr3t")
        status, out, err = command(section, "check", "--connect")
        assert (status, err) == (0, "")
        way = f"partner wellhub at 127.0.0.1:{port} through the proxy 127.0.0.1:{proxy.port}"
        assert f"ok: {way}: look-up N ms, connect N ms, TLS N ms" in out
        assert len(proxy.heads) == 1

        status, out, err = command(
            through(proxy, partners.simulator, tmp_path, "gym:wr0ng"), "check", "--connect"
        )
        assert status == 1
        line, hint = err.splitlines()
        assert f"{way}: network: the proxy 127.0.0.1:{proxy.port} refuses the name or the password" in line
        assert "proxy" in hint
        assert "wr0ng" not in out + err
    assert partners.requests == []


def test_codes_go_through_the_proxy(command, partners, tmp_path):
    with ProxyServer(credentials="gym:s3cr3t ä") as proxy:
        section = through(proxy, partners.simulator, tmp_path, "gym:s3cr3t ä")
        assert command(section, "codes", "create", MEMBER, "A1")[0] == 0
        assert len(proxy.heads) == 1
    assert partners.simulator.partners["wellhub"].codes == {MEMBER: "A1"}
    assert [card.code for card in enrolled(tmp_path / "journal.db").values()] == ["A1"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 max@example.com\r\n\r\n", "refuses a tunnel to 127.0.0.1:{port} (403)"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "cannot reach 127.0.0.1:{port} (502)"),
    ],
)  # fmt: skip
def test_codes_that_a_proxy_refuses_reach_no_server(command, partners, tmp_path, answer, words):
    with ProxyServer(says(answer)) as proxy:
        section = through(proxy, partners.simulator, tmp_path)
        status, _, err = command(section, "codes", "create", MEMBER, "A1")
    assert status == 1
    words = words.format(port=partners.simulator.port)
    assert f"the proxy 127.0.0.1:{proxy.port} {words}, so nothing was asked" in err
    assert "max@example.com" not in err
    assert partners.requests == []


def with_certificate(folder, authority, port, **dates):
    """A wellhub that knows the gym by a certificate of this authority."""
    leaf = authority.issue_cert("gate@gym.example", **dates)
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    (folder / "client.crt").write_bytes(leaf.cert_chain_pems[0].bytes())
    for name, content in (("client.key", leaf.private_key_pem.bytes()), ("key", b"k3y-of-the-gym-42")):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return f"""
[partners.wellhub]
protocol = "wellhub"
gym_id = "1234"
url = "https://127.0.0.1:{port}"
key = {{ file = "key" }}
ca_file = "ca.pem"
client_certificate = "client.crt"
client_key = {{ file = "client.key" }}
"""


@pytest.fixture
def mutual():
    """An authority, and a server of it that wants to see a certificate of the same."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    with TlsServer(context) as server:
        yield authority, server


def test_check_shows_the_gyms_certificate(command, mutual, tmp_path):
    authority, server = mutual
    ends = datetime.now(UTC) + timedelta(days=20, hours=1)
    status, out, err = command(
        with_certificate(tmp_path, authority, server.port, not_after=ends), "check", "--connect"
    )
    assert (status, err) == (0, "")
    assert "TLS N ms (TLSv1.3)" in out
    assert f"warning: partners.wellhub.client_certificate: it ends in 20 days, on {ends:%Y-%m-%d}" in out


def test_a_certificate_that_the_partner_does_not_know(command, mutual, tmp_path):
    authority, server = mutual
    section = with_certificate(tmp_path, trustme.CA(), server.port)
    (tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    status, _, err = command(section, "check", "--connect")
    assert status == 1
    assert (
        "tls: the partner refuses our certificate: tlsv1 alert unknown ca, right behind the handshake" in err
    )


def test_codes_show_the_gyms_certificate(command, mutual, tmp_path):
    authority, server = mutual
    server.answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
    status, _, err = command(
        with_certificate(tmp_path, authority, server.port), "codes", "create", MEMBER, "A1"
    )
    assert (status, err) == (0, "")
    assert b"Bearer k3y-of-the-gym-42" in server.received


def test_codes_of_a_partner_whose_key_is_missing(command, partners):
    section = partners.simulator.partner_section("wellhub")
    other = '\n[partners.other]\nprotocol = "capitan"\nkey = { file = "gone" }\n'
    assert command(section + other, "codes", "create", MEMBER, "A1")[0] == 0
    gone = re.sub("key = .*", 'key = { file = "gone" }', section)
    status, _, err = command(gone, "codes", "create", MEMBER, "A2")
    assert status == 78
    assert "partners.wellhub.key.file: " in err
