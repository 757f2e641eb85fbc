"""After a SIGKILL the relay goes off by the daemon's saved lines, in any state of the settings."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness import GOOD, PINS


def failsafe_of(pid):
    (failsafe,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(failsafe)


def test_after_a_kill_another_process_switches_the_relay_off(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}}).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    failsafe, killed_at = failsafe_of(gym.pid), time.monotonic()
    gym.kill9()
    assert gym.until_pin(PINS["main"]["relay"], 0, after=killed_at).pid == failsafe


def test_a_line_that_cannot_be_driven_leaves_no_other_relay_on(gym):
    gym = gym(doors={name: {"open_ms": 60_000} for name in PINS}).start()
    for door in PINS:
        assert gym.ask("wellhub", GOOD["wellhub"], door)["result"] == "admitted"
    gym.fail("17")
    failsafe, killed_at = failsafe_of(gym.pid), time.monotonic()
    gym.kill9()
    assert gym.until_pin(PINS["side"]["relay"], 0, after=killed_at).pid == failsafe
    failed = "main: the relay is not off: pin 17 cannot be driven: GPIO17 does not answer"
    assert gym.stderr.count(failed) == 1


def test_a_daemon_without_its_failsafe_process_ends_in_order(gym):
    gym = gym(doors={"main": {"open_ms": 60_000}}).start()
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    daemon = gym.pid
    os.kill(failsafe_of(daemon), signal.SIGKILL)
    assert gym.wait() == 1
    assert any(line.startswith("the failsafe process has ended: ") for line in gym.stderr)
    assert gym.pins(PINS["main"]["relay"], pid=daemon)[-1].level in {0, None}


def test_at_an_end_in_order_no_other_process_touches_a_pin(gym):
    gym = gym().start()
    failsafe = failsafe_of(gym.pid)
    assert gym.terminate() == 0
    assert gym.pins(pid=failsafe) == []
    assert not Path(f"/proc/{failsafe}").exists()


def test_relay_off_needs_no_settings_after_a_kill(gym, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    place = {"RUNTIME_DIRECTORY": str(runtime)}
    gym = gym(doors={"main": {"open_ms": 60_000}}).start(**place)
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    killed = gym.pid
    gym.signal(signal.SIGSTOP)  # else it would notice, and end in order
    os.kill(failsafe_of(gym.pid), signal.SIGKILL)  # it is the first to switch the relay off; this the last
    gym.kill9()
    gym.settings.write_text("no longer TOML", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "gatectl", "relay", "off"],
        env=gym.environment | place | {"GATECTL_CONFIG": str(gym.settings)},
        capture_output=True,
        text=True,
        check=False,
        pass_fds=[gym._pins_end],
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "main: relay off\n", "")
    last = [change for change in gym.pins(PINS["main"]["relay"]) if change.level is not None][-1]
    assert last.level == 0
    assert last.pid != killed


def test_the_last_step_imports_no_more_than_a_relay_needs():
    """Imports are most of the time that a gate stays open after a kill of the whole service."""
    source = "import sys, gatectl.cli.relay; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    modules = set(loaded.stdout.split())
    parts = {name.split(".")[1] for name in modules if name.startswith("gatectl.")}
    assert parts == {"cli", "devices", "errors"}
    assert not modules & {"argparse", "asyncio", "gatectl.config.model", "tomli"}
