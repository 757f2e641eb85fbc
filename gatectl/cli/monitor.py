"""`gatectl monitor`: the Event Monitor and the displays as web pages."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from gatectl.config.model import KeySource
from gatectl.config.reader import find, load
from gatectl.config.secrets import read
from gatectl.daemon.control import WATCH_SOCKET
from gatectl.errors import GatectlError, UsageError

DEFAULT = "127.0.0.1:8480"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--listen", type=address, default=DEFAULT, metavar="ADDRESS:PORT", help=f"where ({DEFAULT})"
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="asks for the password in this file; needed for any address but this machine's own",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a name by which browsers reach it, beside this machine's own; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Serves until SIGTERM or SIGINT; 0 then."""
    from gatectl.cli import report  # noqa: PLC0415 - with what it needs
    from gatectl.daemon.notify import notify  # noqa: PLC0415 - the web is for this command alone
    from gatectl.monitor import serve  # noqa: PLC0415
    from gatectl.monitor.daemon import Daemon  # noqa: PLC0415
    from gatectl.monitor.guard import is_loopback  # noqa: PLC0415
    from gatectl.monitor.gym import Gym  # noqa: PLC0415
    from gatectl.monitor.journal import JournalDesk  # noqa: PLC0415
    from gatectl.monitor.password import CHARS_MIN, Password  # noqa: PLC0415

    path = find(args.config, os.environ)
    settings = load(path)
    host, port = args.listen
    password = None
    if args.password_file is not None:
        text = read(KeySource(file=args.password_file.absolute()), os.environ).value
        if len(text) < CHARS_MIN:
            raise GatectlError(f"{args.password_file}: the password has fewer than {CHARS_MIN} characters")
        password = Password(text)
    elif not is_loopback(host):
        raise UsageError(
            f"gatectl monitor: {host} can be reached from elsewhere, and there is no password",
            "put one into a file that others cannot read, and give it with --password-file FILE",
        )
    bound = serve.listening(host, port)
    shown_host = f"[{host}]" if ":" in host else host
    gym = Gym(
        settings.site.tenant,
        settings.site.studio,
        tuple(settings.doors),
        {name: partner.status_page for name, partner in settings.partners.items()},
    )

    def report_on(event_id: str) -> dict[str, str]:
        return report.files(event_id, settings, report.keys_of(path))[1]

    def ready() -> None:
        print(f"the Event Monitor is at http://{shown_host}:{bound.getsockname()[1]}/", file=sys.stderr)
        notify("READY=1", os.environ)

    serve.run(
        gym,
        JournalDesk(settings.journal.path),
        Daemon(Path(os.environ.get(WATCH_SOCKET) or settings.control.socket)),
        report_on,
        bound=bound,
        host=host,
        password=password,
        names=args.name,
        ready=ready,
    )
    return 0


def address(text: str) -> tuple[str, int]:
    """`127.0.0.1:8480`, `[::1]:8480`, `localhost:8480`."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not re.fullmatch(r"\d{1,5}", port, re.ASCII) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDRESS:PORT such as {DEFAULT}")
    return host, int(port)
