"""What a daemon brings with it: each module is memory for good, and time at each start of a door."""

from pathlib import Path


def test_a_running_daemon_has_nothing_that_it_does_not_need(gym):
    gym = gym().start(PYTHONPROFILEIMPORTTIME="1")
    mapped = Path(f"/proc/{gym.pid}/maps").read_text()
    gym.terminate()
    imported = {line.rpartition("|")[2].strip() for line in gym.stderr if line.startswith("import time:")}
    assert {"gatectl.daemon.serve", "gatectl.config.reader", "pydantic_core"} <= imported
    assert not imported & {"pydantic", "rich", "httpx", "cryptography", "trustme", "hypothesis"}
    assert "evdev" not in mapped, "no scanner here is a keyboard"
