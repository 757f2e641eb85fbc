"""The registry of the partners' protocols: a protocol is known to gatectl when its descriptor is here."""

from __future__ import annotations

from gatectl.decision.routing import Numbers
from gatectl.partners import capitan, perfectgym
from gatectl.partners.generic_http import backend as generic_http
from gatectl.partners.protocol import PartnerSettings, ProtocolDescriptor
from gatectl.partners.wellhub import check_in as wellhub

PROTOCOLS: dict[str, ProtocolDescriptor] = {
    module.PROTOCOL.name: module.PROTOCOL for module in (perfectgym, wellhub, capitan, generic_http)
}
"""By the value of the setting `protocol`, in the order in which people see them."""


def settings_classes() -> dict[str, type[PartnerSettings]]:
    """Return the class of settings of each protocol."""
    return {name: descriptor.settings for name, descriptor in PROTOCOLS.items()}


def numbers_of(settings: PartnerSettings) -> Numbers:
    """Return which of a member's numbers this partner is asked with."""
    return PROTOCOLS[settings.protocol].numbers(settings)
