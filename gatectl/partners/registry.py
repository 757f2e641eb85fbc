"""The registry of the partners' protocols: a protocol is known to gatectl when its module is named here."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

from gatectl.decision.routing import Numbers
from gatectl.partners.protocol import PartnerSettings, ProtocolDescriptor


class Protocols(MutableMapping[str, ProtocolDescriptor]):
    """The descriptors by the value of the setting `protocol`, in the order in which people see them.

    The first use of a descriptor imports its module: a door starts without the protocols of others.
    """

    def __init__(self, modules: dict[str, str]) -> None:
        self._known: dict[str, str | ProtocolDescriptor] = {**modules}

    def __getitem__(self, name: str) -> ProtocolDescriptor:
        known = self._known[name]
        if isinstance(known, str):
            known = self._known[name] = import_module(known).PROTOCOL
        return known

    def __setitem__(self, name: str, descriptor: ProtocolDescriptor) -> None:
        self._known[name] = descriptor

    def __delitem__(self, name: str) -> None:
        del self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


PROTOCOLS = Protocols(
    {
        "perfectgym": "gatectl.partners.perfectgym",
        "wellhub": "gatectl.partners.wellhub.check_in",
        "capitan": "gatectl.partners.capitan",
        "device-api": "gatectl.partners.device_api",
        "http": "gatectl.partners.generic_http.backend",
    }
)


def settings_class(protocol: str) -> type[PartnerSettings]:
    """Return the class of a protocol's settings."""
    return PROTOCOLS[protocol].settings


def settings_classes() -> dict[str, type[PartnerSettings]]:
    """Return the class of settings of each protocol."""
    return {name: settings_class(name) for name in PROTOCOLS}


def numbers_of(settings: PartnerSettings) -> Numbers:
    """Return which of a member's numbers this partner is asked with."""
    return PROTOCOLS[settings.protocol].numbers(settings)


def key_advice_of(protocol: str) -> tuple[str, str]:
    """Return what else to check where a partner refuses the key; a daemon may know other protocols."""
    return PROTOCOLS[protocol].key_advice if protocol in PROTOCOLS else ("", "")
