"""A sampling profile of a process: a sample each millisecond of CPU time, printed as text at its end.

The signal comes by the CPU time of all threads together, and is taken by the main one: each sample notes
where that is. How much of the time the other threads used is read from the system.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

EVERY_S = 0.001

LOOK_EVERY = 100
"""Samples between two looks at the threads, which end before the process does."""

LINES = 40
"""Of each list; the rest is under half a hundredth each."""


@contextmanager
def sampling(path: Path) -> Iterator[None]:
    """Samples until left, then writes the file. Called by the main thread."""
    own: Counter[str] = Counter()
    with_callees: Counter[str] = Counter()
    threads: dict[str, float] = {}

    def sample(_number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        own[_name(frame)] += 1
        if own.total() % LOOK_EVERY == 0:
            threads.update(_threads())
        seen = set()
        while frame is not None:
            seen.add(_name(frame))
            frame = frame.f_back
        with_callees.update(seen)

    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text(_text(own, with_callees, threads), "utf-8")


def _name(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    for root in sys.path:
        if root and file.startswith(f"{root}/"):
            file = file[len(root) + 1 :]
            break
    return f"{file}:{frame.f_code.co_qualname}"


def _threads() -> dict[str, float]:
    """CPU seconds of each thread so far; a thread may end while they are read."""
    used = {}
    for thread in threading.enumerate():
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text("utf-8").split()
            used[thread.name] = int(fields[0]) / 1e9
    return used


def _text(own: Counter[str], with_callees: Counter[str], threads: dict[str, float]) -> str:
    total = sum(own.values()) or 1
    whole_s = sum(threads.values()) or 1.0
    lines = ["CPU by thread"]
    lines += [f"{used_s / whole_s:6.1%}  {name}" for name, used_s in sorted(threads.items())]
    for title, counts in (("In the main thread, by itself", own), ("… with what it calls", with_callees)):
        lines += ["", title]
        lines += [f"{count / total:6.1%}  {name}" for name, count in counts.most_common(LINES)]
    return "\n".join(lines) + "\n"
