"""The status of the running daemon, as `gatectl status --json` prints it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from gatectl import __version__, clock
from gatectl.daemon.door import Door
from gatectl.daemon.site_context import SiteContext
from gatectl.decision.door.inputs import InputState
from gatectl.decision.door.modes import Modes
from gatectl.decision.event import timestamp
from gatectl.decision.reader.reading import Dropped
from gatectl.decision.timestamps import FOREVER, LoopTime
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.output import Trouble
from gatectl.devices.reader.supervisor import Scanner


def status_of(
    context: SiteContext, doors: Mapping[str, Door], scanners: Iterable[tuple[str, Scanner]]
) -> dict[str, Any]:
    """The whole: doors with their scanners and gates, partners, the journal, the last event."""
    by_door: dict[str, list[dict[str, Any]]] = {name: [] for name in doors}
    for door, scanner in scanners:
        by_door[door].append(_scanner_status(scanner))
    health = context.store.health
    return {
        "version": __version__,
        "pid": os.getpid(),
        "doors": {name: _door_status(door) | {"scanners": by_door[name]} for name, door in doors.items()},
        "partners": {name: service.status() for name, service in context.partners.items()},
        "journal": {
            "error": health.error,
            "late": context.store.waiting,
            "lost": health.lost,
            "in_memory": context.in_memory,
        },
        "cards": None if context.site.cards is None else len(context.site.cards),
        "damaged": health.damage
        and {
            "since": timestamp(health.damage.since_us),
            "cards": health.damage.cards,
            "events": health.damage.events,
        },
        "sinks": context.sinks.status(),
        "viewers": len(context.viewers),
        "last_event": context.last_event and context.last_event.to_json(),
    }


def _door_status(door: Door) -> dict[str, Any]:
    """The scan under way, the codes that wait, the gate and its signals."""
    machine, gate = door.machine, door.gate
    off_at = gate.relay.off_at
    return {
        "state": machine.state.value,
        "waiting": machine.waiting,
        "dropped": machine.dropped,
        "gate": {
            "open": off_at is not None,
            "closes_in_ms": _left_ms(off_at),
        }
        | _condition(gate.relay.trouble),
        "exit_gate": _exit_gate(gate),
        # List only the signals that are out of order.
        "signals": {
            lamp.value: _condition(pin.trouble)
            for lamp, pin in gate.lamps.items()
            if pin.trouble.cause is not None
        },
        "mode": _mode(machine.modes),
        "inside": machine.occupancy and machine.occupancy.inside(clock.timestamp_now().at_us),
        "alarm": machine.alarm
        and {"name": machine.alarm.result.value, "since": timestamp(machine.alarm.attempt.at_us)},
        "inputs": {name.value: _input(state) for name, state in machine.inputs.items()},
    }


def _exit_gate(gate: Gate) -> dict[str, Any] | None:
    """The exit's own relay where it is out of order, as for the signals."""
    relay = gate.exit.relay
    is_broken = relay is not gate.relay and relay.trouble.cause is not None
    return _condition(relay.trouble) if is_broken else None


def _left_ms(off_at: LoopTime | None) -> int | None:
    """None also where a mode keeps the gate open without an end."""
    return None if off_at is None or off_at == FOREVER else max(round((off_at - clock.now()) * 1e3), 0)


def _mode(modes: Modes) -> dict[str, Any]:
    current, until_us = modes.current, modes.until_us(clock.timestamp_now().at_us)
    return {
        "name": current.mode.value,
        "since": timestamp(modes.since_us) if modes.since_us else None,
        "until": None if until_us is None else timestamp(until_us),
        "reason": current.reason or current.schedule,
    }


def _input(state: InputState) -> dict[str, Any]:
    """`level` is whether the input is active; null while it is not known."""
    return {
        "level": state.level,
        "since": None if state.level is None else timestamp(clock.wall_us(state.since_s)),
        "state": state.word,
    }


def _condition(trouble: Trouble) -> dict[str, Any]:
    return {
        "state": "ready" if trouble.cause is None else "out of order",
        "since": timestamp(clock.wall_us(trouble.since)),
        "cause": trouble.cause,
    }


def _scanner_status(scanner: Scanner) -> dict[str, Any]:
    status = scanner.status
    return {
        "scanner": status.path,
        "type": status.type,
        "state": status.state,
        "since": timestamp(clock.wall_us(LoopTime(status.since))),
        "cause": status.cause,
        "held_by": list(status.held_by),
        "codes": status.codes,
        "dropped": {flaw.value: count for flaw, count in status.dropped.items()},
        "last_dropped": status.last_dropped and _dropped(*status.last_dropped),
    }


def _dropped(reading: Dropped, at_s: float) -> dict[str, Any]:
    return {
        "flaw": reading.flaw.value,
        "detail": reading.detail or None,
        "at": timestamp(clock.wall_us(LoopTime(at_s))),
    }
