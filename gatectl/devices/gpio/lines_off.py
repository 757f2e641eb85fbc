"""Switch relay lines off: every line is tried, even if others fail.

The failsafe process and the service's last step import this module. Keep its imports few: an energised relay
waits for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from gatectl.errors import visible

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
