"""A process that outlives the daemon for as long as it takes to switch the relays off.

A pin keeps its level when its process dies: after a SIGKILL the gate stands open until somebody sets the
line. The service's last step does, but Python has to start for it. This process has started long before. It
waits at a pipe that closes with the daemon, needs no settings, and cannot be held up by what held the daemon.

systemd's watchdog sends its signal, SIGABRT, to every process of the service. A daemon that is stopped, or
stuck in the kernel, need not take it: this process takes it for an order to kill the daemon.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Never

from gatectl.devices.off import Line, cause_of, complain, lines_off, load_driver

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""The signals that end the daemon in order also come here: the daemon decides how long it is still needed."""

_LIMIT_S = 2
"""A driver that hangs at one line must hold up neither the next line nor the service's last step: claiming a
line takes it microseconds."""


class Survivor:
    """The daemon's side of it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def know(self, factory: str, chip: int, lines: Iterable[Line]) -> None:
        """Says what is to be switched off. Raises OSError where it has died."""
        os.write(self._pipe, json.dumps([factory, chip, list(lines)]).encode() + b"\n")


@contextmanager
def standing_by() -> Iterator[Survivor]:
    """Forks it; at an end in order it goes without touching a pin. No thread may run yet.

    It should be forked early: what is not imported yet it need not hold in memory.
    """
    taking, giving = os.pipe()
    daemon = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        os.close(giving)
        _stand_by(taking, daemon)
    os.close(taking)
    os.close(daemon)
    try:
        yield Survivor(giving)
    finally:
        with suppress(BrokenPipeError):
            os.write(giving, b"\n")
        os.close(giving)
        with suppress(ChildProcessError):  # whoever started us ignores SIGCHLD
            os.waitpid(child, 0)


def _stand_by(pipe: int, daemon: int) -> Never:
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
    with suppress(ProcessLookupError):  # it took the signal itself
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
    # The kernel closes the pipe in the middle of the daemon's end; afterwards its lines are free.
    select.select([daemon], [], [])
    signal.signal(signal.SIGALRM, _give_up_on_this_line)
    signal.alarm(_LIMIT_S)
    lines = [(door, pin, level) for door, pin, level in lines]
    try:
        failed = lines_off(factory, chip, lines)
    except Exception as error:  # noqa: BLE001 - drivers share no base class; said below
        failed = [(line, cause_of(error)) for line in lines]
    complain(failed)


def _give_up_on_this_line(*_: object) -> Never:
    signal.alarm(_LIMIT_S)
    raise TimeoutError("the driver does not come back")
