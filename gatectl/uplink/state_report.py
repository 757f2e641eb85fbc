"""The state that a gate sends to head office: its health, its daemon's status, and how far it is behind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from gatectl import __version__, clock
from gatectl.decision.event import timestamp
from gatectl.monitor.control_client import Away, ControlClient
from gatectl.uplink import wire
from gatectl.uplink.conversation import Conversation
from gatectl.uplink.privacy import Privacy
from gatectl.validators.values import facts_of

STATE_BYTES_MAX = wire.PAYLOAD_BYTES_MAX - 1024
"""Less the packet's head, which counts too."""

_VOLATILE = frozenset(
    {
        *("waiting", "dropped", "codes", "gate", "since", "level", "last_dropped", "last_event", "inside"),
        *("ready_connections", "clock_ahead_s", "viewers", "late"),
    }
)
"""Parts of the status whose change is no news."""


class StateReport:
    """Makes the messages. `about` has their fields that do not change; `certificate` is the gate's own."""

    def __init__(
        self, daemon: ControlClient, privacy: Privacy, about: Mapping[str, Any], certificate: Path
    ) -> None:
        self._daemon = daemon
        self._privacy = privacy
        self._about = about
        self._certificate = certificate

    async def daemon_status(self) -> dict[str, Any] | None:
        """Return what may leave of the daemon's status; None if it does not answer."""
        try:
            return self._privacy.status(await self._daemon.status())
        except Away:
            return None

    def payload(
        self, status: dict[str, Any] | None, talk: Conversation, oldest_unsent_at: str | None
    ) -> wire.Payload:
        """Return the message; `oldest_unsent_at` is the time of the first event that is not committed."""
        health = {
            "at": timestamp(clock.wall_us(clock.now())),
            "version": __version__,
            **self._about,
            "certificate_until": self._certificate_until(),
            "clock": {"synchronised": clock.is_synchronised()},
            "behind": talk.behind,
            "oldest_unsent_at": oldest_unsent_at,
            "status": status,
        }
        payload = _encoded(health, talk)
        # A site of very many doors: the connection matters more than its details.
        return payload if len(payload.data) <= STATE_BYTES_MAX else _encoded(health | {"status": None}, talk)

    def _certificate_until(self) -> str | None:
        facts = facts_of(self._certificate)
        return None if facts is None else facts.ends.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _encoded(health: Mapping[str, Any], talk: Conversation) -> wire.Payload:
    return wire.encode_state(health, journal=talk.journal, last=talk.last, mark=talk.mark, fork=talk.fork)


def lasting(part: Any) -> Any:
    """Return the part of a status whose change is news."""
    if isinstance(part, dict):
        return {name: lasting(value) for name, value in part.items() if name not in _VOLATILE}
    return [lasting(one) for one in part] if isinstance(part, list) else part
