"""Which relays the daemon drives, kept where `gatectl relay off` finds it without the settings.

After a SIGKILL the gate stands open until somebody sets the line: that must neither wait for the settings
to be read nor depend on what was made of them meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = "RUNTIME_DIRECTORY"
"""systemd's name for the service's folder in /run, which is there until the service has ended."""

FILE = "relays.json"


@dataclass(frozen=True, slots=True)
class Line:
    """A relay's line, and the level at which it is off."""

    door: str
    pin: int
    off_level: int


def remember(environ: Mapping[str, str], factory: str, chip: int, lines: Iterable[Line]) -> None:
    """Writes them down, if there is a place for it. Raises OSError."""
    if FOLDER not in environ:
        return
    path = Path(environ[FOLDER]) / FILE
    half = path.with_suffix(".new")
    half.write_text(
        json.dumps({"factory": factory, "chip": chip, "lines": [asdict(line) for line in lines]}), "utf-8"
    )
    half.rename(path)


def switch_off(environ: Mapping[str, str]) -> list[str] | None:
    """Every remembered line to its off level; the doors, or None where nothing is remembered.

    Raises what the driver raises.
    """
    try:
        kept = json.loads((Path(environ[FOLDER]) / FILE).read_bytes())
        lines = [Line(**line) for line in kept["lines"]]
    except (KeyError, OSError, ValueError, TypeError):
        return None
    if kept["factory"] == "lgpio":
        _by_lgpio(kept["chip"], lines)
    else:
        _by_gpiozero(kept["factory"], kept["chip"], lines)
    return [line.door for line in lines]


def _by_lgpio(chip: int, lines: Iterable[Line]) -> None:
    # Without gpiozero, whose import takes longer than all the rest.
    from gatectl.devices.pins import import_lgpio  # noqa: PLC0415 - loads the C library

    lgpio = import_lgpio()
    handle = lgpio.gpiochip_open(chip)
    try:
        for line in lines:
            lgpio.gpio_claim_output(handle, line.pin, line.off_level)
    finally:
        lgpio.gpiochip_close(handle)


def _by_gpiozero(name: str, chip: int, lines: Iterable[Line]) -> None:
    from gatectl.devices.pins import pin_factory  # noqa: PLC0415 - loads the driver

    with closing(pin_factory(name, chip, {})) as factory:
        for line in lines:
            factory.pin(line.pin).output_with_state(bool(line.off_level))
