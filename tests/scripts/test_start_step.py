"""The service's own steps: the pauses between starts that fail, and the environment after another Python."""

import os
import subprocess

import pytest
from machines import SYSTEM

CLOCK = 'printf "slept\\n" >>{folder}/slept\n{when}'
"""In place of sleep: counts the seconds, and may do something in one of them."""


class Start:
    """`gatectl-start` on settings of our own, with seconds that cost nothing."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("bin", "settings", "starts"):
            (folder / name).mkdir()
        (folder / "settings/gatectl.toml").touch()
        text = (SYSTEM / "gatectl-start").read_text()
        for path, ours in (
            ("/run/gatectl-starts", folder / "starts"),
            ("/etc/gatectl", folder / "settings"),
        ):
            assert path in text
            text = text.replace(path, str(ours))
        self.script = folder / "gatectl-start"
        self.script.write_text(text)
        self.in_second()

    def in_second(self, number=0, what="true"):
        when = f'[ "$(wc -l <{self.folder}/slept)" = {number} ] && {what}; true'
        self._command("sleep", CLOCK.format(folder=self.folder, when=when))

    def _command(self, name, text):
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, step, **environ):
        """The exit status, and how many seconds it paused."""
        (self.folder / "slept").write_text("")
        done = subprocess.run(
            ["/bin/sh", self.script, step],
            env={"PATH": f"{self.folder}/bin:{os.environ['PATH']}"} | environ,
            check=False,
        )
        return done.returncode, len((self.folder / "slept").read_text().splitlines())


@pytest.fixture
def start(tmp_path):
    return Start(tmp_path)


def wrong(start):
    """The pause after one more end with 78, and how it ended."""
    return start.run("ended", EXIT_STATUS="78")


def test_the_pauses_between_failed_starts_grow_and_stay_under_the_stop_timeout(start):
    assert [wrong(start) for _ in range(8)] == [(0, s) for s in (0, 2, 4, 8, 16, 32, 32, 32)]


@pytest.mark.parametrize("file", ["gatectl.toml", "key"])
def test_a_change_in_the_settings_folder_ends_the_pause(start, file):
    for _ in range(5):
        wrong(start)
    start.in_second(3, f"echo '#' >>{start.folder}/settings/{file}")
    assert wrong(start) == (0, 3)


@pytest.mark.parametrize("status", ["0", "1", "KILL", "ABRT"])
def test_after_any_other_end_the_count_restarts_and_the_next_start_comes_at_once(start, status):
    for _ in range(4):
        wrong(start)
    assert start.run("ended", EXIT_STATUS=status) == (0, 0)
    assert wrong(start) == (0, 0)


# Another Python.


def step(machine, tmp_path):
    """Runs the service's step on a system below a folder."""
    text = (SYSTEM / "gatectl-venv").read_text()
    assert "prefix=/opt/gatectl\n" in text
    script = tmp_path / "gatectl-venv"
    script.write_text(text.replace("prefix=/opt/gatectl\n", f"prefix={machine.path('/opt/gatectl')}\n"))
    return subprocess.run(["bash", script], capture_output=True, text=True, check=False)


def for_another_python(machine):
    """As it is after an upgrade of the system: the packages are where the old Python looks for them."""
    (lib,) = machine.path("/opt/gatectl/current/lib").glob("python3.*")
    lib.rename(lib.with_name("python3.2"))


def test_the_step_does_nothing_where_the_environment_fits(machine, tmp_path):
    before = machine.current
    done = step(machine, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert machine.current == before


def test_after_another_python_the_environment_is_rebuilt_from_the_kept_wheels(machine, tmp_path, wheelhouse):
    before = machine.current
    for_another_python(machine)
    done = step(machine, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "gatectl was installed for another Python" in done.stderr
    assert machine.current.startswith(f"{before}-python3.")
    run = [machine.path("/opt/gatectl/current/bin/gatectl"), "--version"]
    assert subprocess.run(run, capture_output=True, check=False, cwd="/").returncode == 0
    assert step(machine, tmp_path).stderr == ""
    rebuilt = machine.current
    machine.install("--wheelhouse", wheelhouse)
    assert machine.current == rebuilt


def test_if_the_wheels_do_not_suffice_it_names_the_remedy_and_changes_nothing(machine, tmp_path):
    before = machine.current
    for_another_python(machine)
    for path in machine.path("/opt/gatectl/current/wheels").glob("h11-*"):
        path.unlink()
    done = step(machine, tmp_path)
    assert done.returncode == 1
    error, *hints = done.stderr.splitlines()[-3:]
    assert error.startswith("gatectl was installed for another Python than python3.")
    assert all(hint.startswith("hint: ") for hint in hints)
    assert "scripts/install" in hints[-1]
    assert machine.current == before
