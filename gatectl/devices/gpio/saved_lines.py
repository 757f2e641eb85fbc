"""Store the relays that the daemon drives, so that `gatectl relay off` can do without the settings.

After a SIGKILL the gate stays open until the line is set. That must neither wait for the settings to be read
nor depend on later changes to them. Keep the imports few: the open gate waits for them too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from gatectl.devices.gpio.lines_off import Failure, Line, lines_off

FOLDER = "RUNTIME_DIRECTORY"
"""systemd's name for the service's folder in /run, which is there until the service has ended."""

FILE = "relays.json"


def save(environ: Mapping[str, str], factory: str, chip: int, lines: Iterable[Line]) -> None:
    """Write the relays to systemd's folder, if there is one. Raises OSError."""
    if FOLDER not in environ:
        return
    path = _path(environ)
    half = f"{path}.new"
    kept = [{"door": door, "pin": pin, "off_level": off_level} for door, pin, off_level in lines]
    with open(half, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib takes long to import
        json.dump({"factory": factory, "chip": chip, "lines": kept}, file)
    os.replace(half, path)  # noqa: PTH105


def switch_off(environ: Mapping[str, str]) -> tuple[list[str], list[Failure]] | None:
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
