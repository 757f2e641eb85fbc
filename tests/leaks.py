"""Threads and processes end with the test that began them: else they disturb whichever test runs next."""

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from limits import NET_S

PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2)."""

kept = []
"""Functions that return the process ID of a fixture for several tests, which a test may start anew."""


def adopt_orphans():
    """Become the parent of every process whose own parent ends, so that it is found too."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Begun:
    """All that a test begins from here on."""

    def __init__(self):
        self._threads, self._processes = set(threading.enumerate()), _children()

    def not_ended(self):
        """Wait for all threads and processes; return the names of those that do not end, which are killed."""
        until_s = time.monotonic() + NET_S
        while (threads := self._new_threads()) and (left_s := until_s - time.monotonic()) > 0:
            threads[0].join(left_s)
        while (processes := self._new_processes()) and (left_s := until_s - time.monotonic()) > 0:
            _has_ended(processes[0], left_s)
        return [*map(_described, threads), *map(_killed, processes)]

    def _new_threads(self):
        return [one for one in threading.enumerate() if one not in self._threads and not _may_go_on(one)]

    def _new_processes(self):
        found = _children() - self._processes - {pid() for pid in kept}
        return [pid for pid in found if not _has_ended(pid, 0)]


def _may_go_on(thread):
    """Return whether it is lgpio's, which begins one with its import, or was not begun by Python at all."""
    return type(thread).__module__ == "lgpio" or isinstance(thread, threading._DummyThread)


def _children():
    """Return the children of this process by their IDs, those included that nobody has waited for."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def _has_ended(pid, within_s):
    try:
        with os.fdopen(os.pidfd_open(pid), "rb") as process:
            if not select.select([process], [], [], within_s)[0]:
                return False
    except ProcessLookupError:
        return True
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return True


def _described(thread):
    frame = sys._current_frames().get(thread.ident)
    at = traceback.extract_stack(frame)[-1] if frame else None
    return f"the thread {thread.name}" + (f" at {Path(at.filename).name}:{at.lineno}" if at else "")


def _killed(pid):
    words = ""
    with contextlib.suppress(OSError):  # it has ended after all
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return f"the process {words.strip()}"
