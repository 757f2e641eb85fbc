"""The settings read in a process of their own: as if they were read here, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatectl.config import apart
from gatectl.config.problems import SettingsError
from gatectl.config.reader import load_with_keys

pytestmark = pytest.mark.usefixtures("key_file")


def children() -> set[int]:
    """The processes that this one has begun, ended ones included that nobody waited for."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_what_is_handed_over_is_what_was_read(write):
    path = write()
    assert apart.begin(str(path), {})() == load_with_keys(path, {})


def test_the_path_and_a_key_may_come_from_the_environment(write):
    path = write('gym_id = "0123"\nkey = { file = "key" }', 'gym_id = "0123"\nkey = { env = "WELLHUB" }')
    environ = {"GATECTL_CONFIG": str(path), "WELLHUB": "another"}
    assert apart.begin(None, environ)() == load_with_keys(path, environ)


def test_what_is_wrong_is_told_as_ever(write, refusal, capfd):
    path = write("open_ms", "open_sm", text='[doors.d]\nrelay = { pin = "1", open_ms = 1 }\n')
    with pytest.raises(SettingsError) as caught:
        apart.begin(str(path), {})()
    assert caught.value.lines() == refusal(path, {}).lines()
    assert capfd.readouterr() == ("", "")


def test_more_settings_than_a_pipe_holds(write):
    tenant = "x" * 200_000
    path = write("FitCo GmbH", tenant)
    settings, _ = apart.begin(str(path), {})()
    assert settings.site.tenant == tenant


def test_a_reader_that_dies_is_replaced_and_none_is_left(write, tmp_path):
    before = children()
    path = tmp_path / "gatectl.toml"
    os.mkfifo(path)  # and nobody writes into it: its reader waits
    result = apart.begin(str(path), {})
    (reader,) = children() - before
    os.kill(reader, signal.SIGKILL)
    path.unlink()
    write()
    assert result() == load_with_keys(path, {})
    assert children() == before


def test_whoever_lets_the_kernel_take_ended_processes_is_served_too(write):
    path = write()
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert apart.begin(str(path), {})() == load_with_keys(path, {})
    finally:
        signal.signal(signal.SIGCHLD, handler)


def test_what_reading_needs_stays_apart(write):
    script = (
        "import sys; from gatectl.config import apart; apart.begin(sys.argv[1], {})(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script, write()], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "gatectl.config.model" in loaded
    assert not loaded & {"pydantic_core", "tomli", "gatectl.config.reader"}
