"""A whole gym in a folder: partners over TLS, scanners on ptys, pins, a journal, and the real daemon.

The daemon is `python -m gatectl run` as a process of its own. Nothing here waits by sleeping: readiness
comes through NOTIFY_SOCKET, lines and pins through pipes, requests through the simulator. The journal alone
has to be looked at again and again, since SQLite does not notify of another process's commits.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import contract
from limits import NET_S
from lines import Lines
from partners import Partners

from gatectl.decision.event import ID_RANDOM_BITS, Attempt, uuid7
from gatectl.decision.timestamps import BootUs, WallUs
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from gatectl.sim.protocols import PROTOCOLS
from gatectl.sim.virtual_scanners import VirtualSerialScanner

HERE = Path(__file__).parent

AMPLE_MS = 30_000
"""A partner's budget where a test sets none: its answer comes within it, on a busy machine too."""

PATIENCE_MS = 5000
"""A scan waits so long for its record where a test does not say how long: the disk may be busy too."""

BRIEF_MS = 2000
"""A budget whose end a test waits for: the request leaves within it, on a busy machine too."""

PINS = {
    "main": {"relay": 17, "green": 22, "red": 23, "buzzer": 24},
    "side": {"relay": 5, "green": 6, "red": 12, "buzzer": 13},
}

GOOD = {
    "perfectgym": "1200",
    "wellhub": "1000000000200",
    "capitan": "GOOD-1",
    "device-api": "1233588200",
    "http": "GOOD-1",
}
HANG = {
    "perfectgym": "1600",
    "wellhub": "1000000000600",
    "capitan": "HANG",
    "device-api": "1233588600",
    "http": "HANG",
}


@dataclass(frozen=True)
class Change:
    """A pin was set to a level, or given back (None); `at` is of the monotonic clock."""

    at: float
    pid: int
    pin: int
    level: int | None


CUSTOMER = "293123213"
"""The customer's number of every perfectgym member."""


def code(partner: str, member: str) -> str:
    """The code of a member of this partner: each partner has a route of its own."""
    return f"{partner}:{member}/{CUSTOMER}" if partner.startswith("perfectgym") else f"{partner}:{member}"


def past_attempt(member: str, age_s: float, budget_ms: int) -> Attempt:
    """A scan of Wellhub's member so long ago, as the daemon would have recorded it, in an earlier boot."""
    at_us = WallUs(time.time_ns() // 1000 - round(age_s * 1e6))
    return Attempt(
        id=uuid7(at_us, secrets.randbits(ID_RANDOM_BITS)),
        kind="scan",
        at_us=at_us,
        tenant="FitCo GmbH",
        studio="Berlin Mitte",
        door="main",
        scanner="/dev/null",
        credential=code("wellhub", member),
        partner="wellhub",
        member=member,
        budget_ms=budget_ms,
        boot="f" * 32,
        since_boot_us=BootUs(0),
    )


class Gym:
    """A context manager; inside, `start` runs the daemon. At its end every process has ended.

    `partners` is partner → settings in addition to the simulator's own; its name is its protocol, or begins
    with it and a `-`. `doors` is door → settings (`repeat_ms`, `open_ms`, `active_high`, `show_name`,
    `scanner`, and the tables `relay`, `passage`, `contact` and `exit`).
    """

    def __init__(
        self,
        folder: Path,
        partners: dict[str, dict[str, Any]] | None = None,
        doors: dict[str, dict[str, Any]] | None = None,
        *,
        journal: dict[str, Any] | None = None,
        schedules: dict[str, Any] | None = None,
        journal_folder: Path | None = None,
        simulator: Partners | None = None,
    ) -> None:
        self.folder = folder
        self.partners = simulator or Partners()
        self._owns_partners = simulator is None
        self._partner_settings = {"wellhub": {}} if partners is None else partners
        self._doors = {"main": {}} if doors is None else doors
        self._journal_settings = journal or {}
        self._schedules = schedules or {}
        self.journal = (journal_folder or folder / "journal") / "journal.db"
        self.settings = folder / "gatectl.toml"
        self.socket = folder / "control.sock"
        self.scanners: dict[str, VirtualSerialScanner] = {}
        self.stderr: list[str] = []
        """The lines of daemons that have ended."""
        self._stack = ExitStack()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._lines: Lines | None = None
        self._following: Iterator[dict[str, Any]] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._owns_partners:
                stack.enter_context(self.partners)
            for name in self._doors:
                scanner = VirtualSerialScanner(self.folder / f"scanner-{name}")
                self.scanners[name] = stack.enter_context(scanner)
            reading, self._pins_end = os.pipe()
            self._pin_lines = Lines(reading, lambda line: Change(**json.loads(line)))
            stack.callback(self._pin_lines.join)
            stack.callback(os.close, self._pins_end)
            self._notified = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
            self._notified.bind(str(self.folder / "notify"))
            self.faults = self.folder / "faults"
            self._pipe = Path(f"{self.faults}.pipe")
            os.mkfifo(self._pipe)
            self._levels = self.folder / "levels"
            os.mkfifo(self._levels)
            # For reading too: it does not wait for a daemon, and lines outlive one.
            self._levels_end = os.open(self._levels, os.O_RDWR)
            stack.callback(os.close, self._levels_end)
            self._register_pins()
            self.write_settings()
            stack.callback(self._end_daemon)
            stack.callback(self.stop_following)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._end_daemon()
        if kind is None:
            assert "Traceback" not in "\n".join(self.stderr), "\n".join(self.stderr)

    # The folder.

    def _register_pins(self) -> None:
        distribution = self.folder / "installed" / "recording_pins-1.dist-info"
        distribution.mkdir(parents=True)
        (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: recording-pins\nVersion: 1\n")
        (distribution / "entry_points.txt").write_text(
            "[gpiozero_pin_factories]\nrecording = recording_pins:RecordingFactory\n"
        )

    def write_settings(self) -> None:
        """The settings as this object has them."""
        self.settings.write_text("\n".join(self._settings_lines()), "utf-8")

    def _settings_lines(self) -> Iterator[str]:
        yield from ("[site]", 'tenant = "FitCo GmbH"', 'studio = "Berlin Mitte"')
        yield from ("[gpio]", 'pin_factory = "recording"')
        journal = {"path": str(self.journal), "patience_ms": PATIENCE_MS}
        yield from _table("journal", journal | self._journal_settings)
        yield from ("[control]", 'socket = "control.sock"')
        for name, more in self._partner_settings.items():
            yield from self._partner_lines(name, more)
        for name in self._partner_settings:
            numbers = "(?P<member>.*)"
            if name.startswith("perfectgym"):
                numbers = "(?P<member>[^/]*)(?:/(?P<customer>.*))?"
            pattern = f"{name}:{numbers}"
            yield from _table("[routes]", {"match": pattern, "partner": name})
        for name, door in self._doors.items():
            yield from self._door_lines(name, door)
        yield from self._schedule_lines()

    def _partner_lines(self, name: str, more: dict[str, Any]) -> Iterator[str]:
        protocol = next(known for known in PROTOCOLS if f"{name}-".startswith(f"{known}-"))
        section = self.partners.simulator.partner_section(protocol)  # type: ignore[arg-type]
        for line in section.splitlines():
            if line.startswith("["):
                yield f"[partners.{json.dumps(name)}]"
            elif line.split(" = ")[0] not in more:
                yield line
        settings = {"budget_ms": AMPLE_MS} | more
        yield from _pairs({key: value for key, value in settings.items() if value is not None})

    def _schedule_lines(self) -> Iterator[str]:
        for name, schedule in self._schedules.items():
            yield from _table(f"schedules.{name}", schedule)

    def _door_lines(self, name: str, door: dict[str, Any]) -> Iterator[str]:
        pins = PINS[name]
        relay = {"pin": pins["relay"], "active_high": door.get("active_high", True)} | door.get("relay", {})
        own = {key: door[key] for key in ("hold_open", "first_in", "closed", "return_min") if key in door} | {
            "repeat_ms": door.get("repeat_ms", 0),
            "show_name": door.get("show_name", False),
        }
        yield from _table(f"doors.{name}", own)
        yield from _table(f"doors.{name}.relay", relay | {"open_ms": door.get("open_ms", 100)})
        yield from _table(
            f"doors.{name}.signals", {lamp: pin for lamp, pin in pins.items() if lamp != "relay"}
        )
        for table in ("passage", "contact", "fire", "exit"):
            if table in door:
                yield from _table(f"doors.{name}.{table}", door[table])
        scanner = {"type": "serial", "port": str(self.folder / f"scanner-{name}")}
        settings = scanner | door.get("scanner", {})
        yield from _table(
            f"[doors.{name}.scanners]", {key: value for key, value in settings.items() if value is not None}
        )

    def change(self, *, partners: dict[str, dict[str, Any]] | None = None) -> None:
        """Other settings, for the next start."""
        if partners is not None:
            self._partner_settings = partners
        self.write_settings()

    # The daemon.

    @property
    def environment(self) -> dict[str, str]:
        taken_out = {"GATECTL_CONFIG", "GPIOZERO_PIN_FACTORY", "NOTIFY_SOCKET", "JOURNAL_STREAM"}
        kept = {name: value for name, value in os.environ.items() if name not in taken_out}
        return kept | {
            "PYTHONPATH": f"{self.folder / 'installed'}:{HERE / 'pins'}",
            "PYTHONSAFEPATH": "1",  # `installed` comes before the folder in which the tests run
            "PINS_LOG_DESCRIPTOR": str(self._pins_end),
            "PINS_FAULTS_FILE": str(self.faults),
            "PINS_LEVELS_PIPE": str(self._levels),
        }

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "gatectl", "-c", str(self.settings)]

    def spawn(self, before: Sequence[str] = (), **environment: str) -> None:
        """Starts the daemon and does not wait for it; `before` is a command that executes the rest."""
        assert self._daemon is None, "one daemon at a time"
        self._daemon = subprocess.Popen(
            [*before, *self.command, "run"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=self.environment | {"NOTIFY_SOCKET": str(self.folder / "notify")} | environment,
            pass_fds=[self._pins_end],
        )
        # The thread closes its own copy, so that both may be closed.
        self._lines = Lines(os.dup(self._daemon.stderr.fileno()))  # type: ignore[union-attr]
        self._daemon.stderr.close()  # type: ignore[union-attr]

    def start(self, before: Sequence[str] = (), **environment: str) -> Self:
        """Starts the daemon and returns when it is ready."""
        self.spawn(before, **environment)
        self.wait_for_notice("READY=1")
        return self

    def wait_for_notice(self, wanted: str) -> None:
        """Returns when the service manager would have got this; fails where the daemon ends before."""
        with os.fdopen(os.pidfd_open(self.pid), "rb") as ended:
            while True:
                ready, _, _ = select.select([self._notified, ended], [], [], NET_S)
                assert ready, f"{wanted} did not come"
                assert self._notified in ready, f"the daemon ended: {self._end_daemon()} {self.stderr}"
                if wanted in self._notified.recv(4096).decode().splitlines():
                    return

    def entries(self, within_s: float) -> list[str]:
        """All that the service manager would have got by then, what it has not read yet included."""
        states: list[str] = []
        until = time.monotonic() + within_s
        while select.select([self._notified], [], [], max(until - time.monotonic(), 0))[0]:
            states += self._notified.recv(4096).decode().splitlines()
        return states

    @property
    def pid(self) -> int:
        assert self._daemon is not None
        return self._daemon.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill9(self) -> None:
        """The process is gone, and its last lines have been read."""
        self.signal(signal.SIGKILL)
        assert self._end_daemon() == -signal.SIGKILL

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status of a daemon that ends, by itself or after a signal."""
        assert self._daemon is not None
        self._daemon.wait(NET_S)
        return self._end_daemon()

    def _end_daemon(self) -> int:
        if self._daemon is None:
            return 0
        daemon, self._daemon = self._daemon, None
        if daemon.poll() is None:
            daemon.kill()
        status = daemon.wait(NET_S)
        self.stderr += self._lines.join()  # type: ignore[union-attr]
        self.entries(0)
        return status

    # Output.

    def logged(self, *words: str) -> str:
        """The first line on the running daemon's stderr that holds all the words, now or later."""
        assert self._lines is not None

        def found(lines: list[str]) -> str | None:
            return next((line for line in lines if all(word in line for word in words)), None)

        return self._lines.wait(found)

    def lines_so_far(self) -> list[str]:
        return self.stderr + (self._lines.so_far if self._daemon and self._lines else [])

    def count_logged(self, *words: str) -> int:
        return sum(all(word in line for word in words) for line in self.lines_so_far())

    # Input.

    def scan(self, credential: str, door: str = "main") -> None:
        self.scanners[door].type_code(credential)

    def ask(self, partner: str, member: str, door: str = "main") -> dict[str, Any]:
        """Scans, and gives the event."""
        self.scan(code(partner, member), door)
        return self.next_event()

    # Results.

    def next_event(self) -> dict[str, Any]:
        """The next finished event in the order of the decisions, as the journal has it."""
        if self._following is None:
            self._following = self._follow()
        self._look_until = time.monotonic() + NET_S
        return contract.check(next(self._following))

    def next_events(self, count: int) -> list[dict[str, Any]]:
        return [self.next_event() for _ in range(count)]

    def stop_following(self) -> None:
        """Closes the journal; `next_event` goes on where it was."""
        if self._following is not None:
            self._following.close()  # type: ignore[attr-defined]
            self._following = None

    def pass_over(self) -> None:
        """`next_event` gives only what comes from now on."""
        self.stop_following()
        with Reader(self.journal) as reader:
            self._seen = reader.mark()

    def _follow(self) -> Iterator[dict[str, Any]]:
        with Reader(self.journal) as reader:
            for event in reader.follow(Filters(), self._seen, self._look_again):
                self._seen += 1
                yield event.to_json()

    _seen = 0
    """Events that were given out; the journal numbers them without gaps."""

    def _look_again(self) -> None:
        assert time.monotonic() < self._look_until, f"no event came; {self.lines_so_far()[-5:]}"
        if self._daemon is not None:
            assert self._daemon.poll() is None, f"the daemon ended: {self._lines.join()}"  # type: ignore[union-attr]
        time.sleep(0.001)

    def events(self, *arguments: str) -> list[dict[str, Any]]:
        """The events of `gatectl events --json`, the oldest first."""
        done = self.run("events", "--json", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return [contract.check(json.loads(line)) for line in done.stdout.splitlines()]

    def status(self) -> dict[str, Any]:
        """The output of `gatectl status --json`."""
        done = self.run("status", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    def call(self, request: Any) -> dict[str, Any]:
        """One line over the control socket, and the answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(NET_S)
            connection.connect(str(self.socket))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                return json.loads(lines.readline())

    def until_state(self, state: str, door: str = "main") -> None:
        """Returns when the door says that it is in this state."""
        until = time.monotonic() + NET_S
        while (now := self.call({"command": "status"})["doors"][door]["state"]) != state:
            assert time.monotonic() < until, f"the door is {now}, not {state}"

    def until_waiting(self, door: str = "main") -> None:
        """Returns when a code waits at the door for its turn."""
        until = time.monotonic() + NET_S
        while not self.call({"command": "status"})["doors"][door]["waiting"]:
            assert time.monotonic() < until, "no code waits"

    def until_connected(self, *partners: str) -> None:
        """Returns when a connection to each partner, or to each of these, is ready."""
        until = time.monotonic() + NET_S
        while True:
            states = self.call({"command": "status"})["partners"]
            if all(states[name]["ready_connections"] for name in partners or states):
                return
            assert time.monotonic() < until, "a partner is not connected"

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command while the daemon runs."""
        return subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=NET_S,
            check=False,
            env=self.environment,
            pass_fds=[self._pins_end],
        )

    # The pins.

    def pins(self, pin: int | None = None, pid: int | None = None) -> list[Change]:
        """All changes so far, of one pin, of one process, in their order."""
        mark = Change(time.monotonic(), 0, -1, None)
        os.write(self._pins_end, json.dumps(mark.__dict__).encode() + b"\n")
        changes = self._pin_lines.wait(lambda seen: list(seen) if mark in seen else None)
        return [
            change
            for change in changes
            if change.pin >= 0 and pin in {None, change.pin} and pid in {None, change.pid}
        ]

    def until_pin(self, pin: int, level: int | None, after: float = 0.0) -> Change:
        """The first change of this pin to this level at or after a time."""

        def found(changes: list[Change]) -> Change | None:
            fits = (one for one in changes if (one.pin, one.level) == (pin, level) and one.at >= after)
            return next(fits, None)

        return self._pin_lines.wait(found)

    def until_levels(self, pin: int, levels: list[int], after: float = 0.0) -> Change:
        """Returns once this pin has gone through exactly these levels since then: the last change."""

        def found(changes: list[Change]) -> Change | None:
            steps = level_changes(one for one in changes if one.pin == pin and one.at >= after)
            return steps[-1] if [step.level for step in steps] == levels else None

        return self._pin_lines.wait(found)

    def openings(self, door: str = "main") -> list[Change]:
        """Each time the relay was energised, or energised again."""
        on = int(self._doors[door].get("active_high", True))
        return [change for change in self.pins(PINS[door]["relay"]) if change.level == on]

    def fail(self, *faults: str) -> None:
        """From now on these, and only these, faults of the pins (see `recording_pins`)."""
        changed = self.faults.with_suffix(".new")
        changed.write_text(" ".join(faults))
        changed.rename(self.faults)

    def drive(self, pin: int, level: int) -> float:
        """Sets an input's level; when that was (s, monotonic)."""
        at = time.monotonic()
        os.write(self._levels_end, f"{pin} {level}\n".encode())
        return at

    @contextmanager
    def blocked_pin(self) -> Iterator[None]:
        """Wait for a pin that blocks its caller; let it go on at the end."""
        with self._pipe.open("wb"):
            yield

    def unblock(self) -> None:
        """Let a pin go on that blocks its caller, once it does."""
        with self.blocked_pin():
            pass


def level_changes(changes: Iterable[Change]) -> list[Change]:
    """Leave out the changes that changed nothing."""
    seen = list(changes)
    pairs = zip([None, *seen], seen, strict=False)
    return [after for before, after in pairs if before is None or before.level != after.level]


def _table(name: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"[{name}]"
    yield from _pairs(values)


def _pairs(values: dict[str, Any]) -> Iterator[str]:
    return (f"{key} = {_toml(value)}" for key, value in values.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(_pairs(value))} }}"
    # A TOML basic string escapes as JSON does; numbers and booleans are written alike.
    return json.dumps(value, ensure_ascii=False)
