"""`gatectl uplink`: send events and health to a head office; make a certificate request; show how it goes."""

from __future__ import annotations

import argparse
import grp
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Never

import tomli

from gatectl.config import secrets, uplink_files
from gatectl.config.model import Settings, UplinkSettings
from gatectl.config.problems import SettingIssue
from gatectl.config.reader import find, load, located
from gatectl.daemon.control import WATCH_SOCKET
from gatectl.daemon.sd_notify import notify
from gatectl.errors import SUDO, GatectlError, visible
from gatectl.uplink.status_file import read_status, status_path
from gatectl.validators.addresses import broker_address

GROUP = "gatectl-uplink"
"""May read the key; `scripts/install` makes it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION")
    csr = actions.add_parser("csr", help="make a key and a certificate's request for head office")
    csr.set_defaults(action=_csr)
    status = actions.add_parser("status", help="connected or why not, how far behind, since when")
    status.add_argument("--json", action="store_true", help="one JSON object")
    status.set_defaults(action=_status)
    parser.set_defaults(action=_serve)


def run(args: argparse.Namespace) -> int:
    path = find(args.config, os.environ)
    settings = load(path, for_uplink=True)
    if settings.uplink is None:
        what = "there is no [uplink], so there is no head office"
        raise located(path, SettingIssue(("uplink",), what, ("gatectl.toml(5) shows its settings",)))
    status: int = args.action(args, path, settings, settings.uplink)
    return status


# --- Serving -------------------------------------------------------------------------------------


def _serve(_args: argparse.Namespace, path: Path, settings: Settings, uplink: UplinkSettings) -> Never:
    """Become the process that sends until SIGTERM or SIGINT."""
    found = list(uplink_files.issues(uplink, os.environ, dates=False))
    if found:
        raise located(path, *found)
    try:
        import aiomqtt  # noqa: F401, PLC0415 - an extra that few doors have
    except ImportError as error:
        raise GatectlError(
            f"gatectl uplink needs the package {error.name}, which is not installed",
            "scripts/install --uplink installs it, or pip install 'gatectl[uplink]'",
        ) from error
    notify("READY=1", os.environ)
    read_from = _written(_orders(path, settings, uplink))
    os.set_inheritable(read_from, True)  # noqa: FBT003 - os's own signature
    command = [sys.executable, "-P", "-m", "gatectl.uplink.process", str(read_from)]
    os.execv(sys.executable, command)  # noqa: S606 - no shell


def _orders(path: Path, settings: Settings, uplink: UplinkSettings) -> dict[str, Any]:
    """Return the fields of `gatectl.uplink.process.RunParameters`."""
    host, port = broker_address(uplink.url)
    source = uplink.pseudonym_key
    return {
        "host": host,
        "port": port,
        "device": uplink.device,
        "certificate": str(uplink.certificate),
        "key": str(secrets.key_file(uplink.key, os.environ)),
        "ca_file": str(uplink.ca_file),
        "journal": str(settings.journal.path),
        "socket": os.environ.get(WATCH_SOCKET) or str(settings.control.socket),
        "status": str(status_path(os.environ)),
        "members": uplink.members,
        "pseudonym_key": uplink_files.pseudonym_key(source, os.environ).hex() if source else "",
        "about": {
            "tenant": settings.site.tenant,
            "studio": settings.site.studio,
            "settings": settings_digest(path.read_text("utf-8")),
        },
    }


def settings_digest(text: str) -> str:
    """Return the digest by which head office sees whose settings differ: gates set up alike have the same.

    It is of the values, without [site] and [uplink], which name the gate, and without comments and order.
    """
    shared = {name: table for name, table in tomli.loads(text).items() if name not in {"site", "uplink"}}
    canonical = json.dumps(shared, sort_keys=True, default=str)
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def _written(orders: dict[str, Any]) -> int:
    """Return a pipe's end from which the orders can be read, a key among them: they are nowhere else."""
    read_from, write_to = os.pipe()
    with os.fdopen(write_to, "w") as file:
        json.dump(orders, file)  # some kilobytes at most, and the pipe takes 64
    return read_from


# --- The certificate's request -------------------------------------------------------------------


def _csr(_args: argparse.Namespace, path: Path, _settings: Settings, uplink: UplinkSettings) -> int:
    """Make the key unless there is one, and the request next to the certificate's place; print its path."""
    key = uplink.key.file
    if key is None:
        hint = 'key = { file = "/etc/gatectl/uplink/device.key" } is a place where it can be made'
        what = "is a credential of systemd, which is made elsewhere"
        raise located(path, SettingIssue(("uplink", "key"), what, (hint,)))
    if shutil.which("openssl") is None:
        raise GatectlError("openssl is not installed", "apt-get install openssl")
    request = uplink.certificate.with_suffix(".csr")
    made = [("the key", key, _new_key)] if not key.exists() else []
    for what, target, make in [*made, ("the request", request, _new_request)]:
        try:
            make(target, uplink)
        except OSError as error:
            raise GatectlError(f"{target}: {what} cannot be written: {error.strerror}", SUDO) from error
    print(request)
    print("hint: take it to head office: gatectl fleet sign FILE", file=sys.stderr)
    print(f"hint: the certificate that comes back goes to {uplink.certificate}", file=sys.stderr)
    return 0


def _new_key(path: Path, _uplink: UplinkSettings) -> None:
    # Elliptic curves: a Pi makes and uses such a key in milliseconds.
    _write(path, 0o640, ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])


def _new_request(path: Path, uplink: UplinkSettings) -> None:
    _write(path, 0o644, ["req", "-new", "-key", str(uplink.key.file), "-subj", f"/CN={uplink.device}"])


def _write(path: Path, mode: int, command: list[str]) -> None:
    """Write what openssl prints into a file whose mode is right from its first byte."""
    done = subprocess.run(["openssl", *command], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        said = next(iter(done.stderr.splitlines()), "it says nothing")
        hint = "move a key away that cannot be read: `gatectl uplink csr` makes a new one"
        raise GatectlError(f"{path}: openssl {command[0]} failed: {said}", hint)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(done.stdout)
    with suppress(KeyError, PermissionError):
        os.chown(new, -1, grp.getgrnam(GROUP).gr_gid)
    new.chmod(mode)
    new.replace(path)


# --- The status ----------------------------------------------------------------------------------


def _status(args: argparse.Namespace, _path: Path, _settings: Settings, _uplink: UplinkSettings) -> int:
    """Return 0 if it is connected."""
    place = status_path(os.environ)
    try:
        status = read_status(place)
    except (OSError, ValueError) as error:
        raise GatectlError(f"{place}: the status cannot be read: {error}", SUDO) from error
    if status is None:
        raise GatectlError(
            "gatectl uplink is not running",
            "systemctl enable --now gatectl-uplink; journalctl -u gatectl-uplink says why it ended",
        )
    if args.json:
        print(json.dumps(status, ensure_ascii=False))
    else:
        print(*_lines(status, datetime.now(UTC)), sep="\n")
    return 0 if status["connected"] else 1


def link_status(settings: Settings) -> Mapping[str, Any] | None:
    """Return the status of the uplink for the metrics: empty if none runs, None if the settings have none."""
    if settings.uplink is None:
        return None
    try:
        return read_status(status_path(os.environ)) or {}
    except (OSError, ValueError):
        return {}


def _lines(status: Mapping[str, Any], now: datetime) -> list[str]:
    from gatectl.cli.health import since  # noqa: PLC0415 - people's output alone

    for_how_long = since(status["since"], now)
    if not status["connected"]:
        lines = [f"not connected to {status['broker']} {for_how_long}: {status['cause']}"]
        if status["pending"]:
            oldest = status["oldest_pending_at"]
            lines.append(f"{status['pending']} events wait {since(oldest, now) if oldest else ''}".rstrip())
        return [visible(line) for line in lines]
    lines = [f"connected to {status['broker']} as {status['device']} {for_how_long}"]
    behind = status["behind"]
    if status["fork"] is not None:
        lines.append("this journal is older than head office's: all of it will be sent again")
    elif behind is None:
        lines.append("head office has not said yet how far it is; nothing is sent before")
    elif status["paused"]:
        lines.append(f"{behind} events behind: head office has paused all gates")
    else:
        lines.append(
            f"{status['behind']} events behind" if status["behind"] else "head office has every event"
        )
    if status["refused_marks"]:
        lines.append(f"{status['refused_marks']} messages of the broker were not understood")
    return [visible(line) for line in lines]
