"""What switches the relays off when the daemon cannot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

LGPIO = """
import os
os.write(1, b"loaded\\n")
def say(*words): os.write(1, f"{words}\\n".encode())
def gpiochip_open(chip): say("open", chip); return 5
def gpio_claim_output(handle, pin, level): say("claim", handle, pin, level)
def gpiochip_close(handle): say("close", handle)
"""
"""As much of the driver as switches a relay off, saying what it is asked."""

DAEMON = """
import os, signal, sys
from gatectl.devices.survivor import standing_by
with standing_by() as last:
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    last.know("lgpio", 4, {lines})
    sys.stdin.readline()
print("ended", flush=True)
"""
LINES = [("main", 17, 0), ("side", 27, 1)]
OFF = ["('open', 4)", "('claim', 5, 17, 0)", "('claim', 5, 27, 1)", "('close', 5)"]


@pytest.fixture
def daemon(tmp_path):
    (tmp_path / "lgpio.py").write_text(LGPIO)
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON.format(lines=LINES)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        process_group=0,
    ) as process:
        process.number = int(process.stdout.readline())
        yield process
        process.kill()


def knows(daemon):
    daemon.stdin.write("\n")
    assert daemon.stdout.readline() == "loaded\n", "the driver is ready before it is needed"


def survivor_of(daemon):
    (survivor,) = Path(f"/proc/{daemon.number}/task/{daemon.number}/children").read_text().split()
    return int(survivor)


def said(daemon):
    """All that is said up to the end of both processes."""
    return daemon.stdout.read().splitlines()


def test_after_a_kill_every_line_goes_off(daemon):
    knows(daemon)
    daemon.kill()
    assert said(daemon) == OFF


def test_an_end_in_order_touches_no_pin(daemon):
    knows(daemon)
    daemon.stdin.write("\n")
    assert said(daemon) == ["ended"]
    assert daemon.wait() == 0


def test_a_daemon_that_died_before_it_had_a_relay_leaves_nothing_to_do(daemon):
    daemon.kill()
    assert said(daemon) == []


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_what_ends_the_daemon_does_not_end_it(daemon, name):
    """systemd sends its signals to every process of the service, and a terminal to all of its group."""
    knows(daemon)
    os.kill(survivor_of(daemon), signal.Signals[f"SIG{name}"])
    daemon.kill()
    assert said(daemon) == OFF


def test_the_watchdogs_signal_ends_a_daemon_that_cannot_take_it(daemon):
    knows(daemon)
    daemon.send_signal(signal.SIGSTOP)
    os.kill(survivor_of(daemon), signal.SIGABRT)
    assert said(daemon) == OFF
    assert daemon.wait() == -signal.SIGKILL


def test_the_watchdogs_signal_may_come_when_the_daemon_is_gone(daemon):
    knows(daemon)
    survivor = survivor_of(daemon)
    os.kill(survivor, signal.SIGSTOP)
    daemon.kill()
    daemon.wait()
    os.kill(survivor, signal.SIGABRT)
    os.kill(survivor, signal.SIGCONT)
    assert said(daemon) == OFF
