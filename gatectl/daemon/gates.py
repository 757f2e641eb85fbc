"""The hardware of all doors: every relay off before anything else, and given back off at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gatectl.config.model import Settings
from gatectl.config.problems import Finding
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.signals import Lamp
from gatectl.devices import chips, off, remembered
from gatectl.devices.chips import ChipError, chip_number
from gatectl.devices.gate import Gate
from gatectl.devices.guard import Guard
from gatectl.devices.lamp import LampPin
from gatectl.devices.off import Failure, Line
from gatectl.devices.pins import LGPIO, PinsError, factory_name, import_lgpio, pin_factory
from gatectl.devices.relay import Relay, StuckError
from gatectl.devices.survivor import Survivor

PIN_HINTS = ("is the number a BCM number of this board, and does no other program hold the pin?",)


class NoGateError(PinsError):
    """No door can work; `findings` say why, each at its place in the settings."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__(findings[0].what, *findings[0].hints)
        self.findings = findings


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates by door, and the thread that looks after their pins."""

    by_door: Mapping[str, Gate]
    guard: Guard


@contextlib.contextmanager
def opened(settings: Settings, environ: Mapping[str, str], tell: Tell, last: Survivor) -> Iterator[Gates]:
    """All gates off; off and closed again at the end.

    A gate whose relay cannot be driven is out of order, and tried again. Raises NoGateError where all are.
    """
    with contextlib.ExitStack() as stack:
        chip, factory = _factory(settings, environ)
        stack.callback(factory.close)
        relays = {
            name: Relay(
                name,
                door.relay.pin,
                active_high=door.relay.active_high,
                open_ms=door.relay.open_ms,
                factory=factory,
                tell=tell,
            )
            for name, door in settings.doors.items()
        }
        failed = off.each_off(lines_of(settings), lambda line: relays[line[0]].claim())
        if len(failed) == len(relays):
            raise NoGateError([_finding(failure) for failure in failed])
        for (door, _, _), cause in failed:
            relays[door].failed(cause)
        _remember(settings, chip, environ, tell, last)
        lamps = {name: _lamps(settings, name, factory, tell) for name in relays}
        guard = Guard(list(relays.values()), [lamp for some in lamps.values() for lamp in some])
        gates = {name: Gate(relay, guard, lamps[name]) for name, relay in relays.items()}
        for gate in gates.values():
            stack.callback(_close, gate, tell)
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
        return off.lines_off(name, _chip(settings, environ), lines_of(settings))
    except PinsError:
        raise
    except Exception as error:
        hints = chips.hints(chips.chips_of()) if name == LGPIO else PIN_HINTS
        raise PinsError(f"the relays' pins cannot be driven: {off.cause_of(error)}", *hints) from error


def _remember(settings: Settings, chip: int, environ: Mapping[str, str], tell: Tell, last: Survivor) -> None:
    """For the process that survives a kill, and for the service's last step where that died too."""
    name = factory_name(settings.gpio.pin_factory, environ)
    for keep in (partial(last.know, name), partial(remembered.remember, environ, name)):
        try:
            keep(chip, lines_of(settings))
        except OSError as error:
            tell(Notice(Priority.WARNING, f"what to switch off after a kill is not kept ({error})"))


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
        raise NoGateError([Finding(where, error.message, error.hints)]) from error


def _lamps(settings: Settings, door: str, factory: Any, tell: Tell) -> list[LampPin]:
    signals = settings.doors[door].signals
    pins = ((lamp, getattr(signals, lamp.value)) for lamp in Lamp)
    lamps = [LampPin(door, lamp, pin, factory, tell) for lamp, pin in pins if pin is not None]
    for lamp in lamps:
        lamp.recover()
    return lamps


def _finding(failure: Failure) -> Finding:
    (door, pin, _), cause = failure
    return Finding(("doors", door, "relay", "pin"), f"pin {pin} cannot be driven: {cause}", PIN_HINTS)


def _close(gate: Gate, tell: Tell) -> None:
    try:
        gate.close()
    except StuckError as error:
        door = gate.relay.door
        tell(
            Notice(Priority.ERROR, f"{door}: the relay does not go off at the end ({error})", {"DOOR": door})
        )
