"""The devices part of `gatectl check`: every relay driven off, every scanner opened.

What a running gatectl has is left to it; its status says how it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from gatectl.cli.control import NotRunning, call
from gatectl.cli.finding import Finding
from gatectl.config import model
from gatectl.daemon.gates import PIN_HINTS, switch_off
from gatectl.devices.keyboard import Keyboard
from gatectl.devices.off import sentence
from gatectl.devices.pins import PinsError
from gatectl.devices.scanner import DeviceLost
from gatectl.devices.serial_port import SerialPort

_RESTART = "settings that are newer than the running gatectl? systemctl restart gatectl"


def devices(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """A finding for each relay and each scanner. GatectlError where a running gatectl does not answer."""
    try:
        status = call(settings.control.socket, {"command": "status"})
    except NotRunning:
        yield from _relays(settings, environ)
        for name, door in settings.doors.items():
            for scanner in door.scanners:
                yield _opened(name, scanner)
        return
    for name, door in settings.doors.items():
        state = status["doors"].get(name)
        if state is None:
            yield Finding(f"door {name}: the running gatectl does not know it", _RESTART)
        else:
            yield from _told(name, door, state)


def _relays(settings: model.Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    began = time.monotonic()
    try:
        failed = switch_off(settings, environ)
    except PinsError as error:
        yield Finding(f"relay: {error.message}", error.hints[0])
        return
    not_off = {line[0]: sentence((line, cause)) for line, cause in failed}
    for door in settings.doors:
        if door in not_off:
            yield Finding(not_off[door], PIN_HINTS[0])
        else:
            yield Finding(f"relay of {door}: driven off, {_since(began)}")


def _opened(door: str, scanner: model.Scanner) -> Finding:
    path, how = _named(scanner)
    began = time.monotonic()
    try:
        if isinstance(scanner, model.SerialScanner):
            SerialPort(path, scanner.baud).close()
        else:
            Keyboard(path).close()
    except DeviceLost as lost:
        hint = "is it plugged in, may this user read it, and does no other program hold it? gatectl devices"
        return Finding(f"scanner {path} of {door} ({how}): {lost.cause}, {_since(began)}", hint)
    return Finding(f"scanner {path} of {door} ({how}): opened, {_since(began)}")


def _told(name: str, door: model.DoorSettings, state: dict[str, Any]) -> Iterator[Finding]:
    """By the running gatectl's status of this door."""
    gate = state["gate"]
    if gate.get("cause") is None:
        yield Finding(f"relay of {name}: the running gatectl has it, {'open' if gate['open'] else 'shut'}")
    else:
        yield Finding(f"relay of {name}: out of order since {gate['since']} ({gate['cause']})", PIN_HINTS[0])
    for signal, pin in state.get("signals", {}).items():
        if pin["cause"] is not None:
            yield Finding(f"signal {signal} of {name}: {pin['cause']}, since {pin['since']}", PIN_HINTS[0])
    known = {scanner["scanner"]: scanner for scanner in state["scanners"]}
    for scanner in door.scanners:
        path, how = _named(scanner)
        line = f"scanner {path} of {name} ({how}): "
        found = known.get(path)
        if found is None:
            yield Finding(f"{line}the running gatectl does not know it", _RESTART)
        elif found["state"] == "ready":
            yield Finding(f"{line}the running gatectl has it, {found['codes']} codes so far")
        else:
            hint = "is it plugged in, and set up as the settings say? gatectl devices"
            yield Finding(f"{line}{found['state']} since {found['since']} ({found['cause']})", hint)


def _named(scanner: model.Scanner) -> tuple[str, str]:
    """Its path, and how it is read."""
    if isinstance(scanner, model.SerialScanner):
        return str(scanner.port), f"{scanner.baud} baud, {scanner.framing}"
    return str(scanner.device), f"layout {scanner.layout}"


def _since(began: float) -> str:
    return f"{(time.monotonic() - began) * 1e3:.0f} ms"
