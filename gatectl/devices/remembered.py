"""Which relays the daemon drives, kept where `gatectl relay off` finds it without the settings.

After a SIGKILL the gate stands open until somebody sets the line: that must neither wait for the settings
to be read nor depend on what was made of them meanwhile. What this module imports, it waits for as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

FOLDER = "RUNTIME_DIRECTORY"
"""systemd's name for the service's folder in /run, which is there until the service has ended."""

FILE = "relays.json"

Line = tuple[str, int, int]
"""A relay's door, its pin, and the level at which it is off."""


def remember(environ: Mapping[str, str], factory: str, chip: int, lines: Iterable[Line]) -> None:
    """Writes them down, if there is a place for it. Raises OSError."""
    if FOLDER not in environ:
        return
    path = _path(environ)
    half = f"{path}.new"
    kept = [{"door": door, "pin": pin, "off_level": off_level} for door, pin, off_level in lines]
    with open(half, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes long to import
        json.dump({"factory": factory, "chip": chip, "lines": kept}, file)
    os.replace(half, path)  # noqa: PTH105


def switch_off(environ: Mapping[str, str]) -> list[str] | None:
    """Every remembered line to its off level; the doors, or None where nothing is remembered.

    Raises what the driver raises.
    """
    try:
        with open(_path(environ), encoding="utf-8") as file:  # noqa: PTH123
            kept = json.load(file)
        factory, chip = kept["factory"], kept["chip"]
        lines = [(line["door"], line["pin"], line["off_level"]) for line in kept["lines"]]
    except (KeyError, OSError, ValueError, TypeError):
        return None
    lines_off(factory, chip, lines)
    return [door for door, _, _ in lines]


def lines_off(factory: str, chip: int, lines: Iterable[Line]) -> None:
    """Each of these lines to its off level. Raises what the driver raises."""
    if factory == "lgpio":
        _by_lgpio(chip, lines)
    else:
        _by_gpiozero(factory, chip, lines)


def load_driver(factory: str) -> None:
    """Does beforehand what takes `lines_off` longest."""
    if factory == "lgpio":
        import lgpio  # noqa: F401, PLC0415 - loads the C library


def _path(environ: Mapping[str, str]) -> str:
    return f"{environ[FOLDER]}/{FILE}"


def _by_lgpio(chip: int, lines: Iterable[Line]) -> None:
    # Without gpiozero, whose import takes longer than all the rest, and without a folder for lgpio's pipe:
    # the service works in one that goes with it.
    import lgpio  # noqa: PLC0415 - loads the C library

    handle = lgpio.gpiochip_open(chip)
    try:
        for _, pin, off_level in lines:
            lgpio.gpio_claim_output(handle, pin, off_level)
    finally:
        lgpio.gpiochip_close(handle)


def _by_gpiozero(name: str, chip: int, lines: Iterable[Line]) -> None:
    from contextlib import closing  # noqa: PLC0415

    from gatectl.devices.pins import pin_factory  # noqa: PLC0415 - loads the driver

    with closing(pin_factory(name, chip, {})) as factory:
        for _, pin, off_level in lines:
            factory.pin(pin).output_with_state(bool(off_level))
