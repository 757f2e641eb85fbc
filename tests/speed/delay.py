"""A line of a given length between two tun devices: `python -m speed.delay FD FD DELAY_MS`.

Replaces `tc netem` where the kernel has none. Every packet goes on after the delay, in either direction. A
line on its standard input that says `down` makes it lose all packets, `up` none; each is answered by itself.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

PACKET = 65536


def main() -> None:
    """Runs until its input ends."""
    ends = int(sys.argv[1]), int(sys.argv[2])
    delay_s = float(sys.argv[3]) / 1000
    on_the_way: deque[tuple[float, int, bytes]] = deque()
    is_up = True
    for end in ends:
        os.set_blocking(end, False)
    while True:
        pause_s = max(on_the_way[0][0] - time.monotonic(), 0) if on_the_way else None
        readable, _, _ = select.select([*ends, sys.stdin], [], [], pause_s)
        if sys.stdin in readable:
            said = os.read(sys.stdin.fileno(), 64)
            if not said:
                return
            is_up = said == b"up\n"
            os.write(sys.stdout.fileno(), said)
        due = time.monotonic() + delay_s
        for end, other in (ends, ends[::-1]):
            if end in readable:
                packets = _read(end)
                on_the_way.extend((due, other, packet) for packet in packets if is_up)
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, end, packet = on_the_way.popleft()
            os.write(end, packet)


def _read(end: int) -> list[bytes]:
    packets = []
    try:
        while True:
            packets.append(os.read(end, PACKET))
    except BlockingIOError:
        return packets


if __name__ == "__main__":
    main()
