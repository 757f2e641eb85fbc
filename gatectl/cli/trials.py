"""What `gatectl check` tries on request: the devices, and the partners' connections."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gatectl.config import model
from gatectl.daemon.gates import DoorPinsError, switch_off
from gatectl.daemon.partner import contexts
from gatectl.decision.verdict import Fault
from gatectl.devices.keyboard import Keyboard
from gatectl.devices.scanner import DeviceLost
from gatectl.devices.serial_port import SerialPort
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


def devices(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Drives every relay off, and opens every scanner."""
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


def connections(settings: model.Settings) -> list[Finding]:
    """Connects to every partner, and sends nothing."""
    return asyncio.run(_connections(settings))


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
