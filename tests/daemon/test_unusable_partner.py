"""One partner's key or certificate that cannot be used stops that partner alone."""

import pytest


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
    line = gym.told("out of order")
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


def test_with_no_partner_left_the_daemon_does_not_start(gym):
    gym = gym({"wellhub": {"key": {"file": "gone"}}})
    gym.spawn()
    assert gym.wait() == 78
    assert [line.rpartition("/")[2] for line in gym.stderr] == [
        "gone does not exist",
        "hint: put it alone into this file",
    ]
