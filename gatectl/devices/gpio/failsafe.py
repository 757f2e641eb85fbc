"""The failsafe process: outlives the daemon for as long as it takes to switch the relays off.

A pin keeps its level when its process dies: after a SIGKILL the gate stays open until the line is set. The
service's last step sets it, but has to start Python first. This process is already running. It waits at a
pipe that closes with the daemon, needs no settings, and is not affected by a hang of the daemon.

systemd's watchdog sends its signal, SIGABRT, to every process of the service. A daemon that is stopped, or
stuck in the kernel, may not act on it: on SIGABRT this process kills the daemon.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Never

from gatectl.devices.gpio.lines_off import Line, cause_of, lines_off, load_driver, report_failures
from gatectl.errors import GatectlError

if TYPE_CHECKING:
    import asyncio

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Ignore the signals of an orderly stop, which reach this process too: it must outlast the daemon."""

_LIMIT_S = 2
"""Per line. A driver that hangs at one line must delay neither the next line nor the service's last step;
claiming a line takes microseconds."""


class FailsafeProcess:
    """The daemon's side of the failsafe process."""

    def __init__(self, pipe: int, process: int) -> None:
        """`process` is a pidfd, which becomes readable when the process ends (pidfd_open(2))."""
        self._pipe = pipe
        self._process = process

    def arm(self, factory: str, chip: int, lines: Iterable[Line]) -> None:
        """Send it the lines to switch off. Raises OSError if the process has died."""
        os.write(self._pipe, json.dumps([factory, chip, list(lines)]).encode() + b"\n")

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise an error in the event loop when the process ends before the daemon.

        A kill of the daemon would then leave the gates open. The next start has a new process.
        """
        loop.add_reader(self._process, self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> Never:
        loop.remove_reader(self._process)
        raise GatectlError(
            "the failsafe process has ended: nothing would switch the relays off after a kill of gatectl",
            "who has killed it? journalctl -k names a lack of memory; systemd starts gatectl again",
        )


@contextmanager
def spawned() -> Iterator[FailsafeProcess]:
    """Fork the process; at an orderly stop it exits without touching a pin. No thread may run yet.

    Fork early: modules that are not imported yet take no memory in it.
    """
    taking, giving = os.pipe()
    daemon = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        os.close(giving)
        _run_failsafe(taking, daemon)
    os.close(taking)
    os.close(daemon)
    process = os.pidfd_open(child)
    try:
        yield FailsafeProcess(giving, process)
    finally:
        os.close(process)
        with suppress(BrokenPipeError):
            os.write(giving, b"\n")
        os.close(giving)
        with suppress(ChildProcessError):  # the parent process ignores SIGCHLD
            os.waitpid(child, 0)


def _run_failsafe(pipe: int, daemon: int) -> Never:
    status = os.EX_SOFTWARE
    try:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGABRT, lambda *_: _kill(daemon))
        with os.fdopen(pipe, "rb") as said:
            _switch_off_after(said, daemon)
        status = os.EX_OK
    finally:
        os._exit(status)


def _kill(daemon: int) -> None:
    with suppress(ProcessLookupError):  # the daemon has ended by itself
        signal.pidfd_send_signal(daemon, signal.SIGKILL)


def _switch_off_after(said: Iterable[bytes], daemon: int) -> None:
    factory, chip, lines = "", 0, list[Line]()
    for line in said:
        if line == b"\n":
            return
        factory, chip, lines = json.loads(line)
        load_driver(factory)
    if not lines:
        return
    # The kernel closes the pipe while the daemon is still exiting; its lines are free after the exit.
    select.select([daemon], [], [])
    signal.signal(signal.SIGALRM, _give_up_on_this_line)
    signal.alarm(_LIMIT_S)
    lines = [(door, pin, level) for door, pin, level in lines]
    try:
        failed = lines_off(factory, chip, lines)
    except Exception as error:  # noqa: BLE001 - drivers share no base class; reported below
        failed = [(line, cause_of(error)) for line in lines]
    report_failures(failed)


def _give_up_on_this_line(*_: object) -> Never:
    signal.alarm(_LIMIT_S)
    raise TimeoutError("the driver does not come back")
