"""The hardware of all doors: every relay off before anything else, and given back off at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from gatectl.config.model import Settings
from gatectl.config.problems import SettingIssue
from gatectl.decision.indication import Lamp
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.devices.gpio import chips, lines_off
from gatectl.devices.gpio.chips import ChipError, chip_number
from gatectl.devices.gpio.failsafe import FailsafeProcess
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.lamp import LampPin
from gatectl.devices.gpio.lines_off import Failure, Line
from gatectl.devices.gpio.pins import LGPIO, PinsError, factory_name, import_lgpio, pin_factory
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError
from gatectl.devices.gpio.relay_timer import RelayTimer

PIN_HINTS = ("is the number a BCM number of this board, and does no other program hold the pin?",)


class NoGateError(PinsError):
    """No door can work; `findings` say why, each at its place in the settings."""

    def __init__(self, findings: list[SettingIssue]) -> None:
        super().__init__(findings[0].what, *findings[0].hints)
        self.findings = findings


class Gates(NamedTuple):
    """The gates by door, and the thread that looks after their pins."""

    by_door: Mapping[str, Gate]
    guard: RelayTimer


@contextlib.contextmanager
def opened(
    settings: Settings, environ: Mapping[str, str], log: Log, last: FailsafeProcess
) -> Iterator[Gates]:
    """All gates off; off and closed again at the end.

    A gate whose relay cannot be driven is out of order, and tried again. Raises NoGateError where all are.
    """
    with contextlib.ExitStack() as stack:
        chip, factory = _factory(settings, environ)
        stack.callback(factory.close)
        relays = {
            name: RelayPin(
                name,
                door.relay.pin,
                active_high=door.relay.active_high,
                open_ms=door.relay.open_ms,
                factory=factory,
                log=log,
            )
            for name, door in settings.doors.items()
        }
        failed = lines_off.each_off(lines_of(settings), lambda line: relays[line[0]].claim())
        if len(failed) == len(relays):
            raise NoGateError([_finding(failure) for failure in failed])
        for (door, _, _), cause in failed:
            relays[door].failed(cause)
        _remember(settings, chip, environ, log, last)
        lamps = {name: _lamps(settings, name, factory, log) for name in relays}
        guard = RelayTimer(list(relays.values()), [lamp for some in lamps.values() for lamp in some])
        gates = {name: Gate(relay, guard, lamps[name]) for name, relay in relays.items()}
        for gate in gates.values():
            stack.callback(_close, gate, log)
        guard.start()
        stack.callback(guard.stop)
        yield Gates(gates, guard)


def lines_of(settings: Settings) -> list[Line]:
    """Every relay's line with the level at which it is off."""
    return [(name, door.relay.pin, int(not door.relay.active_high)) for name, door in settings.doors.items()]


def switch_off(settings: Settings, environ: Mapping[str, str]) -> list[Failure]:
    """Every configured relay off, without the daemon; those that failed. Raises PinsError."""
    name = factory_name(settings.gpio.pin_factory, environ)
    if name == LGPIO:
        import_lgpio()  # in a folder of its own, before it is needed
    try:
        return lines_off.lines_off(name, _chip(settings, environ), lines_of(settings))
    except PinsError:
        raise
    except Exception as error:
        hints = chips.hints(chips.chips_of()) if name == LGPIO else PIN_HINTS
        raise PinsError(f"the relays' pins cannot be driven: {lines_off.cause_of(error)}", *hints) from error


def _remember(
    settings: Settings, chip: int, environ: Mapping[str, str], log: Log, last: FailsafeProcess
) -> None:
    """Pass the lines to the failsafe process, and save them for the service's last step if it dies too."""
    name = factory_name(settings.gpio.pin_factory, environ)
    for keep in (partial(last.arm, name), partial(lines_off.save_lines, environ, name)):
        try:
            keep(chip, lines_of(settings))
        except OSError as error:
            log(LogEntry(Priority.WARNING, f"what to switch off after a kill is not kept ({error})"))


def _chip(settings: Settings, environ: Mapping[str, str]) -> int:
    """The chip's number; other pin factories than lgpio know their own. Raises ChipError."""
    is_lgpio = factory_name(settings.gpio.pin_factory, environ) == LGPIO
    return chip_number(settings.gpio.chip) if is_lgpio else 0


def _factory(settings: Settings, environ: Mapping[str, str]) -> tuple[int, Any]:
    try:
        chip = _chip(settings, environ)
        return chip, pin_factory(settings.gpio.pin_factory, chip, environ)
    except PinsError as error:
        where = ("gpio", "chip" if isinstance(error, ChipError) else "pin_factory")
        raise NoGateError([SettingIssue(where, error.message, error.hints)]) from error


def _lamps(settings: Settings, door: str, factory: Any, log: Log) -> list[LampPin]:
    signals = settings.doors[door].signals
    pins = ((lamp, getattr(signals, lamp.value)) for lamp in Lamp)
    lamps = [LampPin(door, lamp, pin, factory, log) for lamp, pin in pins if pin is not None]
    for lamp in lamps:
        lamp.recover()
    return lamps


def _finding(failure: Failure) -> SettingIssue:
    (door, pin, _), cause = failure
    return SettingIssue(("doors", door, "relay", "pin"), f"pin {pin} cannot be driven: {cause}", PIN_HINTS)


def _close(gate: Gate, log: Log) -> None:
    try:
        gate.close()
    except StuckError as error:
        door = gate.relay.door
        log(
            LogEntry(
                Priority.ERROR, f"{door}: the relay does not go off at the end ({error})", {"DOOR": door}
            )
        )
