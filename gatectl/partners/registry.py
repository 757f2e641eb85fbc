"""The registry of the partners' protocols: a protocol is known to gatectl when its descriptor is here."""

from __future__ import annotations

from gatectl.decision.routing import Numbers
from gatectl.partners import capitan, device_api, perfectgym
from gatectl.partners.generic_http import backend as generic_http
from gatectl.partners.protocol import PartnerSettings, ProtocolDescriptor
from gatectl.partners.wellhub import check_in as wellhub

PROTOCOLS: dict[str, ProtocolDescriptor] = {
    module.PROTOCOL.name: module.PROTOCOL
    for module in (perfectgym, wellhub, capitan, device_api, generic_http)
}
"""By the value of the setting `protocol`, in the order in which people see them."""


def settings_classes() -> dict[str, type[PartnerSettings]]:
    """Return the class of settings of each protocol."""
    return {name: descriptor.settings for name, descriptor in PROTOCOLS.items()}


def numbers_of(settings: PartnerSettings) -> Numbers:
    """Return which of a member's numbers this partner is asked with."""
    return PROTOCOLS[settings.protocol].numbers(settings)


def key_advice_of(protocol: str) -> tuple[str, str]:
    """Return what else to check where a partner refuses the key; a daemon may know other protocols."""
    return PROTOCOLS[protocol].key_advice if protocol in PROTOCOLS else ("", "")
