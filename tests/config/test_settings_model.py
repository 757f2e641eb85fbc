"""A good file: what its values become, and what is left out."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from gatectl.config.model import Capitan, EvdevScanner, PerfectGym, SerialScanner, Wellhub
from gatectl.config.reader import load

DOOR = """
[doors.d]
relay = { pin = 1 }
[[doors.d.scanners]]
type = "evdev"
device = "e0"
"""


def test_defaults_are_the_contracts(write):
    settings = load(write())
    assert (settings.gpio.pin_factory, settings.gpio.chip) == ("lgpio", 0)
    journal = settings.journal
    assert journal.path == Path("/var/lib/gatectl/journal.db")
    assert (journal.keep_days, journal.patience_ms) == (400, 100)
    assert settings.control.socket == Path("/run/gatectl/control.sock")
    door = settings.doors["main"]
    assert (door.repeat_ms, door.relay.active_high, door.relay.open_ms) == (3000, True, 3000)
    assert (door.signals.green, door.signals.red, door.signals.buzzer) == (22, 23, None)
    assert door.show_name is False
    serial, evdev = door.scanners
    assert isinstance(serial, SerialScanner)
    assert isinstance(evdev, EvdevScanner)
    assert (serial.baud, serial.framing, serial.idle_ms, serial.strip_aim) == (9600, "line", 60, False)
    assert (evdev.layout, evdev.idle_ms, evdev.strip_aim) == ("us", 500, False)


def test_partners_are_told_apart_by_protocol(write):
    partners = load(write()).partners
    wellhub, wellpass, capitan = partners.values()
    assert list(partners) == ["wellhub", "wellpass", "capitan"]
    assert isinstance(wellhub, Wellhub)
    assert (wellhub.url, wellhub.gym_id) == ("https://api.partners.gympass.com", "0123")
    assert (wellhub.budget_ms, wellhub.send_custom_code, wellhub.settle_s) == (2000, False, 0)
    assert isinstance(wellpass, PerfectGym)
    assert (wellpass.url, wellpass.aggregator_id) == ("https://api.example.com/checkin", "fitco-4711")
    assert wellpass.budget_ms == 750
    assert isinstance(capitan, Capitan)
    assert (capitan.url, capitan.location_id) == ("https://api.hellocapitan.com", None)
    assert (capitan.budget_ms, capitan.settle_s) == (2000, 0)


def test_routes_keep_their_order_and_compile_as_ascii(write):
    digits, wellpass = load(write()).routes
    assert (digits.partner, digits.doors) == ("wellhub", None)
    assert (wellpass.partner, wellpass.doors) == ("wellpass", ("main",))
    assert digits.match.flags & re.ASCII
    assert digits.match.fullmatch("0123456789012")
    assert not digits.match.fullmatch("٠١٢٣٤٥٦٧٨٩٠١٢")


def test_a_door_is_enough(tmp_path):
    path = tmp_path / "gatectl.toml"
    path.write_text(DOOR)
    settings = load(path)
    assert (settings.partners, settings.routes) == ({}, ())
    assert (settings.site.tenant, settings.site.studio) == ("", "")


def test_relative_paths_start_at_the_file(write, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "reader").symlink_to("/dev/null")
    path = write(
        "",
        """
[journal]
path = "j.db"
[control]
socket = "../c.sock"
[partners.p]
protocol = "capitan"
key = { file = "k" }
ca_file = "ca.pem"
[doors.side]
relay = { pin = 4 }
[[doors.side.scanners]]
type = "serial"
port = "reader"
"""
        + DOOR,
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    settings = load(Path("../gatectl.toml"))
    folder = tmp_path / "elsewhere" / ".."
    assert settings.journal.path == folder / "j.db"
    assert settings.control.socket == folder / "../c.sock"
    assert settings.partners["p"].key.file == folder / "k"
    assert settings.partners["p"].ca_file == folder / "ca.pem"
    assert settings.doors["side"].scanners[0].port == folder / "reader", "a link stays a link"
    assert settings.doors["d"].scanners[0].device == folder / "e0"
    assert load(path).doors["side"].scanners[0].port == tmp_path / "reader"


def test_nothing_changes_afterwards(write):
    settings = load(write())
    with pytest.raises(FrozenInstanceError):
        settings.site.tenant = "other"
    with pytest.raises(FrozenInstanceError):
        settings.doors["main"].relay.pin = 3


@pytest.mark.parametrize(
    ("section", "key", "low", "high"),
    [
        ("[doors.main.relay]\npin = 1\n", "open_ms", 100, 60_000),
        ("", "repeat_ms", 0, 60_000),
        ("[[doors.main.scanners]]\ntype = 'serial'\nport = 'p'\n", "idle_ms", 5, 2000),
        ("[[doors.main.scanners]]\ntype = 'evdev'\ndevice = 'p'\n", "idle_ms", 5, 2000),
        ("[[doors.main.scanners]]\ntype = 'serial'\nport = 'p'\n", "baud", 50, 4_000_000),
        ("[journal]\n", "patience_ms", 0, 5000),
        ("[journal]\n", "keep_days", 0, 3650),
        ("[partners.p]\nprotocol = 'capitan'\nkey = { env = 'K' }\n", "budget_ms", 50, 30_000),
        ("[partners.p]\nprotocol = 'capitan'\nkey = { env = 'K' }\n", "settle_s", 0, 3600),
        ("[doors.main.relay]\n", "pin", 0, 53),
        ("[doors.main.signals]\n", "buzzer", 0, 53),
    ],
)
def test_both_ends_of_a_range_belong_to_it(tmp_path, refusal, section, key, low, high):
    door = "[doors.main]\n" + ("" if section else f"{key} = VALUE\n")
    door += "" if "relay" in section else "relay.pin = 9\n"
    door += "" if "scanners" in section else "scanners = [{ type = 'evdev', device = 'd' }]\n"
    text = door + section + (f"{key} = VALUE\n" if section else "")
    path = tmp_path / "range.toml"
    for value in (low, high):
        path.write_text(text.replace("VALUE", str(value)))
        load(path)
    for value in (low - 1, high + 1, "true", f"{high}.0", f"'{high}'"):
        path.write_text(text.replace("VALUE", str(value)))
        (problem,) = refusal(path).problems
        assert problem.key.endswith(f".{key}")
        assert f"{low} to {high}" in problem.what


def test_no_silence_is_a_choice(write):
    path = write('port = "/dev/ttyS7"\n', 'port = "/dev/ttyS7"\nidle_ms = 0\n')
    assert load(path).doors["main"].scanners[0].idle_ms == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/", "https://api.example.com"),
        ("https://api.example.com:8443/base/", "https://api.example.com:8443/base"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://LOCALHOST", "http://LOCALHOST"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.255.255.254", "http://127.255.255.254"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("HTTPS://api.example.com", "HTTPS://api.example.com"),
        ("https://my_host.local.", "https://my_host.local."),
    ],
)
def test_urls_that_are_taken(write, given, kept):
    path = write('gym_id = "0123"', f'gym_id = "0123"\nurl = "{given}"')
    assert load(path).partners["wellhub"].url == kept
