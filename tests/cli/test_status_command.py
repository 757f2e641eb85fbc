import copy
import json
from datetime import UTC, datetime

import pytest
from records import NOT_FOUND, scan

from gatectl.cli.health import facts, length, since
from gatectl.cli.main import main
from gatectl.cli.status import show
from gatectl.decision.door.inputs import InputHealth, InputName
from gatectl.devices.reader.port import LossCause
from gatectl.sim.simulated_door import SimulatedDoor

NOW = datetime(2025, 11, 22, 19, 47, 30, tzinfo=UTC)
PAGES = {"wellhub": "https://status.example.com", "wellpass": None}

SCANNER = {
    "scanner": "/dev/serial/by-id/usb-Reader",
    "type": "serial",
    "state": "ready",
    "since": "2025-11-22T18:00:00.000000Z",
    "cause": None,
    "codes": 214,
    "dropped": {"checksum": 2},
}
PARTNER = {
    "protocol": "wellhub",
    "failing": None,
    "state": "healthy",
    "since": "2025-11-22T18:00:00.000000Z",
    "rests_until": None,
    "ready_connections": 1,
    "clock_ahead_s": 0,
    "unconnected": None,
}
WELL = {
    "version": "0.1.0",
    "pid": 4711,
    "doors": {
        "main": {
            "state": "free",
            "waiting": 0,
            "dropped": 0,
            "gate": {"open": False, "closes_in_ms": None},
            "scanners": [SCANNER],
        }
    },
    "partners": {"wellhub": PARTNER},
    "journal": {"error": None, "late": 0, "lost": 0},
    "cards": 12,
    "last_event": scan(10, NOT_FOUND).to_json(),
}

WELL_SCREEN = """\
All is well
  ok  gatectl 0.1.0 runs (process 4711), 12 cards enrolled
  ok  door main: gate shut, free
  ok  scanner /dev/serial/by-id/usb-Reader of main: ready, 214 codes, 2 checksum
  ok  partner wellhub: healthy, 1 connection ready
  ok  journal: written

  last event since 20:45:01, 2 min: main: rejected: Aggregator member not found
  in partner system
"""

UNWELL_SCREEN = """\
5 things are not well
  ok  gatectl 0.1.0 runs (process 4711), 1 card enrolled
  ok  door main: gate open, shuts in 1.5 s, deciding a scan, 2 waiting, 7 codes
      dropped, as four waited already
  !!  scanner /dev/serial/by-id/usb-Reader of main: unplugged, since 20:35:30,
      12 min, 3 codes
      Plug it in; `gatectl devices` shows under which name each scanner is
      there.
  !!  partner wellhub: outage, since 2025-11-21 19:47, 25 h, 0 connections ready
      Look at this door's own network and clock first (name server, firewall):
      gatectl check --connect, timedatectl. If they are in order, check the
      status page of wellhub (https://status.example.com) and contact wellhub.
      Else it is a case for Support.
  !!  this machine's clock is 94 s ahead of wellhub's
      Is the time set by the network? timedatectl
  !!  partner wellpass: healthy, no connection (tls: certificate expired on
      2025-11-20)
      Is the clock right, and does the partner need a ca_file? gatectl check
      --connect
  !!  journal: disk full; 4 records wait
      Members are still let in; the records follow when the disk takes them. Is
      it full or failing? df -h, journalctl -k
"""


def unwell():
    status = copy.deepcopy(WELL)
    door = status["doors"]["main"]
    door |= {"state": "asking", "waiting": 2, "dropped": 7, "gate": {"open": True, "closes_in_ms": 1500}}
    lost = {"state": "lost", "since": "2025-11-22T19:35:30Z", "cause": "unplugged", "codes": 3, "dropped": {}}
    door["scanners"][0] |= lost
    outage = {"state": "outage", "since": "2025-11-21T18:47:00Z", "ready_connections": 0, "clock_ahead_s": 94}
    refused = {"fault": "tls", "detail": "certificate expired on 2025-11-20"}
    status["partners"] = {
        "wellhub": PARTNER | outage,
        "wellpass": PARTNER | {"unconnected": refused, "ready_connections": 0},
    }
    status["journal"] = {"error": "disk full", "late": 4, "lost": 0}
    return status | {"cards": 1, "last_event": None}


def test_a_store_in_memory_is_not_well():
    status = copy.deepcopy(WELL)
    status["journal"]["in_memory"] = True
    (fact,) = (fact for fact in facts(status, PAGES, NOW) if not fact.is_well)
    assert "outlives the power" in fact.words


def test_an_outage_shows_what_failed_last():
    status = copy.deepcopy(WELL)
    failing = {"fault": "network", "status": None, "detail": "connection refused (203.0.113.4:443)"}
    status["partners"]["wellhub"] |= {"state": "outage", "failing": failing}
    assert any(
        "last connection refused (203.0.113.4:443)" in fact.words for fact in facts(status, PAGES, NOW)
    )


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(("status", "screen"), [(WELL, WELL_SCREEN), (unwell(), UNWELL_SCREEN)])
def test_the_screen(status, screen, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show(status, PAGES, NOW)
    out = capsys.readouterr().out
    assert lines(out) == lines(screen)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("no_color", [True, False])
def test_colours_show_the_state_and_no_color_is_obeyed(capsys, monkeypatch, no_color):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    show(unwell(), PAGES, NOW)
    out = capsys.readouterr().out
    assert ("\x1b[32mok" in out) is not no_color
    assert ("31m!!" in out) is not no_color


LOST = {"fault": "network", "detail": "connection refused"}
NOT_YET = {"fault": "tls", "detail": "certificate not yet valid (from 2026-01-01)"}


def advice_for(change, part="partners", name="wellhub"):
    status = copy.deepcopy(WELL)
    status[part][name] |= change
    return [fact.advice for fact in facts(status, PAGES, NOW) if fact.advice]


@pytest.mark.parametrize(
    ("change", "said", "advised"),
    [
        (
            {"held_by": ["agetty (512)"]},
            "also open in agetty (512)",
            "systemctl disable --now serial-getty@NAME",
        ),
        (
            {"cause": "it does not answer", "state": "lost"},
            "it does not answer",
            "another cable, socket or hub",
        ),
        (
            {"cause": "the same device as /dev/x", "state": "absent"},
            "the same device as /dev/x",
            "one for each",
        ),
        (
            {
                "state": "lost",
                "cause": "unplugged",
                "last_dropped": {
                    "flaw": "unknown_key",
                    "detail": "key 59 (F1)",
                    "at": "2025-11-22T19:45:30Z",
                },
            },
            "(the last one 2 min ago: unknown key, key 59 (F1))",
            "Plug it in",
        ),
        (
            {"cause": "held by another process", "state": "absent", "held_by": ["minicom (77)"]},
            "held by another process: minicom (77), since",
            "Another program has it open",
        ),
    ],
)
def test_remedies_for_a_scanner(change, said, advised):
    status = copy.deepcopy(WELL)
    status["doors"]["main"]["scanners"][0] |= change
    (fact,) = (fact for fact in facts(status, PAGES, NOW) if fact.advice)
    assert said in fact.words
    assert advised in fact.advice


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "resting"}, "asked for a pause"),
        ({"state": "refusing our key"}, "whether the key is still valid"),
        ({"unconnected": {"fault": "network", "detail": "refused"}}, "own network"),
        ({"clock_ahead_s": -30}, "timedatectl"),
        ({"state": "outage"}, "https://status.example.com"),
        ({"state": "outage"}, "There is no need to contact Support"),
        ({"state": "outage", "failing": {"fault": "partner", "status": 404, "detail": None}}, "at this url"),
        ({"state": "outage", "unconnected": LOST}, "own network and clock first"),
        ({"state": "refusing everyone"}, "check key, url and IDs"),
        ({"state": "refusing our key"}, "for this gym_id"),
        ({"unconnected": NOT_YET}, "clock right"),
    ],
)
def test_remedies_for_a_partner(change, words):
    (advice,) = advice_for(change)
    assert words in advice


@pytest.mark.parametrize("cause", [*LossCause, "input/output error", None])
def test_every_loss_has_advice(cause):
    lost = SCANNER | {"state": "absent", "cause": cause}
    (advice,) = advice_for({"scanners": [lost]}, "doors", "main")
    assert "gatectl" in advice


BROKEN = {"state": "out of order", "since": "2025-11-22T19:35:30Z", "cause": "pin 17 cannot be driven (busy)"}


@pytest.mark.usefixtures("in_berlin")
def test_a_gate_and_a_signal_that_are_out_of_order():
    status = copy.deepcopy(WELL)
    status["doors"]["main"]["gate"] |= BROKEN
    status["doors"]["main"]["signals"] = {"red": BROKEN}
    gate, signal = (fact for fact in facts(status, PAGES, NOW) if fact.advice)
    assert gate.words.startswith(
        "door main: gate out of order, since 20:35:30, 12 min (pin 17 cannot be driven"
    )
    assert "gatectl open main" in gate.advice
    assert signal.words.startswith("signal red of main: since 20:35:30")
    assert "without it" in signal.advice


AT = "2025-11-22T19:35:30Z"
RESTING = {"level": False, "since": AT, "state": "ok"}


def facts_about_inputs(**inputs):
    status = copy.deepcopy(WELL)
    status["doors"]["main"]["inputs"] = inputs
    return [fact for fact in facts(status, PAGES, NOW) if fact not in facts(WELL, PAGES, NOW)]


@pytest.mark.usefixtures("in_berlin")
@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        ("passage", False, "passage sensor of main: free, since 20:35:30, 12 min"),
        ("passage", True, "passage sensor of main: sees somebody, since 20:35:30, 12 min"),
        ("contact", False, "door contact of main: closed, since 20:35:30, 12 min"),
        ("contact", True, "door contact of main: open, since 20:35:30, 12 min"),
        ("exit", False, "exit button of main: not pressed, since 20:35:30, 12 min"),
        ("exit", True, "exit button of main: pressed, since 20:35:30, 12 min"),
        ("exit_passage", True, "exit's passage sensor of main: sees somebody, since 20:35:30, 12 min"),
    ],
)
def test_each_input_has_a_line(name, level, words):
    state = {"level": level, "since": AT, "state": "active" if level else "ok"}
    (fact,) = facts_about_inputs(**{name: state})
    assert (fact.words, fact.is_well) == (words, True)


def test_an_input_that_was_not_read_yet_is_no_fault():
    (fact,) = facts_about_inputs(contact={"level": None, "since": None, "state": "ok"})
    assert (fact.words, fact.is_well) == ("door contact of main: not read yet", True)


@pytest.mark.usefixtures("in_berlin")
def test_an_input_that_cannot_be_trusted_is_not_well():
    lost = {"level": None, "since": None, "state": "lost"}
    stuck = {"level": True, "since": AT, "state": "stuck"}
    contact, button = facts_about_inputs(contact=lost, exit=stuck)
    assert contact.words == "door contact of main: is lost"
    assert "does another program hold it?" in contact.advice
    assert button.words == "exit button of main: is stuck, pressed, since 20:35:30, 12 min"
    assert "something jammed" in button.advice


@pytest.mark.parametrize("name", InputName)
@pytest.mark.parametrize("health", [one for one in InputHealth if one is not InputHealth.OK])
def test_every_fault_of_an_input_has_advice(name, health):
    (fact,) = facts_about_inputs(**{name: RESTING | {"state": health.value}})
    assert health.value in fact.words
    assert fact.advice


def test_more_dropped_than_read():
    def advice(codes, dropped):
        scanner = SCANNER | {"codes": codes, "dropped": {"checksum": dropped}}
        return advice_for({"scanners": [scanner]}, "doors", "main")

    assert "Framing" in advice(2, 9)[0]
    assert advice(0, 3) == []


def test_lost_records_are_reported():
    assert advice_for({}) == []
    status = copy.deepcopy(WELL)
    status["journal"]["lost"] = 3
    assert any("3 records were lost" in fact.words and fact.advice for fact in facts(status, PAGES, NOW))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_lengths(seconds, words):
    assert length(seconds) == words


@pytest.mark.usefixtures("in_berlin")
def test_a_clock_that_was_set_back_counts_nothing_backwards():
    assert since("2025-11-22T19:48:00Z", NOW) == "since 20:48:00, 0 s"


def test_a_real_daemon(tmp_path, capsys):
    with SimulatedDoor(tmp_path, lambda _: None) as door:
        status = main(["status", "-c", str(door.settings)])
        out = capsys.readouterr().out
        assert status == 0
        assert out.startswith("All is well\n")
        assert "partner wellhub: healthy" in out
        assert main(["status", "--json", "-c", str(door.settings)]) == 0
        assert json.loads(capsys.readouterr().out)["doors"]["main"]["state"] == "free"


def test_no_daemon(run):
    status, out, err = run("status")
    assert (status, out) == (1, "")
    assert err.splitlines()[1] == "hint: start it: systemctl start gatectl"
