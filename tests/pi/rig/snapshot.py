"""The snapshot that most tests start from: booted, the daemon ready, the scanner plugged in."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rig.agent import Agent
from rig.host import CannotError
from rig.image import SNAPSHOT, Image
from rig.machine import Machine
from rig.places import building
from rig.qmp import Qmp

_MAILBOX = 0x40000060
SETTLED_S = 900.0
_SETTLED = """
systemctl is-system-running --wait
udevadm settle
until gatectl status --json | grep -q '"ready"'; do :; done
until journalctl -b -u gatectl -o cat | grep -q ' is ready$'; do :; done
sync
dmesg --console-off
journalctl --sync
journalctl -b -u gatectl -n 1 -o cat --show-cursor | sed -n 's/^-- cursor: //p' >/run/rig/mark
grep -q . /run/rig/mark
"""
"""The scanner is open; the kernel keeps its lines off the agent's; `Pi.until_logged` counts from the mark.

It is a line of the daemon's, since `--after-cursor` passes over one line that its filter takes.
"""


def ensure_booted(image: Image) -> None:
    """Boots the card once and keeps it as it then is, where that was not done before."""
    with building(image.folder / "booted") as folder:
        if folder is None:
            return
        with tempfile.TemporaryDirectory(prefix="pi-") as name:
            shutil.copyfile(image.card, folder / "card.qcow2")
            machine = Machine(Path(name), image.boot, folder / "card.qcow2")
            try:
                with closing(Agent(Path(name) / "console")) as agent, closing(Qmp(Path(name) / "qmp")) as qmp:
                    _snap(machine, agent, qmp)
            finally:
                machine.cut()


def _snap(machine: Machine, agent: Agent, qmp: Qmp) -> None:
    agent.wait_ready()
    agent.check(_SETTLED, limit_s=SETTLED_S)
    deadline = time.monotonic() + SETTLED_S
    while True:
        qmp("stop")
        # An interrupt between cores that is under way is not saved, and its core would wait for ever.
        if not any(qmp.words(_MAILBOX, 4)):
            break
        qmp("cont")
        if time.monotonic() > deadline:
            raise CannotError("the emulated Pi does not come to rest", "is this machine very busy?")
    qmp.monitor(f"savevm {SNAPSHOT}")
    qmp("quit")
    machine.wait(SETTLED_S)
