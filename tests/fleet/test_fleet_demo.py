"""`gatectl fleet demo`: real daemons, uplinks, Mosquitto, ingest, monitor and PostgreSQL on this machine."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import patient_http
import pytest

DEMO = [sys.executable, "-m", "gatectl", "fleet", "demo"]


@pytest.fixture
def folder():
    """A folder for passing files, whose name has to be quoted, and which PostgreSQL's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="100% 'ä' ") as folder:
        Path(folder).chmod(0o755)
        yield folder


@pytest.mark.usefixtures("mosquitto", "cluster")
def test_a_whole_fleet_has_every_scan_once_though_each_part_is_away_for_a_while(folder):
    environ = os.environ | {"TMPDIR": folder}
    done = subprocess.run(
        [*DEMO, "--scans", "14"], capture_output=True, encoding="utf-8", check=False, env=environ
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    acts = re.findall(r"-- (.*) --", done.stdout)
    assert acts == [
        "munich-1 is cut off; its doors go on by themselves",
        "munich-1's line is back",
        "the broker is killed",
        "the broker is started again",
        "PostgreSQL is stopped",
        "PostgreSQL is started again",
    ]
    scans = {"berlin-1": ("Berlin", "5"), "hamburg-1": ("Hamburg", "5"), "munich-1": ("Munich", "4")}
    for device, (studio, count) in scans.items():
        row = next(line.split() for line in lines if line.startswith(device))
        assert row == [device, studio, count, count, "0"]
    assert done.stdout.count("after the scan)") == 14
    assert lines[-1] == "Head office has each decision once."


def processes_of(folder):
    """The command lines of the processes that have something to do with the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [words for words in found if folder in words]


@pytest.mark.usefixtures("mosquitto", "cluster")
def test_ctrl_c_ends_the_demo_and_leaves_nothing_behind():
    with subprocess.Popen(
        DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", process_group=0
    ) as demo:
        folder = address = ""
        for line in demo.stdout:
            if found := re.search(r"host=(\S+)/postgresql ", line):
                folder = found[1]
            if found := re.search(r"page:  (http://\S+)$", line):
                address = found[1]
            if "after the scan)" in line:
                break
        patient_http.page_with(patient_http, address, "3 of 3 online")
        before = processes_of(folder)
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does
        rest, errors = demo.communicate()
    assert len(before) >= 10  # PostgreSQL, Mosquitto, ingest, the monitor, three daemons and uplinks
    assert (demo.returncode, errors) == (0, "")
    assert re.search(r"Decided +At head office", rest)
    assert not processes_of(folder)
    assert not Path(folder).exists()


def test_what_is_missing_is_named_in_one_line(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import pathlib, shutil\nshutil.which = lambda name: None\n"
        "glob = pathlib.Path.glob\n"
        "pathlib.Path.glob = lambda path, like: [] if 'postgresql' in str(path) else glob(path, like)\n"
    )
    done = subprocess.run(
        DEMO,
        capture_output=True,
        encoding="utf-8",
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    first, hint = done.stderr.splitlines()
    assert first.endswith("mosquitto is not installed; PostgreSQL 15 or later is not installed")
    assert hint == "hint: apt-get install --no-install-recommends mosquitto postgresql"
