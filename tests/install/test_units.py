"""The units and what stands beside them, by systemd's own tools."""

import re
import subprocess

import pytest
from machines import SYSTEMD, tool

EXPOSURE_MAX = 1.5


@pytest.fixture
def units(tmp_path):
    """The units, with a program that is there in place of those that need not be on this machine."""
    for path in SYSTEMD.glob("gatectl*.*"):
        if path.suffix in {".service", ".path"}:
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


def test_the_service_is_exposed_to_little(units):
    service = next(path for path in units if path.name == "gatectl.service")
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", service],
        capture_output=True,
        text=True,
        check=False,
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd cannot look at a unit offline (before 250)")
    found = re.search(r"Overall exposure level for gatectl.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= EXPOSURE_MAX


def test_the_catalogs_can_be_read(tmp_path):
    catalogs = tmp_path / "usr/lib/systemd/catalog"
    catalogs.mkdir(parents=True)
    for path in SYSTEMD.glob("*.catalog"):
        (catalogs / path.name).write_bytes(path.read_bytes())
    subprocess.run([tool("journalctl"), f"--root={tmp_path}", "--update-catalog"], check=True)
    assert (tmp_path / "var/lib/systemd/catalog/database").stat().st_size > 0
