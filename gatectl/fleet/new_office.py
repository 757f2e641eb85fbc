"""Make the folder of a new head office: certificates, the broker's and ingest's settings, systemd units."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gatectl.errors import GatectlError
from gatectl.fleet.authority import INGEST, CertificateAuthority, write_private
from gatectl.fleet.settings import DATABASE_OPTIONS

PORT = 8883
"""Of MQTT over TLS (IANA)."""

HERE = ("localhost", "127.0.0.1", "::1")
"""Names in the broker's certificate for ingest, which runs on the same machine."""

PSEUDONYM_KEY_BYTES = 32
"""As many as the digest has: HMAC gains nothing by more (RFC 2104, section 3)."""

# Mosquitto acknowledges what it later drops, and keeps nothing over a crash. Nothing here relies on it: a
# gate goes by the mark, so the broker needs no disk.
_MOSQUITTO = """\
# The broker of gatectl's fleet (mosquitto.conf(5)). It holds nothing that matters: do not back it up.

persistence false
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages false

listener {port}{address}
cafile {folder}/ca.crt
certfile {folder}/server.crt
keyfile {folder}/server.key
crlfile {folder}/ca.crl
require_certificate true
tls_version tlsv1.2

# A client is whom its certificate names: nobody can pass for another gate, or end its connection.
use_identity_as_username true
use_username_as_clientid true
allow_anonymous false
acl_file {folder}/acl

# Batches have 64 KiB, and an event more where a single one is longer.
max_packet_size 262144
max_inflight_messages 100
max_queued_messages 50000
max_queued_bytes 268435456
set_tcp_nodelay true
"""

_ACL = """\
# %u is the name in the client's certificate. No topic leads to an action at a gate.
pattern write gatectl/1/%u/events
pattern write gatectl/1/%u/state
pattern write gatectl/1/%u/here
pattern read gatectl/1/%u/mark

# `gatectl fleet sign` signs no certificate with this name.
user {ingest}
topic read gatectl/1/+/events
topic read gatectl/1/+/state
topic read gatectl/1/+/here
topic write gatectl/1/+/mark
"""

_FLEET = """\
# The settings of `gatectl fleet`; the man page gatectl-fleet(1) describes them.

[broker]
url = "mqtts://localhost:{port}"
certificate = "ingest.crt"
key = {{ file = "ingest.key" }}
ca_file = "ca.crt"

[database]
# The user who runs ingest, over PostgreSQL's own socket, needs no password. Elsewhere:
# dsn = "host=db.example.com dbname=gatectl user=gatectl sslmode=verify-full sslrootcert=system"
# password = {{ file = "database-password" }}
dsn = "dbname=gatectl"
keep_days = 90

[monitor]
# An address that others reach needs a password, and names by which browsers reach it:
# listen = "0.0.0.0:8480"
# password = {{ file = "monitor-password" }}
# names = ["fleet.example.com"]
pseudonym_key = {{ file = "pseudonym" }}  # finds members by their numbers
"""

_UNIT = """\
[Unit]
Description={what}
Documentation=man:gatectl-fleet(1)
After=network.target postgresql.service mosquitto.service
StartLimitIntervalSec=0

[Service]
Type=notify
User={user}
Group={user}
ExecStart={command}
StateDirectory=gatectl-fleet-{action}
Restart=always
RestartSec=2
LimitCORE=0
UMask=0077

# The authority signs certificates: no service needs its key.
InaccessiblePaths={hidden}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
CapabilityBoundingSet=
NoNewPrivileges=yes
LockPersonality=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

_BROKER_DROP_IN = """\
# For Debian's mosquitto.service.
[Service]
ExecStart=
ExecStart={command}
# A thousand gates are a thousand open connections.
LimitNOFILE=65536
"""

USER = "gatectl-fleet"
"""The user who runs ingest and the monitor."""

_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - nothing is put there
"""Folders that the services do not see: ProtectHome=, PrivateTmp= (systemd.exec(5))."""


def create(folder: Path, names: Sequence[str] = (), *, port: int = PORT, address: str = "") -> None:
    """Make the folder, which must be empty or not exist. `names` are the broker's, as gates reach it.

    Left out, they are this machine's own. `address` is the one that the broker listens on, if not all.
    """
    folder = folder.resolve()  # systemd takes no path with ".."
    if not str(folder).isprintable():
        hint = "give a folder whose whole path has none, such as /etc/gatectl-fleet"
        raise GatectlError(f"{folder} has a line break or a control character", hint)
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if any(folder.iterdir()):
        raise GatectlError(f"{folder} is not empty", "give a folder that has no fleet yet")
    public = ["ca.crt", "server.crt", "ingest.crt"]
    authority = CertificateAuthority.create(folder)
    key, certificate = authority.issue_server([*(names or [socket.getfqdn()]), *HERE])
    write_private(folder / "server.key", key)
    (folder / "server.crt").write_bytes(certificate)
    key, certificate = authority.issue_ingest()
    write_private(folder / "ingest.key", key)
    (folder / "ingest.crt").write_bytes(certificate)
    write_private(folder / "pseudonym", f"{secrets.token_hex(PSEUDONYM_KEY_BYTES)}\n".encode("ascii"))
    for name, text in _texts(folder, port, address).items():
        (folder / name).write_text(text, "utf-8")
        public.append(name)
    for name in public:
        (folder / name).chmod(0o644)  # the services read them, also where root's umask is a strict one
    _give_to_services(folder)


def is_hidden_from_services(folder: Path) -> bool:
    """Return whether the units above cannot read a folder there."""
    return any(folder.resolve().is_relative_to(hidden) for hidden in _HIDDEN)


def _texts(folder: Path, port: int, address: str) -> dict[str, str]:
    listener = f" {address}" if address else ""
    unit = partial(_unit, folder)
    ingest = "gatectl's ingest: the events of all gates into PostgreSQL"
    monitor = "gatectl's Event Monitor over all gates"
    broker = _command(["/usr/sbin/mosquitto", "-c", f"{folder}/mosquitto.conf"])
    return {
        "mosquitto.conf": _MOSQUITTO.format(folder=folder, port=port, address=listener),
        "acl": _ACL.format(ingest=INGEST),
        "fleet.toml": _FLEET.format(port=port),
        "gatectl-fleet-ingest.service": unit("ingest", ingest, "pseudonym"),
        "gatectl-fleet-monitor.service": unit("monitor", monitor, "ingest.key"),
        "mosquitto-gatectl.conf": _BROKER_DROP_IN.format(command=broker),
    }


def _unit(folder: Path, action: str, what: str, others_key: str) -> str:
    """Return the unit of a service, which sees neither the authority's key nor that of the other service."""
    hidden = " ".join(_quoted(f"-{folder}/{name}") for name in ("ca.key", others_key))
    command = _command([*_program(), "fleet", action, "-c", f"{folder}/fleet.toml"])
    return _UNIT.format(what=what, user=USER, command=command, action=action, hidden=hidden)


def _program() -> list[str]:
    """Return the command that runs this gatectl."""
    program = Path(sys.executable).with_name("gatectl")
    return [str(program)] if program.exists() else [sys.executable, "-m", "gatectl"]


def _command(words: Sequence[str]) -> str:
    """Return words as systemd takes a command; in the arguments `$` begins a variable."""
    program, *arguments = map(_quoted, words)
    return " ".join([program, *(word.replace("$", "$$") for word in arguments)])


def _quoted(word: str) -> str:
    """Return a word for a unit: with quotes where it needs them; `%` begins a specifier (systemd.unit(5))."""
    word = word.replace("%", "%%")
    if re.fullmatch(r"[\w/.:@%+=-]+", word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _give_to_services(folder: Path) -> None:
    """Let the services' users, where there are such, read their keys and nothing else."""
    if os.geteuid() != 0:
        return
    folder.chmod(0o755)
    owners = {
        "mosquitto": ("server.key", "acl"),
        USER: ("ingest.key", "pseudonym"),
    }
    for user, names in owners.items():
        for name in names:
            try:
                shutil.chown(folder / name, group=user)
            except LookupError:  # the package or the user comes later
                continue
            (folder / name).chmod(0o640)


def next_steps(folder: Path) -> list[str]:
    """Return the commands that put a new folder to use on Debian, one a line."""
    path = shlex.quote(str(folder.resolve()))
    of_broker = f"{path}/server.key {path}/acl"
    of_ours = f"{path}/ingest.key {path}/pseudonym"
    drop_in = "/etc/systemd/system/mosquitto.service.d/gatectl.conf"
    return [
        "apt-get install --no-install-recommends mosquitto postgresql",
        f"adduser --system --group --no-create-home {USER}",
        f"chgrp mosquitto {of_broker} && chmod 640 {of_broker}",
        f"chgrp {USER} {of_ours} && chmod 640 {of_ours}",
        f"runuser -u postgres -- createuser {USER}",
        f"runuser -u postgres -- createdb -O {USER} {DATABASE_OPTIONS} gatectl",
        f"install -D -m 644 {path}/mosquitto-gatectl.conf {drop_in}",
        f"install -m 644 {path}/gatectl-fleet-*.service /etc/systemd/system/",
        "systemctl daemon-reload && systemctl restart mosquitto",
        "systemctl enable --now gatectl-fleet-ingest gatectl-fleet-monitor",
    ]
