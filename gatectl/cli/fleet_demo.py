"""`gatectl fleet demo`: a head office and three gates on this machine, one of them offline for a while."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import psycopg
from rich.text import Text

from gatectl.cli.render import TextConsole, show_table
from gatectl.errors import GatectlError, visible
from gatectl.fleet import new_office
from gatectl.fleet.authority import CertificateAuthority
from gatectl.fleet.local_services import LocalBroker, LocalDatabase, free_port
from gatectl.journal.reader import Reader
from gatectl.sim.simulated_door import SimulatedDoor

STUDIOS = {"berlin-1": "Berlin", "hamburg-1": "Hamburg", "munich-1": "Munich"}
CUT_OFF = "munich-1"
"""The gate whose line is cut in the middle third of the scans."""

CODES = ("1000000000200", "1000000000404", "1000000000201", "1000000000453")
"""Of the partner simulator: most are let in."""

PAUSE_S = 0.7
"""Between two scans, to be read."""
PATIENCE_S = 90.0
POLL_S = 0.05

DATABASE = "gatectl"

_UPLINK = """
[uplink]
url = "mqtts://localhost:{port}"
device = "{device}"
certificate = "device.crt"
key = {{ file = "device.key" }}
ca_file = "{office}/ca.crt"
pseudonym_key = {{ file = "{office}/pseudonym" }}
"""

_NEW = """
SELECT received, studio, door, result, message, extract(epoch FROM received_at - at)::float8
FROM event WHERE received > %s ORDER BY received
"""
_MARK = "SELECT coalesce(max(mark), 0) FROM journal WHERE device = %s"
_COUNT = "SELECT count(*), count(DISTINCT (journal, number)) FROM event WHERE device = %s"


class _DemoGate(NamedTuple):
    """A whole gate: the daemon with its scanner and partners, and the uplink beside it."""

    device: str
    door: SimulatedDoor
    uplink: _Program


class _Program:
    """A command of gatectl in a process of its own."""

    def __init__(self, words: list[str], log: Path, folder: Path) -> None:
        self._words = words
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "gatectl", *self._words],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"RUNTIME_DIRECTORY": str(self._folder)},
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None

    def require_running(self) -> None:
        """Raise GatectlError if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            last = self._log.read_text("utf-8", errors="replace").splitlines()[-3:]
            raise GatectlError(f"gatectl {' '.join(self._words[:2])} has ended: {' '.join(last)}")


def run(scans: int | None) -> int:
    """Show so many scans, else scans until it is interrupted; return 0 if all are at head office."""
    console = TextConsole()
    with tempfile.TemporaryDirectory(prefix="gatectl-fleet-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL runs as a user of its own
        console.print("starting PostgreSQL, Mosquitto, ingest and three gates …")
        fleet = _Fleet(folder, stack, console)
        console.print(f"look into the tables: psql '{fleet.dsn}'", soft_wrap=True)
        fleet.play(scans)
        fleet.wait_until_complete()
        return fleet.show_result()


class _Fleet:
    """Everything is started in `stack`, and ends with it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, console: TextConsole) -> None:
        self._console = console
        office = folder / "office"
        new_office.create(office, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
        database = stack.enter_context(LocalDatabase(folder / "postgresql"))
        database.program("createdb", DATABASE)
        self.dsn = database.dsn(DATABASE)
        settings = office / "fleet.toml"
        settings.write_text(settings.read_text("utf-8").replace("dbname=gatectl", self.dsn), "utf-8")
        broker = stack.enter_context(LocalBroker(office))
        self._ingest = _Program(["fleet", "ingest", "-c", str(settings)], office / "ingest.log", office)
        self._ingest.start()
        stack.callback(self._ingest.stop)
        self._connection = stack.enter_context(psycopg.connect(self.dsn, autocommit=True))
        self._wait_for_tables()
        self._gates = [_gate(stack, folder, office, broker.port, device) for device in STUDIOS]
        self._received = 0

    def play(self, scans: int | None) -> None:
        """Scan at one gate after the other; cut the line of one for a third of the scans."""
        cut = next(gate for gate in self._gates if gate.device == CUT_OFF)
        third = max((scans or 30) // 3, 1)
        numbers = itertools.count() if scans is None else range(scans)
        with contextlib.suppress(KeyboardInterrupt):
            for number, gate, code in zip(
                numbers, itertools.cycle(self._gates), itertools.cycle(CODES), strict=False
            ):
                if number == third:
                    self._say(f"{CUT_OFF}: its line is cut; the gate goes on by itself")
                    cut.uplink.stop()
                if number == 2 * third:
                    self._say(f"{CUT_OFF}: its line is back")
                    cut.uplink.start()
                gate.door.type_code(code)
                self._show_new(time.monotonic() + PAUSE_S)

    def wait_until_complete(self) -> None:
        """Return when head office has every event. Raises GatectlError if it does not come to that."""
        until_s = time.monotonic() + PATIENCE_S
        while any(self._mark(gate) < _last(gate) for gate in self._gates):
            if time.monotonic() > until_s:
                raise GatectlError(f"head office lacks events after {PATIENCE_S:.0f} s")
            self._show_new(time.monotonic() + POLL_S)
        self._show_new(time.monotonic())

    def show_result(self) -> int:
        """Print a table; return 0 if each event is at head office once."""
        rows, is_whole = [], True
        for gate in self._gates:
            count, numbers = self._connection.execute(_COUNT, (gate.device,)).fetchone() or (0, 0)
            is_whole = is_whole and count == numbers == _last(gate)
            rows.append(
                (gate.device, STUDIOS[gate.device], str(_last(gate)), str(count), str(count - numbers))
            )
        show_table(("Device", "Studio", "Decided", "At head office", "Twice"), rows)
        return 0 if is_whole else 1

    def _wait_for_tables(self) -> None:
        until_s = time.monotonic() + PATIENCE_S
        query = "SELECT to_regclass('alarm') IS NOT NULL"
        while self._connection.execute(query).fetchone() != (True,):
            self._ingest.require_running()
            if time.monotonic() > until_s:
                raise GatectlError("ingest makes no tables")
            time.sleep(POLL_S)

    def _show_new(self, until_s: float) -> None:
        while True:
            for gate in self._gates:
                gate.uplink.require_running()
            for received, studio, door, result, message, late_s in self._connection.execute(
                _NEW, (self._received,)
            ):
                self._received = received
                self._say(f"{studio:8} {door:5} {result:9} {message} ({late_s:.2f} s after the scan)")
            if time.monotonic() >= until_s:
                return
            time.sleep(POLL_S)

    def _say(self, line: str) -> None:
        self._console.print(Text(f"{time.strftime('%H:%M:%S')} {visible(line)}"), soft_wrap=True)

    def _mark(self, gate: _DemoGate) -> int:
        row = self._connection.execute(_MARK, (gate.device,)).fetchone()
        return int(row[0]) if row else 0


def _gate(stack: contextlib.ExitStack, folder: Path, office: Path, port: int, device: str) -> _DemoGate:
    """Start a gate's daemon and its uplink, with a certificate that its head office has signed."""
    own = folder / device
    own.mkdir(mode=0o700)
    door = stack.enter_context(SimulatedDoor(own, lambda _line: None, studio=STUDIOS[device]))
    # A file of its own: the daemon's is not changed under it.
    settings = own / "uplink.toml"
    section = _UPLINK.format(port=port, device=device, office=office)
    settings.write_text(door.settings.read_text("utf-8") + section, "utf-8")
    request = _csr(settings)
    (own / "device.crt").write_bytes(CertificateAuthority(office).sign(request)[1])
    uplink = _Program(["uplink", "-c", str(settings)], own / "uplink.log", own)
    uplink.start()
    stack.callback(uplink.stop)
    return _DemoGate(device, door, uplink)


def _csr(settings: Path) -> bytes:
    """Make a gate's key; return its certificate request."""
    command = [sys.executable, "-m", "gatectl", "uplink", "csr", "-c", str(settings)]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")  # noqa: S603 - as above
    if done.returncode:
        raise GatectlError(f"gatectl uplink csr failed: {done.stderr.strip()}")
    return Path(done.stdout.strip()).read_bytes()


def _last(gate: _DemoGate) -> int:
    with Reader(gate.door.journal) as reader:
        return reader.mark()
