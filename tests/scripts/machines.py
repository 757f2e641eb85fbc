"""A system below a folder, and wheelhouses to install from."""

import base64
import hashlib
import re
import shutil
import subprocess
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from gatectl import __version__

ROOT = Path(__file__).parents[2]
UNITS, UDEV, SYSTEM, CATALOG = (ROOT / "systemd" / name for name in ("units", "udev", "system", "catalog"))
MAN = ROOT / "config/man"


def tool(*names):
    """Skips where this machine lacks one of them."""
    for name in names:
        if not shutil.which(name):
            pytest.skip(f"there is no {name} here")
    return names[0]


def wheel(folder, name, version, files, *, requires=(), extras=(), scripts=""):
    """A wheel with these files, written without a build tool."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    info = {
        f"{stem}.dist-info/METADATA": metadata,
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if scripts:
        info[f"{stem}.dist-info/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    record = ""
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        for path, text in (files | info).items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            record += f"{path},sha256={digest},{len(text.encode())}\n"
            archive.writestr(path, text)
        archive.writestr(f"{stem}.dist-info/RECORD", record + f"{stem}.dist-info/RECORD,,\n")


def locked(name="requirements.lock"):
    """The entries of a lock: package, version and the hashes of its files."""
    text = (ROOT / "config" / name).read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            requirement, *hashes = re.split(r"\s+--hash=", line.strip())
            package, version = requirement.partition(";")[0].strip().split("==")
            found[package] = (version, hashes)
    return found


def make_wheelhouse(folder, *, change=None, without=()):
    """The present gatectl, and hollow packages in place of those that it needs.

    The installer's own work is the same with them, and it is done in seconds, offline: what gatectl imports
    comes from this environment. `change` maps a file of the package to another text.
    """
    folder.mkdir()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    uplink = project["optional-dependencies"]["uplink"]
    needed = [re.split(r"[^\w-]", requirement)[0] for requirement in (*project["dependencies"], *uplink)]
    for name in needed:
        if name not in without:
            wheel(folder, name, locked()[name.lower()][0], {})
    package = {"environment-of-the-tests.pth": sysconfig.get_path("purelib")} | {
        str(path.relative_to(ROOT)): path.read_text()
        for path in sorted((ROOT / "gatectl").rglob("*"))
        if path.is_file() and path.suffix in {".py", ".sql"}
    }
    wheel(
        folder,
        "gatectl",
        __version__,
        package | (change or {}),
        requires=[*project["dependencies"], *(f"{one}; extra == 'uplink'" for one in uplink)],
        extras=["uplink"],
        scripts=f"gatectl = {project['scripts']['gatectl']}",
    )
    return folder


class Machine:
    """A system below a folder of its own, and the installer that works on it."""

    def __init__(self, root):
        self.root = root
        root.mkdir(exist_ok=True)

    def install(self, *arguments, status=0, root=None):
        """Runs the installer; what it says."""
        done = subprocess.run(
            [ROOT / "scripts" / "install", "--root", root or self.root, *arguments],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.root), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stderr

    def path(self, path):
        return self.root / path.lstrip("/")

    @property
    def current(self):
        """The name of the version that is current."""
        return self.path("/opt/gatectl/current").readlink().name

    @property
    def versions(self):
        return {path.name for path in self.path("/opt/gatectl/versions").iterdir()}

    def files(self):
        """Every file that is not the installed version's."""
        paths = (path for path in self.root.rglob("*") if path.is_symlink() or not path.is_dir())
        names = {f"/{path.relative_to(self.root)}" for path in paths}
        return {name for name in names if not name.startswith("/opt/gatectl/versions/")}
