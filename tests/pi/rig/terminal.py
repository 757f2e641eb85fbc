"""A Pi on this terminal: its console, or a shell in it."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from rig.agent import Agent
from rig.image import Image
from rig.pi import Pi

LEAVE = b"\x1d"  # Ctrl-], as telnet has it
LOOK_S = 0.02
"""Between two looks at the keyboard, where the line is silent."""
_SHELL = """
stty sane </dev/ttyAMA0
setsid --ctty --wait bash --login </dev/ttyAMA0 >/dev/ttyAMA0 2>&1
stty raw -echo </dev/ttyAMA0
"""


def boot(image: Image) -> int:
    """A cold boot and what its console says, up to Ctrl-]."""
    with Pi(image, cold=True, paused=True) as pi:
        pi.go_on()
        _say("a cold boot, with nobody logged in; Ctrl-] is the power cut")
        _carry(pi.agent, None)
    return 0


def shell(image: Image) -> int:
    """A root shell; `exit` or Ctrl-] is the power cut."""
    with Pi(image) as pi:
        _say("from the snapshot; `exit` or Ctrl-] is the power cut")
        pi.agent.send(_SHELL)
        _carry(pi.agent, b"@@ ")
    return 0


def _carry(agent: Agent, end: bytes | None) -> None:
    """Between the terminal and the line, until the user leaves or the line shows `end`."""
    shown = len(agent.console)
    with _raw():
        while True:
            if select.select([sys.stdin], [], [], 0)[0]:
                typed = os.read(sys.stdin.fileno(), 1024)
                if not typed or LEAVE in typed:
                    return
                agent.type(typed)
            if agent.received(shown, LOOK_S):
                data = agent.console[shown:]
                shown += len(data)
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
                if end is not None and end in data:
                    return


@contextmanager
def _raw() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _say(text: str) -> None:
    print(f"{text}\r", file=sys.stderr)  # noqa: T201 - a person reads it
