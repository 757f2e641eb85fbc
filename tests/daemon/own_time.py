"""How long the daemon itself takes, apart from the partner. To be run by hand:

    .venv/bin/python tests/daemon/own_time.py [SCANS]

From the last byte of the code to the partner having the request (which includes the record's way to the
disk), and from the answer to the energised relay. Over TLS on loopback, the journal in a temporary folder.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness import GOOD, PINS, Gym, code


def main(scans: int) -> None:
    with tempfile.TemporaryDirectory() as folder, Gym(Path(folder)) as gym:
        gym.start()
        gym.ask("wellhub", GOOD["wellhub"])
        before, after, whole = [], [], []
        for _ in range(scans):
            typed = time.monotonic()
            gym.scan(code("wellhub", GOOD["wellhub"]))
            opened = gym.until_pin(PINS["main"]["relay"], 1, typed)
            gym.next_event()
            request = gym.partners.requests[-1]
            before.append(request.first_byte - typed)
            after.append(opened.at - request.answered)
            whole.append(opened.at - typed)
    for what, times in (
        ("code to request", before),
        ("answer to relay", after),
        ("code to relay, the partner included", whole),
    ):
        cuts = statistics.quantiles(times, n=100)
        sys.stdout.write(f"{what}: p50 {cuts[49] * 1e3:.2f} ms, p99 {cuts[98] * 1e3:.2f} ms\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
