"""A good file: what its values become, and what is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from gatectl.config.model import (
    ContactSettings,
    InputSettings,
    MonitorSettings,
    RelaySettings,
)
from gatectl.config.reader import load
from gatectl.config.warnings import warnings_of
from gatectl.devices.reader.reader_types import EvdevScanner, SerialScanner
from gatectl.partners.capitan import CapitanSettings
from gatectl.partners.perfectgym import PerfectGymSettings
from gatectl.partners.wellhub.check_in import WellhubSettings
from gatectl.validators.addresses import host_and_port

DOOR = """
[doors.d]
relay = { pin = 1 }
[[doors.d.scanners]]
type = "evdev"
device = "e0"
"""


def test_defaults_are_the_contracts(write):
    settings = load(write())
    assert (settings.gpio.pin_factory, settings.gpio.chip) == ("lgpio", "auto")
    journal = settings.journal
    assert journal.path == Path("/var/lib/gatectl/journal.db")
    assert (journal.keep_days, journal.patience_ms) == (400, 100)
    assert settings.control.socket == Path("/run/gatectl/control.sock")
    assert settings.monitor == MonitorSettings(listen="127.0.0.1:8480", password=None, names=(), proxies=())
    assert settings.site.timezone is None
    door = settings.doors["main"]
    assert (door.repeat_ms, door.relay.active_high, door.relay.open_ms) == (3000, True, 3000)
    assert (door.signals.green, door.signals.red, door.signals.buzzer) == (22, 23, None)
    assert door.show_name is False
    serial, evdev = door.scanners
    assert isinstance(serial, SerialScanner)
    assert isinstance(evdev, EvdevScanner)
    assert (serial.baud, serial.framing, serial.idle_ms, serial.strip_aim) == (9600, "line", 0, False)
    assert (serial.mode, serial.flow, serial.dtr, serial.encoding) == ("8N1", "none", True, "utf-8")
    assert (serial.strip_prefix, serial.strip_suffix, evdev.strip_prefix, evdev.strip_suffix) == ("",) * 4
    assert (evdev.layout, evdev.idle_ms, evdev.strip_aim) == ("us", 0, False)
    assert (serial.card, evdev.card) == (None, None)


def test_partners_are_distinguished_by_protocol(write):
    partners = load(write()).partners
    wellhub, wellpass, capitan = partners.values()
    assert list(partners) == ["wellhub", "wellpass", "capitan"]
    assert isinstance(wellhub, WellhubSettings)
    assert (wellhub.url, wellhub.gym_id) == ("https://api.partners.gympass.com", "0123")
    assert (wellhub.budget_ms, wellhub.send_custom_code, wellhub.settle_s) == (2000, False, 0)
    assert isinstance(wellpass, PerfectGymSettings)
    assert (wellpass.url, wellpass.aggregator_id) == ("https://api.example.com/checkin", "fitco-4711")
    assert wellpass.budget_ms == 750
    assert isinstance(capitan, CapitanSettings)
    assert (capitan.url, capitan.location_id) == ("https://api.hellocapitan.com", None)
    assert (capitan.budget_ms, capitan.settle_s, capitan.already_in_per_day) == (2000, 0, 0)


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


def test_a_table_made_in_code_has_its_settings_and_no_others():
    with pytest.raises(TypeError, match="needs pin"):
        RelaySettings()
    with pytest.raises(TypeError, match="has no colour"):
        RelaySettings(pin=1, colour="red")
    relay = RelaySettings(pin=1, open_ms=500)
    assert repr(relay) == (
        "RelaySettings(pin=1, active_high=True, open_ms=500, control='hold', pulse_ms=200, continuous=False)"
    )
    assert relay == RelaySettings(open_ms=500, pin=1)
    assert hash(relay) == hash(RelaySettings(open_ms=500, pin=1))
    assert relay != RelaySettings(pin=1)
    assert ContactSettings(pin=1) != InputSettings(pin=1)


def test_nothing_changes_afterwards(write):
    settings = load(write())
    with pytest.raises(AttributeError, match="frozen"):
        settings.site.tenant = "other"
    with pytest.raises(AttributeError, match="frozen"):
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
        ("[partners.p]\nprotocol = 'capitan'\nkey = { env = 'K' }\n", "already_in_per_day", 0, 20),
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
        ("https://proxy.example.com/access/v1x", "https://proxy.example.com/access/v1x"),
    ],
)
def test_urls_that_are_taken(write, given, kept):
    path = write('gym_id = "0123"', f'gym_id = "0123"\nurl = "{given}"')
    assert load(path).partners["wellhub"].url == kept


@pytest.mark.parametrize("chip", ["0", "4", '"auto"', '"/dev/gpiochip4"', '"pinctrl-rp1"'])
def test_a_chip_is_a_number_a_path_or_a_label(write, chip):
    assert load(write("", f"[gpio]\nchip = {chip}\n")).gpio.chip == tomli.loads(f"chip = {chip}")["chip"]


def test_a_time_zone_is_an_iana_name(write):
    path = write("[site]", '[site]\ntimezone = "Europe/Berlin"')
    assert load(path).site.timezone == "Europe/Berlin"


def test_how_the_monitor_serves(write, tmp_path):
    path = write(
        "",
        """
[monitor]
listen = "[::]:8480"
password = { file = "monitor-password" }
names = ["gate.example.com", "192.0.2.1"]
proxies = ["192.0.2.10", "2001:DB8::1"]
""",
    )
    monitor = load(path).monitor
    assert (monitor.listen, monitor.password.file) == ("[::]:8480", tmp_path / "monitor-password")
    assert monitor.names == ("gate.example.com", "192.0.2.1")
    assert monitor.proxies == ("192.0.2.10", "2001:db8::1")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("127.0.0.1:8480", ("127.0.0.1", 8480)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        *(
            (text, None)
            for text in ("8480", ":8480", "::1:80", "[::1]", "a:65536", "a:", "a:\u0661", "a b:1", "")
        ),
    ],
)
def test_addresses_at_which_the_monitor_listens(text, parts):
    assert host_and_port(text) == parts


@pytest.mark.parametrize(
    ("monitor", "warned"),
    [
        ('listen = "0.0.0.0:8480"', True),
        ('listen = "gate:8480"', True),
        ('listen = "127.0.0.2:8480"', False),
        ('listen = "0.0.0.0:8480"\npassword = { file = "p" }', False),
    ],
)
def test_a_monitor_that_others_reach_needs_a_password(write, monitor, warned):
    warnings = warnings_of(load(write("", f"[monitor]\n{monitor}\n")))
    assert [warning for warning in warnings if "monitor.password" in warning] == warnings
    assert bool(warnings) is warned


@pytest.mark.parametrize(
    ("pin", "active_high", "pulled"),
    [
        *((2, True, "up"), (8, True, "up"), (9, True, None), (27, True, None)),
        *((0, False, None), (8, False, None), (9, False, "down"), (17, False, "down")),
    ],
)
def test_a_relay_that_the_board_switches_on_at_boot(write, pin, active_high, pulled):
    path = write("relay = { pin = 17", f"relay = {{ pin = {pin}, active_high = {str(active_high).lower()}")
    warnings = [warning for warning in warnings_of(load(path)) if "doors.main.relay.pin" in warning]
    if pulled is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert f"pulls BCM {pin} {pulled} until gatectl starts" in warning
        assert f"active_high = {str(not active_high).lower()}" in warning
