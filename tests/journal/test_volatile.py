"""Whether a store lies in memory, by what the kernel says of its mounts."""

from pathlib import Path

import pytest

from gatectl.journal.store_file import lies_in_memory

ROOT = "27 1 254:0 / / rw,relatime - ext4 /dev/mmcblk0p2 rw"
OVERLAY = "27 1 0:30 / / rw,relatime - overlay overlay rw,lowerdir={low},upperdir={upper},workdir={upper}w"
HIDDEN = OVERLAY.format(low="/lower", upper="/upper/data")


@pytest.fixture
def system(tmp_path):
    def make(*mounts, command_line="console=tty1 root=PARTUUID=1"):
        (tmp_path / "self").mkdir()
        (tmp_path / "self/mountinfo").write_text("".join(f"{mount}\n" for mount in mounts))
        (tmp_path / "cmdline").write_text(command_line + "\n")
        return tmp_path

    return make


STORE = Path("/var/lib/gatectl-of-a-test/journal.db")


@pytest.mark.parametrize(
    ("mounts", "command_line", "expected"),
    [
        ([ROOT], "", False),
        ([ROOT, "28 27 0:31 / /var rw - tmpfs tmpfs rw"], "", True),
        ([ROOT, "28 27 0:31 / /var rw - ramfs none rw"], "", True),
        ([ROOT, "28 27 0:31 / /var rw - ext4 /dev/zram0 rw"], "", True),
        ([ROOT, "28 27 0:31 / /va rw - tmpfs tmpfs rw"], "", False),
        (
            [ROOT, "28 27 0:31 / /var rw - tmpfs tmpfs rw", "29 28 8:1 / /var/lib rw - ext4 /dev/sda1 rw"],
            "",
            False,
        ),
        (
            [ROOT, "28 27 0:31 / /var rw - tmpfs tmpfs rw", "29 27 8:1 / /var rw - ext4 /dev/sda1 rw"],
            "",
            False,
        ),
        ([HIDDEN], "", False),  # a container's root, on the host's disk
        ([HIDDEN], "console=tty1 boot=overlay root=/dev/mmcblk0p2", True),
        ([HIDDEN], "overlayroot=tmpfs:recurse=0", True),
        ([HIDDEN], "overlayroot=disabled", False),
        ([HIDDEN, "29 27 8:1 / /var/lib rw - ext4 /dev/sda1 rw"], "boot=overlay", False),
        ([HIDDEN, "28 27 0:31 / /upper rw - tmpfs tmpfs rw"], "", True),
        ([HIDDEN, "28 27 8:2 / /upper rw - ext4 /dev/sda2 rw"], "", False),
        (
            [
                ROOT,
                "28 27 0:31 / /a\\040b rw - tmpfs t rw",
                "29 27 0:32 / /var rw - overlay o rw,lowerdir=/x,upperdir=/a\\040b/up,workdir=/w",
            ],
            "",
            True,
        ),
        ([], "", False),
    ],
)
def test_file_systems_in_mountinfo(system, mounts, command_line, expected):
    assert lies_in_memory(STORE, system(*mounts, command_line=command_line)) is expected


def test_a_system_that_does_not_say(tmp_path):
    assert lies_in_memory(STORE, tmp_path) is False


def test_a_link_out_of_memory_is_followed(system, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "memory").symlink_to(tmp_path / "disk")
    proc = system(ROOT, f"28 27 0:31 / {tmp_path}/disk rw - tmpfs tmpfs rw")
    assert lies_in_memory(tmp_path / "memory" / "journal.db", proc) is True
