"""9. The own time of a scan while `gatectl uplink` sends a backlog, and without; what the idle uplink costs.

By turns, blocks of scans with the uplink stopped, with it running against the real broker, and with loops
instead that keep all cores busy: any work on the machine costs as much as those. The uplink has the
priorities that its unit gives it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from gatectl.errors import GatectlError
from gatectl.fleet import local_services, new_office
from gatectl.fleet.authority import CertificateAuthority
from speed import history, process
from speed.latency import BUDGET_MS, Own
from speed.rig import TESTS, Certificates, Gym, PartnerProcess, Plan, environment_for
from speed.row import Row, Unavailable, quantile
from speed.timestamps import PATIENCE_S
from speed.viewers import Scans

IDLE = ("chrt", "--idle", "0")
"""The scheduler's idle class: it runs when nothing else wants the core."""

AS_ITS_UNIT = (*IDLE, "ionice", "-c", "idle")
"""As systemd/units/gatectl-uplink.service has it."""

BUSY_LOOP = (*IDLE, sys.executable, "-c", "while True: pass")

DRAIN_S = 600.0
MIB = 1024 * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class Size:
    backlog: int
    rounds: int
    """Each has a block without, one with, one beside busy loops, and the same again."""
    scans: int
    """In a block."""
    warm_up: int
    settle_s: float
    idle_s: float


FULL = Size(100_000, 20, 25, 3, 8.0, 60.0)
QUICK = Size(30_000, 5, 20, 3, 8.0, 20.0)
TINY = Size(200, 1, 2, 1, 0.0, 0.2)


def measure(size: Size, folder: Path) -> Iterator[Row]:
    """Rows of the own time with the uplink, each with the time without it, and of the idle uplink."""
    certificates = Certificates(folder)
    with _head_office(folder / "office") as port, PartnerProcess(folder) as partner:
        settings = _settings(folder, port)
        plan = Plan([partner.url()], certificates.ca_file, budget_ms=BUDGET_MS, more=settings)
        with Gym(folder / "gym", plan) as gym:
            _enrol(gym, folder)
            history.fill(gym.journal, size.backlog)
            gym.start()
            gym.until_connected(1)
            with Uplink(gym) as uplink:
                yield from _own_times(Scans(gym, partner), uplink, size)
                yield from _idle(uplink, size)


class Uplink:
    """`gatectl uplink` beside a gym's daemon; a context manager."""

    def __init__(self, gym: Gym) -> None:
        self._gym = gym

    def __enter__(self) -> Self:
        # In memory, as /run is: a file renamed on the disk of the store makes the fsync of the store longer.
        self._folder = Path(tempfile.mkdtemp(prefix="gatectl-speed-", dir="/dev/shm"))
        self._process = subprocess.Popen(
            [*AS_ITS_UNIT, sys.executable, "-m", "gatectl", *self._gym.arguments("uplink")],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment_for(self._gym.folder, self._gym.stamps)
            | {"RUNTIME_DIRECTORY": str(self._folder)},
            cwd=TESTS,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It does nothing meanwhile; its connection outlives a block."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def status(self) -> dict[str, Any]:
        path = self._folder / "status.json"
        return json.loads(path.read_text("utf-8")) if path.exists() else {}

    def until(self, condition: Callable[[dict[str, Any]], bool], within_s: float) -> None:
        """Return when its status is so."""
        until_s = time.monotonic() + within_s
        while not condition(self.status):
            if time.monotonic() > until_s or self._process.poll() is not None:
                raise RuntimeError(f"the uplink does not get on: {self.status}")
            time.sleep(0.05)


@contextmanager
def _busy_loops(uplink: Uplink) -> Iterator[None]:
    """Keep all cores busy while the uplink is stopped."""
    with uplink.stopped():
        loops = [subprocess.Popen(BUSY_LOOP) for _ in range(os.cpu_count() or 1)]
        try:
            yield
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()


def _own_times(scans: Scans, uplink: Uplink, size: Size) -> Iterator[Row]:
    uplink.until(lambda status: status.get("mark") is not None, PATIENCE_S)
    ways: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "without": uplink.stopped,
        "with": nullcontext,
        "busy": lambda: _busy_loops(uplink),
    }
    series: dict[str, list[Own]] = {f"{way}{half}": [] for half in ("", " again") for way in ways}
    rounds, begun = 0, uplink.status["mark"]
    while rounds < size.rounds and (uplink.status["behind"] or not rounds):
        rounds += 1
        for name, results in series.items():
            with ways[name.removesuffix(" again")]():
                results.extend(scans.block(size))
    sent = uplink.status["mark"] - begun
    both = {way: series[way] + series[f"{way} again"] for way in ways}

    def at(share: float, of: list[Own]) -> float:
        return quantile([own.whole for own in of], share) * 1e3

    note = f"{len(both['with'])} scans each, in blocks by turns; {sent} events were sent meanwhile"
    for share, at_most in ((0.5, 1.02), (0.99, 1.1)):
        name = f"own time, uplink sends, p{share * 100:g}"
        ratio = at(share, both["with"]) / at(share, both["without"])
        yield Row(f"{name} ÷ stopped", ratio, "", at_most=at_most, beside=1.0, note=note)
        same = at(share, series["without again"]) / at(share, series["without"])
        yield Row(f"{name}: stopped ÷ stopped", same, "", note="the noise: the two halves of the same")
        busy = at(share, both["busy"]) / at(share, both["without"])
        yield Row(f"{name}: busy loops ÷ stopped", busy, "", note="all cores busy, and no uplink")
        yield Row(name, at(share, both["with"]), "ms", beside=at(share, both["without"]))


def _idle(uplink: Uplink, size: Size) -> Iterator[Row]:
    began = time.monotonic()
    uplink.until(lambda status: status["behind"] == 0, DRAIN_S)
    yield Row("the rest of the backlog, by the uplink alone", time.monotonic() - began, "s")
    time.sleep(size.settle_s)
    before, began = process.used(uplink.pid), time.monotonic()
    time.sleep(size.idle_s)
    after, took_s = process.used(uplink.pid), time.monotonic() - began
    note = f"over {size.idle_s:.0f} s, all threads"
    yield Row(
        "wake-ups of the idle uplink", (after.wakeups - before.wakeups) / took_s, "/s", at_most=0.5, note=note
    )
    yield Row("CPU of the idle uplink", (after.cpu_s - before.cpu_s) / took_s * 1e3, "ms/s")
    yield Row("memory of the idle uplink", process.memory_mb(uplink.pid)[0] / MIB, "MiB", at_most=32)


@contextmanager
def _head_office(folder: Path) -> Iterator[int]:
    """Yield the port of a broker whose every event is marked.

    Both have the idle class: at a gym they are elsewhere.
    """
    if importlib.util.find_spec("aiomqtt") is None:
        raise Unavailable("gatectl[fleet] is not installed: scripts/fleet-bench sets it up")
    try:
        local_services.mosquitto()
    except GatectlError as error:
        raise Unavailable("; ".join(error.lines())) from None
    port = local_services.free_port()
    new_office.create(folder, ["127.0.0.1"], port=port, address="127.0.0.1")
    with local_services.LocalBroker(folder) as broker:
        assert broker.pid is not None
        os.sched_setscheduler(broker.pid, os.SCHED_IDLE, os.sched_param(0))
        office = subprocess.Popen(
            [*IDLE, sys.executable, "-m", "speed.office", str(folder), str(port)],
            stdout=subprocess.PIPE,
            cwd=TESTS,
        )
        try:
            assert office.stdout is not None
            if office.stdout.readline() != b"ready\n":
                raise RuntimeError("the head office does not start")
            yield port
        finally:
            office.kill()
            office.communicate()


def _settings(folder: Path, port: int) -> str:
    return (
        f'[uplink]\nurl = "mqtts://127.0.0.1:{port}"\ndevice = "speed-1"\ncertificate = "device.crt"\n'
        f'key = {{ file = "device.key" }}\nca_file = "{folder / "office" / "ca.crt"}"\n'
        'pseudonym_key = { file = "pseudonym" }\n'
    )


def _enrol(gym: Gym, folder: Path) -> None:
    """Give the gate its key and its certificate, as an installer does."""
    pseudonym = gym.folder / "pseudonym"
    pseudonym.touch(mode=0o600)
    pseudonym.write_text(f"{bytes(32).hex()}\n", "utf-8")
    command = [sys.executable, "-m", "gatectl", *gym.arguments("uplink", "csr")]
    request = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()
    _, certificate = CertificateAuthority(folder / "office").sign(Path(request).read_bytes())
    (gym.folder / "device.crt").write_bytes(certificate)
