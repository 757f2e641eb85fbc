"""Measure a fleet: scripts/fleet-bench.

Virtual gates have the uplink's own conversation, real connections and certificates of their own; their
journals are lists in memory. So the figures are those of the broker, of ingest and of PostgreSQL, and of
nothing at a gate. The generator has a core of its own where there are two.
"""

import argparse
import asyncio
import collections
import contextlib
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import gate_bench
import stored_bench
from fleet_rig import Fleet, IngestProcess, running, until
from virtual_gate import VirtualGate

from gatectl.fleet import new_office
from gatectl.fleet.ingest import without_library_noise
from gatectl.fleet.local_services import LocalBroker, LocalDatabase, free_port

CATCH_UP_S = 300.0
TICKS = os.sysconf("SC_CLK_TCK")


class TimedGate(VirtualGate):
    """Notes how long each event takes until its mark is back at the gate."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.waiting = collections.deque()
        self.latencies = []

    def decide(self, count=1):
        self.journal.append(count)
        self.waiting.append((self.journal.last, time.monotonic()))
        self.wake()

    async def _marked(self, connected, payload):
        await super()._marked(connected, payload)
        now = time.monotonic()
        while self.waiting and self.waiting[0][0] <= self.mark:
            self.latencies.append(now - self.waiting.popleft()[1])


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/fleet-bench", description=__doc__.splitlines()[0])
    parser.add_argument("--gates", type=int, default=1000, metavar="N")
    parser.add_argument("--rate", type=float, default=4.0, metavar="N", help="events a second in all")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="of events")
    parser.add_argument(
        "--idle", type=float, default=60.0, metavar="S", help="seconds before, without events"
    )
    parser.add_argument("--backlog", type=int, default=0, metavar="N", help="events that wait at one gate")
    for what in ("broker", "ingest", "database", "gate"):
        parser.add_argument(f"--{what}-kills", type=int, default=0, metavar="N")
    parser.add_argument("--drain", type=int, default=0, metavar="N", help="events behind a line that is cut")
    parser.add_argument(
        "--lossy", type=int, default=0, metavar="N", help="events over a line that loses 5 %%"
    )
    parser.add_argument("--presence", action="store_true", help="pull a plug, cut a line, restart the broker")
    parser.add_argument("--stored", type=int, default=0, metavar="N", help="events under the monitor's pages")
    return parser.parse_args()


ALL_CORES = os.sched_getaffinity(0)


def on_core(number):
    """Keep this thread, and the processes that it starts from now on, to one core."""
    if len(ALL_CORES) > 1:
        os.sched_setaffinity(0, {sorted(ALL_CORES)[number]})


def cpu_s(pid, *, with_children=False):
    """The seconds of processor time that a process has used, and its children that have ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used = sum(int(field) for field in fields[11:15]) / TICKS
        if with_children:
            used += sum(
                cpu_s(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            )
        return used
    return 0.0


def resident_mib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


class Bench:
    def __init__(self, fleet, cluster, options):
        self.fleet, self.cluster, self.options = fleet, cluster, options
        self.gates = []

    def processes(self):
        return {
            "generator": cpu_s(os.getpid()),
            "broker": cpu_s(self.fleet.broker.pid),
            "ingest": cpu_s(self.fleet.ingest.pid),
            "PostgreSQL": cpu_s(self.cluster.pid, with_children=True),
        }

    async def run(self):
        asyncio.get_running_loop().set_exception_handler(without_library_noise)
        begun = time.monotonic()
        names = [f"gate-{number}" for number in range(self.options.gates)]
        self.gates = [self.fleet.gate(name, kind=TimedGate) for name in names]
        say(f"{len(self.gates)} certificates in {time.monotonic() - begun:.1f} s")
        begun = time.monotonic()
        async with running(*self.gates):
            await until(lambda: all(gate.window is not None for gate in self.gates), within_s=CATCH_UP_S)
            say(f"{len(self.gates)} gates connected and marked in {time.monotonic() - begun:.1f} s")
            await self.idle()
            await self.load()
            if self.options.backlog:
                await self.drain()
            await self.kills()
        self.verify()

    async def idle(self):
        before = self.processes()
        await asyncio.sleep(self.options.idle)
        minutes = self.options.idle / 60 * len(self.gates)
        self.show("idle, CPU-ms a connection and minute", before, minutes)

    async def load(self):
        before, begun = self.processes(), time.monotonic()
        count = await self.decide_for(self.options.seconds)
        await self.caught_up()
        wall_s = time.monotonic() - begun
        latencies = sorted(latency for gate in self.gates for latency in gate.latencies)
        say(f"{count} events in {wall_s:.1f} s: {count / wall_s:.1f} a second")
        if latencies:
            p50, p99 = (latencies[int(len(latencies) * part)] for part in (0.5, 0.99))
            say(f"decided to committed, and the mark back at the gate: p50 {p50:.3f} s, p99 {p99:.3f} s")
        self.show("CPU-ms an event", before, max(count, 1), wall_s)

    async def drain(self):
        gate, before, begun = self.gates[0], self.processes(), time.monotonic()
        gate.journal.append(self.options.backlog)
        gate.wake()
        await self.caught_up()
        wall_s = time.monotonic() - begun
        count = self.options.backlog
        say(f"backlog of {count} at one gate: {wall_s:.1f} s, {count / wall_s:.0f} a second")
        self.show("CPU-ms an event of a backlog", before, self.options.backlog, wall_s)

    async def kills(self):
        """Kill under load, again and again; each time the gates go on for a moment."""
        kinds = {"broker": self.kill_broker, "ingest": self.kill_ingest, "database": self.kill_database}
        for what, kill in kinds.items():
            times = getattr(self.options, f"{what}_kills")
            begun = time.monotonic()
            for _ in range(times):
                await self.decide_for(random.uniform(0.05, 0.5))
                await asyncio.to_thread(kill)
            if times:
                await self.caught_up()
                say(f"{what} killed {times} times: caught up after {time.monotonic() - begun:.1f} s in all")

    def restarted(self, service, how):
        on_core(1)  # of this thread of the pool, which starts the services alone
        service.stop(how)
        service.start()

    def kill_broker(self):
        self.restarted(self.fleet.broker, signal.SIGKILL)

    def kill_ingest(self):
        self.restarted(self.fleet.ingest, signal.SIGKILL)

    def kill_database(self):
        self.restarted(self.cluster, signal.SIGQUIT)

    async def decide_for(self, seconds):
        """Let gates decide at the wanted rate for so long; return how many events that were."""
        begun, count = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            while count < passed * self.options.rate:
                random.choice(self.gates).decide()
                count += 1
            await asyncio.sleep(min(0.5 / self.options.rate, 0.05))
        return count

    async def caught_up(self):
        await until(lambda: all(gate.mark == gate.journal.last for gate in self.gates), within_s=CATCH_UP_S)

    def show(self, what, before, divisor, wall_s=None):
        after = self.processes()
        parts = [f"{name} {(after[name] - before[name]) * 1000 / divisor:.2f}" for name in before]
        say(f"{what}: {', '.join(parts)}")
        if wall_s:
            busy = (after["generator"] - before["generator"]) / wall_s
            say(f"the generator was busy for {busy:.0%}")

    def verify(self):
        decided = {event_id for gate in self.gates for event_id in gate.journal.ids()}
        ids = [row[0] for row in self.fleet.rows("SELECT id::text FROM event")]
        places = self.fleet.rows("SELECT count(*), count(DISTINCT (journal, number)) FROM event")[0]
        say(
            f"{len(decided)} decided, {len(ids)} at head office: {len(decided - set(ids))} lost, "
            f"{places[0] - places[1]} double; alarms: {self.fleet.alarms() or 'none'}"
        )
        for name, pid in (("broker", self.fleet.broker.pid), ("ingest", self.fleet.ingest.pid)):
            say(f"memory of the {name}: {resident_mib(pid):.0f} MiB")
        if decided != set(ids) or places[0] != places[1]:
            sys.exit(1)


def say(line):
    print(line, flush=True)  # noqa: T201 - printing is what it is for


@contextlib.contextmanager
def head_office():
    """Yield a whole head office on this machine, and its database server."""
    folder = Path(tempfile.mkdtemp(prefix="gatectl-fleet-"))
    folder.chmod(0o755)
    try:
        with contextlib.ExitStack() as stack:
            office = folder / "office"
            new_office.create(office, ["127.0.0.1"], port=free_port(), address="127.0.0.1")
            cluster = stack.enter_context(LocalDatabase(folder / "postgresql"))
            cluster.program("createdb", "gatectl")
            settings = office / "fleet.toml"
            settings.write_text(settings.read_text().replace("dbname=gatectl", cluster.dsn("gatectl")))
            broker = stack.enter_context(LocalBroker(office))
            ingest = stack.enter_context(IngestProcess(office))
            yield Fleet(broker, ingest, office, cluster.dsn("gatectl")), cluster
    finally:
        shutil.rmtree(folder)


def real_gates(options):
    """Run the measurements with real gates; each has a head office of its own."""
    for what, is_wanted, measurement in (
        ("real daemon and uplink", options.gate_kills, gate_bench.kills),
        ("real uplink", options.drain, gate_bench.drain),
        ("real uplink", options.lossy, gate_bench.lossy),
        ("real uplinks", options.presence, gate_bench.presence),
    ):
        if is_wanted:
            say(f"tier: {what}")
            with head_office() as (fleet, _):
                more = () if is_wanted is True else (is_wanted,)
                measurement(fleet, fleet.office.parent / "gates", *more, say)


def main():
    options = arguments()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    real_gates(options)
    if options.stored:
        say("tier: events made by PostgreSQL; the real monitor")
        if not stored_bench.run(options.stored, say):
            sys.exit(1)
    if options.gates:
        say(f"tier: virtual gates; {len(ALL_CORES)} cores, generator on one of them, all else on the other")
        on_core(1)
        with head_office() as (fleet, cluster):
            on_core(0)
            asyncio.run(Bench(fleet, cluster, options).run())


if __name__ == "__main__":
    main()
