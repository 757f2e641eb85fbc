"""The units and the files next to them, checked with systemd's own tools."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from machines import CATALOG, MAN, UNITS, tool

from gatectl.fleet import new_office

EXPOSURE_MAX = 1.5

ODD_NAME = 'Büro 100% "$HOME" \\ #1'
"""A folder's name with whatever has a meaning of its own in a unit."""


@pytest.fixture
def units(tmp_path):
    """The units, with a program that is there in place of those that need not be on this machine."""
    for path in UNITS.iterdir():
        text = re.sub(
            r"^(Exec\w+=[-+]?)(/opt/gatectl/current/bin/gatectl|/usr/lib/gatectl/gatectl-\w+|udevadm)\b",
            r"\1/bin/true",
            path.read_text(),
            flags=re.MULTILINE,
        )
        (tmp_path / path.name).write_text(text)
    return sorted(tmp_path.iterdir())


def test_the_units_are_sound(units):
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_units_of_a_head_office_are_sound(tmp_path):
    office = tmp_path / "office"
    new_office.create(office, ["broker.example.com"])
    broker = tmp_path / "mosquitto.service"
    broker.write_text("[Service]\nExecStart=/bin/true\n")
    drop_in = tmp_path / "mosquitto.service.d/gatectl.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(
        (office / "mosquitto-gatectl.conf").read_text().replace("/usr/sbin/mosquitto", "/bin/true")
    )
    services = sorted(office.glob("*.service"))
    assert [path.name for path in services] == [
        "gatectl-fleet-ingest.service",
        "gatectl-fleet-monitor.service",
    ]
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *services, broker],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_units_of_a_head_office_find_its_files_whatever_its_folders_name(tmp_path):
    office = tmp_path / ODD_NAME
    new_office.create(tmp_path / "other" / ".." / ODD_NAME, ["broker.example.com"])
    broker = tmp_path / "mosquitto.service"
    broker.write_text((office / "mosquitto-gatectl.conf").read_text())
    done = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *office.glob("*.service"), broker],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"SYSTEMD_LOG_LEVEL": "debug"},  # it then shows the units as it understands them
    )
    shown = done.stdout + done.stderr
    commands = [shlex.split(line.replace(r"\$", "$")) for line in re.findall("Command Line: (.*)", shown)]
    files = {Path(words[-1].replace("$$", "$")) for words in commands if "-c" in words}
    assert files == {office / "fleet.toml", office / "mosquitto.conf"}
    for others in ("ingest.key", "pseudonym"):
        assert f"InaccessiblePaths: -{office}/ca.key -{office}/{others}\n" in shown


@pytest.mark.parametrize("name", ["gatectl.service", "gatectl-uplink.service"])
def test_the_services_are_exposed_to_little(units, name):
    service = next(path for path in units if path.name == name)
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", service],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot look at a unit offline (before 250)")
    found = re.search(rf"Overall exposure level for {name}: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_catalogs_can_be_read(tmp_path):
    catalogs = tmp_path / "usr/lib/systemd/catalog"
    catalogs.mkdir(parents=True)
    for path in CATALOG.iterdir():
        (catalogs / path.name).write_bytes(path.read_bytes())
    subprocess.run([tool("journalctl"), f"--root={tmp_path}", "--update-catalog"], check=True)
    assert (tmp_path / "var/lib/systemd/catalog/database").stat().st_size > 0


@pytest.mark.parametrize("path", sorted(UNITS.glob("gatectl*.service")), ids=lambda path: path.name)
def test_the_documentation_is_a_page_that_is_installed(path):
    found = re.findall(r"^Documentation=(.*)$", path.read_text(), re.MULTILINE)
    pages = [page for line in found for page in line.split()]
    assert pages
    for page in pages:
        name = re.fullmatch(r"man:([\w.-]+)\((\d)\)", page)
        assert name, page
        assert (MAN / f"{name[1]}.{name[2]}").exists()


@pytest.mark.parametrize("name", ["gatectl.service", "gatectl-monitor.service", "gatectl-uplink.service"])
def test_connections_of_strangers_are_bounded(name):
    assert re.search(r"^LimitNOFILE=\d+$", (UNITS / name).read_text(), re.MULTILINE)


def test_every_step_after_an_end_runs_even_if_the_one_before_fails():
    steps = re.findall(r"^ExecStopPost=(.*)$", (UNITS / "gatectl.service").read_text(), re.MULTILINE)
    assert [step.split("/")[-1] for step in steps] == ["gatectl relay off", "gatectl-start ended"]
    assert all(step.startswith("-") for step in steps)


def test_the_environments_step_is_the_only_one_before_a_start_and_may_write_to_it():
    steps = re.findall(r"^ExecStartPre=(.*)$", (UNITS / "gatectl.service").read_text(), re.MULTILINE)
    assert steps == ["+/usr/lib/gatectl/gatectl-venv"]


def test_the_uplink_can_reach_neither_the_control_socket_nor_a_partners_key():
    unit = (UNITS / "gatectl-uplink.service").read_text()
    assert "\nInaccessiblePaths=-/etc/gatectl/secrets -/run/gatectl\n" in unit
    assert "\nMemoryMax=64M\n" in unit
    assert "\nIOSchedulingClass=idle\n" in unit
    assert "\nCPUSchedulingPolicy=idle\n" in unit
