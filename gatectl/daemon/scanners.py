"""A scanner as the settings describe it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gatectl.config import model
from gatectl.decision.notice import Tell
from gatectl.devices.scanner import Scanner


def scanner_of(settings: model.Scanner, present: Callable[[str, str, float], None], tell: Tell) -> Scanner:
    """`present` takes the scanner's path, a code, and when it was complete (s, event loop's clock)."""
    match settings:
        case model.SerialScanner():
            from gatectl.devices.serial_port import serial_scanner  # noqa: PLC0415 - where one is

            path = str(settings.port)
            return serial_scanner(
                path,
                baud=settings.baud,
                framing=settings.framing,
                idle_s=settings.idle_ms / 1000,
                strip_aim=settings.strip_aim,
                on_code=partial(present, path),
                tell=tell,
            )
        case model.EvdevScanner():
            from gatectl.devices.keyboard import keyboard_scanner  # noqa: PLC0415 - where one is

            path = str(settings.device)
            return keyboard_scanner(
                path,
                layout=settings.layout,
                idle_s=settings.idle_ms / 1000,
                strip_aim=settings.strip_aim,
                on_code=partial(present, path),
                tell=tell,
            )
