"""Switch relay lines off: every line is tried, even if others fail.

The failsafe process and the service's last step (`gatectl relay off`) import this module. Keep its imports
few: an energised relay waits for them. The daemon saves its lines, because the last step can wait neither for
the settings to be read nor depend on later changes to them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping

from gatectl.errors import visible

FOLDER = "RUNTIME_DIRECTORY"
"""systemd's name for the service's folder in /run, which is there until the service has ended."""

FILE = "relays.json"

Line = tuple[str, int, int]
"""A relay's door, its pin, and the level at which it is off."""

Failure = tuple[Line, str]
"""A line that could not be switched off, with the cause in the driver's words."""


def each_off(lines: Iterable[Line], off: Callable[[Line], None]) -> list[Failure]:
    """Call `off` for every line; return those for which it raised."""
    failed: list[Failure] = []
    for line in lines:
        try:
            off(line)
        except Exception as error:  # noqa: BLE001 - drivers share no base class; the caller gets it
            failed.append((line, cause_of(error)))
    return failed


def cause_of(error: Exception) -> str:
    """Return the error in the driver's words."""
    return str(error) or type(error).__name__


def sentence(failure: Failure) -> str:
    """Return a line such as `main: the relay is not off: pin 17 cannot be driven: 'GPIO busy'`."""
    (door, pin, _), cause = failure
    return f"{door}: the relay is not off: pin {pin} cannot be driven: {cause}"


def report_failures(failed: Iterable[Failure]) -> None:
    """Write a message to stderr for each line that is not off."""
    for failure in failed:
        sys.stderr.write(visible(sentence(failure)) + "\n")
    sys.stderr.flush()


def lines_off(factory: str, chip: int, lines: Iterable[Line]) -> list[Failure]:
    """Drive every line to its off level and leave it there; return those that failed.

    Each line also gets a pull towards off, which keeps the relay off where the kernel turns an unused line
    into an input. Raises the driver's own error if it does not start.
    """
    if factory == "lgpio":
        return _by_lgpio(chip, lines)
    return _by_gpiozero(factory, chip, lines)


def load_driver(factory: str) -> None:
    """Load the driver ahead of time: that is the slowest part of `lines_off`."""
    if factory == "lgpio":
        import lgpio  # noqa: F401, PLC0415 - loads the C library


def _by_lgpio(chip: int, lines: Iterable[Line]) -> list[Failure]:
    # Import lgpio alone: gpiozero takes longer to import than everything else. lgpio's pipe needs no folder
    # of its own here: the service's working directory is removed with the service.
    import lgpio  # noqa: PLC0415 - loads the C library

    handle = lgpio.gpiochip_open(chip)

    def off(line: Line) -> None:
        _, pin, level = line
        try:
            lgpio.gpio_claim_output(handle, pin, level, lgpio.SET_PULL_UP if level else lgpio.SET_PULL_DOWN)
        except TimeoutError:  # from the failsafe process's alarm: give this line up
            raise
        except Exception:  # noqa: BLE001 - a driver without pulls must drive the line too
            lgpio.gpio_claim_output(handle, pin, level)

    try:
        return each_off(lines, off)
    finally:
        lgpio.gpiochip_close(handle)


def _by_gpiozero(name: str, chip: int, lines: Iterable[Line]) -> list[Failure]:
    from gatectl.devices.gpio.pins import pin_factory  # noqa: PLC0415 - loads the driver

    # Do not close the factory: closing turns each of its pins into an input without a pull.
    factory = pin_factory(name, chip, {})

    def off(line: Line) -> None:
        _, number, level = line
        pin = factory.pin(number)
        pin.output_with_state(bool(level))
        if bool(pin.state) != bool(level):
            raise RuntimeError("the pin did not follow")

    return each_off(lines, off)


def save_lines(environ: Mapping[str, str], factory: str, chip: int, lines: Iterable[Line]) -> None:
    """Write the relays to systemd's folder, if there is one. Raises OSError."""
    if FOLDER not in environ:
        return
    path = _path(environ)
    half = f"{path}.new"
    kept = [{"door": door, "pin": pin, "off_level": off_level} for door, pin, off_level in lines]
    with open(half, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes long to import
        json.dump({"factory": factory, "chip": chip, "lines": kept}, file)
    os.replace(half, path)  # noqa: PTH105


def saved_lines_off(environ: Mapping[str, str]) -> tuple[list[str], list[Failure]] | None:
    """Drive every stored line to its off level; return the doors that are off, and the lines that failed.

    Returns None if nothing is stored. Raises the driver's own error if it does not start.
    """
    try:
        with open(_path(environ), encoding="utf-8") as file:  # noqa: PTH123
            kept = json.load(file)
        factory, chip = kept["factory"], kept["chip"]
        lines = [(line["door"], line["pin"], line["off_level"]) for line in kept["lines"]]
    except (KeyError, OSError, ValueError, TypeError):
        return None
    failed = lines_off(factory, chip, lines)
    not_off = {door for (door, _, _), _ in failed}
    return [door for door, _, _ in lines if door not in not_off], failed


def _path(environ: Mapping[str, str]) -> str:
    return f"{environ[FOLDER]}/{FILE}"
