"""Switching relay lines off: every line is tried, whatever becomes of those before it.

The failsafe process and the service's last step import this module, and an energised relay waits for all
that is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from gatectl.errors import visible

Line = tuple[str, int, int]
"""A relay's door, its pin, and the level at which it is off."""

Failure = tuple[Line, str]
"""A line that could not be switched off, and the cause in the driver's words."""


def each_off(lines: Iterable[Line], off: Callable[[Line], None]) -> list[Failure]:
    """Calls `off` for every line; returns those for which it raised."""
    failed: list[Failure] = []
    for line in lines:
        try:
            off(line)
        except Exception as error:  # noqa: BLE001 - drivers share no base class; returned, so not hidden
            failed.append((line, cause_of(error)))
    return failed


def cause_of(error: Exception) -> str:
    """The error in the driver's words."""
    return str(error) or type(error).__name__


def sentence(failure: Failure) -> str:
    """`main: the relay is not off: pin 17 cannot be driven: 'GPIO busy'`."""
    (door, pin, _), cause = failure
    return f"{door}: the relay is not off: pin {pin} cannot be driven: {cause}"


def complain(failed: Iterable[Failure]) -> None:
    """Writes one line to stderr for each line that is not off."""
    for failure in failed:
        sys.stderr.write(visible(sentence(failure)) + "\n")
    sys.stderr.flush()


def lines_off(factory: str, chip: int, lines: Iterable[Line]) -> list[Failure]:
    """Drives every line to its off level and leaves it there; returns those that failed.

    The line also gets its pull towards off: where the kernel makes an input of a line that nobody holds,
    that keeps the relay off. Raises what the driver raises where it does not start.
    """
    if factory == "lgpio":
        return _by_lgpio(chip, lines)
    return _by_gpiozero(factory, chip, lines)


def load_driver(factory: str) -> None:
    """Does beforehand what takes `lines_off` longest."""
    if factory == "lgpio":
        import lgpio  # noqa: F401, PLC0415 - loads the C library


def _by_lgpio(chip: int, lines: Iterable[Line]) -> list[Failure]:
    # Without gpiozero, whose import takes longer than all the rest, and without a folder for lgpio's pipe:
    # the service works in one that goes with it.
    import lgpio  # noqa: PLC0415 - loads the C library

    handle = lgpio.gpiochip_open(chip)

    def off(line: Line) -> None:
        _, pin, level = line
        try:
            lgpio.gpio_claim_output(handle, pin, level, lgpio.SET_PULL_UP if level else lgpio.SET_PULL_DOWN)
        except TimeoutError:  # the failsafe process gives this line up
            raise
        except Exception:  # noqa: BLE001 - also a driver without pulls has to drive the line
            lgpio.gpio_claim_output(handle, pin, level)

    try:
        return each_off(lines, off)
    finally:
        lgpio.gpiochip_close(handle)


def _by_gpiozero(name: str, chip: int, lines: Iterable[Line]) -> list[Failure]:
    from gatectl.devices.pins import pin_factory  # noqa: PLC0415 - loads the driver

    # The factory is not closed: closing makes an input without a pull of each of its pins.
    factory = pin_factory(name, chip, {})

    def off(line: Line) -> None:
        _, number, level = line
        pin = factory.pin(number)
        pin.output_with_state(bool(level))
        if bool(pin.state) != bool(level):
            raise RuntimeError("the pin did not follow")

    return each_off(lines, off)
