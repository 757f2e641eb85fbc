"""Admission during a partner's outage, of members whom the partner admitted here lately.

The journal is the evidence: how often the partner admitted the member, what its newest verdict was, and who
has been let in without it, so that a restart resets no cap. Where it is not known, there is no grace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatectl.decision.event import Attempt
from gatectl.decision.outcomes import Fault
from gatectl.decision.timestamps import DAY_US, HOUR_US, WallUs
from gatectl.decision.verdict import Decision, Verdict

_TOO_MANY_REQUESTS = 429
"""The partner works, and asks for a rest."""

_COVERED = {Fault.NETWORK, Fault.TIMEOUT, Fault.PARTNER}
"""A `tls` fault may be an attack, and the other faults are this gym's own."""


class GraceRules(NamedTuple):
    """The settings of one partner's grace."""

    seen_days: int = 14
    visits: int = 2
    admissions: int = 60
    hours: int = 12
    per_member_h: int = 12
    probe_ms: int = 300

    def refusal(self, past: MemberPast, outage: Outage, member: str | None) -> str | None:
        """Return why this member is not let in without the partner; None where he is.

        The newest event's time counts as now: a clock that is behind makes nothing younger.
        """
        now_us = past.newest_us
        seen = sum(at_us > now_us - self.seen_days * DAY_US for at_us in past.admitted_us)
        if seen < self.visits:
            return f"no grace: admitted {seen} of {self.visits} times in {self.seen_days} days (visits)"
        if not past.newest_admits:
            return "no grace: the partner's newest verdict was a refusal"
        if outage.is_over(self.hours, now_us):
            return f"grace used up: the outage has lasted {self.hours} h (hours)"
        if len(outage.openings) >= self.admissions:
            return f"grace used up: {self.admissions} admissions in this outage (admissions)"
        before = [*past.graced_us, *outage.at_us_of(member)]
        if any(at_us > now_us - self.per_member_h * HOUR_US for at_us in before):
            return f"grace used up: let in so within {self.per_member_h} h already (per_member_h)"
        return None


class MemberPast(NamedTuple):
    """The journal's evidence about one member of a partner."""

    newest_us: WallUs
    """The time of the newest event of all, this scan included."""
    admitted_us: Sequence[WallUs] = ()
    """When the partner's word let the member in, within `seen_days`; some `visits` of them are enough."""
    newest_admits: bool = False
    """Whether the newest verdict was `allowed`, or its scan was admitted."""
    graced_us: Sequence[WallUs] = ()
    """When the member was let in without the partner; the newest is enough."""


class Opening(NamedTuple):
    """One admission without the partner."""

    member: str | None
    at_us: WallUs


class Outage(NamedTuple):
    """An outage under way, and its admissions by their events' IDs."""

    began_us: WallUs
    openings: dict[str, Opening]

    def is_over(self, hours: int, now_us: int) -> bool:
        """Return whether the outage has lasted too long for any grace."""
        return now_us - self.began_us >= hours * HOUR_US

    def at_us_of(self, member: str | None) -> list[WallUs]:
        """Return when this member was let in, also where the journal does not have it yet."""
        return [opening.at_us for opening in self.openings.values() if opening.member == member]


class PastScan(NamedTuple):
    """A scan since the partner's last verdict, as the journal has it."""

    event_id: str
    at_us: WallUs
    member: str | None
    outage: bool
    is_tls: bool
    is_graced: bool


class OutageGrace:
    """One partner's grace, which all doors share."""

    def __init__(self, rules: GraceRules) -> None:
        self.rules = rules
        self.outage: Outage | None = None
        self._has_tls = False
        """Whether a `tls` fault counted since the last verdict."""
        self._is_recalled = False

    def recall(self, since_verdict: Iterable[PastScan]) -> None:
        """Take the journal's scans since the last verdict, the oldest first; no grace is given before."""
        self.outage, self._has_tls, self._is_recalled = None, False, True
        for scan in since_verdict:
            self._has_tls |= scan.is_tls
            if scan.outage:
                self.outage = self.outage or Outage(scan.at_us, {})
            if scan.is_graced:
                self.outage = self.outage or Outage(scan.at_us, {})
                self.outage.openings[scan.event_id] = Opening(scan.member, scan.at_us)

    def take(self, verdict: Verdict | None, fault: Fault | None) -> None:
        """Take a finished scan: the first verdict ends the outage."""
        if verdict not in (None, Verdict.NONE):
            self.outage, self._has_tls = None, False
        elif fault is Fault.TLS:
            self._has_tls = True

    def lasts(self, now_us: int) -> bool:
        """Return whether members may be let in without the partner, as far as the clock alone tells."""
        return (
            self.outage is not None
            and not self._has_tls
            and not self.outage.is_over(self.rules.hours, now_us)
        )

    def begin(self, at_us: WallUs, decision: Decision) -> bool:
        """Return whether grace covers a scan that failed in an outage; the first such scan begins it."""
        covered = (
            self._is_recalled
            and not self._has_tls
            and decision.fault in _COVERED
            and decision.status != _TOO_MANY_REQUESTS
        )
        if covered and self.outage is None:
            self.outage = Outage(at_us, {})
        return covered

    def admit(self, attempt: Attempt, past: MemberPast | None) -> str | None:
        """Let the member in, or return why not; there is no past where the journal cannot give it."""
        if self.outage is None:
            return "no grace: the outage has just ended"
        if past is None:
            return "no grace: the journal was late or damaged"
        refused = self.rules.refusal(past, self.outage, attempt.member)
        if refused is None:
            self.outage.openings[attempt.id] = Opening(attempt.member, attempt.at_us)
        return refused

    def give_back(self, event_id: str) -> None:
        """Take back the admission of a scan whose gate did not open."""
        if self.outage is not None:
            self.outage.openings.pop(event_id, None)

    @property
    def admissions_left(self) -> int:
        """How many more members may be let in during this outage."""
        used = 0 if self.outage is None else len(self.outage.openings)
        return max(self.rules.admissions - used, 0)
