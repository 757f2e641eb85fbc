"""`gatectl fleet demo`: a head office and three gates on this machine; parts go away and come back."""

from __future__ import annotations

import contextlib
import html
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, NoReturn, Self

import httpx
import psycopg
from rich.text import Text

from gatectl.cli.render import TextConsole, show_table
from gatectl.decision.toml_text import toml_value
from gatectl.errors import GatectlError, visible
from gatectl.fleet import new_office
from gatectl.fleet.authority import CertificateAuthority
from gatectl.fleet.local_services import (
    OWN_GROUP,
    TRY_AGAIN,
    LocalBroker,
    LocalDatabase,
    free_port,
    require_programs,
)
from gatectl.journal.reader import Reader
from gatectl.sim.simulated_door import SimulatedDoor

STUDIOS = {"berlin-1": "Berlin", "hamburg-1": "Hamburg", "munich-1": "Munich"}
CUT_OFF = "munich-1"
"""The gate whose line is cut."""

CODES = ("1000000000200", "1000000000404", "1000000000201", "1000000000453")
"""Of the partner simulator: most are let in."""

PAUSE_S = 0.7
"""Between two scans, to be read."""
ACT_SCANS = 20
"""Between two acts of a demo without end: time to look at the page."""
PATIENCE_S = 90.0
POLL_S = 0.05
PAGE_S = 1.0
"""Between two looks at the page, which is no newer."""

DATABASE = "gatectl"

_UPLINK = """
[uplink]
url = "mqtts://localhost:{port}"
device = "{device}"
certificate = "device.crt"
key = {{ file = "device.key" }}
ca_file = {ca_file}
pseudonym_key = {{ file = {pseudonym} }}
"""

_OFFICE_FILES = {"ca_file": "ca.crt", "pseudonym": "pseudonym"}

_NEW = """
SELECT received, studio, door, result, message, extract(epoch FROM received_at - at)::float8
FROM event WHERE received > %s ORDER BY received
"""
_MARK = "SELECT coalesce(max(mark), 0) FROM journal WHERE device = %s"
_ONLINE = "SELECT device FROM device WHERE online"
_COUNT = "SELECT count(*), count(DISTINCT (journal, number)) FROM event WHERE device = %s"


class DemoGate(NamedTuple):
    """A whole gate: the daemon with its scanner and partners, and the uplink next to it."""

    device: str
    door: SimulatedDoor
    uplink: _Program


class _Act(NamedTuple):
    """A part that goes away, or comes back."""

    words: str
    do: Callable[[], None]


class _Program:
    """A command of gatectl in a process of its own."""

    def __init__(self, words: list[str], log: Path, folder: Path) -> None:
        self._words = words
        self._log = log
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-m", "gatectl", *self._words],
                stdin=subprocess.DEVNULL,
                stderr=log,
                env=os.environ | {"RUNTIME_DIRECTORY": str(self._folder)},
                process_group=OWN_GROUP,
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
            raise GatectlError(f"gatectl {' '.join(self._words[:2])} has ended: {' '.join(last)}", TRY_AGAIN)

    def said(self, pattern: str) -> str:
        """Wait for a line of its log; return what the pattern's group has."""
        until_s = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self._log.read_text("utf-8", errors="replace"))):
            self.require_running()
            if time.monotonic() > until_s:
                raise GatectlError(f"gatectl {' '.join(self._words[:2])} does not become ready", TRY_AGAIN)
            time.sleep(POLL_S)
        return found[1]


def run(scans: int | None) -> int:
    """Show so many scans, else scans until it is interrupted; return 0 if all are at head office."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)  # else the processes would go on alone
    require_programs()
    console = TextConsole()
    with tempfile.TemporaryDirectory(prefix="gatectl-fleet-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # as root, PostgreSQL runs as a user of its own
        console.print("starting PostgreSQL, Mosquitto, ingest, the monitor and three gates …")
        try:
            fleet = _Fleet(folder, stack, console)
            fleet.wait_until_online()
            _show_addresses(fleet, console)
            with contextlib.suppress(KeyboardInterrupt):
                fleet.play(scans)
            fleet.wait_until_complete()
            return fleet.show_result()
        finally:
            _ignore_signals()  # a second Ctrl-C would leave processes and files behind


def _show_addresses(fleet: _Fleet, console: TextConsole) -> None:
    for what, where in {
        "the fleet's page": f"{fleet.address}/fleet",
        "all gates' events": f"{fleet.address}/",
        "the tables": f"psql {shlex.quote(fleet.dsn)}",
    }.items():
        console.print(Text(f"{what + ':':19}{where}"), soft_wrap=True)
    console.print("On this machine the pages want no password. Ctrl-C ends the demo.")


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


class _Fleet:
    """Everything is started in `stack`, and ends with it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, console: TextConsole) -> None:
        self._console = console
        office = folder / "office"
        new_office.create(office, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
        self._database = stack.enter_context(LocalDatabase(folder / "postgresql"))
        self._database.program("createdb", DATABASE)
        self.dsn = self._database.dsn(DATABASE)
        self._connection = stack.enter_context(psycopg.connect(self.dsn, autocommit=True))
        settings = office / "fleet.toml"
        text = settings.read_text("utf-8").replace('"dbname=gatectl"', toml_value(self.dsn))
        settings.write_text(text, "utf-8")
        self._broker = stack.enter_context(LocalBroker(office))
        self._ingest = stack.enter_context(_office_program("ingest", office))
        self._monitor = stack.enter_context(_office_program("monitor", office, "--listen", "127.0.0.1:0"))
        self._ingest.said("(taking in events)")
        self.address = self._monitor.said(r"(http://\S+:\d+)/")
        """Of the fleet's monitor."""
        self._gates = [start_gate(stack, folder, office, self._broker.port, device) for device in STUDIOS]
        self._acts = itertools.cycle(self._all_acts())
        self._away = False
        self._received = 0
        self._page: list[str] = []
        self._looked_s = 0.0

    def play(self, scans: int | None) -> None:
        """Scan at one gate after the other; in between, parts go away and come back."""
        acts = len(self._all_acts())
        step = ACT_SCANS if scans is None else max(scans // (acts + 1), 1)
        numbers = itertools.count() if scans is None else range(scans)
        for number, gate, code in zip(
            numbers, itertools.cycle(self._gates), itertools.cycle(CODES), strict=False
        ):
            if number and number % step == 0 and (scans is None or number <= acts * step):
                self._act()
            gate.door.type_code(code)
            self._show_new(time.monotonic() + PAUSE_S)

    def wait_until_online(self) -> None:
        """Return when head office has heard of all gates. Raises GatectlError if it does not come to that."""
        until_s = time.monotonic() + PATIENCE_S
        while len(self._rows(_ONLINE, ())) < len(self._gates):
            self._require_running()
            if time.monotonic() > until_s:
                raise GatectlError(f"the gates do not come online within {PATIENCE_S:.0f} s", TRY_AGAIN)
            time.sleep(POLL_S)

    def wait_until_complete(self) -> None:
        """Return when head office has every event. Raises GatectlError if it does not come to that."""
        if self._away:
            self._act()
        self._console.print("No more scans: waiting until head office has everything …")
        until_s = time.monotonic() + PATIENCE_S
        while any(self._mark(gate) < _last(gate) for gate in self._gates):
            if time.monotonic() > until_s:
                raise GatectlError(f"head office lacks events after {PATIENCE_S:.0f} s", TRY_AGAIN)
            self._show_new(time.monotonic() + POLL_S)
        self._show_new(time.monotonic())

    def show_result(self) -> int:
        """Print a table; return 0 if each event is at head office once."""
        rows, is_whole = [], True
        for gate in self._gates:
            ((count, numbers),) = self._rows(_COUNT, (gate.device,)) or [(0, 0)]
            is_whole = is_whole and count == numbers == _last(gate)
            rows.append(
                (gate.device, STUDIOS[gate.device], str(_last(gate)), str(count), str(count - numbers))
            )
        show_table(("Device", "Studio", "Decided", "At head office", "Twice"), rows)
        said = (
            "Head office has each decision once."
            if is_whole
            else "Head office lacks some, or has some twice."
        )
        self._console.print(said)
        return 0 if is_whole else 1

    def _all_acts(self) -> list[_Act]:
        cut = next(gate for gate in self._gates if gate.device == CUT_OFF)
        return [
            _Act(f"{CUT_OFF} is cut off; its doors go on by themselves", cut.uplink.stop),
            _Act(f"{CUT_OFF}'s line is back", cut.uplink.start),
            _Act("the broker is killed", lambda: self._broker.stop(signal.SIGKILL)),
            _Act("the broker is started again", self._broker.start),
            _Act("PostgreSQL is stopped", self._database.stop),
            _Act("PostgreSQL is started again", self._database.start),
        ]

    def _act(self) -> None:
        act = next(self._acts)
        self._away = not self._away
        self._say(f"-- {act.words} --", "cyan")
        act.do()

    def _show_new(self, until_s: float) -> None:
        while True:
            self._require_running()
            for received, studio, door, result, message, late_s in self._rows(_NEW, (self._received,)):
                self._received = received
                self._say(f"{studio:8} {door:5} {result:9} {message} ({late_s:.2f} s after the scan)")
            self._show_page()
            if time.monotonic() >= until_s:
                return
            time.sleep(POLL_S)

    def _require_running(self) -> None:
        for program in (self._ingest, self._monitor, *(gate.uplink for gate in self._gates)):
            program.require_running()

    def _show_page(self) -> None:
        """Print what the page says on top, if that has changed."""
        if time.monotonic() < self._looked_s + PAGE_S:
            return
        self._looked_s = time.monotonic()
        said = _on_top(httpx.get(f"{self.address}/fleet", timeout=PATIENCE_S, trust_env=False).text)
        for words in said:
            if words not in self._page:
                self._say(f"the page: {words}", "yellow")
        self._page = said

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(Text(f"{time.strftime('%H:%M:%S')} {visible(line)}", style), soft_wrap=True)

    def _mark(self, gate: DemoGate) -> int:
        return int(sum(mark for (mark,) in self._rows(_MARK, (gate.device,))))

    def _rows(self, query: LiteralString, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return the rows; none while the database is away."""
        try:
            if self._connection.closed:
                self._connection = psycopg.connect(self.dsn, autocommit=True)
            return self._connection.execute(query, values).fetchall()
        except psycopg.OperationalError:
            self._connection.close()
            return []


def _office_program(action: str, office: Path, *options: str) -> _Program:
    words = ["fleet", action, "-c", str(office / "fleet.toml"), *options]
    return _Program(words, office / f"{action}.log", office)


def _on_top(page: str) -> list[str]:
    """Return the sentences on top of a page, and how many gates are online."""
    found = re.findall(r'<p class="alarm"[^>]*>(.*?)</p>', page, re.DOTALL)
    found += re.findall(r'<li class="(?:well|ill)">(.*?)</li>', page, re.DOTALL)[:1]
    return [" ".join(html.unescape(re.sub(r"<[^>]*>", "", one)).split()) for one in found]


def start_gate(stack: contextlib.ExitStack, folder: Path, office: Path, port: int, device: str) -> DemoGate:
    """Start a gate's daemon and its uplink, with a certificate that its head office has signed."""
    own = folder / device
    own.mkdir(mode=0o700)
    door = stack.enter_context(SimulatedDoor(own, lambda _line: None, studio=STUDIOS[device]))
    # A file of its own: the daemon's is not changed under it.
    settings = own / "uplink.toml"
    files = {name: toml_value(str(office / file)) for name, file in _OFFICE_FILES.items()}
    section = _UPLINK.format(port=port, device=device, **files)
    settings.write_text(door.settings.read_text("utf-8") + section, "utf-8")
    request = _csr(settings)
    (own / "device.crt").write_bytes(CertificateAuthority(office).sign(request)[1])
    program = _Program(["uplink", "-c", str(settings)], own / "uplink.log", own)
    uplink = stack.enter_context(program)
    return DemoGate(device, door, uplink)


def _csr(settings: Path) -> bytes:
    """Make a gate's key; return its certificate request."""
    command = [sys.executable, "-m", "gatectl", "uplink", "csr", "-c", str(settings)]
    done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")  # noqa: S603 - as above
    if done.returncode:
        raise GatectlError(f"gatectl uplink csr failed: {' '.join(done.stderr.split())}", TRY_AGAIN)
    return Path(done.stdout.strip()).read_bytes()


def _last(gate: DemoGate) -> int:
    with Reader(gate.door.journal) as reader:
        return reader.mark()
