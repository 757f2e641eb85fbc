"""The packages that scripts/setup.sh installs: the tests' for the tests alone, only with permission."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "scripts" / "setup.sh"
NOBODY = 65534
IS_UBUNTU = "ID=ubuntu\n" in Path("/etc/os-release").read_text("utf-8")

pytestmark = pytest.mark.skipif(IS_UBUNTU, reason="Ubuntu's browser is a snap, which the set-up leaves alone")


@pytest.fixture
def system(open_folder):
    """A checkout on a system that lacks a browser; its apt-get writes down what it was to do."""
    commands = open_folder / "commands"
    commands.mkdir()
    write_command(commands / "apt-get", f'printf "%s\\n" "$*" >>{open_folder}/asked')
    write_command(commands / "sudo", "exit 1")
    for name in ("chromium", "chromium-browser"):
        write_command(commands / name, "exit 1")  # as Ubuntu's does
    present = ("fish", "git", "groff", "initdb", "ip", "man", "mandoc", "mosquitto", "shellcheck")
    for name in (*present, "systemctl", "zsh"):
        write_command(commands / name, "exit 0")
    # Has all that is looked for, and makes no environment: what is of interest is over then.
    write_command(commands / "python3", "case $1 in -c) exit 0;; *) exit 1;; esac")
    scripts = open_folder / "scripts"
    scripts.mkdir()
    shutil.copy(SETUP, scripts)
    (open_folder / "pyproject.toml").touch()
    (open_folder / "asked").touch(mode=0o666)
    return open_folder


def write_command(path, what):
    path.write_text(f"#!/bin/sh\n{what}\n")
    path.chmod(0o755)


def run(system, what, **more):
    return subprocess.run(
        ["bash", "-euc", f"source {system}/scripts/setup.sh; {what}"],
        env=os.environ | {"PATH": f"{system}/commands:{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        **more,
    )


def asked(system):
    return (system / "asked").read_text("utf-8")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may install packages")


@needs_root
def test_the_tests_get_a_browser(system):
    done = run(system, "set_up test")
    assert "the virtual environment could not be made" in done.stderr
    assert "install --no-install-recommends chromium\n" in asked(system)


@needs_root
def test_a_demo_gets_none(system):
    done = run(system, "set_up ''")
    assert "the virtual environment could not be made" in done.stderr
    assert "chromium" not in asked(system)


def test_a_user_who_may_not_install_sees_the_commands_and_setup_goes_on(system):
    as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = run(system, "install_for_tests; echo went on", **as_nobody)
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "needs root: " in done.stderr
    assert "hint: sudo apt-get update && sudo apt-get install " in done.stderr
    assert "chromium" in done.stderr
    assert "the tests that need these packages will be skipped" in done.stderr
    assert asked(system) == ""


def test_a_machine_with_all_of_them_is_asked_for_nothing(system):
    write_command(system / "commands" / "chromium", "exit 0")
    done = run(system, "install_for_tests")
    assert (done.returncode, done.stderr, asked(system)) == (0, "", "")


@needs_root
@pytest.mark.parametrize(("is_there", "status"), [(False, 1), (True, 0)])
def test_ci_fails_where_tests_would_be_skipped(system, is_there, status):
    ci = system / ".ci"
    ci.mkdir()
    shutil.copy(SETUP.parents[1] / ".ci" / "run", ci)
    write_command(system / "scripts" / "test", "echo the tests run")
    if is_there:
        write_command(system / "commands" / "chromium", "exit 0")
    # As after a set-up that could not install it.
    (system / ".venv/bin").mkdir(parents=True)
    (system / ".venv/bin/python").symlink_to(sys.executable)
    run(system, 'stamp_now >"$venv/.set-up-test"')
    done = subprocess.run(
        [ci / "run"],
        env=os.environ | {"PATH": f"{system}/commands:{os.environ['PATH']}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert ("the tests run" in done.stdout) == is_there
    assert is_there or "tests would be skipped for want of packages: chromium" in done.stderr
