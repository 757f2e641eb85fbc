"""The lower layer of the image: Debian's packages, and what the firmware would load. Minutes to build.

It is made of arm64 packages by qemu-user. Their names, and this file, are what it is cached by.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from rig import board, host
from rig.machine import Boot
from rig.places import building, cache, digest

SUITE = "bookworm"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "udev",
    "dbus",
    "kmod",
    "kbd",
    "procps",
    "iproute2",
    "netbase",
    "ca-certificates",
    "lz4",
    "initramfs-tools",
    # 6.1 gives a killed program's pins back as inputs; since 6.12 that can be set as on the real Pi.
    f"linux-image-arm64/{SUITE}-backports",
    "python3",
    "python3-venv",
    # PyPI has no ready wheels of these for 64-bit Arm.
    "python3-evdev",
    "python3-serial",
)
EXCLUDED = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    # Half of the kernel's modules, for hardware that a Pi does not have.
    *(
        f"/lib/modules/*/kernel/{folder}/*"
        for folder in (
            "drivers/gpu",
            "drivers/infiniband",
            "drivers/media",
            "drivers/net/ethernet",
            "drivers/net/wireless",
            "drivers/scsi",
            "sound",
        )
    ),
)
_INITRAMFS = {
    "etc/initramfs-tools/conf.d/rig": "MODULES=list\nCOMPRESS=lz4\n",
    "usr/share/initramfs-tools/modules.d/rig": "bcm2835\nsdhci_iproc\nmmc_block\next4\n",
}


@dataclass(frozen=True)
class Base:
    """A finished lower layer."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def boot(self) -> Boot:
        return Boot(self.folder / "vmlinuz", self.folder / "initrd.img", self.folder / "board.dtb")


def base() -> Base:
    """Builds it where it is not there. Raises CannotError."""
    files = [Path(__file__), Path(board.__file__)]
    target = cache() / f"base-{digest([SUITE, *PACKAGES], files)}"
    with building(target) as folder:
        if folder is not None:
            _build(folder)
    return Base(target)


def _build(folder: Path) -> None:
    host.require_arm64()
    root = folder / "root"
    (folder / "sources.list").write_text(host.debian_sources(SUITE, backports=True))
    (folder / "apt.conf").write_text(host.apt_configuration())
    for name, content in _INITRAMFS.items():
        file = folder / "initramfs" / name
        file.parent.mkdir(parents=True)
        file.write_text(content)
    made = subprocess.run(
        [
            "mmdebstrap",
            *("--mode=root", "--variant=apt", "--architectures=arm64"),
            f"--aptopt={folder / 'apt.conf'}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
            f"--essential-hook=copy-in {folder}/initramfs/etc {folder}/initramfs/usr /",
            f"--include={','.join(PACKAGES)}",
            *(SUITE, str(root), str(folder / "sources.list")),
        ],
        check=False,
    )
    if made.returncode:
        raise host.CannotError(
            "the packages of the emulated Pi could not be had",
            "is Debian's mirror, as apt knows it, in reach?",
        )
    _one(root / "boot", "vmlinuz-*").rename(folder / "vmlinuz")
    _one(root / "boot", "initrd.img-*").rename(folder / "initrd.img")
    tree = _one(root / "usr/lib", "linux-image-*/broadcom/bcm2837-rpi-3-b.dtb")
    board.make_tree(tree, folder / "board.dtb")


def _one(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found
