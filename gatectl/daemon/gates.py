"""The hardware of all doors: every relay off before anything else, and given back off at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from gatectl.config.model import DoorSettings, Settings, Signals
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.signals import Lamp
from gatectl.devices import remembered
from gatectl.devices.gate import Gate, lamp_devices
from gatectl.devices.pins import PinsError, chip_number, factory_name, pin_factory
from gatectl.devices.relay import Guard, Relay, StuckError
from gatectl.devices.survivor import Survivor


class DoorPinsError(PinsError):
    """A pin of a door cannot be driven; `where` is the way to it in the settings."""

    def __init__(self, where: tuple[str, ...], message: str, *hints: str) -> None:
        super().__init__(message, *hints)
        self.where = where


@contextlib.contextmanager
def opened(
    settings: Settings, environ: Mapping[str, str], tell: Tell, last: Survivor
) -> Iterator[dict[str, Gate]]:
    """The gates by door, all of them off; off and closed again at the end. Raises DoorPinsError."""
    with contextlib.ExitStack() as stack:
        factory = _factory(settings, environ)
        stack.callback(factory.close)
        relays = relays_off(settings, factory)
        _remember(settings, environ, tell, last)
        guard = Guard(list(relays.values()), tell)
        gates = {}
        for name, relay in relays.items():
            lamps = _lamps(name, settings.doors[name].signals, factory)
            gates[name] = Gate(relay, guard, lamps, tell)
            stack.callback(_close, gates[name], tell)
        guard.start()
        stack.callback(guard.stop)
        yield gates


def _remember(settings: Settings, environ: Mapping[str, str], tell: Tell, last: Survivor) -> None:
    """For the process that survives a kill, and for the service's last step where that died too."""
    name, chip = factory_name(settings.gpio.pin_factory, environ), chip_number(settings.gpio.chip)
    lines = [(at, door.relay.pin, int(not door.relay.active_high)) for at, door in settings.doors.items()]
    for keep in (partial(last.know, name), partial(remembered.remember, environ, name)):
        try:
            keep(chip, lines)
        except OSError as error:
            tell(Notice(Priority.WARNING, f"what to switch off after a kill is not kept ({error})"))


def relays_off(settings: Settings, factory: Any) -> dict[str, Relay]:
    """Every relay, off. All are tried before the first that fails is raised, as DoorPinsError."""
    relays: dict[str, Relay] = {}
    failed: list[DoorPinsError] = []
    for name, door in settings.doors.items():
        try:
            relays[name] = _relay(name, door, factory)
        except Exception as error:  # noqa: BLE001 - drivers share no base class; raised below
            failed.append(_pin_error(("doors", name, "relay", "pin"), door.relay.pin, error))
    if failed:
        raise failed[0]
    return relays


def switch_off(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Every configured relay off, without the daemon; the doors' names. Raises DoorPinsError."""
    with contextlib.closing(_factory(settings, environ)) as factory:
        relays = relays_off(settings, factory)
        for relay in relays.values():
            relay.close()
        return list(relays)


def _factory(settings: Settings, environ: Mapping[str, str]) -> Any:
    try:
        return pin_factory(settings.gpio.pin_factory, chip_number(settings.gpio.chip), environ)
    except PinsError as error:
        raise DoorPinsError(("gpio", "pin_factory"), error.message, *error.hints) from error


def _relay(name: str, door: DoorSettings, factory: Any) -> Relay:
    settings = door.relay
    return Relay(
        name, settings.pin, active_high=settings.active_high, open_ms=settings.open_ms, factory=factory
    )


def _lamps(name: str, signals: Signals, factory: Any) -> dict[Lamp, Any]:
    lamps: dict[Lamp, Any] = {}
    for lamp in Lamp:
        pin = getattr(signals, lamp.value)
        if pin is None:
            continue
        try:
            lamps |= lamp_devices({lamp: pin}, factory)
        except Exception as error:
            # Drivers share no base class; whatever this one raised, the pin cannot be driven.
            raise _pin_error(("doors", name, "signals", lamp.value), pin, error) from error
    return lamps


def _pin_error(where: tuple[str, ...], pin: int, error: Exception) -> DoorPinsError:
    return DoorPinsError(
        where,
        f"pin {pin} cannot be driven: {str(error) or type(error).__name__}",
        "is the number a BCM number of this board, and does no other program hold the pin?",
    )


def _close(gate: Gate, tell: Tell) -> None:
    try:
        gate.close()
    except StuckError as error:
        door = gate.relay.door
        tell(
            Notice(Priority.ERROR, f"{door}: the relay does not go off at the end ({error})", {"DOOR": door})
        )
