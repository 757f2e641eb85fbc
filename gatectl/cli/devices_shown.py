"""Show what `gatectl devices` found: the devices, who has them, a scan, and the settings for it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gatectl.cli.render import TextConsole
from gatectl.cli.route import CardSetting, Way, card_table
from gatectl.config.model import Settings
from gatectl.decision.cards import Card
from gatectl.decision.reader.card_notations import Notation
from gatectl.decision.reader.detect import DetectedFormat
from gatectl.decision.toml_text import toml_value
from gatectl.devices.reader.discovery import DeviceInfo
from gatectl.devices.reader.driver import Driver, locate
from gatectl.devices.reader.port import DeviceLost
from gatectl.devices.reader.reader_types import READER_TYPES
from gatectl.errors import visible

_INDENT = "    "

_OTHERS = 5
"""Other readings of a scan to show: a keyboard's layouts make up to twenty."""

Drivers = Mapping[str, Driver[Any]]


@dataclass(frozen=True, slots=True)
class Known:
    """The settings, and the status of the running gatectl; `settings` is None where they cannot be read."""

    settings: Settings | None
    cards: dict[str, Card]
    scanners: dict[str, dict[str, Any]]
    """The running gatectl's scanners, each with its `door`, by the device behind the path."""
    notes: list[str]
    """A line for each thing that could not be found out."""
    is_daemon_unknown: bool
    """Whether a gatectl may be running whose devices are unknown."""

    def door_of(self, device: DeviceInfo) -> str | None:
        """Return the door whose settings name this device; else None."""
        for name, door in self.settings.doors.items() if self.settings else ():
            for scanner in door.scanners:
                with contextlib.suppress(DeviceLost):
                    if locate(scanner) == device.node:
                        return name
        return None

    def is_free(self, device: DeviceInfo) -> bool:
        """Return whether it may be opened without taking it from a gatectl."""
        if device.is_console or device.node in self.scanners:
            return False
        return not self.is_daemon_unknown or (self.settings is not None and self.door_of(device) is None)


@dataclass(frozen=True, slots=True)
class ScannedCode:
    """A scan that was read, and the route that takes it."""

    device: DeviceInfo
    seen: DetectedFormat
    others: list[DetectedFormat]
    """The same scan in other layouts."""
    ways: list[Way]
    notations: list[tuple[Notation, list[Way]]]
    """The card in its notations and the ways of each; empty if it is rather a ticket."""
    door: str
    """The door for the settings to paste."""
    card: CardSetting | None = None
    """The setting that makes of it what is printed; None if that was not asked."""

    @property
    def toml(self) -> str:
        """The table to put into the settings."""
        named_by = self.device.other_name or (READER_TYPES[self.device.type].path_key, self.device.path)
        card = self.card.table if self.card else None
        seen = replace(self.seen, settings={**self.seen.settings, "card": card}) if card else self.seen
        return seen.toml(self.door, self.device.type, *named_by)


def show_devices(listed: list[DeviceInfo], known: Known, drivers: Drivers) -> None:
    """Print the devices by their types, each with its state."""
    console = TextConsole()
    for kind, driver in drivers.items():
        console.print(driver.device_class.heading, style="cyan")
        of_type = [device for device in listed if device.type == kind]
        for device in of_type:
            console.print(f"  {visible(device.path)}", soft_wrap=True)
            state, colour = _state(device, known)
            words = [device.name, state, *_stability(device)]
            console.print(f"{_INDENT}{visible('; '.join(word for word in words if word))}", style=colour)
        if not of_type:
            console.print("  none that a scanner may be", style="yellow")


def _state(device: DeviceInfo, known: Known) -> tuple[str, str]:
    """The programs or the door that have it, in words, and the colour for them."""
    scanner = known.scanners.get(device.node)
    if scanner is not None:
        state = scanner["state"] + (f" ({scanner['cause']})" if scanner["cause"] else "")
        return f"gatectl has it: door {scanner['door']}, {state}, {scanner['codes']} codes", ""
    if device.is_console:
        return "the system's console", "yellow"
    door = known.door_of(device)
    place = f", in the settings of door {door}" if door else ""
    if device.held_by:
        return f"open in {', '.join(device.held_by)}{place}", "yellow"
    return f"free{place}", "green"


def _stability(device: DeviceInfo) -> Iterator[str]:
    if device.may_change_name:
        yield "this name may change when it is plugged in again"
    elif device.stability == "by-path":
        twin = ", since another one here has the same name by-id" if device.has_twin else ""
        yield f"this name means the socket that it is plugged into{twin}"


def holders(device: DeviceInfo) -> str:
    """Return the other programs that have a device open, in brackets; nothing for none."""
    return f" ({', '.join(device.held_by)})" if device.held_by else ""


def show_scan(scan: ScannedCode) -> None:
    """Print how a code was read, where it goes, and the settings that read it so."""
    console = TextConsole()
    console.print(visible(scan.device.path), style="cyan", soft_wrap=True)
    rows = [("read", scan.seen.code), ("how", scan.seen.how)]
    rows += [("or", f"{one.code}, {one.how}") for one in scan.others[:_OTHERS]]
    if more := len(scan.others[_OTHERS:]):
        rows.append(("", f"and {more} less likely"))
    rows += [("goes to" if index == 0 else "", one.sentence()) for index, one in enumerate(scan.ways)]
    for name, words in rows:
        console.print(f"{_INDENT}{name:<9}{visible(words)}", soft_wrap=True)
    if scan.others:
        console.print(
            f"{_INDENT}Compare with what is printed on the card: the reader's own setting decides.",
            style="yellow",
        )
    if scan.device.may_change_name and scan.device.other_name is None:
        console.print(
            f"{_INDENT}This name may change when it is plugged in again, and then it is not found: "
            "give it a name of its own with a udev rule (SYMLINK+=), and name that in the settings.",
            style="yellow",
        )
    show_card(scan, console)
    console.print("\nFor the settings:\n", style="cyan")
    print(scan.toml, end="")
    for note in scan.card.notes if scan.card else ():
        print(f"note: {visible(note)}", file=sys.stderr)


def show_card(scan: ScannedCode, console: TextConsole) -> None:
    """Show the card in its other notations, each with its setting and the card or route that takes it."""
    for index, (one, ways) in enumerate(scan.notations[1:]):
        name = "card" if index == 0 else ""
        known = "".join(f"; {way.sentence()}" for way in ways if way.recognised)
        setting = f"card = {toml_value(card_table(one.conversion))}"
        console.print(f"{_INDENT}{name:<9}{one.text:<14} {setting}{visible(known)}", soft_wrap=True)


def device_json(device: DeviceInfo, known: Known) -> dict[str, Any]:
    """Return a device for `--json`."""
    return asdict(device) | {
        "door": known.door_of(device),
        "gatectl": known.scanners.get(device.node),
        "free": known.is_free(device) and not device.held_by,
    }


def scan_json(scan: ScannedCode) -> dict[str, Any]:
    """Return a scan for `--json`."""
    return {
        "path": scan.device.path,
        **_format_json(scan.seen),
        "others": [_format_json(one) for one in scan.others],
        "ways": [asdict(one) for one in scan.ways],
        "notations": [
            {
                "text": one.text,
                "card": card_table(one.conversion),
                "recognised": any(way.recognised for way in ways),
            }
            for one, ways in scan.notations
        ],
        "card": scan.card and scan.card.table,
        "other_cards": scan.card.others if scan.card else [],
        "notes": scan.card.notes if scan.card else [],
        "toml": scan.toml,
    }


def _format_json(seen: DetectedFormat) -> dict[str, Any]:
    facts = asdict(seen)
    settings: dict[str, Any] = facts.pop("settings")
    return facts | settings
