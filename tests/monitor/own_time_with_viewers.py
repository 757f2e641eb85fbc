"""Whether twenty browsers' streams cost a scan anything. To be run by hand:

    .venv/bin/python tests/monitor/own_time_with_viewers.py [SCANS]

A daemon, a monitor beside it, and alternately no and twenty open streams (ten lists, ten displays), each read
as it comes. The time is `gate.after_ms`, from the complete code to the energised relay, the partner included.
"""

import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monitors import monitor

from gatectl.journal.reader import Filters, Reader
from gatectl.sim.door import SimulatedDoor

VIEWERS = 20
ROUNDS = 4


@contextmanager
def watching(address, path):
    """A process of its own, so that the simulator in this one is not held up."""
    process = subprocess.Popen(["curl", "-sN", address + path], stdout=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait()


def scans(door, reader, number):
    after = []
    for _ in range(number):
        mark = reader.mark()
        door.type_code("1000000000200")
        event = next(reader.follow(Filters(), mark))
        after.append(event.outcome.gate.after_ms)
    return after


def main(number):
    with ExitStack() as stack:
        door = stack.enter_context(
            SimulatedDoor(Path(stack.enter_context(tempfile.TemporaryDirectory())), str)
        )
        address = stack.enter_context(monitor(door.settings))
        with Reader(door.journal) as reader:
            scans(door, reader, 20)
            without, beside = [], []
            for _ in range(ROUNDS):
                without += scans(door, reader, number // ROUNDS)
                with ExitStack() as viewers:
                    paths = ("/live/events", "/live/display?door=main")
                    for place in range(VIEWERS):
                        viewers.enter_context(watching(address, paths[place % 2]))
                    scans(door, reader, 5)
                    beside += scans(door, reader, number // ROUNDS)
    for what, times in (("no viewer", without), (f"{VIEWERS} viewers", beside)):
        cuts = statistics.quantiles(times, n=100)
        sys.stdout.write(f"{what}: p50 {cuts[49]:.2f} ms, p90 {cuts[89]:.2f} ms, of {len(times)} scans\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
