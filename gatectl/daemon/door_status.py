"""A door as `gatectl status --json` shows it."""

from __future__ import annotations

from typing import Any

from gatectl.daemon import clock
from gatectl.decision.door.machine import DoorMachine
from gatectl.decision.event import timestamp
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.trouble import Trouble


def door_status(machine: DoorMachine, gate: Gate) -> dict[str, Any]:
    """The scan under way, the codes behind it, the gate and its signals."""
    off_at = gate.relay.off_at
    return {
        "state": machine.state.value,
        "waiting": machine.waiting,
        "dropped": machine.dropped,
        "gate": {
            "open": off_at is not None,
            "closes_in_ms": None if off_at is None else max(round((off_at - clock.now()) * 1e3), 0),
        }
        | _condition(gate.relay.trouble),
        # Only those that are out of order: a signal that works has nothing to say.
        "signals": {
            lamp.value: _condition(pin.trouble)
            for lamp, pin in gate.lamps.items()
            if pin.trouble.cause is not None
        },
    }


def _condition(trouble: Trouble) -> dict[str, Any]:
    return {
        "state": "ready" if trouble.cause is None else "out of order",
        "since": timestamp(clock.wall_us(trouble.since)),
        "cause": trouble.cause,
    }
