"""The machine that the figures were taken on: without it they have no meaning."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import ssl
import subprocess
from pathlib import Path


def describe(folder: Path) -> dict[str, str]:
    """In words. `folder` is where the journals lie: its disk is a part of most figures."""
    return {
        "machine": _model(),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{_memory_mb():,} MB",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "python": f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}",
        "disk": _file_system(folder),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
    }


def _model() -> str:
    for name in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        try:
            return Path(name).read_text("utf-8").strip("\0\n")
        except OSError:
            continue
    return "a virtual machine, or one that does not say"


def _processor() -> str:
    said = Path("/proc/cpuinfo").read_text("utf-8")
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", said, re.MULTILINE)
    return found[1] if found else platform.machine()


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000


def _file_system(folder: Path) -> str:
    command = ["findmnt", "-n", "-o", "FSTYPE,SOURCE", "-T", str(folder)]
    try:
        return " ".join(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
