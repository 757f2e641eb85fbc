"""The wheelhouse: every Python package that an offline Pi needs, for 64-bit Arm."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from rig.host import CannotError
from rig.places import CHECKOUT, building, cache, digest

PYTHON = "3.11"  # Debian bookworm's
GLIBC_MINOR = 36
"""bookworm's; a wheel says the oldest glibc that it runs with, and pip wants each named."""
BUILDS = "hatchling>=1.21"  # with it the installer builds these very sources


def wheelhouse() -> Path:
    """Downloads it where it is not there. Raises CannotError."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["uplink"], BUILDS]
    target = cache() / f"wheels-{digest(wanted, [Path(__file__)])}"
    with building(target) as folder:
        if folder is not None:
            _download(wanted, folder)
    return target


def _download(wanted: list[str], folder: Path) -> None:
    platforms = [
        "manylinux2014_aarch64",
        *(f"manylinux_2_{minor}_aarch64" for minor in range(18, GLIBC_MINOR + 1)),
    ]
    got = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--dest", str(folder), "--only-binary=:all:"),
            *("--implementation", "cp", "--python-version", PYTHON),
            *(f"--platform={platform}" for platform in platforms),
            *wanted,
        ],
        check=False,
    )
    if got.returncode:
        raise CannotError("the Python packages for 64-bit Arm could not be had", "is pip's index in reach?")
