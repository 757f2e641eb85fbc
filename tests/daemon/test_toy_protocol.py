"""A protocol that one descriptor adds: settings, `check`, routes, requests, events and status know it."""

import json
import sys

import pytest
import toy_partner
import toy_protocol
from harness import BRIEF_MS, Gym

from gatectl.config import json_schema
from gatectl.partners.registry import PROTOCOLS
from gatectl.sim import protocols as simulated


class ToyGym(Gym):
    """A gym whose gatectl has the toy protocol too."""

    @property
    def command(self):
        return [sys.executable, toy_partner.__file__, "-c", str(self.settings)]


@pytest.fixture
def toys(tmp_path, monkeypatch):
    monkeypatch.setitem(simulated.PROTOCOLS, "toy", toy_protocol.SimulatedToy)
    with ToyGym(tmp_path, {"toy": {"budget_ms": BRIEF_MS, "settle_s": 3600}, "wellhub": {}}) as gym:
        yield gym


def test_a_scan_goes_over_tls_to_its_partner_and_into_the_journal(toys):
    toys.start()
    events = [toys.ask("toy", member) for member in ("GOOD-1", "nobody", "BROKEN", "not/it")]
    assert [(event["result"], event["verdict"], event["status"]) for event in events] == [
        ("admitted", "allowed", 200),
        ("rejected", "not_found", 410),
        ("rejected", "none", 418),
        ("rejected", None, None),
    ]
    assert events[-1]["detail"] == "the member's number is not letters, digits and hyphens"
    assert toys.events("--partner", "toy") == events
    assert [request.protocol for request in toys.partners.requests] == ["toy"] * 3
    assert len(toys.openings()) == 1


def test_its_refusal_of_a_second_check_in_settles_the_unanswered_first(toys):
    toys.start()
    unanswered = toys.ask("toy", "HANG-ONCE")
    assert (unanswered["result"], unanswered["fault"]) == ("rejected", "timeout")
    settled = toys.ask("toy", "HANG-ONCE")
    assert (settled["result"], settled["basis"], settled["status"]) == ("admitted", "settled", 409)


def test_check_and_route_know_it(toys):
    done = toys.run("check", "--connect")
    assert done.returncode == 0, done.stderr
    assert "partner toy at 127.0.0.1" in done.stdout
    way = json.loads(toys.run("route", "toy:not/it", "--json").stdout)
    assert (way["partner"], way["recognised"]) == ("toy", False)


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({"colour": 7}, ["colour: must be text in quotes"]),
        ({"gym_id": "1"}, ["gym_id: is not a known key", "it is a setting of wellhub"]),
        ({"protocol": "plaything"}, ["must be 'perfectgym', ", " or 'toy'", "hint: it is called toy here"]),
        ({"colour": "white", "settle_s": 5}, ["partners.toy.settle_s: is not for white toys"]),
        ({"url": "https://a.example/toy"}, ["must not hold /toy, the protocol's own path"]),
    ],
)
def test_check_explains_what_is_wrong_with_its_settings(toys, settings, lines):
    toys.change(partners={"toy": settings})
    done = toys.run("check")
    assert done.returncode == 78
    assert not [line for line in lines if line not in done.stderr], done.stderr


def test_missing_keys_are_shown_by_their_example(toys):
    text = toys.settings.read_text("utf-8")
    toys.settings.write_text(text.replace('colour = "red"\n', ""), "utf-8")
    done = toys.run("check")
    assert 'partners.toy.colour: is missing\nhint: colour = "red" is the colour of the toy\n' in done.stderr


def test_check_warns_by_its_remarks(toys):
    toys.change(partners={"toy": {"colour": "blue"}})
    done = toys.run("check")
    assert done.returncode == 0
    assert "partners.toy.colour: is a colour that fades" in done.stdout + done.stderr


def test_status_advises_by_its_own_words(toys):
    toys.start()
    toys.partners.call(lambda: setattr(toys.partners.simulator.partners["toy"], "key", "another"))
    assert toys.ask("toy", "GOOD-1")["fault"] == "credentials"
    partner = toys.status()["partners"]["toy"]
    assert (partner["protocol"], partner["state"]) == ("toy", "refusing our key")
    assert "and whether it is for this colour" in " ".join(toys.run("status").stdout.split())


def test_editors_are_offered_its_settings(monkeypatch):
    monkeypatch.setitem(PROTOCOLS, "toy", toy_partner.TOY)
    choices = json.loads(json_schema.text())["properties"]["partners"]["additionalProperties"]
    assert choices["properties"]["protocol"]["enum"] == list(PROTOCOLS)
    (table,) = (one for one in choices["oneOf"] if one["properties"]["protocol"].get("const") == "toy")
    assert table["properties"]["colour"]["description"] == "The colour of the toy."
