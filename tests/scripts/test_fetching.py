"""How a version is fetched: what the locks name, each file by its hash, and nothing else."""

import hashlib
import os
import shutil
import subprocess
import tomllib

import pytest
from machines import ROOT, locked, make_wheelhouse, wheel

BACKEND = """
import os, shutil
def build_wheel(folder, config_settings=None, metadata_directory=None):
    made = os.environ["MADE_WHEEL"]
    shutil.copy(made, folder)
    return os.path.basename(made)
"""
"""In place of hatchling: building is quick, and offline."""


class Checkout:
    """A checkout whose locks name hollow packages, in a folder that is the only index there is."""

    def __init__(self, folder):
        self.root, self.index, self.dest = folder / "checkout", folder / "index", folder / "system"
        self.root.mkdir()
        for name in ("gatectl", "scripts", "systemd", "config"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.root)
        (self.dest / "opt/gatectl/versions").mkdir(parents=True)
        make_wheelhouse(self.index)
        (self.made,) = self.index.glob("gatectl-*")
        self.made = self.made.rename(folder / self.made.name)
        wheel(self.index, "hatchling", locked("build.lock")["hatchling"][0], {"hatchling/build.py": BACKEND})
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        needed = project["dependencies"] + project["optional-dependencies"]["uplink"]
        self.names = {path.name.split("-")[0] for path in self.index.iterdir()}
        assert len(self.names) == len(needed) + 1
        self.write_locks()

    def write_locks(self):
        lines = {path: self._line(path) for path in sorted(self.index.iterdir())}
        for name, is_build in (("requirements.lock", False), ("build.lock", True)):
            text = "".join(line for path, line in lines.items() if ("hatchling" in path.name) is is_build)
            (self.root / "config" / name).write_text(text)

    def _line(self, path):
        name, version, *_ = path.name.split("-")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{digest}\n"

    def make(self):
        """Makes a version as the installer does on a system that has none of the modules built."""
        script = (
            f"source {self.root}/scripts/install; read_arguments --root {self.dest}; "
            "has_module() { false; }; version=$(version_of_sources); make_version here"
        )
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; {script}"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.dest),
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(self.index),
                "MADE_WHEEL": str(self.made),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def version(self):
        return self.dest / "opt/gatectl/versions/here"


@pytest.fixture
def checkout(tmp_path):
    python = ["/usr/bin/python3", "-c", "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"]
    if subprocess.run(python, capture_output=True, check=False).returncode:
        pytest.skip("the system's Python is too old, or cannot make virtual environments (python3-venv)")
    return Checkout(tmp_path)


def test_a_version_is_made_of_what_the_locks_name_and_its_wheels_are_kept(checkout):
    done = checkout.make()
    assert done.returncode == 0, done.stderr
    kept = {path.name for path in (checkout.version / "wheels").glob("*.whl")}
    assert kept == {path.name for path in checkout.index.iterdir() if "hatchling" not in path.name} | {
        checkout.made.name
    }
    assert (checkout.version / "bin/gatectl").exists()
    assert not (checkout.version / "build").exists()
    assert not list(checkout.version.glob("lib/python3.*/site-packages/hatchling"))


@pytest.mark.parametrize("name", ["h11", "hatchling"])
def test_a_file_with_another_hash_is_refused(checkout, name):
    (path,) = checkout.index.glob(f"{name}-*")
    with path.open("ab") as file:
        file.write(b"\0")  # a zip file may end so
    done = checkout.make()
    assert done.returncode == 1
    assert "HASH" in done.stderr.upper()
    assert "nothing was changed" in done.stderr
    assert not (checkout.version / ".complete").exists()


def test_a_package_that_no_lock_names_is_not_fetched(checkout):
    lock = checkout.root / "config/requirements.lock"
    text = lock.read_text()
    start = text.index("h11==")
    lock.write_text(text[:start] + text[text.index("\n", text.index("--hash", start)) + 1 :])
    done = checkout.make()
    assert done.returncode == 1
    assert "h11" in done.stderr
    assert not (checkout.version / ".complete").exists()
