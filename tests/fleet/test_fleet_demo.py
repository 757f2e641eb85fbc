"""`gatectl fleet demo`: real daemons, uplinks, Mosquitto, ingest and PostgreSQL on this machine."""

import re
import subprocess
import sys

import pytest


@pytest.mark.usefixtures("mosquitto", "cluster")
@pytest.mark.timeout(180)
def test_a_whole_fleet_has_every_scan_once_though_a_line_is_cut():
    command = [sys.executable, "-m", "gatectl", "fleet", "demo", "--scans", "9"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.search(r"munich-1: its line is cut.*munich-1: its line is back", done.stdout, re.DOTALL)
    for device, studio in (("berlin-1", "Berlin"), ("hamburg-1", "Hamburg"), ("munich-1", "Munich")):
        row = next(line.split() for line in lines if line.startswith(device))
        assert row == [device, studio, "3", "3", "0"]
    assert done.stdout.count("after the") == 9
