"""The simulated protocols, by the name that the settings give them."""

from __future__ import annotations

from gatectl.sim.protocol import SimulatedProtocol
from gatectl.sim.protocols.capitan import SimulatedCapitan
from gatectl.sim.protocols.device_api import SimulatedDeviceApi
from gatectl.sim.protocols.generic_http import SimulatedHttp
from gatectl.sim.protocols.perfectgym import SimulatedPerfectGym
from gatectl.sim.protocols.wellhub import SimulatedWellhub
from gatectl.sim.scenarios import Scenario

PROTOCOLS: dict[str, type[SimulatedProtocol]] = {
    protocol.name: protocol
    for protocol in (
        SimulatedPerfectGym,
        SimulatedWellhub,
        SimulatedCapitan,
        SimulatedDeviceApi,
        SimulatedHttp,
    )
}
"""A new protocol gets its place here; settings, table and demo are in this order."""


def catalogue() -> tuple[Scenario, ...]:
    """Return the scenarios of all protocols."""
    return tuple(scenario for protocol in PROTOCOLS.values() for scenario in protocol.catalogue())
