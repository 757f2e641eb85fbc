"""After a SIGKILL the relay goes off by what the daemon wrote down, whatever became of the settings."""

import subprocess
import sys

from harness import GOOD, PINS


def test_relay_off_needs_no_settings_after_a_kill(gym, tmp_path):
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    place = {"RUNTIME_DIRECTORY": str(runtime)}
    gym = gym(doors={"main": {"open_ms": 60_000}}).start(**place)
    assert gym.ask("wellhub", GOOD["wellhub"])["result"] == "admitted"
    killed = gym.pid
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
