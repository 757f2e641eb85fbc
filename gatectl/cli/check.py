"""`gatectl check`: the settings, and on request the devices and the partners' connections."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import time
from collections.abc import Iterator, Mapping

from gatectl.config import model
from gatectl.config.reader import find, load_with_keys, warnings_of
from gatectl.daemon.gates import DoorPinsError, switch_off
from gatectl.daemon.partner import contexts
from gatectl.devices.keyboard import Keyboard
from gatectl.devices.scanner import DeviceLost
from gatectl.devices.serial_port import SerialPort
from gatectl.partners.dial import Dialler, connect
from gatectl.partners.exchange import Endpoint
from gatectl.partners.wire import Lost

CONNECT_PATIENCE_S = 10.0
"""Far over any budget: a slow partner is told as slow, not as absent."""

Finding = tuple[bool, str]
"""Is it well, and the line that says so."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to try beside the settings."""
    parser.add_argument("--devices", action="store_true", help="open every scanner, drive every relay off")
    parser.add_argument(
        "--connect", action="store_true", help="connect to every partner, sending no check-in"
    )


def run(args: argparse.Namespace) -> int:
    """0 when all is well, 1 when a device or a partner is not."""
    path = find(args.config, os.environ)
    settings, _ = load_with_keys(path, os.environ)
    print(
        f"{path}: the settings are fine: {len(settings.doors)} door(s), {len(settings.partners)} partner(s), "
        f"{len(settings.routes)} route(s)"
    )
    for warning in warnings_of(settings):
        print(f"warning: {warning}")
    findings: list[Finding] = []
    if args.devices:
        findings += _show(_devices(settings, os.environ))
    if args.connect:
        findings += _show(asyncio.run(_connections(settings)))
    return 0 if all(well for well, _ in findings) else 1


def _show(findings: Iterator[Finding] | list[Finding]) -> list[Finding]:
    shown = []
    for well, line in findings:
        print(f"{'ok    ' if well else 'FAILED'} {line}", flush=True)
        shown.append((well, line))
    return shown


def _devices(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        doors = switch_off(settings, environ)
    except DoorPinsError as error:
        yield False, f"relay: {error.message}; a running gatectl holds its pins"
    else:
        yield from ((True, f"relay of {door}: off") for door in doors)
    for name, door in settings.doors.items():
        for scanner in door.scanners:
            yield _scanner(name, scanner)


def _scanner(door: str, scanner: model.Scanner) -> Finding:
    try:
        if isinstance(scanner, model.SerialScanner):
            path = str(scanner.port)
            SerialPort(path, scanner.baud).close()
        else:
            path = str(scanner.device)
            Keyboard(path).close()
    except DeviceLost as lost:
        return False, f"scanner {path} of {door}: {lost.cause}"
    return True, f"scanner {path} of {door}: opened"


async def _connections(settings: model.Settings) -> list[Finding]:
    made = contexts(settings.partners)
    return [
        await _connection(name, Endpoint.of(partner.url), Dialler(Endpoint.of(partner.url), made[name]))
        for name, partner in settings.partners.items()
    ]


async def _connection(name: str, endpoint: Endpoint, dialler: Dialler) -> Finding:
    where = f"partner {name} at {endpoint.host}:{endpoint.port}"
    times = [time.monotonic()]
    try:
        async with asyncio.timeout(CONNECT_PATIENCE_S):
            addresses = await dialler.look_up()
            times.append(time.monotonic())
            connected = await connect(addresses)
            times.append(time.monotonic())
            wire = await dialler.secure(connected)
            times.append(time.monotonic())
    except TimeoutError:
        steps = ("the look-up", "the connection", "TLS")
        return False, f"{where}: {steps[len(times) - 1]} took over {CONNECT_PATIENCE_S:.0f} s"
    except Lost as lost:
        return False, f"{where}: {lost.fault}: {lost.detail}"
    wire.close()
    took = [f"{(end - start) * 1e3:.0f} ms" for start, end in itertools.pairwise(times)]
    return True, f"{where}: look-up {took[0]}, connect {took[1]}, TLS {took[2] if endpoint.tls else 'none'}"
