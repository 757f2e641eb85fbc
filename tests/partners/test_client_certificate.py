"""Partners that know the gym by a certificate (mutual TLS)."""

import ssl

import pytest
import trustme
from partner_rigs import Asker, run
from tls_server import TlsServer

from gatectl.decision.outcomes import Fault
from gatectl.partners.http.dial import tls_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Party:
    """An authority, and a gym's certificate from it in two files."""

    def __init__(self, folder):
        folder.mkdir()
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self.authority.cert_pem.bytes())
        leaf = self.authority.issue_cert("gate@gym.example")
        self.files = (folder / "client.crt", folder / "client.key")
        self.files[0].write_bytes(leaf.cert_chain_pems[0].bytes())
        self.files[1].write_bytes(leaf.private_key_pem.bytes())

    def server(self, version):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        self.authority.issue_cert("localhost").configure_cert(context)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.ca_file)
        return context


@pytest.fixture
def party(tmp_path):
    return Party(tmp_path / "partner")


def ask(party, version, client):
    found = []

    async def story(server):
        async with Asker(server.port, party.ca_file, client=client) as asker:
            found.append(await asker.ask())

    with TlsServer(party.server(version)) as server:
        run(story(server))
    return found[0], server.received


@pytest.mark.parametrize("version", VERSIONS)
def test_a_partner_that_knows_the_gyms_certificate(party, version):
    exchange, received = ask(party, version, party.files)
    assert exchange.answer.status == 200
    assert received.startswith(b"POST /check")


WANTED = {
    ssl.TLSVersion.TLSv1_2: "TLS failed: ",  # an alert of any handshake's failure
    ssl.TLSVersion.TLSv1_3: "the partner wants a client certificate",
}


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_certificate_the_partner_refuses(party, version):
    exchange, received = ask(party, version, ())
    assert exchange.lost.fault is Fault.TLS
    assert exchange.lost.detail.startswith(WANTED[version])
    assert received == b""
    # In TLS 1.3 the refusal comes behind the handshake, when bytes may have left.
    assert not exchange.sent or version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("version", VERSIONS)
def test_a_certificate_that_the_partner_does_not_know(party, version, tmp_path):
    exchange, received = ask(party, version, Party(tmp_path / "other").files)
    assert exchange.lost.fault is Fault.TLS
    assert exchange.lost.detail == "the partner refuses our certificate: tlsv1 alert unknown ca"
    assert received == b""


def test_a_key_with_a_password_is_refused_without_a_question(party, tmp_path):
    protected = tmp_path / "protected.key"
    protected.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(ssl.SSLError):
        tls_context(party.ca_file, party.files[0], protected)
