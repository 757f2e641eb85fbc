"""The machine's versions and its clock's state, for Support, who look into a case from afar."""

from __future__ import annotations

import platform
import sqlite3
import ssl
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gatectl import __version__
from gatectl.devices.reader.system import text_of

_PACKAGES = ("evdev", "gpiozero", "h11", "lgpio", "pydantic", "pyserial", "rich")

_PATIENCE_S = 5.0
"""timedatectl asks a service, which systemd may have to start first."""

_CLOCK = ("Timezone", "NTP", "NTPSynchronized", "LocalRTC")


def versions() -> dict[str, str]:
    """Versions by the names of their programs."""
    return {
        "gatectl": __version__,
        "python": platform.python_version(),
        "system": _system(),
        "kernel": platform.release(),
        "machine": text_of(Path("/proc/device-tree/model")) or platform.machine(),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
        **{name: _version(name) for name in _PACKAGES},
    }


def clock() -> dict[str, str]:
    """The time, and the clock's state from systemd where it has one."""
    state = {"now": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    command = ["timedatectl", "show", *(f"--property={name}" for name in _CLOCK)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return state | {"timedatectl": "gives no answer here"}
    return state | dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
