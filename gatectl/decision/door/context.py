"""The state that the parts of a door's machine share, and the effects that they gather."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gatectl.decision.cards import Card
from gatectl.decision.door.grace import OutageGrace
from gatectl.decision.door.messages import CodeRead, Effect, Log, Note, RelayOn, Release
from gatectl.decision.event import Attempt, Event, Evidence, GateRecord, Outcome, RequestRecord
from gatectl.decision.local_time import local
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.outcomes import Fault
from gatectl.decision.partner_condition import RESTING, Conditions
from gatectl.decision.routing import Destination, Numbers, Route, destination, objection
from gatectl.decision.timestamps import LONG_AGO, Instant, LoopTime, WallUs
from gatectl.decision.verdict import Decision, Reason, Verdict

if TYPE_CHECKING:
    from gatectl.decision.door.check_ins import CheckIns
    from gatectl.decision.door.contact import Contact
    from gatectl.decision.door.modes import Modes
    from gatectl.decision.door.occupancy import Occupancy
    from gatectl.decision.door.passages import Grant, Passages

ALREADY_IN_KEPT_MAX = 1000
"""Openings kept in memory until the journal has them: more than a disk that is late has at all doors."""


class Partner(Protocol):
    """The rules of one partner, as far as a door needs them."""

    name: str
    budget_ms: int
    settle_s: int
    already_in_per_day: int
    checks_in_after_passage: bool
    """Whether it is asked without checking in, and the check-in follows where the member has passed."""
    numbers: Numbers
    conditions: Conditions
    grace: OutageGrace | None
    """None where nobody is let in without this partner."""

    def says_already_in(self, decision: Decision) -> bool:
        """Whether this refusal says that the member has been checked in already."""

    def may_refuse_return(self, decision: Decision) -> bool:
        """Whether this refusal may be for no other reason than an earlier visit."""


class AlreadyInCount:
    """Counts the openings on `already_in`: at most so many for a member in a day of the gym's time zone.

    It holds those of all doors that the journal may not have yet. `zone` is the gym's, None the system's.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._openings: dict[str, Attempt] = {}
        """By the event's id, the oldest first."""

    def take(self, attempt: Attempt, on_record: Iterable[tuple[str, WallUs]], most: int) -> bool:
        """Take an opening for this scan, if its partner and member have one left on its day.

        `on_record` are the openings of this partner and member that the journal has: an event's id, and when
        its code was complete.
        """
        day = local(attempt.at_us, self._zone).date()
        known = dict(on_record) | {
            event_id: other.at_us
            for event_id, other in self._openings.items()
            if (other.partner, other.member) == (attempt.partner, attempt.member)
        }
        if sum(local(at_us, self._zone).date() == day for at_us in known.values()) >= most:
            return False
        self._openings[attempt.id] = attempt
        if len(self._openings) > ALREADY_IN_KEPT_MAX:
            del self._openings[next(iter(self._openings))]
        return True

    def give_back(self, event_id: str) -> None:
        """Take back the opening of a scan whose gate did not open."""
        self._openings.pop(event_id, None)


@dataclass(slots=True)
class SharedState:
    """The state that all doors share. `cards` is None as long as they cannot be read."""

    tenant: str
    studio: str
    routes: Sequence[Route]
    partners: Mapping[str, Partner]
    patience_s: float
    cards: Mapping[str, Card] | None = None
    settled: dict[str, None] = field(default_factory=dict)
    """Ids of settled requests, the oldest first: the journal may not have them yet."""
    already_in: AlreadyInCount = field(default_factory=AlreadyInCount)


class AfterPassage(NamedTuple):
    """The consequences of an admission, by whether its member passes."""

    may_try_again: bool
    """The same code opens once more without asking anybody, if he does not pass."""
    checks_in: bool = False
    """He is checked in only if he passes; else the partner can be asked once more."""


@dataclass(slots=True)
class DoorContext:
    """The state that the parts of one door share.

    `new_id` makes an event's id of microseconds since the epoch; nothing else here is random.
    """

    name: str
    site: SharedState
    new_id: Callable[[int], str]
    return_s: int = 0
    """Seconds in which a member who passed may come in again; 0 never."""
    stopping: bool = False
    broken: str | None = None
    """The technical cause for which the relay is known to be out of order."""
    effects: list[Effect] = field(default_factory=list)
    is_deciding: bool = False
    """Whether a scan is under way, whose screens come first."""
    modes: Modes | None = None
    """None only until the machine is made."""
    keeps_open: bool = False
    """Whether a mode keeps the gate open."""
    kept_open_until_s: LoopTime = LONG_AGO
    """When the last mode ended that kept the gate open."""
    passages: Passages | None = None
    """The admissions that wait for their members, where the door can tell."""
    contact: Contact | None = None
    check_ins: CheckIns | None = None
    """None only until the machine is made."""
    occupancy: Occupancy | None = None
    """Counts who is inside, where both ways are seen."""
    now_s: LoopTime = LONG_AGO
    """The moment of the input that is being handled."""
    exit_until_s: LoopTime = LONG_AGO
    """Until when somebody may leave."""
    _relay_kept_until_s: LoopTime = LONG_AGO
    """Until when somebody may leave through the door's own lock."""
    unlocked_until_s: LoopTime = LONG_AGO
    """When the lock engages again, on the loop's clock: an opening before it was allowed."""

    def emit(self, *effects: Effect) -> None:
        """Add effects, to be performed in this order."""
        self.effects.extend(effects)

    def log(self, priority: Priority, text: str) -> None:
        """Add a line for the systemd journal."""
        self.emit(Log(LogEntry(priority, f"{self.name}: {text}", {"DOOR": self.name})))

    def log_late(self, record: str) -> None:
        """Warns of a late record. With a patience of 0 no record counts as late."""
        if self.site.patience_s > 0:
            self.log(Priority.WARNING, f"{record} is late: the disk does not answer")

    def destination(self, code: str) -> Destination | None:
        """Find the partner and the member of a code; None also as long as the cards cannot be read."""
        if self.site.cards is None:
            return None
        found = destination(code, self.name, self.site.cards, self.site.routes)
        if found is None or found.customer is None:
            return found
        partner = self.site.partners.get(found.partner)
        if partner is not None and partner.numbers.customer is None:
            return found._replace(customer=None)
        return found

    def partner_to_ask(self, code: str, found: Destination | None, now_s: LoopTime) -> Partner | Decision:
        """The partner to ask about a code that leads there, or the decision where no partner is asked."""
        partner = self._partner(code, found)
        if self.broken is not None:
            return Decision(None, Fault.GATE, detail=self.broken)
        if self.refusal is not None:
            return Decision(None, self.refusal)
        if isinstance(partner, Decision):
            return partner
        return resting(partner, now_s) or partner

    def _partner(self, code: str, found: Destination | None) -> Partner | Decision:
        """The partner that can be asked about the code; the log says why there is none."""
        if self.site.cards is None:
            # Any code may be an enrolled card, which a route might send to the wrong partner.
            return Decision(None, Fault.CARDS)
        if found is None:
            return Decision(None, Fault.UNRECOGNISED)
        partner = self.site.partners.get(found.partner)
        if partner is None:
            gone = f"the card {code} is enrolled for the partner {found.partner}"
            self.log(Priority.NOTICE, f"{gone}, which is not in the settings")
            return Decision(None, Fault.UNRECOGNISED)
        against = objection(partner.numbers, found.member, found.customer)
        if against is not None:
            unasked = f"{found.partner} cannot be asked: {against.what}; needed: {against.needed}"
            self.log(Priority.NOTICE, unasked)
            return Decision(None, Fault.UNRECOGNISED, detail=against.detail)
        return partner

    @property
    def refusal(self) -> Fault | None:
        """Why a mode lets nobody in, without asking."""
        return None if self.modes is None else self.modes.refusal

    @property
    def has_fire(self) -> bool:
        """Whether the gate is open for a fire alarm."""
        return self.modes is not None and self.modes.has_fire

    def second_try(self, read: CodeRead, now_s: LoopTime) -> Attempt | None:
        """The admission that this code may use once more, at a gate that works."""
        if self.passages is None or self.broken is not None or self.refusal is not None:
            return None
        return self.passages.second_try(read.key, now_s)

    def second_attempt(self, event_id: str, read: CodeRead, first: Attempt) -> Attempt:
        """The attempt of a second try: it names the member of the first."""
        return self.attempt("scan", event_id, read.at, read)._replace(
            of=first.id,
            partner=first.partner,
            member=first.member,
            customer=first.customer,
        )

    def admit(self, attempt: Attempt, at: Instant, relay_on_s: LoopTime, after: AfterPassage) -> None:
        """Note that the relay is on for a member."""
        if self.modes is not None and not self.has_fire:
            self.modes.admitted(at)
        if self.passages is not None and not self.has_fire:
            self.passages.grant(attempt, relay_on_s, after)

    def leave(self, until_s: LoopTime, *, by_own_relay: bool) -> None:
        """Note that somebody may leave until then."""
        self.exit_until_s = max(self.exit_until_s, until_s)
        if not by_own_relay:
            self._relay_kept_until_s = max(self._relay_kept_until_s, until_s)

    def release(self, now_s: LoopTime, passing: Grant | None = None) -> None:
        """Switch the relay off before its time, unless another member than this one waits to pass."""
        if self.passages is None or not self.passages.waits_for_another(passing):
            self.shut(now_s)

    def shut(self, now_s: LoopTime) -> None:
        """Switch the relay off before its time, but not before somebody has left through the same lock."""
        self.emit(Release(max(now_s, self._relay_kept_until_s)))
        # A lock of the exit's own, or the button itself, may be open for longer.
        self.unlocked_until_s = min(self.unlocked_until_s, max(now_s, self.exit_until_s))

    def is_unlocked(self, at_s: LoopTime) -> bool:
        """Whether something had unlocked the door at this moment."""
        return self.keeps_open or at_s <= self.unlocked_until_s

    def keep_open(self, now_s: LoopTime, *, on: bool) -> None:
        """Note that a mode keeps the gate open, or no longer."""
        if self.keeps_open and not on:
            self.unlock(now_s)
            self.kept_open_until_s = now_s
            if self.contact is not None:
                self.contact.mode_over(now_s)
        self.keeps_open = on

    def unlock(self, until_s: LoopTime) -> None:
        """Note that the lock is open, or somebody's own way out, until then."""
        self.unlocked_until_s = max(self.unlocked_until_s, until_s)

    def attempt(
        self,
        kind: str,
        event_id: str,
        at: Instant,
        read: CodeRead | None = None,
        found: Destination | None = None,
        budget_ms: int | None = None,
    ) -> Attempt:
        """The first half of an event of this door."""
        return Attempt(
            id=event_id,
            kind=kind,
            at_us=at.named.at_us,
            tenant=self.site.tenant,
            studio=self.site.studio,
            door=self.name,
            scanner=read.scanner if read else None,
            credential=read.code if read else None,
            partner=found.partner if found else None,
            member=found.member if found else None,
            customer=found.customer if found else None,
            budget_ms=budget_ms,
            boot=at.named.boot,
            since_boot_us=at.named.since_boot_us,
        )

    def note(self, kind: str, at: Instant, outcome: Outcome, of: Attempt | None = None) -> Attempt:
        """Record a whole event without waiting for the disk; `of` is the event whose member it names."""
        event = self.event(kind, at, outcome, of)
        self.emit(Note(event))
        return event.attempt

    def event(self, kind: str, at: Instant, outcome: Outcome, of: Attempt | None = None) -> Event:
        """Make a whole event of this door; `of` is the event whose member it names."""
        attempt = self.attempt(kind, self.new_id(at.named.at_us), at)
        if of is not None:
            attempt = attempt._replace(
                of=of.id,
                credential=of.credential,
                partner=of.partner,
                member=of.member,
                customer=of.customer,
            )
        return Event(attempt, outcome)


def gate_record(at: Instant, on: RelayOn) -> GateRecord:
    """The opening of an event that began at this instant."""
    return GateRecord(at.us_at(on.at_s), ms_between(at.loop_s, on.at_s), on.open_ms)


def resting(partner: Partner, now_s: LoopTime) -> Decision | None:
    """The decision while the partner wants no requests; None where it may be asked."""
    rest_s = partner.conditions.rests_until - now_s
    if rest_s <= 0:
        return None
    reason = Reason(RESTING, f"the partner asked for a rest, {rest_s:.0f} s of it are left")
    return Decision(Verdict.NONE, Fault.PARTNER, reason=reason)


def unsent_in_time(
    at: Instant, now_s: LoopTime, budget_ms: int
) -> tuple[Decision, Callable[[], RequestRecord]]:
    """The decision and the record of a request that waited for the disk until its budget was over."""
    record = RequestRecord(
        sent=False,
        sent_us=None,
        answered_us=None,
        elapsed_ms=ms_between(at.loop_s, now_s),
        budget_ms=budget_ms,
        connection="new",
        evidence=Evidence(dial=None, body=None),
    )
    detail = "the disk did not answer within the budget"
    return Decision(Verdict.NONE, Fault.TIMEOUT, detail=detail), lambda: record


def ms_between(start_s: LoopTime, end_s: LoopTime) -> float:
    """Milliseconds, to the microsecond."""
    return round((end_s - start_s) * 1e3, 3)
