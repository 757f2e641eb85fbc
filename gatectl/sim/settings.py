"""Make the settings with which gatectl uses a running simulator."""

from __future__ import annotations

import json

from gatectl.sim.http import ProtocolName
from gatectl.sim.partner_state import GYM_ID, LOCATIONS
from gatectl.sim.server import Simulator

_OWN: dict[ProtocolName, tuple[str, ...]] = {
    "perfectgym": (),
    "wellhub": (f'gym_id = "{GYM_ID}"',),
    "capitan": (f"location_id = {LOCATIONS[0]}",),
}


def partner_section(simulator: Simulator, protocol: ProtocolName) -> str:
    """Return a `[partners.…]` section of TOML, named like its protocol, ready to paste, with a final newline.

    It names the key's file, never the key.
    """
    lines = (
        f"[partners.{protocol}]",
        f'protocol = "{protocol}"',
        f"url = {_text(simulator.url(protocol))}",
        *_OWN[protocol],
        f"key = {{ file = {_text(str(simulator.key_file(protocol)))} }}",
        f"ca_file = {_text(str(simulator.ca_file))}",
    )
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """Return a TOML basic string, which has the same escapes as JSON."""
    return json.dumps(value, ensure_ascii=False)
