import os
import subprocess
import sys

import pytest
from machines import Machine, make_wheelhouse, tool


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory):
    return make_wheelhouse(tmp_path_factory.mktemp("install") / "wheels")


@pytest.fixture(scope="session")
def first_install(tmp_path_factory, wheelhouse):
    """A system with gatectl just installed, and what the installer said; the tests work on copies."""
    if os.geteuid() != 0:
        pytest.skip("the installer needs root")
    tool("systemctl", "systemd-sysusers", "systemd-tmpfiles", "journalctl", "install", "flock")
    same = f"import sys, ensurepip; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    python = subprocess.run(["/usr/bin/python3", "-c", same], capture_output=True, check=False)
    if python.returncode:
        pytest.skip("the system's Python is not the tests', or cannot make environments (python3-venv)")
    machine = Machine(tmp_path_factory.mktemp("install") / "machine")
    said = machine.install("--wheelhouse", wheelhouse)
    return machine, said


@pytest.fixture
def machine(first_install, tmp_path):
    subprocess.run(["cp", "-a", first_install[0].root, tmp_path / "machine"], check=True)
    return Machine(tmp_path / "machine")
