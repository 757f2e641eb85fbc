"""A scanner as the settings describe it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gatectl.config import model
from gatectl.decision.log import Log
from gatectl.decision.reader.framing import LineOptions, framer
from gatectl.devices.reader.claims import Claims
from gatectl.devices.reader.supervisor import Scanner


def claims_of(settings: model.Settings) -> Claims:
    """The devices that this process may have open at once, one scanner each."""
    return Claims([path_of(scanner) for door in settings.doors.values() for scanner in door.scanners])


def line_of(settings: model.SerialScanner) -> LineOptions:
    """The options of the serial line from the settings, without its speed."""
    return {"mode": settings.mode, "flow": settings.flow, "dtr": settings.dtr}


def path_of(settings: model.Scanner) -> str:
    """The path by which the settings name the device."""
    return str(settings.port if isinstance(settings, model.SerialScanner) else settings.device)


def scanner_of(
    settings: model.Scanner,
    claims: Claims,
    present: Callable[[str, str, float], None],
    unreadable: Callable[[], None],
    log: Log,
) -> Scanner:
    """`present` takes the scanner's path, a code, and when it was complete (s, event loop's clock).

    `unreadable` is called for a complete reading that is no code.
    """
    path = path_of(settings)
    match settings:
        case model.SerialScanner():
            from gatectl.devices.reader.serial_port import serial_scanner  # noqa: PLC0415 - where one is

            return serial_scanner(
                path,
                baud=settings.baud,
                line=line_of(settings),
                decoder=partial(
                    framer,
                    settings.framing,
                    encoding=settings.encoding,
                    strip_aim=settings.strip_aim,
                    strip_prefix=settings.strip_prefix,
                    strip_suffix=settings.strip_suffix,
                ),
                idle_s=settings.idle_ms / 1000,
                claims=claims,
                on_code=partial(present, path),
                on_unreadable=unreadable,
                log=log,
            )
        case model.EvdevScanner():
            from gatectl.devices.reader.evdev_keyboard import keyboard_scanner  # noqa: PLC0415 - where one is

            return keyboard_scanner(
                path,
                layout=settings.layout,
                idle_s=settings.idle_ms / 1000,
                strip_aim=settings.strip_aim,
                strip_prefix=settings.strip_prefix,
                strip_suffix=settings.strip_suffix,
                claims=claims,
                on_code=partial(present, path),
                on_unreadable=unreadable,
                log=log,
            )
