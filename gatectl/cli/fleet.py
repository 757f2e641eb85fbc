"""`gatectl fleet`: head office's side of a fleet of gates."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gatectl.cli import monitor
from gatectl.decision.log import LogEntry
from gatectl.errors import GatectlError, UsageError, visible

if TYPE_CHECKING:
    from gatectl.fleet.settings import FleetSettings  # with psycopg's and the broker's settings
from gatectl.validators.addresses import host_and_port


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    ingest = actions.add_parser("ingest", help="take the gates' events from the broker into PostgreSQL")
    ingest.set_defaults(action=_ingest)
    demo = actions.add_parser("demo", help="a whole fleet on this machine: head office and three gates")
    demo.add_argument("--scans", type=_count, metavar="N", help="end after so many scans (else by Ctrl-C)")
    demo.set_defaults(action=_demo)
    pages = actions.add_parser("monitor", help="serve the Event Monitor over all gates as web pages")
    monitor.add_options(pages, None)
    pages.set_defaults(action=_monitor)
    init = actions.add_parser(
        "init", help="a new head office in a folder: certificates, broker's settings, units"
    )
    init.add_argument("folder", metavar="DIR", type=Path, help="a new or empty folder")
    init.add_argument(
        "--name",
        action="append",
        default=[],
        type=_host,
        metavar="HOST",
        help="a name or address by which gates reach the broker (else this machine's name); may be repeated",
    )
    init.set_defaults(action=_init)
    sign = actions.add_parser("sign", help="sign a gate's certificate request")
    sign.add_argument("request", metavar="CSR", type=Path, help="the request that `gatectl uplink csr` made")
    sign.add_argument(
        "-o", "--output", metavar="FILE", type=Path, help="where to (else the request's name, .crt)"
    )
    sign.set_defaults(action=_sign)
    erase = actions.add_parser("erase", help="take one member out of all events at head office")
    erase.add_argument("--member", metavar="M", required=True, help="the member's number at the partner")
    erase.add_argument("--partner", metavar="P", help="of this partner alone (else of every one)")
    erase.set_defaults(action=_erase)
    revoke = actions.add_parser("revoke", help="take a gate's certificates out of force")
    revoke.add_argument("device", metavar="DEVICE", help="the name in the certificate")
    revoke.set_defaults(action=_revoke)


def run(args: argparse.Namespace) -> int:
    """Return the action's exit status."""
    _require("cryptography")
    status: int = args.action(args)
    return status


def _ingest(args: argparse.Namespace) -> int:
    """Return 0 after SIGTERM or SIGINT."""
    _require("aiomqtt", "psycopg")
    from gatectl.daemon.sd_notify import notify  # noqa: PLC0415
    from gatectl.fleet import ingest, settings  # noqa: PLC0415

    path = Path(args.config) if args.config is not None else settings.DEFAULT
    service = ingest.Ingest.of(path, os.environ, _log)
    notify("READY=1", os.environ)
    asyncio.run(ingest.run(service))
    return 0


def _demo(args: argparse.Namespace) -> int:
    """Return 0 if every event is at head office once."""
    _require("aiomqtt", "psycopg")
    from gatectl.cli import fleet_demo  # noqa: PLC0415

    return fleet_demo.run(args.scans)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 7 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of scans")
    return int(text)


def _monitor(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; then return 0."""
    _require("psycopg")
    from gatectl.fleet import settings, web  # noqa: PLC0415
    from gatectl.fleet.stored_events import FleetSource  # noqa: PLC0415

    path = Path(args.config) if args.config is not None else settings.DEFAULT
    found = settings.load(path)
    password = settings.password_of(path, found.database, os.environ)
    key = _pseudonym_key(path, found)
    served = monitor.Served("gatectl fleet monitor", path.absolute().parent)
    bound, access, ready = monitor.prepared(args, path, found.monitor, served)
    web.run(
        FleetSource(found.database.dsn, password),
        web.MemberLookup(key),
        bound=bound,
        access=access,
        ready=ready,
    )
    return 0


def _erase(args: argparse.Namespace) -> int:
    """Return 0 when no row of the tables names the member."""
    _require("psycopg")
    from gatectl.fleet import settings  # noqa: PLC0415
    from gatectl.fleet.erase import Tables  # noqa: PLC0415
    from gatectl.uplink.privacy import Privacy  # noqa: PLC0415

    path = Path(args.config) if args.config is not None else settings.DEFAULT
    found = settings.load(path)
    key = _pseudonym_key(path, found)
    if not key:
        print("note: without monitor.pseudonym_key plain numbers alone are found", file=sys.stderr)
    tables = Tables(found.database.dsn, settings.password_of(path, found.database, os.environ))
    with contextlib.closing(tables):
        count = tables.erase(args.member, args.partner, Privacy("pseudonym", key) if key else None)
        print(f"erased: {count} events", file=sys.stderr)
        tables.vacuum()
    print(*_ERASE_NOTES, sep="\n", file=sys.stderr)
    return 0


_ERASE_NOTES = (
    "note: the journals of the gates keep what they have: `gatectl erase` there",
    "note: so do PostgreSQL's dumps, backups and archived logs",
    "note: its own files lose them as it needs their place, or by VACUUM FULL, for which ingest waits",
)


def _pseudonym_key(path: Path, found: FleetSettings) -> bytes:
    """Return the tenant's key; empty if the settings have none."""
    from gatectl.config.uplink_files import pseudonym_key  # noqa: PLC0415
    from gatectl.fleet import settings  # noqa: PLC0415

    where, source = ("monitor", "pseudonym_key"), found.monitor.pseudonym_key
    return settings.secret_of(path, where, source, lambda one: pseudonym_key(one, os.environ)) or b""


def _log(entry: LogEntry) -> None:
    # systemd reads a priority in front of a line (sd-daemon(3)).
    prefix = f"<{int(entry.priority)}>" if "JOURNAL_STREAM" in os.environ else ""
    print(f"{prefix}{visible(entry.message)}", file=sys.stderr, flush=True)


def _require(*modules: str) -> None:
    """Raise GatectlError unless the packages of the extra are installed."""
    from importlib.util import find_spec  # noqa: PLC0415

    if missing := [name for name in modules if find_spec(name) is None]:
        raise GatectlError(
            f"gatectl fleet needs {' and '.join(missing)}, which this installation does not have",
            f"{sys.executable} -m pip install 'gatectl[fleet]'",
        )


def _init(args: argparse.Namespace) -> int:
    """Return 0 when the folder is complete."""
    from gatectl.fleet import new_office  # noqa: PLC0415 - with cryptography, as all modules below

    with _named_files("DIR is a new or empty folder"):
        new_office.create(args.folder, args.name)
    print(f"{args.folder}: a new head office. On Debian, as root, these commands start it:", file=sys.stderr)
    print(*new_office.next_steps(args.folder), sep="\n")
    print(
        f"hint: back up {args.folder}: with a new authority every gate needs a new certificate",
        file=sys.stderr,
    )
    if new_office.is_hidden_from_services(args.folder):
        why = "ProtectHome= and PrivateTmp= of the units hide /home, /root and /tmp from them"
        print(f"hint: {why}: make it elsewhere, as in /etc/gatectl-fleet", file=sys.stderr)
    return 0


def _sign(args: argparse.Namespace) -> int:
    """Return 0 when the certificate is written."""
    from gatectl.fleet.authority import CertificateAuthority, CertificateRefused  # noqa: PLC0415

    try:
        request = args.request.read_bytes()
    except OSError as error:
        hint = "CSR is the file that `gatectl uplink csr` made at the gate"
        raise UsageError(f"{args.request}: {error.strerror}", hint) from None
    path = args.output or args.request.with_suffix(".crt")
    with _named_files(_AUTHORITY):
        authority = CertificateAuthority(_folder(args.config))
        try:
            device, certificate = authority.sign(request)
        except CertificateRefused as refused:
            raise GatectlError(f"{args.request}: {refused.message}", *refused.hints) from None
    with _named_files("-o FILE says where the certificate goes"):
        path.write_bytes(certificate)
    *earlier, new = sorted(authority.valid_until(device).values())
    print(f"{path}: the certificate of {device}, until {new:%Y-%m-%d}", file=sys.stderr)
    if earlier:
        print(
            f"hint: {device} has {len(earlier)} more in force, as after a renewal; "
            "two machines must not share a name",
            file=sys.stderr,
        )
    return 0


def _revoke(args: argparse.Namespace) -> int:
    """Return 0 when no certificate of the device is in force."""
    from gatectl.fleet.authority import DEVICE, ISSUED, CertificateAuthority  # noqa: PLC0415

    if not DEVICE.fullmatch(args.device):
        hint = "a gate's name has 1 to 64 characters of a-z, 0-9 and -"
        raise UsageError(f"gatectl fleet revoke: {args.device!r} is no gate's name", hint)
    folder = _folder(args.config)
    with _named_files(_AUTHORITY):
        count = CertificateAuthority(folder).revoke(args.device)
    if not count:
        hint = f"{folder / ISSUED} has those that were signed"
        raise GatectlError(f"no certificate of {args.device} is in force", hint)
    print(f"{args.device}: {count} revoked", file=sys.stderr)
    print("hint: systemctl restart mosquitto, which reads the list at its start", file=sys.stderr)
    return 0


def _host(text: str) -> str:
    if host_and_port(f"[{text}]:1" if ":" in text else f"{text}:1") is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no host's name or address")
    return text


_AUTHORITY = "-c DIR/fleet.toml names the folder that `gatectl fleet init DIR` made"


@contextmanager
def _named_files(hint: str) -> Iterator[None]:
    """Say which file cannot be read or written, with a hint; main() says it of a lack of permission."""
    try:
        yield
    except PermissionError:
        raise
    except OSError as error:
        raise GatectlError(f"{error.filename}: {error.strerror}", hint) from error


def _folder(config: str | None) -> Path:
    """Return the folder of the certificate authority, which is that of the settings."""
    from gatectl.fleet.authority import KEY  # noqa: PLC0415
    from gatectl.fleet.settings import DEFAULT  # noqa: PLC0415

    if config is not None:
        return Path(config).absolute().parent
    return Path.cwd() if Path(KEY).exists() else DEFAULT.parent
