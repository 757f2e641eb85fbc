"""scripts/install on a system below a folder: what it places, what it leaves alone, what fails."""

import os
import stat
import subprocess

import pytest
from machines import CATALOG, MAN, ROOT, SYSTEM, UDEV, UNITS, make_wheelhouse, tool

from gatectl.cli.completion import SHELLS, script

PLACED = {
    "/opt/gatectl/current",
    "/usr/lib/systemd/system/gatectl-monitor.service",
    "/usr/lib/systemd/system/gatectl-uplink.service",
    "/usr/lib/systemd/system/gatectl.service",
    "/usr/lib/systemd/system/gatectl-backup.service",
    "/usr/lib/systemd/system/gatectl-backup.timer",
    "/usr/lib/systemd/system/gatectl-devices.path",
    "/usr/lib/systemd/system/gatectl-devices.service",
    "/usr/lib/sysusers.d/gatectl.conf",
    "/usr/lib/tmpfiles.d/gatectl.conf",
    "/usr/lib/sysctl.d/60-gatectl.conf",
    "/usr/lib/systemd/system.conf.d/60-gatectl.conf",
    "/usr/lib/gatectl/gatectl-venv",
    "/usr/lib/gatectl/gatectl-backup",
    "/usr/lib/gatectl/gatectl-start",
    "/usr/lib/udev/gatectl-is-scanner",
    "/usr/lib/udev/gatectl-is-chip",
    "/usr/lib/udev/rules.d/72-gatectl-scanners.rules",
    "/usr/lib/udev/rules.d/99-gatectl.rules",
    "/usr/lib/systemd/catalog/gatectl.catalog",
    "/usr/lib/systemd/catalog/gatectl.de.catalog",
    "/usr/share/bash-completion/completions/gatectl",
    "/usr/share/zsh/vendor-completions/_gatectl",
    "/usr/share/fish/vendor_completions.d/gatectl.fish",
    "/usr/share/man/man1/gatectl.1",
    "/usr/share/man/man1/gatectl-fleet.1",
    "/usr/share/man/man1/gatectl-uplink.1",
    "/usr/share/man/man5/gatectl.toml.5",
    "/usr/share/man/man5/gatectl-events.5",
    "/usr/share/man/man7/gatectl-wiring.7",
    "/usr/local/bin/gatectl",
    "/etc/gatectl/gatectl.toml.sample",
    "/etc/gatectl/gatectl.schema.json",
    "/etc/systemd/system/multi-user.target.wants/gatectl.service",
    "/etc/systemd/system/multi-user.target.wants/gatectl-devices.path",
}
SETTINGS = "/etc/gatectl/gatectl.toml"
SYSTEMS_OWN = {
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/var/lib/systemd/catalog/database",
}
"""Made by systemd's tools, for the user and for `journalctl -x`."""
LOCKS = {"/etc/.pwd.lock"}

WITH_KEYS = "# ours\n"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def last_lines(said):
    """The error: one line, then hints."""
    lines = said.splitlines()
    first_hint = next(number for number, line in enumerate(lines) if line.startswith("hint: "))
    assert all(line.startswith("hint: ") for line in lines[first_hint:])
    return lines[first_hint - 1]


@pytest.mark.parametrize(
    "path",
    [
        "scripts/fleet-bench",
        "scripts/fleet-demo",
        "scripts/install",
        "scripts/lock",
        "systemd/udev/gatectl-is-scanner",
        "systemd/system/gatectl-venv",
        "systemd/system/gatectl-start",
        "systemd/system/gatectl-backup",
    ],
)
def test_the_scripts_are_sound(path):
    shell = (ROOT / path).read_text().splitlines()[0].split("/")[-1].split()[-1]
    subprocess.run([shell, "-n", ROOT / path], check=True)
    subprocess.run([tool("shellcheck"), "-x", ROOT / path], check=True)
    assert os.access(ROOT / path, os.X_OK)


def test_everything_for_the_system_is_placed(machine):
    assert machine.files() - SYSTEMS_OWN - LOCKS == PLACED | {SETTINGS}
    placed = {
        machine.path(path).read_bytes() for path in PLACED if path.startswith(("/usr/lib/", "/usr/share/"))
    }
    folders = (UNITS, UDEV, SYSTEM, CATALOG, MAN)
    files = {path.read_bytes() for folder in folders for path in folder.iterdir()}
    assert placed == files | {script(shell).encode() for shell in SHELLS}


def test_a_first_install(first_install):
    machine, said = first_install
    assert "gatectl check --devices --connect" in said

    version = machine.path(f"/opt/gatectl/versions/{machine.current}")
    # The commands are those of the system that it is for, not of this one.
    assert (
        (version / "bin/gatectl")
        .read_text()
        .startswith(f"#!/opt/gatectl/versions/{machine.current}/bin/python")
    )
    subprocess.run([version / "bin/python", "-I", "-m", "gatectl", "--version"], check=True, cwd="/")
    assert str(machine.root) not in (version / "pyvenv.cfg").read_text()
    # The service cannot write byte code, and must not need to.
    assert list(version.glob("lib/python3.*/site-packages/gatectl/__pycache__/*.pyc"))

    assert str(machine.path("/usr/local/bin/gatectl").readlink()) == "/opt/gatectl/current/bin/gatectl"
    sample = (ROOT / "config/gatectl.toml").read_text()
    assert machine.path(SETTINGS).read_text() == sample
    assert mode(machine.path("/usr/lib/udev/gatectl-is-scanner")) == 0o755
    assert mode(machine.path("/usr/lib/systemd/system/gatectl.service")) == 0o644


def test_users_and_folders(machine):
    user = next(
        line.split(":")
        for line in machine.path("/etc/passwd").read_text().splitlines()
        if line.startswith("gatectl:")
    )
    uid, gid = int(user[2]), int(user[3])
    assert user[6] == "/usr/sbin/nologin"
    for path, owner in (("/etc/gatectl", 0), ("/etc/gatectl/secrets", 0), ("/var/lib/gatectl", uid)):
        folder = machine.path(path)
        assert (folder.stat().st_uid, folder.stat().st_gid, mode(folder)) == (owner, gid, 0o750)


def test_a_repeated_installation_rebuilds_nothing(machine, wheelhouse):
    machine.path(SETTINGS).write_text(WITH_KEYS)
    before = machine.current
    made = machine.path(f"/opt/gatectl/versions/{before}/.complete").stat()
    machine.install("--wheelhouse", wheelhouse)
    assert machine.current == before
    assert machine.path(f"/opt/gatectl/versions/{before}/.complete").stat() == made
    assert machine.path(SETTINGS).read_text() == WITH_KEYS


def test_the_uplinks_packages_are_there_only_where_the_settings_have_an_uplink(machine, wheelhouse):
    packages = "lib/python3.*/site-packages/aiomqtt-*"
    assert not list(machine.path(f"/opt/gatectl/versions/{machine.current}").glob(packages))
    machine.path(SETTINGS).write_text("[uplink]\n")
    machine.install("--wheelhouse", wheelhouse)
    assert list(machine.path(f"/opt/gatectl/versions/{machine.current}").glob(packages))


def test_an_uplink_whose_packages_are_not_in_the_wheelhouse_is_an_error(machine, tmp_path):
    before = machine.current
    without = make_wheelhouse(tmp_path / "without", without=("aiomqtt",))
    said = machine.install("--wheelhouse", without, "--uplink", status=1)
    assert "there is no aiomqtt in" in said
    assert last_lines(said).endswith("and nothing was changed")
    assert machine.versions == {before}


def test_a_rebuilt_version_stays_current(machine, wheelhouse):
    before = machine.current
    machine.install("--wheelhouse", wheelhouse, "--rebuild")
    rebuilt = machine.current
    assert machine.versions == {before, rebuilt}
    assert rebuilt != before
    machine.install("--wheelhouse", wheelhouse)
    assert machine.current == rebuilt


def test_upgrades_keep_the_settings_and_the_version_before(machine, tmp_path):
    first = machine.current
    machine.path(SETTINGS).write_text(WITH_KEYS)
    machine.path("/etc/gatectl/gatectl.toml.sample").write_text("an older sample")

    newer = make_wheelhouse(tmp_path / "newer", change={"gatectl/new.py": ""})
    machine.install("--wheelhouse", newer)
    second = machine.current
    assert machine.versions == {first, second}
    assert second != first
    assert machine.path(SETTINGS).read_text() == WITH_KEYS
    sample = (ROOT / "config/gatectl.toml").read_text()
    assert machine.path("/etc/gatectl/gatectl.toml.sample").read_text() == sample

    newest = make_wheelhouse(tmp_path / "newest", change={"gatectl/newer.py": ""})
    machine.install("--wheelhouse", newest)
    assert machine.versions == {second, machine.current}


BROKEN = {
    "a package is missing": {"without": ("h11",)},
    "gatectl does not run": {"change": {"gatectl/cli/main.py": "raise RuntimeError"}},
    "one of its commands does not": {"change": {"gatectl/cli/relay.py": "raise RuntimeError"}},
}


@pytest.mark.parametrize("flaw", BROKEN)
def test_a_failed_upgrade_changes_nothing(machine, tmp_path, flaw):
    before, files = machine.current, machine.files()
    unit = machine.path("/usr/lib/systemd/system/gatectl.service")
    unit.write_text("the old one")

    broken = make_wheelhouse(tmp_path / "broken", **BROKEN[flaw])
    said = machine.install("--wheelhouse", broken, status=1)
    assert last_lines(said).endswith("and nothing was changed")
    assert machine.current == before
    assert machine.versions == {before}
    assert machine.files() == files
    assert unit.read_text() == "the old one"


def test_a_version_that_was_cut_short_is_made_again(machine, wheelhouse):
    version = machine.path(f"/opt/gatectl/versions/{machine.current}")
    (version / ".complete").unlink()
    (version / "bin/gatectl").unlink()
    machine.install("--wheelhouse", wheelhouse)
    assert (version / "bin/gatectl").exists()


def test_uninstall_keeps_settings_keys_and_journal(machine, wheelhouse):
    kept = {
        SETTINGS: WITH_KEYS,
        "/etc/gatectl/secrets/wellhub": "k3y",
        "/var/lib/gatectl/journal.db": "events",
    }
    for path, text in kept.items():
        machine.path(path).write_text(text)
    for _ in range(2):
        machine.install("--uninstall")
        assert machine.files() - SYSTEMS_OWN - LOCKS == set(kept)
        assert not machine.path("/opt/gatectl").exists()
    assert {path: machine.path(path).read_text() for path in kept} == kept

    machine.install("--wheelhouse", wheelhouse)
    assert {path: machine.path(path).read_text() for path in kept} == kept


def test_a_daily_backup_on_request_alone(machine, wheelhouse):
    enabled = "/etc/systemd/system/timers.target.wants/gatectl-backup.timer"
    assert enabled not in machine.files()
    assert "/var/lib/gatectl-backups" in machine.install("--wheelhouse", wheelhouse, "--daily-backup")
    machine.install("--wheelhouse", wheelhouse)
    assert enabled in machine.files()
    machine.install("--uninstall")
    assert enabled not in machine.files()


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["--wheelhouse"], ["--wheelhouse", "/no such folder"], ["--root", "/no such folder"]],
)
def test_wrong_usage(arguments):
    done = subprocess.run(
        [ROOT / "scripts/install", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == ["hint: scripts/install --help"]
