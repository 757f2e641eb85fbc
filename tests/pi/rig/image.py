"""The upper layer: the base with this checkout installed by `scripts/install`, as a card and its snapshot."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rig import partners
from rig.base import Base
from rig.host import CannotError, require_arm64
from rig.machine import Boot
from rig.places import CHECKOUT, GUEST, PRODUCT, building, cache, digest, files_of
from rig.wheels import wheelhouse

SIZE = "2G"  # an SD card's size is a power of two, or QEMU refuses it
SNAPSHOT = "booted"
OFFICE, OFFICE_ADDRESS = "office.test", "10.0.2.101"
"""The head office of a fleet; `rig.office` has one."""
_SOURCES = Path("usr/local/src/gatectl")
_WHEELS = Path("usr/local/src/wheels")
_PLACED = {
    "agent": "usr/local/lib/rig/agent",
    "rig-agent.service": "etc/systemd/system/rig-agent.service",
    "10-rig.network": "etc/systemd/network/10-rig.network",
    "gatectl.toml": "etc/gatectl/gatectl.toml",
}
_WRITTEN = {
    "etc/hostname": "pi\n",
    "etc/hosts": f"127.0.0.1 localhost pi\n{partners.ADDRESS} {partners.NAME}\n{OFFICE_ADDRESS} {OFFICE}\n",
    # The first takes some network adapters from cdc_ether, whichever is loaded first. The second speaks to a
    # part that is not emulated, and at some boots the kernel fails at what it receives.
    "etc/modprobe.d/rig.conf": "blacklist cdc_subset\nblacklist vchiq\n",
    "etc/fstab": "/dev/mmcblk0 / ext4 defaults,noatime 0 1\n",
    # QEMU's watchdog resets the machine when it is started, not when its time is over.
    "etc/systemd/system.conf.d/90-rig.conf": "[Manager]\nRuntimeWatchdogSec=0\n",
}
_MASKED = (
    "serial-getty@ttyAMA0.service",  # the agent's line
    # They do nothing here, at a moment of their own.
    "systemd-networkd-wait-online.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)


_MAKE_IT = ("image", "machine", "partners", "snapshot")
"""The rig's own modules that card and snapshot come from."""


@dataclass(frozen=True)
class Image:
    """A finished upper layer, with the base's boot files."""

    folder: Path
    boot: Boot

    @property
    def card(self) -> Path:
        """A card that was never booted."""
        return self.folder / "card.qcow2"

    @property
    def booted(self) -> Path:
        """A card with `SNAPSHOT` in it, made by `rig.snapshot`."""
        return self.folder / "booted" / "card.qcow2"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"


def image(base: Base) -> Image:
    """Builds it where it is not there. Raises CannotError."""
    wheels = wheelhouse()
    own = [*files_of(GUEST), *(Path(__file__).with_name(f"{name}.py") for name in _MAKE_IT)]
    product = files_of(*(CHECKOUT / name for name in PRODUCT))
    target = cache() / f"top-{digest([base.name, wheels.name], [*own, *product])}"
    with building(target) as folder:
        if folder is not None:
            _build(folder, base, wheels)
    return Image(target, base.boot)


def _build(folder: Path, base: Base, wheels: Path) -> None:
    require_arm64()
    root = folder / "root"
    subprocess.run(["cp", "--archive", "--reflink=auto", base.root, root], check=True)
    _copy_product(root / _SOURCES)
    shutil.copytree(wheels, root / _WHEELS)
    partners.make_secrets(folder / "secrets")
    _install(root)
    _furnish(root, folder / "secrets")
    raw = folder / "card.raw"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, "-L", "root", raw, SIZE], check=True)
    convert = ["qemu-img", "convert", "-O", "qcow2", raw, folder / "card.qcow2"]
    subprocess.run(convert, check=True)
    raw.unlink()
    shutil.rmtree(root)


def _copy_product(target: Path) -> None:
    for path in files_of(*(CHECKOUT / name for name in PRODUCT)):
        copy = target / path.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def _install(root: Path) -> None:
    installer = f"/{_SOURCES}/scripts/install"
    if _inside(root, installer, "--wheelhouse", f"/{_WHEELS}", "--uplink"):
        raise CannotError("scripts/install failed on the emulated Pi", "its output is above")


def _furnish(root: Path, secrets: Path) -> None:
    """The changes for the rig: the agent, the network, settings that lead to the rig's partners."""
    for name, place in _PLACED.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(GUEST / name, root / place)
    (root / _PLACED["agent"]).chmod(0o755)
    for name, content in _WRITTEN.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    shutil.copyfile(secrets / "ca.pem", root / "etc/gatectl/partner-ca.pem")
    for protocol in ("wellhub", "capitan", "perfectgym"):
        key = root / "etc/gatectl/secrets" / protocol
        shutil.copyfile(secrets / protocol, key)
        key.chmod(0o640)
    for command in (
        ["chgrp", "-R", "gatectl", "/etc/gatectl"],
        ["systemctl", "enable", "--quiet", "rig-agent.service", "systemd-networkd.service"],
        ["systemctl", "mask", "--quiet", *_MASKED],
    ):
        if _inside(root, *command):
            raise CannotError(f"in the image, {command[0]} failed", "its output is above")


def _inside(root: Path, *command: str) -> int:
    """Runs a command in the root, with /dev and /proc that go with it; its exit status."""
    mounted = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    inside = ["unshare", "--mount", "sh", "-c", mounted, str(root), *command]
    # This machine's own settings, of pip and others, are not the Pi's.
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
    return subprocess.run(inside, check=False, stdin=subprocess.DEVNULL, env=clean).returncode
