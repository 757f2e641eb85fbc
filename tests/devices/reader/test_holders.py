"""Other processes that have a device open: with real processes, ptys and /proc."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatectl.devices.reader.contention import holders

HOLDING = """
import os, sys
os.setsid()
fd = os.open(sys.argv[1], os.O_RDWR | {flags})
print("open", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def second_program(path, flags="os.O_NOCTTY"):
    """A program of its own that has the device open; gives its process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDING.format(flags=flags), path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout.readline() == b"open\n"
        yield process
        process.stdin.close()


@pytest.fixture
def port():
    """A pty, by its device's end; this process has the other one, and both open."""
    outer, inner = os.openpty()
    yield os.ttyname(inner)
    os.close(outer)
    os.close(inner)


def test_no_process_has_it_open(port, tmp_path):
    assert holders(port) == ()
    assert holders(str(tmp_path / "gone")) == ()


def test_a_second_program_is_named_through_any_name_of_the_device(port, tmp_path):
    link = tmp_path / "scanner"
    link.symlink_to(port)
    with second_program(port) as process:
        named = (f"{Path(f'/proc/{process.pid}/comm').read_text().strip()} ({process.pid})",)
        assert holders(port) == named
        assert holders(str(link)) == named
    assert holders(port) == ()


CONTAINER = """
import os, sys
outers = []
while True:
    outer, inner = os.openpty()
    outers.append(outer)
    if os.ttyname(inner) == sys.argv[1]:
        break
if os.fork() == 0:
    for outer in outers:
        os.close(outer)
    print("open", flush=True)
sys.stdin.read()
"""
MOUNTING = (
    "mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx"
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a container's own pseudo-terminals")
def test_a_containers_terminal_of_the_same_name_is_another_one(port):
    command = ["unshare", "--mount", "sh", "-c", f'{MOUNTING} && exec "$0" -c "$1" "$2"', sys.executable]
    with subprocess.Popen(
        [*command, CONTAINER, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"open\n"
        assert holders(port) == ()
        process.stdin.close()


BEHIND = """
import os, sys
outer, inner = os.openpty()
print(os.ttyname(inner), flush=True)
sys.stdin.read()
"""


def test_the_program_behind_a_pty_is_the_device_itself():
    behind = (
        "import os, sys\nouter, inner = os.openpty()\nprint(os.ttyname(inner), flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", behind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = process.stdout.readline().strip()
        assert holders(port) == ()
        with second_program(port) as other:
            assert [name.rpartition(" ")[2] for name in holders(port)] == [f"({other.pid})"]
        process.stdin.close()


def test_a_login_prompt_of_systemd_is_seen_even_if_proc_shows_no_process(port, tmp_path):
    unit = f"serial-getty@{Path(port).name}.service"
    group = tmp_path / "cgroups/system.slice/system-serial\\x2dgetty.slice" / unit
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("")  # it has ended
    (tmp_path / "proc").mkdir()
    assert holders(port, tmp_path / "proc", tmp_path / "cgroups") == ()
    with second_program(port) as process:
        (group / "cgroup.procs").write_text(f"{process.pid}\n")
        assert holders(port, tmp_path / "proc", tmp_path / "cgroups") == (f"{unit} ({process.pid})",)
        (seen,) = holders(port, Path("/proc"), tmp_path / "cgroups")  # once, by its own name
        assert not seen.startswith("serial-getty")


ASKING = """
import os, sys
from gatectl.devices.reader.contention import holders
os.setgroups([])
os.setuid(65534)
print(holders(sys.argv[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs of two users")
@pytest.mark.parametrize(("flags", "seen"), [("0", True), ("os.O_NOCTTY", False)])
def test_a_login_prompt_of_root_is_seen_by_an_ordinary_user(port, flags, seen):
    """This user's open files are not shown to others; the terminal is."""
    with second_program(port, flags) as process:
        asked = subprocess.run(
            [sys.executable, "-c", ASKING, port], capture_output=True, text=True, check=True
        )
    assert (f"({process.pid})" in asked.stdout) is seen
