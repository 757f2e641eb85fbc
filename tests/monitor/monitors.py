"""Running monitors, and a gym to look at."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager

from gatectl.sim.door import SETTINGS

NET_S = 30.0


@contextmanager
def monitor(settings, *arguments):
    """`gatectl monitor` as a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gatectl", "monitor", "-c", settings, "--listen", "127.0.0.1:0", *arguments],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
    )
    try:
        line = process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + process.stderr.read()
        yield found[0]
    finally:
        process.terminate()
        rest = process.stderr.read()
        process.stderr.close()
        assert (process.wait(NET_S), rest) == (0, "")


def write_closed_gym(folder):
    settings = folder / "gatectl.toml"
    settings.write_text(SETTINGS.format(partners=PARTNERS), "utf-8")
    return settings


PARTNERS = """
[partners.wellhub]
protocol = "wellhub"
gym_id = "1"
key = { file = "wellhub" }
status_page = "https://status.example.com"
[partners.perfectgym]
protocol = "perfectgym"
url = "https://api.example.com/"
aggregator_id = "1"
key = { file = "perfectgym" }
[partners.capitan]
protocol = "capitan"
key = { file = "capitan" }
"""
