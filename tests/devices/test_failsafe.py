"""The failsafe process switches the relays off when the daemon cannot."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

LGPIO = """
import os, signal
os.write(1, b"loaded\\n")
SET_PULL_UP, SET_PULL_DOWN = 32, 64
faults = os.environ.get("FAULTS", "").split()
def say(*words): os.write(1, f"{words}\\n".encode())
def gpiochip_open(chip):
    say("open", chip)
    if "chip" in faults: raise OSError("can not open gpiochip")
    return 5
def gpio_claim_output(handle, pin, level, flags=0):
    if f"{pin}:busy" in faults: raise OSError("GPIO busy")
    if f"{pin}:no-pulls" in faults and flags: raise OSError("no pulls")
    say("claim", handle, pin, level, flags)
    if f"{pin}:hangs" in faults:
        say("limited", 0 < signal.setitimer(signal.ITIMER_REAL, 0)[0] <= 100)
        signal.raise_signal(signal.SIGALRM)  # as the alarm does in the end
def gpiochip_close(handle): say("close", handle)
"""
"""As much of the driver as switches a relay off, saying what it is asked."""

DAEMON = """
import os, signal, sys
from gatectl.devices.gpio import failsafe
failsafe._LIMIT_S = 100  # no busy machine reaches it
with failsafe.spawned() as last:
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    last.arm("lgpio", 4, {lines})
    sys.stdin.readline()
print("ended", flush=True)
"""
LINES = [("main", 17, 0), ("side", 27, 1)]
MAIN, SIDE = "('claim', 5, 17, 0, 64)", "('claim', 5, 27, 1, 32)"
LIMITED = "('limited', True)"
OFF = ["('open', 4)", MAIN, SIDE, "('close', 5)"]
"""Each line is driven off, with its pull towards off."""


@contextmanager
def running(folder, faults=""):
    (folder / "lgpio.py").write_text(LGPIO)
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON.format(lines=LINES)],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "FAULTS": faults},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
        process_group=0,
    ) as process:
        process.number = int(process.stdout.readline())
        yield process
        process.kill()


@pytest.fixture
def daemon(tmp_path):
    with running(tmp_path) as process:
        yield process


def armed(daemon):
    daemon.stdin.write("\n")
    assert daemon.stdout.readline() == "loaded\n", "the driver is ready before it is needed"


def failsafe_of(daemon):
    (failsafe,) = Path(f"/proc/{daemon.number}/task/{daemon.number}/children").read_text().split()
    return int(failsafe)


def said(daemon):
    """All that is said up to the end of both processes."""
    return daemon.stdout.read().splitlines()


def test_after_a_kill_every_line_goes_off(daemon):
    armed(daemon)
    daemon.kill()
    assert said(daemon) == OFF


def test_an_end_in_order_touches_no_pin(daemon):
    armed(daemon)
    daemon.stdin.write("\n")
    assert said(daemon) == ["ended"]
    assert daemon.wait() == 0


def test_a_daemon_that_died_before_it_had_a_relay_leaves_nothing_to_do(daemon):
    daemon.kill()
    assert said(daemon) == []


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "QUIT"])
def test_signals_that_end_the_daemon_do_not_end_it(daemon, name):
    """systemd sends its signals to every process of the service, and a terminal to all of its group."""
    armed(daemon)
    os.kill(failsafe_of(daemon), signal.Signals[f"SIG{name}"])
    daemon.kill()
    assert said(daemon) == OFF


def test_the_watchdogs_signal_ends_a_daemon_that_cannot_take_it(daemon):
    armed(daemon)
    daemon.send_signal(signal.SIGSTOP)
    os.kill(failsafe_of(daemon), signal.SIGABRT)
    assert said(daemon) == OFF
    assert daemon.wait() == -signal.SIGKILL


def test_the_watchdogs_signal_may_come_when_the_daemon_is_gone(daemon):
    armed(daemon)
    failsafe = failsafe_of(daemon)
    os.kill(failsafe, signal.SIGSTOP)
    daemon.kill()
    daemon.wait()
    os.kill(failsafe, signal.SIGABRT)
    os.kill(failsafe, signal.SIGCONT)
    assert said(daemon) == OFF


def test_a_line_that_is_busy_leaves_no_other_on(tmp_path):
    with running(tmp_path, "17:busy") as daemon:
        armed(daemon)
        daemon.kill()
        assert said(daemon) == ["('open', 4)", SIDE, "('close', 5)"]
        assert daemon.stderr.read() == "main: the relay is not off: pin 17 cannot be driven: GPIO busy\n"


@pytest.mark.parametrize("hanging", [["main"], ["main", "side"]], ids=["one", "both"])
def test_a_line_whose_driver_hangs_leaves_no_other_on(tmp_path, hanging):
    pins = {door: pin for door, pin, _ in LINES}
    with running(tmp_path, " ".join(f"{pins[door]}:hangs" for door in hanging)) as daemon:
        armed(daemon)
        daemon.kill()
        lines = [OFF[0], MAIN, LIMITED, SIDE, *([LIMITED] if "side" in hanging else []), OFF[-1]]
        assert said(daemon) == lines
        assert daemon.stderr.read().splitlines() == [
            f"{door}: the relay is not off: pin {pins[door]} cannot be driven: the driver does not come back"
            for door in hanging
        ]


def test_a_chip_that_is_gone_is_said_for_every_line(tmp_path):
    with running(tmp_path, "chip") as daemon:
        armed(daemon)
        daemon.kill()
        assert said(daemon) == OFF[:1]
        assert daemon.stderr.read().splitlines() == [
            f"{door}: the relay is not off: pin {pin} cannot be driven: can not open gpiochip"
            for door, pin, _ in LINES
        ]


def test_a_line_that_has_no_pull_is_driven_off_all_the_same(tmp_path):
    with running(tmp_path, "17:no-pulls") as daemon:
        armed(daemon)
        daemon.kill()
        assert said(daemon) == ["('open', 4)", "('claim', 5, 17, 0, 0)", SIDE, "('close', 5)"]
        assert daemon.stderr.read() == ""
