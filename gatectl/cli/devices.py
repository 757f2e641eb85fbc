"""`gatectl devices`: list the devices that may be scanners, show what a scanner sends, print settings for it.

Devices that a running gatectl has open are left alone; its status describes them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from gatectl.cli.control import NotRunning, call
from gatectl.cli.devices_shown import (
    Drivers,
    Known,
    ScannedCode,
    device_json,
    holders,
    scan_json,
    show_card,
    show_devices,
    show_scan,
)
from gatectl.cli.render import TextConsole
from gatectl.cli.route import Way, setting_for, way
from gatectl.config.model import Control, Settings
from gatectl.config.problems import SettingsError
from gatectl.config.reader import find, load
from gatectl.decision.reader.card_notations import Sample, fits_of, looks_like_card, notations
from gatectl.decision.reader.detect import DetectedFormat, NotRecognised, chosen
from gatectl.devices.reader.discovery import DeviceInfo, devices, rivals
from gatectl.devices.reader.driver import all_drivers, locate
from gatectl.devices.reader.port import DeviceLost
from gatectl.devices.reader.probe import Capture, Probe, ProbeFailedError
from gatectl.devices.reader.system import SystemPaths
from gatectl.errors import SUDO_OR_GROUP, GatectlError, UsageError, visible
from gatectl.journal.reader import enrolled

BAUD = 9600
"""The speed to which nearly all serial scanners and readers are set."""

_SPEEDS = range(50, 4_000_001)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options: whether to wait for a scan, the speed, and the form of the answer."""
    parser.add_argument("--no-wait", action="store_true", help="list the devices, and wait for no scan")
    parser.add_argument(
        "--baud", type=_speed, default=BAUD, metavar="N", help=f"the speed of serial ports (else {BAUD})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, after the scan")
    parser.add_argument(
        "--printed",
        action="append",
        metavar="NUMBER",
        help="the number on the card, or in the gym's software: prints the setting that makes it so; "
        "may be repeated for a second card",
    )
    parser.add_argument(
        "--scan",
        action="append",
        metavar="CODE",
        help="without hardware: a simulated reader that reads this; one for each --printed",
    )


def run(args: argparse.Namespace) -> int:
    """Return 0 after a scan that was read, or at once with --no-wait."""
    if args.no_wait and (args.printed or args.scan):
        raise UsageError("gatectl devices: --printed and --scan are for a scan: leave --no-wait out")
    if not args.scan:
        return attend(args, SystemPaths(), all_drivers())
    if len(args.scan) != len(args.printed or [None]):
        raise UsageError("gatectl devices: give one --scan for each --printed")
    with _simulated_reader(args.scan) as (places, show_card):
        return attend(args, places, all_drivers(), show_card)


@contextlib.contextmanager
def _simulated_reader(codes: list[str]) -> Iterator[tuple[SystemPaths, Callable[[], None]]]:
    """Make a machine whose only device is a reader; yield its places, and what shows it the next card."""
    from gatectl.sim.virtual_scanners import VirtualSerialScanner  # noqa: PLC0415 - for this option alone

    with tempfile.TemporaryDirectory(prefix="gatectl-reader-") as folder:
        places = SystemPaths(*(Path(folder) / name for name in ("dev", "sys", "proc", "udev")))
        links = places.dev / "serial/by-id"
        links.mkdir(parents=True)
        left = iter(codes)
        with VirtualSerialScanner(links / "usb-Simulated_Reader") as reader:
            yield places, lambda: reader.type_code(next(left))


def attend(
    args: argparse.Namespace,
    places: SystemPaths,
    drivers: Drivers,
    on_listening: Callable[[], None] = lambda: None,
) -> int:
    """Run the command on the devices in these places; `drivers` are by type.

    `on_listening` is called each time when the command waits for a scan.
    """
    known = _known(args.config)
    listed = devices(places, drivers)
    if not args.json:
        show_devices(listed, known, drivers)
    notes = [*known.notes, *rivals(places, listed, drivers)]
    for note in notes:
        print(f"note: {visible(note)}", file=sys.stderr)
    scan = None
    if not args.no_wait:
        wait = partial(_wait, listed, known, args.baud, drivers, on_listening)
        scan = _with_card([wait(printed) for printed in args.printed or [None]], args.printed)
    if args.json:
        answer = {
            "devices": [device_json(device, known) for device in listed],
            "notes": notes,
            "scan": scan and scan_json(scan),
        }
        print(json.dumps(answer, ensure_ascii=False))
    elif scan is not None:
        show_scan(scan)
    return 0


def _speed(text: str) -> int:
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or int(text) not in _SPEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed, 50 to 4000000")
    return int(text)


def _what_is_wrong_with(path: Path) -> str:
    try:
        path.read_bytes()
    except FileNotFoundError:
        what, then = "are not there yet", "`gatectl check` says more"
    except OSError as error:
        what, then = f"cannot be read ({error.strerror})", SUDO_OR_GROUP
    else:
        what, then = "are not right yet", "`gatectl check` says more"
    return f"{what}, so no route is looked up: {then}"


def _known(config: str | None) -> Known:
    path = find(config, os.environ)
    settings, cards, notes = None, {}, []
    try:
        settings = load(path)
        cards = enrolled(settings.journal.path)
    except SettingsError:
        notes.append(f"{path}: the settings {_what_is_wrong_with(path)}")
    except GatectlError as error:
        notes.append(": ".join([f"{error.message}, so no enrolled card is looked up", *error.hints[:1]]))
    try:
        status = call((settings.control if settings else Control()).socket, {"command": "status"})
    except NotRunning:
        return Known(settings, cards, {}, notes, is_daemon_unknown=False)
    except GatectlError as error:
        notes.append(
            ": ".join([f"{error.message}, so what gatectl has open is left alone", *error.hints[:1]])
        )
        return Known(settings, cards, {}, notes, is_daemon_unknown=True)
    scanners = {
        _node_of(scanner["scanner"], settings): scanner | {"door": door}
        for door, state in status["doors"].items()
        for scanner in state["scanners"]
    }
    return Known(settings, cards, scanners, notes, is_daemon_unknown=False)


def _node_of(name: str, settings: Settings | None) -> str:
    """Return the node of a running gatectl's scanner, by the name that its status shows."""
    for door in settings.doors.values() if settings else ():
        for scanner in door.scanners:
            if scanner.path == name:
                with contextlib.suppress(DeviceLost):
                    return locate(scanner)
    return os.path.realpath(name)


def _with_card(scans: list[ScannedCode], printed: list[str] | None) -> ScannedCode:
    """Return the first scan, with the setting for all of the cards."""
    first = scans[0]
    if printed is None:
        return first
    if any(scan.device != first.device for scan in scans):
        raise GatectlError("the cards were scanned at different readers", "scan all of them at one")
    samples = [Sample(scan.seen.code, number) for scan, number in zip(scans, printed, strict=True)]
    try:
        return replace(first, card=setting_for(samples))
    except GatectlError:
        show_card(first, TextConsole(stderr=True))
        raise


def _wait(
    listed: list[DeviceInfo],
    known: Known,
    baud: int,
    drivers: Drivers,
    on_listening: Callable[[], None],
    printed: str | None,
) -> ScannedCode:
    free = [device for device in listed if known.is_free(device)]
    if not free:
        raise GatectlError("there is no free device to scan at", *_why_none(listed, known))
    with _quiet_terminal():
        return asyncio.run(_first_scan(free, known, baud, drivers, on_listening, printed))


def _why_none(listed: list[DeviceInfo], known: Known) -> Iterator[str]:
    if known.scanners:
        yield "to see what gatectl's own scanners send, stop it first: systemctl stop gatectl"
    elif known.is_daemon_unknown:
        yield SUDO_OR_GROUP
    elif not listed:
        yield "plug the scanner in; it must be set to type as a keyboard, or to a (virtual) serial port"


@contextlib.contextmanager
def _quiet_terminal() -> Iterator[None]:
    """Keep the keys of a scanner from the screen, and afterwards from the shell."""
    if not sys.stdin.isatty():
        yield
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    quiet = termios.tcgetattr(terminal)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcflush(terminal, termios.TCIFLUSH)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


async def _first_scan(
    free: list[DeviceInfo],
    known: Known,
    baud: int,
    drivers: Drivers,
    on_listening: Callable[[], None],
    printed: str | None,
) -> ScannedCode:
    probe = Probe(baud, drivers)
    probe.listen(free)
    try:
        with _Line(printed) as line:
            line.show_waiting(probe.open)
            on_listening()
            while True:
                capture = await _next_capture(probe, line)
                seen = drivers[capture.device.type].recognise(capture.input, baud)
                scan = _scan_of(capture.device, seen, known, printed)
                if isinstance(scan, ScannedCode):
                    return scan
                if scan is not None:
                    line.show(f"{capture.device.path}: {scan}")
    finally:
        probe.close()


async def _next_capture(probe: Probe, line: _Line) -> Capture:
    """Wait for input at any device, and show those that fail. GatectlError where none is left."""
    while probe.open or not probe.captures.empty():
        match await probe.captures.get():
            case ProbeFailedError(device, cause):
                line.show(f"{device.path}: {cause}{holders(device)}")
                line.show_waiting(probe.open)
            case capture:
                return capture
    raise GatectlError("no device is left to scan at", "the lines above say why")


def _scan_of(
    device: DeviceInfo,
    seen: list[DetectedFormat] | NotRecognised | None,
    known: Known,
    printed: str | None = None,
) -> ScannedCode | str | None:
    """Return the scan, or in words why it is not one; None for no scan."""
    if seen is None:
        return None
    if isinstance(seen, NotRecognised):
        return f"{seen.what}; {seen.hint}"
    doors = list(known.settings.doors) if known.settings else []

    def ways(code: str) -> list[Way]:
        if known.settings is None:
            return []
        return [way(code, door, known.settings, known.cards) for door in doors]

    def is_likely(code: str) -> bool:
        if printed is not None:
            return bool(fits_of([Sample(code, printed)]))
        return any(one.recognised for one in ways(code))

    best = chosen(seen, is_likely)
    is_card = printed is not None or looks_like_card(best.code)
    return ScannedCode(
        device,
        best,
        [one for one in seen if one is not best],
        ways(best.code),
        [(one, ways(one.text)) for one in (notations(best.code) if is_card else ())],
        known.door_of(device) or (doors[0] if doors else "main"),
    )


class _Line:
    """The line shown during the wait for a scan; without a terminal it is printed once, to stderr."""

    def __init__(self, printed: str | None) -> None:
        self._what = "something" if printed is None else f"the card {printed}"
        self._console = TextConsole(stderr=True)
        self._status = self._console.status("")

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def show_waiting(self, count: int) -> None:
        devices = "1 device" if count == 1 else f"{count} devices"
        words = f"scan {self._what} now: waiting at {devices}; Ctrl-C ends it"
        if self._console.is_terminal:
            self._status.update(words)
        elif count:
            self.show(words)

    def show(self, words: str) -> None:
        self._console.print(visible(words), soft_wrap=True)
