"""The sample that the installer gets, and where the settings are looked for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from gatectl.config.reader import find, load, load_with_keys
from gatectl.config.warnings import warnings_of

SAMPLE = Path(__file__).parents[2] / "config" / "gatectl.toml"


@pytest.fixture
def installed(tmp_path):
    """The sample as it is installed on a door, with its keys."""
    path = tmp_path / "gatectl.toml"
    shutil.copy(SAMPLE, path)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("wellhub", "wellpass", "capitan", "device-main", "house"):
        (secrets / name).write_text("k3y\n")
        (secrets / name).chmod(0o640)
    return path


def test_the_sample_is_good(installed):
    settings, keys = load_with_keys(installed, {})
    assert set(keys) == {"wellhub", "wellpass"}
    assert warnings_of(settings) == []


def test_the_sample_is_good_with_all_that_it_offers(installed):
    offered = re.sub(r"^# ?(?=\[|[a-z_]+ = )", "", installed.read_text(), flags=re.MULTILINE)
    offered = offered.replace('ca_file = "private-ca.pem"', "")
    (installed.parent / "secrets/proxy").write_text("gym:s3cr3t\n")
    authority = trustme.CA()
    client = authority.issue_cert("gate@gym.example")
    (installed.parent / "client.crt").write_bytes(client.cert_chain_pems[0].bytes())
    (installed.parent / "secrets/client.key").write_bytes(client.private_key_pem.bytes())
    for name in ("proxy", "client.key"):
        (installed.parent / "secrets" / name).chmod(0o640)
    installed.write_text(offered)
    settings, keys = load_with_keys(installed, {})
    assert set(keys) == {"wellhub", "wellpass", "capitan", "members", "house"}
    assert len(settings.doors["main"].scanners) == 2
    assert settings.partners["wellpass"].status_page


@pytest.mark.parametrize(
    ("given", "environ", "found"),
    [
        ("a.toml", {"GATECTL_CONFIG": "b.toml"}, "a.toml"),
        (None, {"GATECTL_CONFIG": "b.toml"}, "b.toml"),
        (None, {"GATECTL_CONFIG": ""}, "/etc/gatectl/gatectl.toml"),
        (None, {}, "/etc/gatectl/gatectl.toml"),
    ],
)
def test_places_of_the_settings_file(given, environ, found):
    assert find(given, environ) == Path(found)


def test_warnings(write):
    path = write(text="[doors.d]\nrelay.pin = 17\nscanners = [{ type = 'evdev', device = 'e' }]\n")
    path.write_text(path.read_text() + f"[control]\nsocket = '{'s' * 108}'\n")
    assert warnings_of(load(path)) == [
        "site.tenant is not set: Support asks for it",
        "site.studio is not set: Support asks for it",
        "partners: there is none, so nobody is admitted",
        "control.socket: is longer than the 107 bytes that Linux allows",
    ]


def test_reading_settings_loads_nothing_of_the_rest():
    script = "import sys, gatectl.config.reader; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"pydantic", "rich", "httpx", "ssl", "asyncio", "gpiozero", "serial", "evdev"}
    ours = {name for name in loaded if name.startswith("gatectl.")}
    parts = {"config", "errors", "decision", "validators", "partners", "devices"}
    assert {name.split(".")[1] for name in ours} <= parts
    of_devices = {name for name in ours if name.startswith("gatectl.devices.")}
    reader = "gatectl.devices.reader"
    assert of_devices == {reader, f"{reader}.reader_types", f"{reader}.paths"}, (
        "a driver is loaded for its use"
    )
