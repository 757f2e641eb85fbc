"""The clocks that the record goes by, read."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

from gatectl.decision.timestamps import Timestamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC = Path("/run/systemd/timesync")


def moment() -> Timestamp:
    """Now."""
    return Timestamp(time.time_ns() // 1000, boot_id(), since_boot_us())


@cache
def boot_id() -> str:
    """The kernel's name for this boot (random(4)), as 32 hex digits: the systemd journal's `_BOOT_ID`."""
    return _BOOT_ID.read_text("ascii").strip().replace("-", "")


def since_boot_us() -> int:
    """Microseconds since the boot, standby included (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def is_synchronised() -> bool:
    """False only where systemd-timesyncd(8) keeps the clock, and has not yet heard a server in this boot."""
    return not _TIMESYNC.is_dir() or (_TIMESYNC / "synchronized").exists()
