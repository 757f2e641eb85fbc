"""`gatectl monitor`: serve the Event Monitor and the displays as web pages, and print a display's link."""

from __future__ import annotations

import argparse
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from gatectl.config.model import MonitorSettings, Settings
from gatectl.config.problems import SettingIssue, monitor_hint
from gatectl.config.reader import find, load, located
from gatectl.config.secrets import KeyRefused, read_password
from gatectl.daemon.control import WATCH_SOCKET
from gatectl.errors import UsageError, near
from gatectl.validators.addresses import host_and_port, is_loopback
from gatectl.validators.values import KeySource

if TYPE_CHECKING:
    from gatectl.monitor.serve import Access

EXAMPLE = "127.0.0.1:8480"

STATE_FOLDER = "STATE_DIRECTORY"
"""The environment variable by which systemd names the service's own folder (systemd.exec(5))."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the pages, and the command `link`."""
    add_options(parser, None)
    actions = parser.add_subparsers(metavar="ACTION")
    link = actions.add_parser("link", help="print the link that opens a door's display and nothing else")
    # Without own defaults, which would overwrite options given before the action.
    add_options(link, argparse.SUPPRESS)
    link.add_argument("door", metavar="DOOR")
    link.set_defaults(action=_link)
    parser.set_defaults(action=_serve)


def add_options(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--listen", type=_address, default=default, metavar="ADDRESS:PORT", help=f"where (else {EXAMPLE})"
    )
    parser.add_argument(
        "--password-file",
        type=Path,
        default=default,
        metavar="FILE",
        help="asks for the password in this file; needed for any address but this machine's own",
    )
    parser.add_argument(
        "--name",
        action="append",
        default=default,
        metavar="HOST",
        help="a name by which browsers reach it, besides this machine's own; may be repeated",
    )


def run(args: argparse.Namespace) -> int:
    """Serve the pages, or print the link of a display; return the exit status."""
    path = find(args.config, os.environ)
    settings = load(path)
    status: int = args.action(args, path, settings)
    return status


def _serve(args: argparse.Namespace, path: Path, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; then return 0."""
    from gatectl.cli import report  # noqa: PLC0415 - with what it needs
    from gatectl.cli.uplink import link_status  # noqa: PLC0415
    from gatectl.monitor import serve  # noqa: PLC0415 - the web is for this command alone
    from gatectl.monitor.control_client import ControlClient  # noqa: PLC0415
    from gatectl.monitor.journal_worker import JournalWorker  # noqa: PLC0415
    from gatectl.monitor.renderer import SiteInfo  # noqa: PLC0415

    if settings.site.timezone is not None:
        # Pages show the gym's time, and this process uses the time zone for nothing else.
        os.environ["TZ"] = settings.site.timezone
        time.tzset()
    bound, access, ready = prepared(args, path, settings.monitor)
    site = SiteInfo(
        settings.site.tenant,
        settings.site.studio,
        tuple(settings.doors),
        {name: partner.status_page for name, partner in settings.partners.items()},
    )

    def report_on(event_id: str) -> dict[str, str]:
        return report.files(event_id, settings, report.keys_of(path))[1]

    serve.run(
        site,
        JournalWorker(settings.journal.path),
        ControlClient(Path(os.environ.get(WATCH_SOCKET) or settings.control.socket)),
        report_on,
        lambda: link_status(settings),
        bound=bound,
        access=access,
        ready=ready,
    )
    return 0


class Served(NamedTuple):
    """The words of messages about the monitor of a gate, or of a fleet."""

    command: str
    folder: Path
    """Of its settings."""


OF_GATE = Served("gatectl monitor", Path("/etc/gatectl"))


def prepared(
    args: argparse.Namespace, path: Path, settings: MonitorSettings, served: Served = OF_GATE
) -> tuple[socket.socket, Access, Callable[[], None]]:
    """Return the bound socket, who may see the pages, and what to do when they are served.

    Raises GatectlError.
    """
    from gatectl.daemon.sd_notify import notify  # noqa: PLC0415 - the web is for this command alone
    from gatectl.monitor import serve  # noqa: PLC0415
    from gatectl.monitor.password import Password, SignedOut  # noqa: PLC0415

    host, port = _listen(args, settings)
    text = _password(args, path, settings)
    if text is None:
        _require_loopback(host, args, path, served)
    folder = os.environ.get(STATE_FOLDER)
    secret = None if text is None else Password(text, SignedOut(Path(folder) if folder else None))
    bound = serve.listening(host, port)

    def ready() -> None:
        print(f"the Event Monitor is at {_base(host, bound.getsockname()[1])}/", file=sys.stderr)
        notify("READY=1", os.environ)

    return bound, serve.Access(host, secret, _names(args, settings), settings.proxies), ready


def _link(args: argparse.Namespace, path: Path, settings: Settings) -> int:
    """Print the link to stdout, and remarks about it to stderr."""
    from gatectl.monitor.password import Password  # noqa: PLC0415 - with what it needs

    if args.door not in settings.doors:
        hints = near(args.door, settings.doors) or (f"the doors are {', '.join(settings.doors)}",)
        raise UsageError(f"gatectl monitor link: there is no door {args.door!r} in {path}", *hints)
    host, port = _listen(args, settings.monitor)
    text = _password(args, path, settings.monitor)
    if text is None:
        _require_loopback(host, args, path, OF_GATE)
    names = _names(args, settings.monitor)
    # 0.0.0.0 and :: mean every address of this machine, and a browser cannot open them.
    own = socket.gethostname() if _is_any(host) else host
    shown = names[0] if names else own
    key = "" if text is None else f"?key={Password(text).display_key(args.door)}"
    print(f"{_base(shown, port)}/display/{quote(args.door, safe='')}{key}")
    for line in _about_link(has_key=bool(key), has_proxies=bool(settings.monitor.proxies)):
        print(f"hint: {line}", file=sys.stderr)
    return 0


def _about_link(*, has_key: bool, has_proxies: bool) -> list[str]:
    lines = ["any other name or address of the monitor will do in place of the one in the link"]
    if has_proxies:
        lines.append("through a proxy, the proxy's own address takes the place of everything before /display")
    if has_key:
        lines.append("it opens this display and nothing else, and ends when the password is changed")
    return [
        *lines,
        "a browser keeps a tablet awake over https:// alone; over http:// set the tablet itself:",
        "Android: Fully Kiosk Browser with Keep Screen On, or Developer options, Stay awake while charging",
        "iPad: Settings, Display & Brightness, Auto-Lock, Never; then Accessibility, Guided Access",
    ]


def _listen(args: argparse.Namespace, settings: MonitorSettings) -> tuple[str, int]:
    if args.listen is not None:
        given: tuple[str, int] = args.listen
        return given
    return _address(settings.listen)


def _names(args: argparse.Namespace, settings: MonitorSettings) -> list[str]:
    return list(settings.names if args.name is None else args.name)


def _password(args: argparse.Namespace, path: Path, settings: MonitorSettings) -> str | None:
    """Return the password, if one is named. Raises GatectlError if it is not acceptable.

    It is a SettingsError where the settings name it.
    """
    if args.password_file is not None:
        return _long_password(KeySource(file=args.password_file.absolute()))
    try:
        return None if settings.password is None else _long_password(settings.password)
    except KeyRefused as refused:
        raise located(path, SettingIssue(("monitor", "password"), refused.message, refused.hints)) from None


def _long_password(source: KeySource) -> str:
    """Return the password in its place. Raises KeyRefused if it cannot be read, or is too short."""
    from gatectl.monitor.password import CHARS_MIN  # noqa: PLC0415 - with what it needs

    text = read_password(source, os.environ).value
    if len(text) < CHARS_MIN:
        place = source.file or source.credential or f"${source.env}"
        raise KeyRefused(
            f"{place}: the password has fewer than {CHARS_MIN} characters", "a few words make a long one"
        )
    return text


def _require_loopback(host: str, args: argparse.Namespace, path: Path, served: Served) -> None:
    if is_loopback(host):
        return
    what = f"{host} can be reached from elsewhere, and there is no password"
    if args.listen is None:
        raise located(path, SettingIssue(("monitor", "listen"), what, (monitor_hint(served.folder),)))
    raise UsageError(
        f"{served.command}: {what}",
        "put one into a file that others cannot read, and give it with --password-file FILE",
    )


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _base(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _address(text: str) -> tuple[str, int]:
    found = host_and_port(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no ADDRESS:PORT such as {EXAMPLE}")
    return found
