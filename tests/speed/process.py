"""The costs of a process, from /proc: memory, threads, wake-ups and CPU time."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Used:
    """So far, of all threads: voluntary context switches (each is followed by a wake-up), CPU seconds."""

    wakeups: int
    cpu_s: float


def used(pid: int) -> Used:
    """CPU time to the nanosecond: /proc/PID/stat counts in hundredths of a second."""
    wakeups, nanoseconds = 0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while it is read
            status, worked = ((task / name).read_text("utf-8") for name in ("status", "schedstat"))
            found = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
            wakeups += int(found[1]) if found else 0
            nanoseconds += int(worked.split()[0])
    return Used(wakeups, nanoseconds / 1e9)


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident, and proportional (what is shared counts in parts), in MB of 1,000,000 bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    sizes = {name: int(size) for name, size in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.MULTILINE)}
    return sizes["Rss"] * 1024 / 1e6, sizes["Pss"] * 1024 / 1e6
