"""When a partner's failures are an outage: three different members in a row, with no verdict between."""

from __future__ import annotations

from gatectl.decision.verdict import Fault, Verdict

MEMBERS = 3
COUNTED = frozenset({Fault.NETWORK, Fault.TLS, Fault.TIMEOUT, Fault.PARTNER})
RESTING = "resting"
"""The `reason.key` of a scan that found its partner resting."""


class Streak:
    """The members that one partner failed since its last verdict; three are as good as a thousand."""

    def __init__(self) -> None:
        self._members: set[str] = set()

    @property
    def is_outage(self) -> bool:
        return len(self._members) >= MEMBERS

    def take(self, member: str, verdict: Verdict | None, fault: Fault | None, reason_key: str | None) -> bool:
        """One finished scan, now or read back from the journal; says whether it is part of an outage."""
        if verdict not in (None, Verdict.NONE):
            self._members.clear()
            return False
        if fault not in COUNTED or reason_key == RESTING:
            return False
        if not self.is_outage:
            self._members.add(member)
        return self.is_outage
