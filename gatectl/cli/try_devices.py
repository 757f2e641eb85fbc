"""The devices part of `gatectl check`: drive every relay off, open every scanner.

Devices that a running gatectl has open are left alone; its status describes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gatectl.cli.check import CheckResult
from gatectl.cli.control import NotRunning, call
from gatectl.config import model
from gatectl.daemon.gates import PIN_HINTS, switch_off
from gatectl.devices.gpio.lines_off import sentence
from gatectl.devices.gpio.pins import PinsError
from gatectl.devices.reader.contention import Claims
from gatectl.devices.reader.driver import claims_of, driver_of, others_at
from gatectl.devices.reader.port import SAME_DEVICE, DeviceLost, LossCause
from gatectl.devices.reader.reader_types import ScannerSettings
from gatectl.devices.thread import bounded

OPEN_PATIENCE_S = 6.0
"""A USB adapter that does not answer fails after 5 s; the command does not wait longer for one that
hangs."""

_UNOPENED = "is it plugged in, may this user read it, and does no other program hold it? gatectl devices"
_UNREADY = "is it plugged in, and set up as the settings say? gatectl devices"
_RESTART = "settings that are newer than the running gatectl? systemctl restart gatectl"


def devices(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[CheckResult]:
    """Yield a result for each relay and each scanner. GatectlError if a running gatectl does not answer."""
    try:
        status = call(settings.control.socket, {"command": "status"})
    except NotRunning:
        yield from _relays(settings, environ)
        claims = claims_of(scanner for door in settings.doors.values() for scanner in door.scanners)
        for name, door in settings.doors.items():
            for scanner in door.scanners:
                yield from _opened(name, scanner, claims)
        return
    for name, door in settings.doors.items():
        state = status["doors"].get(name)
        if state is None:
            yield CheckResult(f"door {name}: the running gatectl does not know it", _RESTART)
        else:
            yield from _by_status(name, door, state, status.get("pid"))


def _relays(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[CheckResult]:
    began = time.monotonic()
    try:
        failed = switch_off(settings, environ)
    except PinsError as error:
        yield CheckResult(f"relay: {error.message}", error.hints[0])
        return
    not_off = {line[0]: sentence((line, cause)) for line, cause in failed}
    for door in settings.doors:
        if door in not_off:
            yield CheckResult(not_off[door], PIN_HINTS[0])
        else:
            yield CheckResult(f"relay of {door}: driven off, {_since(began)}")


def _opened(door: str, scanner: ScannerSettings, claims: Claims) -> Iterator[CheckResult]:
    path, driver = scanner.path, driver_of(scanner.type)
    line = f"scanner {path} of {door} ({driver.describe(scanner)}): "
    began = time.monotonic()

    def opened() -> None:
        claims.opened(path, partial(driver.open, scanner))[1]()

    try:
        bounded(opened, OPEN_PATIENCE_S, discard=lambda _: None)
    except TimeoutError:
        yield CheckResult(f"{line}{LossCause.SLOW}, {_since(began)}", _hint(LossCause.SLOW, _UNOPENED))
        return
    except DeviceLost as lost:
        others = others_at(scanner) if lost.cause == LossCause.HELD else ()
        by = f" ({', '.join(others)})" if others else ""
        yield CheckResult(f"{line}{lost.cause}{by}, {_since(began)}", _hint(lost.cause, _UNOPENED))
        return
    yield CheckResult(f"{line}opened, {_since(began)}")
    yield from _shared(line, scanner, others_at(scanner))


def _hint(cause: str | None, other: str) -> str:
    if cause and cause.startswith(SAME_DEVICE):
        return "two identical readers share a name below by-id: gatectl devices shows one by-path for each"
    if cause == LossCause.SEVERAL:
        return "name it by its path or its Bluetooth address: gatectl devices prints them"
    if cause == LossCause.SLOW:
        return "unplug it and plug it in again; if that does not last: another cable, socket or hub"
    return other


def _shared(line: str, scanner: ScannerSettings, others: Sequence[str]) -> Iterator[CheckResult]:
    """Yield a result if other programs read from this device too."""
    if others and not driver_of(scanner.type).is_exclusive:
        yield CheckResult(
            f"{line}also open in {', '.join(others)}, which may take characters of codes",
            "stop it; a login prompt: systemctl disable --now serial-getty@NAME.service",
        )


def _by_status(
    name: str, door: model.DoorSettings, state: dict[str, Any], pid: int | None
) -> Iterator[CheckResult]:
    """Yield the results from the running gatectl's status of this door."""
    gate = state["gate"]
    if gate.get("cause") is None:
        yield CheckResult(
            f"relay of {name}: the running gatectl has it, {'open' if gate['open'] else 'shut'}"
        )
    else:
        yield CheckResult(
            f"relay of {name}: out of order since {gate['since']} ({gate['cause']})", PIN_HINTS[0]
        )
    for signal, pin in state.get("signals", {}).items():
        yield CheckResult(f"signal {signal} of {name}: {pin['cause']}, since {pin['since']}", PIN_HINTS[0])
    known = {scanner["scanner"]: scanner for scanner in state["scanners"]}
    for scanner in door.scanners:
        path = scanner.path
        line = f"scanner {path} of {name} ({driver_of(scanner.type).describe(scanner)}): "
        known_state = known.get(path)
        if known_state is None:
            yield CheckResult(f"{line}the running gatectl does not know it", _RESTART)
        elif known_state["state"] == "ready":
            yield CheckResult(f"{line}the running gatectl has it, {known_state['codes']} codes so far")
            # Root sees more than the daemon, which runs as an ordinary user.
            others = [one for one in others_at(scanner) if not one.endswith(f"({pid})")]
            yield from _shared(line, scanner, others)
        else:
            words = f"{known_state['state']} since {known_state['since']} ({known_state['cause']})"
            yield CheckResult(f"{line}{words}", _hint(known_state["cause"], _UNREADY))


def _since(began: float) -> str:
    return f"{(time.monotonic() - began) * 1e3:.0f} ms"
