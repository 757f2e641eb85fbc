"""The scan under way at a door, from the code to the event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gatectl.decision.door.context import (
    AfterPassage,
    DoorContext,
    Partner,
    gate_record,
    unsent_in_time,
)
from gatectl.decision.door.messages import (
    Answered,
    Ask,
    CodeRead,
    Conclude,
    Energise,
    Feedback,
    LookBack,
    LookedBack,
    LookedUp,
    LookUp,
    PartnerChanged,
    Prepare,
    Record,
    Recorded,
    RecordLate,
    RelayOn,
    RelayStuck,
    Show,
)
from gatectl.decision.door.table import SCAN, Action, Happening, State, row_of
from gatectl.decision.event import DETAIL_CHARS, Attempt, Event, GateRecord, Outcome, RequestRecord
from gatectl.decision.indication import Screen, View
from gatectl.decision.outcomes import Fault, OutcomeRow, outcome_row
from gatectl.decision.partner_condition import FinishedScan
from gatectl.decision.timestamps import LONG_AGO, Instant, LoopTime
from gatectl.decision.verdict import Basis, Decision, Reason, Result, Verdict

_LAST_TRY = {Basis.AGAIN, Basis.FIRE}
"""Admissions without a second try."""

_UNRECORDED = {Action.ASK_UNRECORDED, Action.ENERGISE_UNRECORDED}
"""Actions whose record is late."""

LOOK_BACK_S = 0.5
"""The member waits so much longer for the journal. It answers after all records before, each of which may
take a tenth of a second on a slow card."""

SETTLED_MAX = 1000
"""Settled requests kept in memory until the journal has them: more than a disk that is late has at a door."""


@dataclass(slots=True)
class _Facts:
    """The facts of one scan, as they come in."""

    attempt: Attempt
    at: Instant
    decision: Decision
    partner: Partner | None = None
    deadline_s: LoopTime = LONG_AGO
    request: Callable[[], RequestRecord] | None = None
    basis: Basis = Basis.PARTNER
    no_grace: str | None = None
    """Why the member was not let in without the partner, in an outage."""
    gate: GateRecord | None = None

    def row(self, result: Result) -> OutcomeRow:
        """The row of the outcome with which the scan ends."""
        decision = self.decision
        reason_key = decision.reason.key if decision.reason else None
        return outcome_row(result, decision.verdict, decision.fault, reason_key, self.basis)

    @property
    def asked(self) -> Partner:
        """The partner of a scan that is past `TO_BE_ASKED`."""
        if self.partner is None:
            raise ValueError(f"nobody is asked about scan {self.attempt.id}")
        return self.partner


class ScanFlow:
    """Decides one scan after the other."""

    def __init__(self, door: DoorContext) -> None:
        self.state = State.FREE
        self.over_at_s = LONG_AGO
        """When the scan under way is decided at the latest."""
        self._door = door
        self._free_at_s = LONG_AGO
        self._facts: _Facts | None = None
        self._actions = self._methods()

    @property
    def event_id(self) -> str | None:
        """The scan under way."""
        return None if self._facts is None else self._facts.attempt.id

    def begin(self, read: CodeRead, now_s: LoopTime) -> None:
        """Begin with the next code."""
        # The door may have been busy when the code was complete: the budget starts when both are.
        start_s = max(read.at.loop_s, self._free_at_s)
        door = self._door
        has_fire = door.has_fire
        first = door.second_try(read, now_s)
        if has_fire or first is not None:
            self._let_in_unasked(read, None if has_fire else first, now_s)
            return
        found = door.destination(read.code)
        to_ask = door.partner_to_ask(read.code, found, now_s)
        event_id = door.new_id(read.at.named.at_us)
        if isinstance(to_ask, Decision):
            facts = _Facts(door.attempt("scan", event_id, read.at, read, found), read.at, to_ask)
            happening = Happening.NO_PARTNER_TO_ASK
        else:
            budget_ms = _budget_ms(to_ask, read.at)
            attempt = door.attempt("scan", event_id, read.at, read, found, budget_ms)
            deadline_s = LoopTime(start_s + budget_ms / 1000)
            facts = _Facts(attempt, read.at, Decision(None), to_ask, deadline_s)
            happening = Happening.TO_BE_ASKED
        self.over_at_s = max(start_s, facts.deadline_s)
        self._facts = facts
        self._step(facts, happening, now_s)

    def go_on(self, given: Feedback, now_s: LoopTime) -> None:
        """Take the result of an effect of the scan under way."""
        facts = self._facts
        if facts is None:
            raise ValueError("no scan is under way")
        match given:
            case Recorded():
                happening = self._overtaken(facts) or Happening.RECORDED
            case RecordLate():
                over = facts.partner is not None and now_s >= facts.deadline_s
                in_time = Happening.OUT_OF_TIME if over else Happening.RECORD_LATE
                happening = self._overtaken(facts) or in_time
            case Answered():
                facts.decision, facts.request = given.decision, given.request
                happening = self._locked_out(facts) or self._after_answer(facts)
            case LookedUp():
                happening = self._locked_out(facts) or self._open_after_all(facts, given)
            case LookedBack():
                happening = self._locked_out(facts) or self._let_in_without_partner(facts, given)
            case RelayOn():
                facts.gate = gate_record(facts.at, given)
                checks_in = facts.basis is Basis.PARTNER and self._checks_in_later(facts.asked)
                after = AfterPassage(facts.basis not in _LAST_TRY and not checks_in, checks_in)
                self._door.admit(facts.attempt, facts.at, given.at_s, after)
                happening = Happening.RELAY_ON
            case RelayStuck():
                self._give_back(facts)
                facts.decision = facts.decision._replace(fault=Fault.GATE, detail=given.cause)
                happening = Happening.RELAY_STUCK
        self._step(facts, happening, now_s)

    def _let_in_unasked(self, read: CodeRead, first: Attempt | None, now_s: LoopTime) -> None:
        """Begin a second try of an admission that was not used, or with a scan in a fire alarm."""
        door, event_id = self._door, self._door.new_id(read.at.named.at_us)
        if first is None:
            attempt, basis = (
                door.attempt("scan", event_id, read.at, read, door.destination(read.code)),
                Basis.FIRE,
            )
        else:
            attempt, basis = door.second_attempt(event_id, read, first), Basis.AGAIN
        self._facts = _Facts(attempt, read.at, Decision(None), basis=basis)
        self.over_at_s = read.at.loop_s
        self._step(self._facts, Happening.LET_IN, now_s)

    def _step(self, facts: _Facts, happening: Happening, now_s: LoopTime) -> None:
        row = row_of(SCAN, self.state, happening)
        self.state = row.to
        if row.action in _UNRECORDED:
            self._door.log_late(f"the record of scan {facts.attempt.id}")
        self._actions[row.action](facts, now_s)

    def _methods(self) -> dict[Action, Callable[[_Facts, LoopTime], None]]:
        return {
            Action.RECORD: self._record,
            Action.ASK: self._ask,
            Action.ASK_UNRECORDED: self._ask,
            Action.LOOK_UP: self._look_up,
            Action.LOOK_BACK: self._look_back,
            Action.ENERGISE: self._energise,
            Action.ENERGISE_UNRECORDED: self._energise,
            Action.GIVE_UP: self._give_up,
            Action.REFUSE: self._refuse,
            Action.CONCLUDE: partial(self._conclude, Result.REJECTED),
            Action.REJECT: partial(self._finish, Result.REJECTED),
            Action.ADMIT: partial(self._finish, Result.ADMITTED),
        }

    def _refuse(self, facts: _Facts, now_s: LoopTime) -> None:
        """Show the refusal at once. The door is busy until it is on disk, so that no reader can flood it."""
        self._door.emit(Record(facts.attempt, LoopTime(now_s + self._door.site.patience_s)))
        self._show(facts, facts.row(Result.REJECTED))

    def _record(self, facts: _Facts, now_s: LoopTime) -> None:
        door, attempt = self._door, facts.attempt
        if facts.partner is None:  # a second try
            door.emit(Record(attempt, LoopTime(now_s + door.site.patience_s)))
            return
        partner = facts.partner
        door.emit(
            Record(attempt, min(LoopTime(now_s + door.site.patience_s), facts.deadline_s)),
            Prepare(attempt, partner.name, checks_in=not self._checks_in_later(partner)),
            Show(View(door.name, Screen.CHECKING, partner.name)),
        )

    def _checks_in_later(self, partner: Partner) -> bool:
        """Whether the check-in waits for the passage; without a sensor nobody would ever be checked in."""
        return partner.checks_in_after_passage and self._door.passages is not None

    def _ask(self, facts: _Facts, _now_s: LoopTime) -> None:
        self._door.emit(Ask(facts.attempt, facts.at, facts.asked.name, facts.deadline_s))

    def _energise(self, facts: _Facts, _now_s: LoopTime) -> None:
        self._door.emit(Energise(facts.attempt.id))

    def _give_up(self, facts: _Facts, now_s: LoopTime) -> None:
        budget_ms = facts.attempt.budget_ms or facts.asked.budget_ms
        facts.decision, facts.request = unsent_in_time(facts.at, now_s, budget_ms)
        self._finish(Result.REJECTED, facts, now_s)

    def _overtaken(self, facts: _Facts) -> Happening | None:
        """The end of a scan that a mode, or the relay's failure, overtook: nobody is asked any more."""
        if self.state is State.RECORDING and self._door.has_fire:
            facts.basis = Basis.FIRE
            return Happening.LET_IN
        if self.state is State.RECORDING and self._door.broken is not None:
            facts.decision = Decision(None, Fault.GATE, detail=self._door.broken)
            return Happening.REFUSED
        if self.state is not State.REFUSING and self._door.refusal is not None:
            facts.decision = Decision(None, self._door.refusal)
            return Happening.REFUSED
        return None

    def _locked_out(self, facts: _Facts) -> Happening | None:
        """The end of a scan that a lockdown overtook: the partner's word is kept, and the gate stays shut."""
        if self._door.refusal is not Fault.LOCKDOWN:
            return None
        if facts.decision.admits:
            facts.decision = facts.decision._replace(fault=Fault.LOCKDOWN, for_member=None)
        return Happening.REFUSED

    def _after_answer(self, facts: _Facts) -> Happening:
        if facts.decision.admits:
            return Happening.ALLOWED
        if self._is_covered(facts):
            return Happening.UNANSWERED
        may_open = facts.asked.settle_s > 0 or facts.asked.already_in_per_day > 0
        is_in_already = may_open and facts.asked.says_already_in(facts.decision)
        return Happening.ALREADY_IN if is_in_already or self._may_return(facts) else Happening.REFUSED

    def _may_return(self, facts: _Facts) -> bool:
        return self._door.return_s > 0 and facts.asked.may_refuse_return(facts.decision)

    def _is_covered(self, facts: _Facts) -> bool:
        """Whether the partner failed in an outage in which members may be let in without it."""
        partner, attempt = facts.asked, facts.attempt
        if partner.grace is None or not partner.conditions.outage_includes(attempt.member or ""):
            return False
        return partner.grace.begin(attempt.at_us, facts.decision)

    def _let_in_without_partner(self, facts: _Facts, found: LookedBack) -> Happening:
        grace = facts.asked.grace
        facts.no_grace = None if grace is None else grace.admit(facts.attempt, found.past)
        if grace is None or facts.no_grace is not None:
            return Happening.REFUSED
        facts.basis = Basis.GRACE
        return Happening.ALLOWED

    def _give_back(self, facts: _Facts) -> None:
        """Take back an admission of which there are only so many."""
        self._door.site.already_in.give_back(facts.attempt.id)
        if facts.partner is not None and facts.partner.grace is not None:
            facts.partner.grace.give_back(facts.attempt.id)

    def _look_back(self, facts: _Facts, now_s: LoopTime) -> None:
        grace = facts.asked.grace
        if grace is None:
            raise ValueError(f"nobody is let in without partner {facts.asked.name}")
        self._door.emit(LookBack(facts.attempt, grace.rules, LoopTime(now_s + LOOK_BACK_S)))

    def _look_up(self, facts: _Facts, now_s: LoopTime) -> None:
        # The member waits for the rest of the budget in any case, even with a patience of 0.
        until_s = max(LoopTime(now_s + self._door.site.patience_s), facts.deadline_s)
        return_s = self._door.return_s if self._may_return(facts) else 0
        self._door.emit(LookUp(facts.attempt, facts.asked.settle_s, return_s, until_s))

    def _open_after_all(self, facts: _Facts, found: LookedUp) -> Happening:
        """Open on another basis than the partner's success, where the settings and the past have one."""
        partner = facts.asked
        if self._settles(facts, found.unanswered):
            return Happening.ALLOWED
        if found.came_back:
            facts.basis = Basis.RETURN
        elif found.already_in is None or partner.already_in_per_day == 0:
            return Happening.REFUSED
        elif self._door.site.already_in.take(facts.attempt, found.already_in, partner.already_in_per_day):
            facts.basis = Basis.ALREADY_IN
        else:
            return Happening.REFUSED
        # The words for the member explain a refusal, which this no longer is.
        facts.decision = facts.decision._replace(for_member=None)
        return Happening.ALLOWED

    def _settles(self, facts: _Facts, unanswered: Sequence[str]) -> bool:
        """Take the refusal for the late answer to the latest request that was not settled before."""
        settled = self._door.site.settled
        event_id = next((event_id for event_id in unanswered if event_id not in settled), None)
        if event_id is None:
            return False
        settled[event_id] = None
        if len(settled) > SETTLED_MAX:
            del settled[next(iter(settled))]
        reason = Reason(f"settled:{event_id}", facts.decision.reason.text if facts.decision.reason else None)
        facts.decision = facts.decision._replace(verdict=Verdict.ALLOWED, reason=reason, for_member=None)
        facts.basis = Basis.SETTLED
        return True

    def _finish(self, result: Result, facts: _Facts, now_s: LoopTime) -> None:
        row = facts.row(result)
        self._show(facts, row)
        self._conclude(result, facts, now_s, row)

    def _show(self, facts: _Facts, row: OutcomeRow) -> None:
        decision = facts.decision
        view = View(self._door.name, row.screen, facts.attempt.partner, facts.gate, decision.for_member)
        self._door.emit(Show(view, row.indication))

    def _conclude(
        self, result: Result, facts: _Facts, now_s: LoopTime, row: OutcomeRow | None = None
    ) -> None:
        decision, gate = facts.decision, facts.gate
        outage = self._note_condition(facts, now_s)
        outcome = Outcome(
            result,
            str((row or facts.row(result)).message),
            verdict=decision.verdict,
            status=decision.status,
            fault=decision.fault,
            basis=facts.basis if gate else None,
            detail=_detail(facts),
            reason=decision.reason,
            outage=outage,
            request=None if facts.request is None else facts.request(),
            gate=gate,
        )
        self._door.emit(Conclude(Event(facts.attempt, outcome)))
        self._facts = None
        self._free_at_s = now_s

    def _note_condition(self, facts: _Facts, now_s: LoopTime) -> bool:
        """Count the scan for its partner's condition; return whether it is part of an outage."""
        if facts.partner is None:
            return False
        decision, admitted = facts.decision, facts.gate is not None
        reason_key = decision.reason.key if decision.reason else None
        member = facts.attempt.member or ""
        finished = FinishedScan(
            member, decision.verdict, decision.fault, decision.status, reason_key, admitted, decision.detail
        )
        outage = facts.partner.conditions.take(finished, now_s)
        if facts.partner.grace is not None:
            facts.partner.grace.take(decision.verdict, decision.fault)
        self._door.emit(PartnerChanged(facts.partner.name))
        return outage


def _budget_ms(partner: Partner, at: Instant) -> int:
    """The time for a partner; in an outage it is short, since the queue waits for it."""
    grace = partner.grace
    if grace is None or not partner.conditions.has_outage or not grace.lasts(at.named.at_us):
        return partner.budget_ms
    return min(grace.rules.probe_ms, partner.budget_ms)


def _detail(facts: _Facts) -> str | None:
    parts = [part for part in (facts.no_grace, facts.decision.detail) if part is not None]
    return "; ".join(parts)[:DETAIL_CHARS] or None
