"""`gatectl check`: the settings, and on request the devices and the partners' connections."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gatectl.config import model
from gatectl.config.reader import find, load_with_keys, located, warnings_of
from gatectl.daemon.gates import DoorPinsError, switch_off
from gatectl.daemon.partner import contexts
from gatectl.decision.verdict import Fault
from gatectl.devices.keyboard import Keyboard
from gatectl.devices.pins import PinsError, known_factory
from gatectl.devices.scanner import DeviceLost
from gatectl.devices.serial_port import SerialPort
from gatectl.errors import GatectlError
from gatectl.partners.dial import Dialler, connect
from gatectl.partners.exchange import Endpoint
from gatectl.partners.wire import Lost

CONNECT_PATIENCE_S = 10.0
"""Far over any budget: a slow partner is told as slow, not as absent."""

_HINTS = {
    Fault.NETWORK: "this door's own network, name server and firewall come first, then the partner",
    Fault.TLS: "is the clock right (`date`), and does the partner need a ca_file?",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried and what came of it; `hint` says what to do, and is None where all is well."""

    line: str
    hint: str | None = None


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
    try:
        known_factory(settings.gpio.pin_factory, os.environ)
    except PinsError as error:
        raise located(path, ("gpio", "pin_factory"), error.message, error.hints) from error
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
    return 0 if all(finding.hint is None for finding in findings) else 1


def _show(findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        if finding.hint is None:
            print(f"ok: {finding.line}", flush=True)
        else:
            print(*GatectlError(finding.line, finding.hint).lines(), sep="\n", file=sys.stderr, flush=True)
        yield finding


def _devices(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        doors = switch_off(settings, environ)
    except DoorPinsError as error:
        yield Finding(f"relay: {error.message}", "a running gatectl holds its pins: `systemctl stop gatectl`")
    else:
        yield from (Finding(f"relay of {door}: off") for door in doors)
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
        return Finding(
            f"scanner {path} of {door}: {lost.cause}",
            "a running gatectl holds its scanners; else: is it plugged in, and may this user read it?",
        )
    return Finding(f"scanner {path} of {door}: opened")


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
        slow = f"{steps[len(times) - 1]} took over {CONNECT_PATIENCE_S:.0f} s"
        return Finding(f"{where}: {slow}", _HINTS[Fault.NETWORK])
    except Lost as lost:
        return Finding(f"{where}: {lost.fault}: {lost.detail}", _HINTS[lost.fault])
    wire.close()
    took = [f"{(end - start) * 1e3:.0f} ms" for start, end in itertools.pairwise(times)]
    tls = took[2] if endpoint.tls else "none"
    return Finding(f"{where}: look-up {took[0]}, connect {took[1]}, TLS {tls}")
