"""A gym in a folder: the real daemon, ptys for scanners, stamping pins, quick partners."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme

from gatectl.journal.reader import Reader
from gatectl.sim.virtual_scanners import VirtualSerialScanner
from speed.timestamps import PATIENCE_S, Stamps

TESTS = Path(__file__).parents[1]

FIRST_MEMBER = 1_000_000_000_000

RELAY_PINS = tuple(range(16))
"""By door. No pin is really driven."""

PINS = 28
"""The pins of a Pi's header: the relays come first, the lamps take the rest."""

OPEN_MS = 100
"""The least that the settings allow."""


def member(number: int) -> str:
    """A Wellhub ID; each scan has one of its own."""
    return str(FIRST_MEMBER + number)


class Certificates:
    """`ca.pem` and `partner.pem` in the folder: what a client trusts, and what the partner shows."""

    def __init__(self, folder: Path, *names: str) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        leaf = authority.issue_cert("localhost", "127.0.0.1", *names)
        leaf.private_key_and_cert_chain_pem.write_to_path(str(folder / "partner.pem"))


class PartnerProcess:
    """`speed.partner`; a context manager. `ports` are its ports."""

    def __init__(
        self,
        folder: Path,
        *,
        address: str = "127.0.0.1",
        ports: int = 1,
        options: Sequence[str] = (),
        before: Sequence[str] = (),
    ) -> None:
        """`before` is a command that executes the rest: `ip netns exec …`."""
        self.address = address
        self._command = [*before, sys.executable, "-m", "speed.partner", str(folder), address, str(ports)]
        self._options = list(options)
        self.ports: list[int] = []
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, again on the ports that it had."""
        again = ["--at", ",".join(map(str, self.ports))] if self.ports else []
        self._process = subprocess.Popen(
            [*self._command, *self._options, *again],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=TESTS,
        )
        self.ports = json.loads(self._line())

    def take(self) -> list[list[Any]]:
        """The stamps since the last call (`partner.Stamp`)."""
        taken: list[list[Any]] = self._ask("take")
        return taken

    def close_all(self) -> int:
        """Closes every connection; how many there were."""
        closed: int = self._ask("close")
        return closed

    def _ask(self, what: str) -> Any:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def kill(self) -> None:
        """It is gone at once, as at a power cut of its machine's program."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It takes connections and requests, and answers nothing meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def url(self, index: int = 0) -> str:
        return f"https://{self.address}:{self.ports[index]}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@dataclass(slots=True)
class Plan:
    """The parts of a gym. With several URLs, each door has a partner of its own, in their order."""

    urls: Sequence[str]
    ca_file: Path
    doors: int = 1
    budget_ms: int = 2000
    lamps: Sequence[str] = ("green", "red")
    journal: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[str] = ()
    profile: Path | None = None
    inputs: Sequence[str] = ()
    """Of `INPUTS`; each door has its own."""
    more: str = ""
    """Further sections of the settings."""


INPUTS = ("passage", "contact", "fire", "exit", "exit_passage")


class Gym:
    """A context manager; inside, `start` runs the daemon. At its end the process has ended."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.plan = plan
        self.journal = folder / "journal.db"
        self.scanners: list[VirtualSerialScanner] = []
        self._settings = folder / "gatectl.toml"
        self._stack = ExitStack()
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.stamps = Stamps()
            stack.callback(self.stamps.close)
            for number in range(self.plan.doors):
                scanner = VirtualSerialScanner(self.folder / f"scanner-{number}")
                self.scanners.append(stack.enter_context(scanner))
            self._notified = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self._notified.bind(str(self.folder / "notify"))
            register_pins(self.folder)
            (self.folder / "key").touch(mode=0o600)
            (self.folder / "key").write_text("a-key-for-the-measurements\n", "utf-8")
            self._settings.write_text("\n".join(self._settings_lines()) + "\n", "utf-8")
            levels = self.folder / "levels"
            os.mkfifo(levels)
            self._levels = os.open(levels, os.O_RDWR)  # it does not wait for a daemon
            stack.callback(os.close, self._levels)
            stack.callback(self.end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _settings_lines(self) -> list[str]:
        journal = "\n".join(f"{name} = {json.dumps(value)}" for name, value in self.plan.journal.items())
        lines = ['[site]\ntenant = "FitCo GmbH"\nstudio = "Speed"', '[gpio]\npin_factory = "stamping"']
        lines += [f'[journal]\npath = "journal.db"\n{journal}', '[control]\nsocket = "control.sock"']
        for number, url in enumerate(self.plan.urls):
            lines.append(
                f'[partners.p{number}]\nprotocol = "wellhub"\nurl = "{url}"\ngym_id = "1234"\n'
                f'key = {{ file = "key" }}\nca_file = "{self.plan.ca_file}"\n'
                f"budget_ms = {self.plan.budget_ms}"
            )
            where = f'doors = ["door{number}"]' if len(self.plan.urls) > 1 else ""
            lines.append(f"[[routes]]\nmatch = '\\d{{13}}'\npartner = \"p{number}\"\n{where}")
        lines += [self._door(number) for number in range(self.plan.doors)]
        return [*lines, self.plan.more]

    def _door(self, number: int) -> str:
        signals = ", ".join(f"{lamp} = {self.lamp_pin(number, lamp)}" for lamp in self.plan.lamps)
        return (
            f"[doors.door{number}]\nrepeat_ms = 0\n"
            f"relay = {{ pin = {RELAY_PINS[number]}, open_ms = {OPEN_MS} }}\nsignals = {{ {signals} }}\n"
            f'[[doors.door{number}.scanners]]\ntype = "serial"\nport = "scanner-{number}"\n'
            + "\n".join(self._inputs(number))
        )

    def _inputs(self, door: int) -> Iterator[str]:
        tables = {"exit": "exit.button", "exit_passage": "exit.passage"}
        if "exit" in self.plan.inputs:
            yield f"[doors.door{door}.exit]\nopen_ms = {OPEN_MS}"
        for name in self.plan.inputs:
            pin = self.input_pin(door, name)
            yield f"[doors.door{door}.{tables.get(name, name)}]\npin = {pin}\ndebounce_ms = 0"

    def input_pin(self, door: int, name: str) -> int:
        return PINS - 1 - door * len(self.plan.inputs) - list(self.plan.inputs).index(name)

    def drive(self, pin: int, level: int) -> float:
        """Sets an input's level; when that was (s, monotonic). All inputs are active at a low one."""
        at = time.monotonic()
        os.write(self._levels, f"{pin} {level}\n".encode())
        return at

    def lamp_pin(self, door: int, lamp: str) -> int:
        lamps = list(self.plan.lamps)
        return self.plan.doors + door * len(lamps) + lamps.index(lamp)

    # The daemon.

    def start(self, **environment: str) -> float:
        """Runs the daemon until it is ready; how long that took, in seconds."""
        profile = [] if self.plan.profile is None else ["--profile", str(self.plan.profile)]
        began = time.monotonic()
        with (self.folder / "told").open("ab") as told:
            self._daemon = subprocess.Popen(
                [*self.plan.before, sys.executable, "-m", "speed.daemon", *profile, *self.arguments("run")],
                stdin=subprocess.DEVNULL,
                stderr=told,
                env=environment_for(self.folder, self.stamps)
                | {"NOTIFY_SOCKET": str(self.folder / "notify"), "SPEED_LEVELS": str(self.folder / "levels")}
                | environment,
                cwd=TESTS,
            )
        while select.select([self._notified], [], [], PATIENCE_S)[0]:
            if self._notified.recv(4096) == b"READY=1":
                return time.monotonic() - began
        raise TimeoutError(f"the daemon did not become ready: {self.told()[-500:]}")

    def arguments(self, *arguments: str) -> list[str]:
        return ["-c", str(self._settings), *arguments]

    @property
    def pid(self) -> int:
        assert self._daemon is not None
        return self._daemon.pid

    def told(self) -> str:
        """The daemon's lines on stderr."""
        return (self.folder / "told").read_text("utf-8")

    def end(self) -> None:
        """Ends the daemon in order; its relays' time is short."""
        if self._daemon is None:
            return
        self._daemon.terminate()
        try:
            status = self._daemon.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            status = self._daemon.wait()
        self._daemon = None
        if status != 0:
            raise RuntimeError(f"the daemon ended with {status}: {self.told()[-2000:]}")

    # Input and output.

    def scan(self, number: int, door: int = 0) -> float:
        """Scans; when it was typed (s, monotonic): just before its last byte was written."""
        data = member(number).encode() + b"\n"
        typed = time.monotonic()
        self.scanners[door].send(data)
        return typed

    def until_connected(self, connections: int) -> None:
        """Returns when every partner has as many connections ready as its doors can use."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            partners = self.status()["partners"].values()
            if sum(partner["ready_connections"] for partner in partners) >= connections:
                return
            time.sleep(0.05)
        raise TimeoutError(f"not all connections came: {self.status()['partners']}")

    def status(self) -> dict[str, Any]:
        """The daemon's status."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self.folder / "control.sock"))
            connection.sendall(b'{"command": "status"}\n')
            with connection.makefile("rb") as lines:
                status: dict[str, Any] = json.loads(lines.readline())
                return status

    def until_finished(self, events: int) -> None:
        """Returns when the journal holds so many finished events."""
        until = time.monotonic() + PATIENCE_S
        with Reader(self.journal) as reader:
            while reader.mark() < events:
                if time.monotonic() > until:
                    raise TimeoutError(f"{reader.mark()} of {events} events are in the journal")
                time.sleep(0.02)


class PlainScript:
    """`speed.plain` on a pty of its own; a context manager, ready inside."""

    def __init__(self, folder: Path, url: str, ca_file: Path, *, open_s: float = OPEN_MS / 1000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stack = ExitStack()
        with ExitStack() as stack:
            self.stamps = Stamps()
            stack.callback(self.stamps.close)
            self.scanner = stack.enter_context(VirtualSerialScanner(folder / "scanner"))
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "speed.plain", str(self.scanner.link)),
                    *(url, str(ca_file), str(RELAY_PINS[0]), str(open_s)),
                ],
                stdout=subprocess.PIPE,
                env=environment_for(folder, self.stamps),
                cwd=TESTS,
            )
            stack.callback(self._process.communicate)
            stack.callback(self._process.kill)
            assert self._process.stdout is not None
            if self._process.stdout.readline() != b"ready\n":
                raise RuntimeError("the plain script does not start")
            self._stack = stack.pop_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def scan(self, number: int) -> float:
        """As a gym's."""
        data = member(number).encode() + b"\n"
        typed = time.monotonic()
        self.scanner.send(data)
        return typed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def register_pins(folder: Path) -> None:
    """Makes the stamping factory known to gpiozero, where `folder/installed` is in the path."""
    distribution = folder / "installed" / "speed_pins-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: speed-pins\nVersion: 1\n", "utf-8")
    (distribution / "entry_points.txt").write_text(
        "[gpiozero_pin_factories]\nstamping = speed.pins:StampingFactory\n", "utf-8"
    )


def environment_for(folder: Path, stamps: Stamps) -> dict[str, str]:
    """The environment of a process under measurement."""
    taken_out = {"GATECTL_CONFIG", "GPIOZERO_PIN_FACTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"}
    taken_out |= {"RUNTIME_DIRECTORY", "PYTHONDONTWRITEBYTECODE"}
    kept = {name: value for name, value in os.environ.items() if name not in taken_out}
    return kept | {"PYTHONPATH": f"{folder / 'installed'}:{TESTS}", "SPEED_PINS": str(stamps.path)}
