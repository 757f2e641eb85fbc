"""`gatectl devices --printed`: from what is printed on a card to the setting, at a simulated reader."""

import json
import subprocess
import sys
import tomllib

import pytest

from gatectl.cli.main import main

READ = "010063E9AE"
PRINTED = {
    "0006547886": {"read": "hex", "bytes": 4, "write": "decimal10"},
    "6547886": {"read": "hex", "bytes": 4, "write": "decimal"},
    "099,59822": {"read": "hex", "bytes": 3, "write": "facility-padded"},
    "99,59822": {"read": "hex", "bytes": 3, "write": "facility"},
    "AE:E9:63:00:01": {"read": "hex", "bytes": 5, "order": "reversed", "write": "hex"},
}
"""One card in five notations, and the setting that makes each of them."""


@pytest.fixture
def devices(settings, capsys):
    """Runs the command: exit status, stdout, stderr."""

    def run(*args):
        status = main(["devices", *args, "-c", str(settings)])
        return status, *capsys.readouterr()

    return run


def scanner_in(out):
    """The table of a scanner that is to be pasted."""
    return tomllib.loads(out.partition("For the settings:")[2])["doors"]["main"]["scanners"][0]


@pytest.mark.parametrize(("printed", "card"), PRINTED.items())
def test_the_setting_is_found_and_does_what_it_promises(devices, settings, printed, card):
    status, out, err = devices("--scan", READ, "--printed", printed)
    assert (status, "ambiguous" in err) == (0, False)
    assert f"scan the card {printed} now" in err
    table = scanner_in(out)
    assert table["card"] == card
    table["port"] = "/dev/serial/by-id/usb-Reader"
    settings.write_text(f"{settings.read_text()}\n[[doors.main.scanners]]\n" + "".join(pasted(table)))
    assert main(["check", "-c", str(settings)]) in {0, 78}
    _, _, err = devices("--scan", READ, "--printed", printed)
    assert "the settings are not right" not in err


def pasted(table):
    for key, value in table.items():
        text = json.dumps(value) if not isinstance(value, dict) else "{" + ",".join(pairs(value)) + "}"
        yield f"{key} = {text}\n"


def pairs(table):
    return (f"{key} = {json.dumps(value)}" for key, value in table.items())


def test_it_works_from_a_process_of_its_own_without_settings(tmp_path):
    command = [sys.executable, "-m", "gatectl", "-c", str(tmp_path / "none.toml"), "devices"]
    done = subprocess.run(
        [*command, "--scan", READ, "--printed", "0006547886"], capture_output=True, text=True, check=True
    )
    assert scanner_in(done.stdout)["card"] == PRINTED["0006547886"]


def test_a_card_is_shown_in_its_notations_with_what_knows_it(devices, settings):
    assert main(["cards", "add", "0006547886", "wellhub", "1234567890123", "-c", str(settings)]) == 0
    status, out, _ = devices("--scan", READ)
    assert (status, "card" in scanner_in(out)) == (0, False)
    line = next(line for line in out.splitlines() if " 0006547886 " in line)
    assert 'card = { read = "hex", bytes = 4, write = "decimal10" }' in line
    assert line.endswith("; main: an enrolled card leads to wellhub, member 1234567890123")
    assert "099,59822" in out
    _, out, _ = devices("--scan", READ, "--json")
    scan = json.loads(out)["scan"]
    known = [one for one in scan["notations"] if one["recognised"]]
    assert [(one["text"], one["card"]) for one in known] == [("0006547886", PRINTED["0006547886"])]
    assert scan["card"] is None


def test_a_ticket_is_shown_in_no_other_notation(devices):
    _, out, _ = devices("--scan", "1234567890123", "--json")
    assert json.loads(out)["scan"]["notations"] == []


def test_a_reader_that_sends_what_is_printed_needs_no_setting(devices):
    status, out, err = devices("--scan", "51e69621", "--printed", "51:E6:96:21")
    assert (status, "card" in scanner_in(out)) == (0, False)
    assert "no `card` is needed" in err


def test_an_ambiguous_card_asks_for_a_second_one(devices):
    status, out, err = devices("--scan", "51E69621", "--printed", "1374066209")
    assert (status, scanner_in(out)["card"]["write"]) == (0, "decimal10")
    assert 'ambiguous: these settings fit as well: card = { read = "hex", bytes = 4' in err
    assert "scan a second card too" in err
    assert "gatectl devices --printed 1374066209 --printed NUMBER-ON-THE-SECOND" in err
    both = ("--scan", "51E69621", "--printed", "1374066209", "--scan", "0063E9AE", "--printed", "6547886")
    status, out, err = devices(*both)
    assert (status, scanner_in(out)["card"]["write"], "ambiguous" in err) == (0, "decimal", False)
    assert json.loads(devices(*both, "--json")[1])["scan"]["other_cards"] == []


def test_a_padding_that_no_setting_writes_is_said(devices):
    status, out, err = devices("--scan", "0A004D7603", "--printed", "0042954749443")
    assert (status, scanner_in(out)["card"]["write"]) == (0, "decimal")
    assert "no setting writes 0042954749443: with this one it is 42954749443" in err


def test_another_cards_number(devices):
    status, out, err = devices("--scan", READ, "--printed", "0006547887")
    assert (status, "For the settings" in out) == (1, False)
    assert f"no setting makes '0006547887' from '{READ}'" in err
    assert "0006547886" in err
    assert "hint: " in err


@pytest.mark.parametrize(
    "args",
    [
        ("--no-wait", "--printed", "1"),
        ("--scan", READ, "--scan", READ),
        ("--scan", READ, "--printed", "1", "--printed", "2"),
    ],
)
def test_wrong_usage(devices, args):
    status, _, err = devices(*args)
    assert (status, err.startswith("gatectl devices: ")) == (2, True)
