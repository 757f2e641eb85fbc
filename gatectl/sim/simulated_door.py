"""Run a whole door on this machine: the partner simulator, scanners on ptys, and the real daemon.

The door is a reader, a relay and lamps; or a whole gate with everything that can be wired to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from gatectl.errors import GatectlError
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Simulator
from gatectl.sim.simulated_gate import RELAY, GateInput, SimulatedGate
from gatectl.sim.virtual_scanners import VirtualSerialScanner

READY_S = 90.0
"""An emulated Pi takes seconds to start Python, and so does a busy desktop."""

MAIN, SIDE = "main", "side"
"""The doors; the side door is there with a whole gate alone, and its schedule keeps it closed."""

_SITE = """\
[site]
tenant = "Demo Fitness"
studio = "{studio}"

[gpio]
pin_factory = "{factory}"

[journal]
path = "journal.db"

[control]
socket = "control.sock"

{partners}
{routes}
"""

_DOOR = """\
[doors.main]
repeat_ms = 0 # the same code may be tried again at once
relay = { pin = 17, open_ms = 3000 }
signals = { green = 22, red = 23, buzzer = 24 }

[[doors.main.scanners]]
type = "serial"
port = "scanner"
"""

_GATE = """\
[doors.main]
repeat_ms = 0 # the same code may be tried again at once
relay = {{ pin = {relay}, open_ms = {times.open_ms}, continuous = true }}
signals = {{ green = 22, red = 23, buzzer = 24 }}
passage = {{ {passage}, debounce_ms = 20, wait_ms = {times.wait_ms} }}
contact = {{ {contact}, held_s = {times.held_s} }}
fire = {{ {fire} }}

[doors.main.exit]
open_ms = {times.open_ms}
button = {{ {button} }}
passage = {{ {exit_passage} }}

[[doors.main.scanners]]
type = "serial"
port = "scanner"

[doors.side]
relay = {{ pin = 16 }}
closed = "renovation"

[[doors.side.scanners]]
type = "serial"
port = "scanner-side"

[schedules.renovation]
mon-sun = ["00:00-24:00"]

[partners.wellhub.grace] # admission during an outage of this partner
visits = 1
probe_ms = 1000
"""


class GateTimes(NamedTuple):
    """The times of a gate, in its settings."""

    open_ms: int
    wait_ms: int
    held_s: int


UNHURRIED = GateTimes(open_ms=8000, wait_ms=8000, held_s=3)
"""For a person, who reads the screen before a key is pressed."""

QUICK = GateTimes(open_ms=1000, wait_ms=3000, held_s=2)
"""For a script, whose members pass at once; a slow machine takes a second to notice that the gate is open."""


def demo_settings(partners: str, times: GateTimes | None = None, studio: str = "This machine") -> str:
    """Return the settings with these partners' sections, one named like each protocol.

    With `times` the door is a whole gate, and there is a second door.
    """
    site = _SITE.format(
        studio=studio,
        partners=partners,
        routes="\n".join(_routes()),
        factory="mock" if times is None else "simulated",
    )
    return site + (_DOOR if times is None else _gate(times))


def _gate(times: GateTimes) -> str:
    return _GATE.format(
        times=times,
        relay=RELAY,
        passage=GateInput.PASSAGE.settings,
        contact=GateInput.CONTACT.settings,
        fire=GateInput.FIRE.settings,
        button=GateInput.EXIT_BUTTON.settings,
        exit_passage=GateInput.EXIT_PASSAGE.settings,
    )


def _routes() -> Iterator[str]:
    for protocol in PROTOCOLS.values():
        for route in protocol.routes:
            comment = f" # {route.comment}" if route.comment else ""
            yield f"[[routes]]{comment}\nmatch = '{route.match}'\npartner = \"{protocol.name}\"\n"


class SimulatedDoor:
    """A context manager. Inside, `type_code` scans, and the journal at `journal` fills."""

    def __init__(
        self,
        folder: Path,
        on_line: Callable[[str], None],
        gate: SimulatedGate | None = None,
        times: GateTimes = QUICK,
        studio: str = "This machine",
    ) -> None:
        """Take `on_line`, called with each line that the daemon would write to the systemd journal.

        `gate`, already entered, makes the door a whole gate with these times.
        """
        self.settings = folder / "gatectl.toml"
        self.journal = folder / "journal.db"
        self.control = folder / "control.sock"
        self._folder = folder
        self._on_line = on_line
        self._gate = gate
        self._times = None if gate is None else times
        self._studio = studio
        self._scanners: dict[str, VirtualSerialScanner] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.simulator = stack.enter_context(_simulator())
            for door, port in {MAIN: "scanner", SIDE: "scanner-side"}.items():
                self._scanners[door] = stack.enter_context(VirtualSerialScanner(self._folder / port))
            sections = "\n".join(map(self.simulator.partner_section, PROTOCOLS))
            self.settings.write_text(demo_settings(sections, self._times, self._studio), "utf-8")
            stack.enter_context(self._daemon())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def type_code(self, code: str, door: str = MAIN) -> None:
        """Scan a code at a door."""
        self._scanners[door].type_code(code)

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        """Run `gatectl run` in its own process; enter when it is ready."""
        ready = self._folder / "ready.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as readiness:
            readiness.bind(str(ready))
            readiness.settimeout(READY_S)
            pins = {"GPIOZERO_PIN_FACTORY": "mock"} if self._gate is None else self._gate.environment
            daemon = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "gatectl", "run", "-c", self.settings],
                env=os.environ | {"NOTIFY_SOCKET": str(ready)} | pins,
                pass_fds=() if self._gate is None else self._gate.descriptors,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                process_group=0,  # Ctrl-C reaches the demo alone, which ends its daemon
            )
            lines = threading.Thread(target=self._hand_on, args=(daemon,))
            lines.start()
            try:
                readiness.recv(64)
                yield
            except TimeoutError:
                raise GatectlError("the daemon did not become ready") from None
            finally:
                daemon.terminate()
                daemon.send_signal(signal.SIGINT)  # skips the wait: no member is here
                daemon.wait()
                lines.join()

    def _hand_on(self, daemon: subprocess.Popen[str]) -> None:
        if daemon.stderr is not None:
            with daemon.stderr:
                for line in daemon.stderr:
                    self._on_line(line.rstrip("\n"))


@contextlib.contextmanager
def _simulator() -> Iterator[Simulator]:
    """Run the partner simulator on its own event loop."""
    started: queue.SimpleQueue[Simulator | Exception] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def serve() -> None:
        async with Simulator() as simulator:
            started.put(simulator)
            await stopping.wait()

    def work() -> None:
        try:
            with contextlib.closing(loop):
                loop.run_until_complete(serve())
        except OSError as error:
            started.put(error)

    thread = threading.Thread(target=work, name="partner simulator")
    thread.start()
    try:
        simulator = started.get()
        if isinstance(simulator, Exception):
            raise GatectlError(f"the partner simulator does not start: {simulator}")
        yield simulator
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stopping.set)
        thread.join()
