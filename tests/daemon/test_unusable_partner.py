"""One partner's key or certificate that cannot be used stops that partner alone."""

from datetime import UTC, datetime, timedelta

import pytest
import trustme

AUTHORITY = trustme.CA()


@pytest.mark.parametrize(
    ("broken", "fault", "detail"),
    [
        ({"key": {"file": "gone"}}, "credentials", "key.file: {folder}/gone does not exist"),
        (
            {"ca_file": "gone.pem"},
            "configuration",
            "ca_file: {folder}/gone.pem cannot be read: No such file or directory",
        ),
        (
            {"client_certificate": "gone.crt", "client_key": {"file": "own.key"}},
            "credentials",
            "client_certificate: {folder}/gone.crt cannot be read: No such file or directory",
        ),
        (
            {"proxy": "http://127.0.0.1:9", "proxy_key": {"file": "own.key"}},
            "credentials",
            "proxy_key.file: is not a name and a password",
        ),
    ],
    ids=["key", "ca_file", "client_certificate", "proxy_key"],
)
def test_the_other_partners_scans_go_on(gym, broken, fault, detail):
    gym = gym({"wellhub": {}, "capitan": broken})
    (gym.folder / "own.key").write_text("not a key")
    (gym.folder / "own.key").chmod(0o600)
    detail = detail.format(folder=gym.folder)[:200]
    gym.start()
    line = gym.logged("out of order")
    assert line == f"partner capitan is out of order: {detail}; gatectl check says what to do"
    assert gym.ask("wellhub", "1000000000200")["result"] == "admitted"
    for _ in range(2):
        event = gym.ask("capitan", "GOOD-1")
        assert (event["verdict"], event["fault"], event["detail"]) == ("none", fault, detail)
        assert event["request"]["sent"] is False
    assert gym.partners.asked_for("GOOD-1") == []
    partners = gym.status()["partners"]
    assert partners["wellhub"]["state"] == "healthy"
    assert partners["capitan"]["state"] == "out of order"
    assert partners["capitan"]["unconnected"] == {"fault": fault, "detail": detail}
    shown = gym.run("status")
    assert "partner capitan: out of order, since " in " ".join(shown.stdout.split())
    assert gym.run("check").returncode == 78
    assert gym.terminate() == 0
    assert sum("capitan" in line and "no connection" in line for line in gym.stderr) == 0


UPLINK = """
[uplink]
url = "{url}"
device = "{device}"
certificate = "uplink.crt"
key = {{ file = "uplink.key" }}
ca_file = "ca.crt"
pseudonym_key = {{ file = "pseudonym" }}
"""
URL = "mqtts://broker.example.com:8883"


def write_uplink(folder, url=URL, device="berlin-1", *, days=365, key_mode=0o600):
    """Add an [uplink] with a certificate of berlin-1 that ends in so many days."""
    end = datetime.now(UTC) + timedelta(days=days)
    begin = end - timedelta(days=700)
    issued = AUTHORITY.issue_cert("berlin-1", common_name="berlin-1", not_before=begin, not_after=end)
    issued.cert_chain_pems[0].write_to_path(folder / "uplink.crt")
    AUTHORITY.cert_pem.write_to_path(folder / "ca.crt")
    issued.private_key_pem.write_to_path(folder / "uplink.key")
    (folder / "uplink.key").chmod(key_mode)
    (folder / "pseudonym").touch(0o600)
    (folder / "pseudonym").write_text("0f" * 32)
    settings = folder / "gatectl.toml"
    settings.write_text(settings.read_text() + UPLINK.format(url=url, device=device))


@pytest.mark.parametrize(
    ("wrong", "missing", "line"),
    [
        ({"days": -1}, None, "uplink.certificate: expired on "),
        ({"key_mode": 0o644}, None, "uplink.key: {folder}/uplink.key can be read by everyone"),
        ({}, "uplink.key", "uplink.key: {folder}/uplink.key does not exist"),
        ({}, "uplink.crt", "uplink.certificate: {folder}/uplink.crt cannot be read: No such file"),
        ({}, "ca.crt", "uplink.ca_file: {folder}/ca.crt cannot be read: No such file"),
        ({}, "pseudonym", "uplink.pseudonym_key: {folder}/pseudonym does not exist"),
        (
            {"device": "berlin-2"},
            None,
            "uplink.certificate: is for 'berlin-1', and uplink.device is ",
        ),
        ({"device": "Berlin 2"}, None, "uplink.device: must be 1 to 64 small letters, digits and hyphens"),
        ({"url": "amqp://broker"}, None, "uplink.url: must begin with mqtts://"),
    ],
)
def test_whatever_is_wrong_with_the_uplink_the_gate_works_and_check_says_it(gym, wrong, missing, line):
    gym = gym()
    write_uplink(gym.folder, **wrong)
    if missing:
        (gym.folder / missing).unlink()
    gym.start()
    assert gym.ask("wellhub", "1000000000200")["result"] == "admitted"
    assert gym.run("status", "--json").returncode == 0
    assert gym.run("open", "main", "--reason", "Delivery").returncode == 0
    checked = gym.run("check")
    assert checked.returncode == 78
    first, remedy = checked.stderr.splitlines()[:2]
    assert line.format(folder=gym.folder) in first
    assert remedy.startswith("hint: ")


def test_with_no_partner_left_the_daemon_does_not_start(gym):
    gym = gym({"wellhub": {"key": {"file": "gone"}}})
    gym.spawn()
    assert gym.wait() == 78
    assert [line.rpartition("/")[2] for line in gym.stderr] == [
        "gone does not exist",
        "hint: put it alone into this file",
    ]
