"""Requirements of the machine that runs the rig: packages, and arm64 programs that run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

NEEDED = {
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "qemu-aarch64-static": "qemu-user-static",
    "mmdebstrap": "mmdebstrap",
    "fdtput": "device-tree-compiler",
    "arch-test": "arch-test",
    "mke2fs": "e2fsprogs",
    "socat": "socat",  # carries the guest's connections to the partner on this machine's loopback
}
_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_RULE = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")


class CannotError(Exception):
    """This machine cannot run the rig; the message says why, `hint` what would help."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def require_programs() -> None:
    """Installs the packages that are missing. Raises CannotError."""
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if not missing:
        return
    install = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing]
    by_hand = f"as root: apt-get update && apt-get install --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotError(f"these packages are missing: {', '.join(missing)}", by_hand)
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", "update"], env=quiet, check=False)  # the lists at hand may do
    if subprocess.run(install, env=quiet, check=False).returncode:
        raise CannotError("the packages could not be installed", by_hand)


def require_arm64() -> None:
    """Makes the kernel hand arm64 programs to qemu-user. Raises CannotError."""
    if _runs_arm64():
        return
    if os.geteuid() != 0:
        raise CannotError("arm64 programs do not run here", "run `scripts/pi-rig build` once as root")
    if not (_BINFMT / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT)], check=False)
    try:
        (_BINFMT / "register").write_text(_RULE.read_text().strip())
    except OSError as error:
        raise CannotError(
            f"binfmt_misc does not take qemu-aarch64: {error}", "does the kernel have it?"
        ) from error
    if not _runs_arm64():
        raise CannotError("arm64 programs do not run here", f"see {_BINFMT}/qemu-aarch64")


def _runs_arm64() -> bool:
    return subprocess.run(["arch-test", "arm64"], check=False, capture_output=True).returncode == 0


def apt_configuration() -> str:
    """How this machine's apt reaches its mirrors (proxy, certificates, dates), for another apt."""
    said = _output("apt-config", "dump", "Acquire")
    return "".join(f"{line}\n" for line in said.splitlines() if not line.startswith("Acquire::IndexTargets"))


def debian_sources(suite: str, *, backports: bool) -> str:
    """This machine's Debian mirrors as sources of `suite`. Raises CannotError where it has none of it."""
    said = _output(
        "apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(REPO_URI)", "Created-By: Packages"
    )
    pairs = dict.fromkeys(tuple(line.split()[1:]) for line in said.splitlines() if line.startswith("Debian "))
    wanted = [(name, address) for name, address in pairs if name.partition("-")[0] == suite]
    main = [address for name, address in wanted if name == suite]
    if not main:
        raise CannotError(
            f"this machine's apt has no source of Debian {suite}", f"give it one, for the rig is {suite}"
        )
    if backports:
        wanted.append((f"{suite}-backports", main[0]))
    return "".join(f"deb {address} {name} main\n" for name, address in dict.fromkeys(wanted))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
