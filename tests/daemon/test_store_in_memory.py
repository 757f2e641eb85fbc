"""A store in memory: `check` warns, and `status` is not well."""

import os
import shutil
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="there is no /dev/shm to write to")
def test_a_store_in_memory_is_reported(gym):
    folder = MEMORY / f"gatectl-test-{os.getpid()}"
    folder.mkdir()
    try:
        gym = gym(journal_folder=folder).start()
        assert gym.ask("wellhub", "1000000000200")["result"] == "admitted"
        assert gym.status()["journal"]["in_memory"] is True
        shown = gym.run("status").stdout
        assert "All is well" not in shown
        assert "outlives the power" in " ".join(shown.split())
        checked = gym.run("check")
        assert checked.returncode == 0
        assert "warning: journal.path: " in checked.stdout
        assert "will outlive the power" in checked.stdout
        assert gym.terminate() == 0
    finally:
        shutil.rmtree(folder)
