"""Run a whole door on this machine: the partner simulator, a scanner on a pty, and the real daemon."""

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
from typing import Self

from gatectl.errors import GatectlError
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.server import Simulator
from gatectl.sim.virtual_serial import VirtualSerialScanner

READY_S = 30.0
"""An emulated Pi takes seconds to start Python, a desktop a fraction of one."""

_SETTINGS = """\
[site]
tenant = "Demo Fitness"
studio = "This machine"

[gpio]
pin_factory = "mock"

[journal]
path = "journal.db"

[control]
socket = "control.sock"

{partners}
{routes}
[doors.main]
repeat_ms = 0 # the same code may be tried again at once
relay = {{ pin = 17, open_ms = 3000 }}
signals = {{ green = 22, red = 23, buzzer = 24 }}

[[doors.main.scanners]]
type = "serial"
port = "scanner"
"""


def demo_settings(partners: str) -> str:
    """Return the settings of the whole door with these partners' sections, one named like each protocol."""
    return _SETTINGS.format(partners=partners, routes="\n".join(_routes()))


def _routes() -> Iterator[str]:
    for protocol in PROTOCOLS.values():
        for route in protocol.routes:
            comment = f" # {route.comment}" if route.comment else ""
            yield f"[[routes]]{comment}\nmatch = '{route.match}'\npartner = \"{protocol.name}\"\n"


class SimulatedDoor:
    """A context manager. Inside, `type_code` scans, and the journal at `journal` fills."""

    def __init__(self, folder: Path, on_line: Callable[[str], None]) -> None:
        """Take `on_line`, called with each line that the daemon would write to the systemd journal."""
        self.settings = folder / "gatectl.toml"
        self.journal = folder / "journal.db"
        self._folder = folder
        self._on_line = on_line
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            simulator = stack.enter_context(_simulator())
            scanner = stack.enter_context(VirtualSerialScanner(self._folder / "scanner"))
            sections = "\n".join(map(simulator.partner_section, PROTOCOLS))
            self.settings.write_text(demo_settings(sections), "utf-8")
            stack.enter_context(self._daemon())
            self.type_code = scanner.type_code
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _daemon(self) -> Iterator[None]:
        """Run `gatectl run` in its own process; enter when it is ready."""
        ready = self._folder / "ready.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as readiness:
            readiness.bind(str(ready))
            readiness.settimeout(READY_S)
            daemon = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "gatectl", "run", "-c", self.settings],
                env=os.environ | {"NOTIFY_SOCKET": str(ready), "GPIOZERO_PIN_FACTORY": "mock"},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
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
