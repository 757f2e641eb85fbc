"""The hardware of all doors: every relay off before anything else, and given back off at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from gatectl.config.model import (
    DoorSettings,
    ExitRelaySettings,
    ExitSettings,
    InputSettings,
    RelaySettings,
    Settings,
)
from gatectl.config.problems import SettingIssue
from gatectl.decision.door.contact import ContactRules
from gatectl.decision.door.exits import ExitRules
from gatectl.decision.door.inputs import InputName, LevelChange, LevelFilter
from gatectl.decision.door.machine import DoorRules
from gatectl.decision.door.modes import ModeRules, Planned
from gatectl.decision.door.passages import PassageRules
from gatectl.decision.indication import Lamp
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.devices.gpio import chips, lines_off
from gatectl.devices.gpio.chips import ChipError, chip_number
from gatectl.devices.gpio.failsafe import FailsafeProcess
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.input_watcher import InputWatcher, Lost, WatchedInput
from gatectl.devices.gpio.lines_off import Failure, Line
from gatectl.devices.gpio.output import LampPin
from gatectl.devices.gpio.pin_threads import PinThreads
from gatectl.devices.gpio.pins import LGPIO, PinsError, factory_name, import_lgpio, pin_factory
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError
from gatectl.devices.gpio.relay_timer import RelayTimer

AFTER_MS = 1000
"""A member who begins to pass in the last moment is seen a little later."""

PIN_HINTS = ("is the number a BCM number of this board, and does no other program hold the pin?",)


class NoGateError(PinsError):
    """No door can work. `issues` are the reasons, each at its place in the settings."""

    def __init__(self, issues: list[SettingIssue]) -> None:
        super().__init__(issues[0].what, *issues[0].hints)
        self.issues = issues


class Gates(NamedTuple):
    """The gates by door, and the thread that looks after their pins."""

    by_door: Mapping[str, Gate]
    relay_timer: RelayTimer
    factory: Any
    """gatectl's pins come from it, the inputs' too."""


@contextlib.contextmanager
def opened(
    settings: Settings, environ: Mapping[str, str], log: Log, last: FailsafeProcess
) -> Iterator[Gates]:
    """Claim all gates, off; switch them off and release them at the end.

    A gate whose relay cannot be driven is out of order, and tried again. Raises NoGateError where all are.
    """
    with contextlib.ExitStack() as stack:
        chip, factory = _factory(settings, environ)
        stack.callback(factory.close)
        relays = _relays(settings, factory, log)
        failed = lines_off.each_off(lines_of(settings), lambda line: relays[line[1]].claim())
        _require_one(settings, failed)
        for (_, pin, _), cause in failed:
            relays[pin].failed(cause)
        _save_lines(settings, chip, environ, log, last)
        lamps = {name: _lamps(settings, name, factory, log) for name in settings.doors}
        relay_timer = RelayTimer(list(relays.values()), [lamp for some in lamps.values() for lamp in some])
        gates = {
            name: Gate(relays[door.relay.pin], relay_timer, lamps[name], _exit_relay(door, relays))
            for name, door in settings.doors.items()
        }
        for gate in gates.values():
            stack.callback(_close, gate, log)
        relay_timer.start()
        stack.callback(relay_timer.stop)
        yield Gates(gates, relay_timer, factory)


def _relays(settings: Settings, factory: Any, log: Log) -> dict[int, RelayPin]:
    """Every relay by its pin; no pin is touched yet."""
    relays = {}
    for door, relay, name in _each_relay(settings):
        relays[relay.pin] = RelayPin(
            door,
            relay.pin,
            active_high=relay.active_high,
            open_ms=settings.doors[door].relay.open_ms,
            factory=factory,
            log=log,
            name=name,
            pulse_ms=_pulse_ms(relay),
        )
    return relays


def _pulse_ms(relay: RelaySettings | ExitRelaySettings) -> int | None:
    return relay.pulse_ms if isinstance(relay, RelaySettings) and relay.control == "pulse" else None


def _each_relay(settings: Settings) -> Iterator[tuple[str, RelaySettings | ExitRelaySettings, str]]:
    for name, door in settings.doors.items():
        yield name, door.relay, "relay"
        if door.exit is not None and door.exit.relay is not None:
            yield name, door.exit.relay, "exit relay"


def _exit_relay(door: DoorSettings, relays: Mapping[int, RelayPin]) -> RelayPin | None:
    return relays[door.exit.relay.pin] if door.exit is not None and door.exit.relay is not None else None


def _require_one(settings: Settings, failed: Sequence[Failure]) -> None:
    """Raise NoGateError unless at least one door's own relay can be driven."""
    broken = {pin for (_, pin, _), _ in failed}
    if all(door.relay.pin in broken for door in settings.doors.values()):
        raise NoGateError([_issue(settings, failure) for failure in failed])


def lines_of(settings: Settings) -> list[Line]:
    """Every relay's line with the level at which it is off."""
    return [(door, relay.pin, int(not relay.active_high)) for door, relay, _ in _each_relay(settings)]


def rules_of(settings: Settings, door: DoorSettings) -> DoorRules:
    """The door's settings as its machine takes them."""
    repeat_s, contact, out = door.repeat_ms / 1000, door.contact, door.exit
    if out is None and any(scanner.direction == "out" for scanner in door.scanners):
        out = ExitSettings()
    return DoorRules(
        repeat_s,
        None if contact is None else ContactRules(contact.held_s, contact.warn_s, contact.relock),
        None
        if out is None
        else ExitRules(
            out.open_ms,
            out.unlock,
            repeat_s,
            has_button=out.button is not None,
            has_own_relay=out.relay is not None,
            counts=out.passage is not None,
            pulses=out.relay is None and door.relay.control == "pulse",
        ),
        _passage_rules(door),
        _mode_rules(settings, door),
        has_fire=door.fire is not None,
        may_hold=door.relay.continuous and door.relay.control == "hold",
        return_s=door.return_min * 60,
    )


def _mode_rules(settings: Settings, door: DoorSettings) -> ModeRules:
    def planned(name: str | None) -> Planned | None:
        return None if name is None else Planned(name, settings.schedules[name])

    return ModeRules(planned(door.hold_open), planned(door.closed), door.first_in, settings.site.zone)


def again_s(door: DoorSettings) -> int:
    """Seconds in which a member of this door has a second try; 0 without a passage sensor."""
    return 0 if door.passage is None and door.contact is None else door.again_s


def _passage_rules(door: DoorSettings) -> PassageRules | None:
    """The sensor, or the contact in its place, sees who passes."""
    open_ms, passage = door.relay.open_ms, door.passage
    if passage is not None:
        wait_ms = open_ms + AFTER_MS if passage.wait_ms is None else passage.wait_ms
        release = "no" if door.relay.control == "pulse" else passage.release
        return PassageRules(
            wait_ms / 1000, door.again_s, release=release, debounce_s=passage.debounce_ms / 1000
        )
    if door.contact is not None:
        return PassageRules(
            (open_ms + AFTER_MS) / 1000,
            door.again_s,
            has_sensor=False,
            release="no",
            debounce_s=door.contact.debounce_ms / 1000,
        )
    return None


def watched(
    settings: Settings,
    factory: Any,
    threads: PinThreads,
    on_change: Callable[[str, InputName, LevelChange | Lost], None],
) -> InputWatcher:
    """The inputs of all doors; `on_change` is called in the pins' threads with each change."""
    inputs = [
        WatchedInput(
            door,
            name,
            one.pin,
            one.active == "low",
            LevelFilter(one.debounce_ms / 1000),
            partial(on_change, door, name),
            factory,
            threads,
        )
        for door, door_settings in settings.doors.items()
        for name, one in _inputs(door_settings)
    ]
    return InputWatcher(inputs, threads)


def _inputs(door: DoorSettings) -> Iterator[tuple[InputName, InputSettings]]:
    if door.passage is not None:
        yield InputName.PASSAGE, door.passage
    if door.contact is not None:
        yield InputName.CONTACT, door.contact
    if door.fire is not None:
        yield InputName.FIRE, door.fire
    if door.exit is not None and door.exit.button is not None:
        yield InputName.EXIT, door.exit.button
    if door.exit is not None and door.exit.passage is not None:
        yield InputName.EXIT_PASSAGE, door.exit.passage


def switch_off(settings: Settings, environ: Mapping[str, str]) -> list[Failure]:
    """Switch every configured relay off, without the daemon; return those that failed. Raises PinsError."""
    name = factory_name(settings.gpio.pin_factory, environ)
    if name == LGPIO:
        import_lgpio()  # imported here, in a folder of its own, before `lines_off` imports it
    try:
        return lines_off.lines_off(name, _chip(settings, environ), lines_of(settings))
    except PinsError:
        raise
    except Exception as error:
        hints = chips.hints(chips.chips_of()) if name == LGPIO else PIN_HINTS
        raise PinsError(f"the relays' pins cannot be driven: {lines_off.cause_of(error)}", *hints) from error


def _save_lines(
    settings: Settings, chip: int, environ: Mapping[str, str], log: Log, last: FailsafeProcess
) -> None:
    """Pass the lines to the failsafe process, and save them for the service's last step if it dies too."""
    name = factory_name(settings.gpio.pin_factory, environ)
    for keep in (partial(last.arm, name), partial(lines_off.save_lines, environ, name)):
        try:
            keep(chip, lines_of(settings))
        except OSError as error:
            log(
                LogEntry(
                    Priority.WARNING,
                    f"the list of relays for the switch-off after a kill is not saved ({error})",
                )
            )


def _chip(settings: Settings, environ: Mapping[str, str]) -> int:
    """Return the chip's number, which only lgpio needs. Raises ChipError."""
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


def _issue(settings: Settings, failure: Failure) -> SettingIssue:
    (door, pin, _), cause = failure
    table = ("relay",) if settings.doors[door].relay.pin == pin else ("exit", "relay")
    return SettingIssue(("doors", door, *table, "pin"), f"pin {pin} cannot be driven: {cause}", PIN_HINTS)


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
