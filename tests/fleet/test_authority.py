"""The fleet's certificates: made by `init` and `sign`, and what a real broker lets their holders do."""

import asyncio
import contextlib
import os
import shlex
import socket
import ssl
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import aiomqtt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fleet_rig import context_of, enrol, request_of
from virtual_gate import WAIT_S, client

from gatectl.cli.main import main
from gatectl.fleet import new_office
from gatectl.fleet.authority import INGEST, REQUEST_MAX, CertificateAuthority, CertificateRefused
from gatectl.fleet.local_services import LocalBroker, free_port
from gatectl.fleet.settings import load

RSA_KEY = rsa.generate_private_key(65_537, 2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


def test_a_new_head_office_is_complete_and_its_secrets_are_its_owners(tmp_path, capsys):
    folder = tmp_path / "fleet"
    assert main(["fleet", "init", str(folder), "--name", "broker.example.com"]) == 0
    settings = load(folder / "fleet.toml")
    assert settings.broker.certificate == folder / "ingest.crt"
    assert settings.database.keep_days == 90
    server = x509.load_pem_x509_certificate((folder / "server.crt").read_bytes())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "broker.example.com" in names.get_values_for_type(x509.DNSName)
    assert len(bytes.fromhex((folder / "pseudonym").read_text().strip())) == 32
    for secret in ("ca.key", "server.key", "ingest.key", "pseudonym"):
        assert not stat.S_IMODE((folder / secret).stat().st_mode) & 0o007
    out, err = capsys.readouterr()
    assert f"mosquitto -c {folder}" in (folder / "mosquitto-gatectl.conf").read_text()
    assert "createdb -O gatectl-fleet -E UTF8 --locale=C.UTF-8 -T template0 gatectl" in out
    assert "back up" in err


def test_a_strict_umask_hides_nothing_from_the_services(tmp_path):
    folder = tmp_path / "office"
    before = os.umask(0o077)
    try:
        assert main(["fleet", "init", str(folder), "--name", "127.0.0.1"]) == 0
        CertificateAuthority(folder).sign(request_of("berlin-1")[0])
        CertificateAuthority(folder).revoke("berlin-1")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir() if path.is_file()}
    private = {name for name in modes if name.endswith(".key") or name == "pseudonym"}
    assert {modes[name] & 0o007 for name in private} == {0}
    assert {modes[name] for name in modes.keys() - private - {"acl"}} == {0o644}
    assert modes["acl"] in {0o640, 0o644}


def test_a_folder_that_is_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "ca.key").write_text("the old one")
    assert main(["fleet", "init", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["ca.key"]


@pytest.mark.parametrize("name", ["two\nlines", "bell\a"])
def test_a_folder_that_no_unit_can_name_is_refused(tmp_path, capsys, name):
    assert main(["fleet", "init", str(tmp_path / name)]) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert first.startswith(str(tmp_path))
    assert first.endswith("has a line break or a control character")
    assert hint == "hint: give a folder whose whole path has none, such as /etc/gatectl-fleet"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("mosquitto")
def test_a_head_office_works_whatever_its_folders_name(tmp_path):
    folder = tmp_path / 'Büro 100% "$HOME" \\ #1'
    new_office.create(folder, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
    with LocalBroker(folder) as broker:
        assert is_let_in(broker, enrol(folder, "berlin-1"))
        assert is_let_in(broker, context_of(folder, "ingest"))
    for line in new_office.next_steps(folder)[2:4]:  # chgrp …
        assert {Path(word).parent for word in shlex.split(line) if "/" in word} == {folder}


def test_a_folder_that_the_services_do_not_see_is_said(tmp_path, monkeypatch, capsys):
    assert not new_office.is_hidden_from_services(Path("/etc/gatectl-fleet"))
    assert new_office.is_hidden_from_services(Path("/etc/../root/fleet"))
    monkeypatch.chdir(tmp_path)
    assert main(["fleet", "init", "fleet"]) == 0
    is_said = "PrivateTmp= of the units hide" in capsys.readouterr().err
    assert is_said == new_office.is_hidden_from_services(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init", "{office}/ca.crt"], "ca.crt: File exists"),
        (["init", "/proc/none/fleet"], "/proc/none"),
        (["init", "{tmp}/new", "--name", "not a host"], "'not a host' is no host's name or address"),
        (["init", "{tmp}/new", "--name", ""], "is no host's name or address"),
        (["sign", "{office}/ca.crt"], "office/ca.crt: the file holds no certificate request"),
        (["sign", "{tmp}/none.csr"], "none.csr: No such file or directory"),
        (["sign", "{tmp}/a.csr", "-o", "{tmp}/none/a.crt"], "none/a.crt: No such file or directory"),
        (["sign", "{tmp}/a.csr", "-o", "{tmp}"], "Is a directory"),
        (["revoke", "nobody"], "no certificate of nobody is in force"),
        (["revoke", ""], "'' is no gate's name"),
        (["revoke", "*"], "'*' is no gate's name"),
    ],
)
def test_each_error_is_one_line_that_names_the_thing_and_a_hint(office, tmp_path, capsys, words, said):
    (tmp_path / "a.csr").write_bytes(request_of("a")[0])
    given = [word.format(office=office, tmp=tmp_path) for word in words]
    assert main(["fleet", *given, "-c", str(office / "fleet.toml")]) in {1, 2}
    first, *hints = capsys.readouterr().err.splitlines()
    assert said in first
    assert hints
    assert all(line.startswith("hint: ") for line in hints)


def test_a_name_with_a_wildcard_revokes_no_other_gate(office):
    enrol(office, "a")
    assert CertificateAuthority(office).revoke("*") == 0
    assert CertificateAuthority(office).revoke("a") == 1


@pytest.mark.parametrize(("name", "content"), [("ca.key", b""), ("ca.crt", b"none"), ("ca.key", RSA_KEY)])
def test_an_authority_that_cannot_be_read_is_said_in_one_line_with_a_hint(office, capsys, name, content):
    enrol(office, "a")
    (office / name).write_bytes(content)
    assert main(["fleet", "revoke", "a", "-c", str(office / "fleet.toml")]) == 1
    first, hint = capsys.readouterr().err.splitlines()
    assert str(office) in first
    assert hint == "hint: take it from a backup"


@pytest.mark.parametrize("content", [None, b"no list"])
def test_a_list_of_the_revoked_that_is_not_whole_is_named(office, capsys, content):
    enrol(office, "a")
    (office / "ca.crl").unlink()
    if content:
        (office / "ca.crl").write_bytes(content)
    assert main(["fleet", "revoke", "a", "-c", str(office / "fleet.toml")]) == 1
    assert str(office / "ca.crl") in capsys.readouterr().err


def test_the_brokers_and_ingests_certificates_last_as_long_as_the_authority(office):
    ends = {
        name: x509.load_pem_x509_certificate((office / f"{name}.crt").read_bytes()).not_valid_after_utc
        for name in ("ca", "server", "ingest")
    }
    assert max(ends.values()) - min(ends.values()) < timedelta(minutes=1)


def test_openssl_agrees_with_the_certificates(office):
    enrol(office, "berlin-mitte-1")
    for name, purpose in (("berlin-mitte-1", "sslclient"), ("ingest", "sslclient"), ("server", "sslserver")):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-crl_check"]
        where = ["-CAfile", office / "ca.crt", "-CRLfile", office / "ca.crl", office / f"{name}.crt"]
        subprocess.run([*command, *where], check=True, capture_output=True)


def test_sign_writes_the_certificate_next_to_the_request(office, tmp_path, capsys):
    request = tmp_path / "berlin-mitte-1.csr"
    request.write_bytes(request_of("berlin-mitte-1")[0])
    assert main(["fleet", "sign", str(request), "-c", str(office / "fleet.toml")]) == 0
    certificate = x509.load_pem_x509_certificate((tmp_path / "berlin-mitte-1.crt").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=berlin-mitte-1"
    assert "hint" not in capsys.readouterr().err
    assert main(["fleet", "sign", str(request), "-c", str(office / "fleet.toml")]) == 0
    assert "has 1 more in force" in capsys.readouterr().err


@pytest.mark.parametrize("name", [INGEST, "berlin.mitte", "+", "a/b", "Berlin"])
def test_no_other_name_than_a_devices_is_signed(office, name):
    with pytest.raises(CertificateRefused, match="is not a device's"):
        CertificateAuthority(office).sign(request_of(name)[0])


def test_a_weak_key_and_a_file_that_is_no_request_are_refused(office):
    authority = CertificateAuthority(office)
    with pytest.raises(CertificateRefused, match="too weak"):
        authority.sign(request_of("berlin", rsa.generate_private_key(65_537, 1024))[0])
    tampered = request_of("berlin")[0].replace(b"BEGIN CERTIFICATE REQUEST", b"BEGIN CERTIFICATE")
    with pytest.raises(CertificateRefused, match="holds no certificate request"):
        authority.sign(tampered)
    with pytest.raises(CertificateRefused, match="too large"):
        authority.sign(request_of("berlin")[0] + bytes(REQUEST_MAX))


def test_a_request_whose_name_was_changed_on_the_way_is_refused(office):
    request = ssl.PEM_cert_to_DER_cert(request_of("berlin")[0].decode().replace(" REQUEST", ""))
    changed = ssl.DER_cert_to_PEM_cert(request.replace(b"berlin", b"munich"))
    with pytest.raises(CertificateRefused, match="is not signed by its own key"):
        CertificateAuthority(office).sign(changed.replace(" CERTIFICATE", " CERTIFICATE REQUEST").encode())


def test_the_authority_is_looked_for_where_the_settings_are(tmp_path, capsys):
    request = tmp_path / "a.csr"
    request.write_bytes(request_of("a")[0])
    assert main(["fleet", "sign", str(request), "-c", str(tmp_path / "fleet.toml")]) == 1
    assert "gatectl fleet init DIR" in capsys.readouterr().err


CONNECT = bytes.fromhex("100d 0004 4d515454 05 02 003c 00 0000")
"""MQTT 5, clean start, without a client id."""


def is_let_in(broker, context):
    """Whether the broker accepts a client with this TLS context."""
    try:
        with (
            socket.create_connection(("127.0.0.1", broker.port), WAIT_S) as connection,
            context.wrap_socket(connection, server_hostname="127.0.0.1") as encrypted,
        ):
            encrypted.sendall(CONNECT)
            answer = encrypted.recv(64)  # of TLS 1.3, a refused certificate is seen here first
    except OSError:
        return False
    return answer[:1] == b"\x20" and answer[3] == 0


def test_a_free_port_is_none_that_a_connection_could_have_while_the_broker_is_away():
    """Linux gives those from 32768 on, if it is not set otherwise (ip(7))."""
    assert all(1024 <= free_port() < 32_768 for _ in range(20))


def test_the_broker_takes_the_fleets_own_certificates_alone(broker, office, tmp_path):
    foreign = tmp_path / "foreign"
    new_office.create(foreign)
    own = enrol(office, "berlin-mitte-1")
    assert is_let_in(broker, own)
    assert not is_let_in(broker, context_of(office, None))
    assert not is_let_in(broker, enrol(office, "berlin-mitte-2", foreign))


def test_a_revoked_device_is_refused_after_a_restart_of_the_broker(broker, office, capsys):
    revoked, later, other = (enrol(office, f"berlin-mitte-{number}") for number in (1, 3, 2))
    assert main(["fleet", "revoke", "berlin-mitte-1", "-c", str(office / "fleet.toml")]) == 0
    assert "1 revoked" in capsys.readouterr().err
    assert main(["fleet", "revoke", "berlin-mitte-3", "-c", str(office / "fleet.toml")]) == 0
    broker.stop()
    broker.start()
    assert not is_let_in(broker, revoked)
    assert not is_let_in(broker, later)
    assert is_let_in(broker, other)
    assert main(["fleet", "revoke", "berlin-mitte-1", "-c", str(office / "fleet.toml")]) == 1


def test_a_device_reaches_its_own_topics_alone(broker, office):
    """A device's own messages arrive; those that others publish in its name, or as ingest, do not."""
    thief, honest = enrol(office, "thief"), enrol(office, "honest")
    arrived = []

    async def listen(listening):
        async with client(broker, context_of(office, "ingest")) as ingest:
            await ingest.subscribe("gatectl/1/+/events", qos=1)
            listening.set()
            async for message in ingest.messages:
                arrived.append((str(message.topic), message.payload))
                if message.payload == b"last":
                    return

    async def steal():
        listening = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listen(listening))
            await listening.wait()
            async with client(broker, thief, "honest") as stealing:
                for topic in ("gatectl/1/honest/events", "gatectl/1/thief/mark", "gatectl/1/honest/mark"):
                    # The broker's answer may be lost on the library; what arrives counts.
                    with contextlib.suppress(aiomqtt.MqttError):
                        await stealing.publish(topic, b"stolen", qos=1)
                await stealing.publish("gatectl/1/thief/events", b"own", qos=1)
            async with client(broker, honest) as connected:
                await connected.publish("gatectl/1/honest/events", b"last", qos=1)

    asyncio.run(asyncio.wait_for(steal(), WAIT_S))
    assert arrived == [("gatectl/1/thief/events", b"own"), ("gatectl/1/honest/events", b"last")]


def test_a_device_receives_its_own_mark_alone(broker, office):
    thief = enrol(office, "thief")
    payloads = []

    async def listen():
        async with client(broker, thief) as listening, client(broker, context_of(office, "ingest")) as ingest:
            await listening.subscribe("gatectl/1/+/mark", qos=1)
            await listening.subscribe("gatectl/1/+/events", qos=1)
            for device in ("honest", "thief"):
                await ingest.publish(f"gatectl/1/{device}/mark", device, qos=1)
            async for message in listening.messages:
                payloads.append(message.payload)
                return

    asyncio.run(asyncio.wait_for(listen(), WAIT_S))
    assert payloads == [b"thief"]
