"""No key, and no name or address of a partner's answer, in anything that the daemon leaves behind."""

import hashlib
import json
import re
from datetime import UTC, datetime

import pytest
from harness import GOOD, code

from gatectl.sim.protocols import PROTOCOLS, capitan, catalogue, perfectgym, wellhub
from gatectl.sim.scenarios import NAMES

NAMED = [
    ("capitan", "GOOD-1"),
    ("capitan", "ALERTS"),
    ("capitan", "NO-ENTRY"),
    ("capitan", "DUPLICATE"),
    ("capitan", "ALERT-NAMES"),
    ("capitan", "ALERTS-404"),
]
"""Answers with the customer's name and address in fields of their own, and one with both in its text."""

ADDRESS = "buzz@example.com"


@pytest.fixture(scope="module")
def gym(shared_gym):
    return shared_gym({name: {} for name in PROTOCOLS})


def remains(gym):
    """Everything that the daemon wrote or says: name → text, in small letters."""
    gym.stop_following()
    held = {"events": json.dumps(gym.events()), "status": json.dumps(gym.status())}
    held["stderr"] = "\n".join(gym.lines_so_far())
    for path in gym.journal.parent.iterdir():
        held[path.name] = path.read_bytes().decode("latin-1")
    assert {"journal.db", "journal.db-wal"} <= held.keys()
    return {name: text.lower() for name, text in held.items()}


def test_names_and_addresses(gym):
    for partner, member in NAMED:
        gym.ask(partner, member)
    for name, text in remains(gym).items():
        for private in (r"\bbuzz\b", "aldrin", r"example\.com"):
            assert not re.search(private, text), f"{private} is in {name}"


def test_addresses_in_a_reason_without_fields(gym):
    members = {
        "perfectgym": "1460",
        "wellhub": "1000000000460",
        "device-api": "1233588460",
        "http": "NAMES",
    }
    for partner, member in members.items():
        event = gym.ask(partner, member)
        assert event["reason"]["text"].startswith("No waiver")
    for name, text in remains(gym).items():
        assert ADDRESS not in text, f"{ADDRESS} is in {name}"
        assert "buzz@" not in text


def test_digests_that_a_name_could_be_tried_against(gym, tmp_path):
    """The partners' answers are as long as those here, so they are these ones."""
    named = {
        ("capitan", "GOOD-1"): capitan.SimulatedCapitan.success("GOOD-1", datetime.now(UTC)),
        ("capitan", "ALERTS"): capitan.declined("check_in_alerts", "No waiver."),
        ("capitan", "NO-ENTRY"): capitan.declined("no_entry_method"),
        ("capitan", "DUPLICATE"): capitan.declined("duplicate_check_in"),
        ("capitan", "ALERT-NAMES"): capitan.declined("check_in_alerts", NAMES),
        ("capitan", "ALERTS-404"): capitan.declined("check_in_alerts", status=404),
        ("perfectgym", "1460"): perfectgym.declined(NAMES),
    }
    assert named.keys() >= set(NAMED)
    nobodys = wellhub.not_found().body
    gym.ask("wellhub", "1000000000404")
    reports = {}
    for (partner, member), reply in named.items():
        event = gym.ask(partner, member)
        folder = tmp_path / event["id"]
        assert gym.run("report", event["id"], "-o", str(folder)).returncode == 0
        reports[event["id"]] = (folder / "report.txt").read_text()
        assert f"{len(reply.body)} bytes; there is no digest" in reports[event["id"]]
    held = remains(gym) | reports
    assert any(form in text for form in digests(nobodys) for text in held.values()), "digests can be found"
    for reply in named.values():
        for name, text in held.items():
            assert not any(form in text for form in digests(reply.body)), f"a digest is in {name}"


def digests(body):
    """How a digest could be written down."""
    digest = hashlib.sha256(body)
    return digest.hexdigest(), digest.digest().decode("latin-1").lower()


def test_keys(gym):
    """Every answer of the partners, also to a wrong key."""
    for entry in catalogue():
        if entry.fault == "credentials":
            gym.ask(entry.protocol, entry.id)
    for protocol in PROTOCOLS:
        gym.ask(protocol, GOOD[protocol])
    held = remains(gym)
    for protocol, partner in gym.partners.simulator.partners.items():
        assert any(partner.key in str(request.headers) for request in gym.partners.requests), (
            "the key is in use"
        )
        for name, text in held.items():
            assert partner.key not in text, f"{protocol}'s key is in {name}"


@pytest.fixture
def wrong_key(tmp_path):
    path = tmp_path / "wrong.key"
    path.touch(mode=0o600)
    path.write_text("a-key-that-nobody-knows\n")
    return {"key": {"file": str(path)}}


def test_a_key_that_is_refused(shared_gym, wrong_key):
    gym = shared_gym(dict.fromkeys(PROTOCOLS, wrong_key))
    for partner in PROTOCOLS:
        event = gym.ask(partner, GOOD[partner])
        assert (event["result"], event["fault"]) == ("rejected", "credentials")
        gym.logged(f"partner {partner}: refusing our key")
    for name, text in remains(gym).items():
        assert "a-key-that-nobody-knows" not in text, f"the key is in {name}"


def test_the_code_as_read_is_kept(gym):
    event = gym.ask("capitan", "X-4711 ü")
    assert event["credential"] == code("capitan", "X-4711 ü")
    assert event["member"] == "X-4711 ü"
