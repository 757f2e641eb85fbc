"""Detects from the last scans that a partner has an outage, or that it refuses everyone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from gatectl.decision.outcomes import Fault
from gatectl.decision.timestamps import LoopTime
from gatectl.decision.verdict import Verdict

MEMBERS = 3
"""Different members in a row that a partner fails in an outage; one or two may be chance."""
MEMBERS_REFUSED = 5
"""Different members in a row that a partner refuses where the fault may be ours: a wrong key, url or ID."""
RESTING = "resting"
"""The `reason.key` of a scan that found its partner resting."""
OUT_OF_ORDER = "out of order"
"""The state in `status` of a partner whose key or certificate cannot be used."""


def is_failure(fault: Fault | None, reason_key: str | None) -> bool:
    """Whether a scan without a verdict counts towards an outage."""
    return fault is not None and fault.row.counts and reason_key != RESTING


class OutageDetector:
    """The different members that one partner failed since its last verdict, up to `MEMBERS`."""

    def __init__(self) -> None:
        self._members: set[str] = set()

    @property
    def is_outage(self) -> bool:
        return len(self._members) >= MEMBERS

    def includes(self, member: str) -> bool:
        """Return whether a failure for this member is part of an outage."""
        return self.is_outage or len(self._members | {member}) >= MEMBERS

    def take(self, member: str, verdict: Verdict | None, fault: Fault | None, reason_key: str | None) -> bool:
        """Count one finished scan, now or read back; return whether it is part of an outage."""
        if verdict not in (None, Verdict.NONE):
            self._members.clear()
            return False
        if not is_failure(fault, reason_key):
            return False
        if not self.is_outage:
            self._members.add(member)
        return self.is_outage


class RefusalDetector:
    """The different members that one partner refused since it last admitted one, up to `MEMBERS_REFUSED`."""

    def __init__(self) -> None:
        self._members: set[str] = set()

    @property
    def are_of_everyone(self) -> bool:
        return len(self._members) >= MEMBERS_REFUSED

    def take(self, member: str, verdict: Verdict | None, *, admitted: bool) -> bool:
        """Count one finished scan, now or read back; return whether it is one of a row of refusals.

        `admitted` is the event's result: a refusal after which the gate opened all the same does not count. A
        success of the partner ends the row, also where the gate did not open. Scans without a verdict change
        nothing.
        """
        if admitted or verdict is Verdict.ALLOWED:
            self._members.clear()
            return False
        if verdict not in (Verdict.NOT_ALLOWED, Verdict.NOT_FOUND):
            return False
        if not self.are_of_everyone:
            self._members.add(member)
        return self.are_of_everyone


class FinishedScan(NamedTuple):
    """The part of a finished scan that matters for its partner's condition."""

    member: str
    verdict: Verdict | None
    fault: Fault | None = None
    status: int | None = None
    reason_key: str | None = None
    admitted: bool = False
    """The event's result."""
    detail: str | None = None


class Condition(StrEnum):
    """The condition of a partner, in the words of `status`."""

    HEALTHY = "healthy"
    OUTAGE = "outage"
    RESTING = "resting"
    REFUSING_KEY = "refusing our key"
    REFUSING_EVERYONE = "refusing everyone"


class Conditions:
    """One partner's condition and the moment of its last change."""

    def __init__(self, now: LoopTime) -> None:
        self.condition = Condition.HEALTHY
        self.since = now
        self.failure: FinishedScan | None = None
        """The last scan that counts towards an outage, since the last verdict."""
        self.rests_until = LoopTime(-math.inf)
        self._streak = OutageDetector()
        self._refusals = RefusalDetector()
        self._refuses_key = False

    @property
    def refuses_everyone(self) -> bool:
        """Also where another condition hides it."""
        return self._refusals.are_of_everyone

    @property
    def has_outage(self) -> bool:
        """Also where another condition hides it."""
        return self._streak.is_outage

    def outage_includes(self, member: str) -> bool:
        """Return whether a failure for this member is part of an outage."""
        return self._streak.includes(member)

    def rest(self, until: LoopTime) -> None:
        """No request goes out until then; `update` at that moment, too."""
        self.rests_until = until

    def recall(self, scans: Iterable[tuple[FinishedScan, LoopTime]]) -> None:
        """Start again from the journal's last scans, the oldest first, each with its moment.

        The key may have been replaced since an earlier run was refused with it, so no scan of the journal
        says anything about the key.
        """
        self._streak, self._refusals, self.failure = OutageDetector(), RefusalDetector(), None
        for scan, at in scans:
            self._count(scan)
            self.update(at)

    def take(self, scan: FinishedScan, now: LoopTime) -> bool:
        """Take a scan that has just finished; return whether it is part of an outage."""
        if scan.status is not None:
            self._refuses_key = scan.fault is Fault.CREDENTIALS
        outage = self._count(scan)
        self.update(now)
        return outage

    def update(self, now: LoopTime) -> None:
        """Update the condition, and the time of its change."""
        condition = self._condition(now)
        if condition is not self.condition:
            self.condition, self.since = condition, now

    def _count(self, scan: FinishedScan) -> bool:
        self._refusals.take(scan.member, scan.verdict, admitted=scan.admitted)
        if is_failure(scan.fault, scan.reason_key):
            self.failure = scan
        elif scan.verdict not in (None, Verdict.NONE):
            self.failure = None
        return self._streak.take(scan.member, scan.verdict, scan.fault, scan.reason_key)

    def _condition(self, now: LoopTime) -> Condition:
        if self._refuses_key:
            return Condition.REFUSING_KEY
        if now < self.rests_until:
            return Condition.RESTING
        if self._streak.is_outage:
            return Condition.OUTAGE
        return Condition.REFUSING_EVERYONE if self._refusals.are_of_everyone else Condition.HEALTHY
