"""Check-ins that follow the passage: who does not pass is not checked in.

The partner was asked without checking in before the gate opened. Several check-ins may be under way at once,
also next to a scan.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gatectl.decision.door.context import DoorContext, Partner, resting, unsent_in_time
from gatectl.decision.door.messages import (
    Answered,
    Ask,
    Conclude,
    Feedback,
    PartnerChanged,
    Prepare,
    Record,
    Recorded,
    RecordLate,
)
from gatectl.decision.door.table import CHECK_IN, Action, Happening, State, row_of
from gatectl.decision.event import Attempt, Event, Outcome, RequestRecord
from gatectl.decision.outcomes import Message
from gatectl.decision.timestamps import Instant, LoopTime
from gatectl.decision.verdict import Decision, Result


@dataclass(slots=True)
class _CheckIn:
    attempt: Attempt
    at: Instant
    partner: Partner
    deadline_s: LoopTime
    decision: Decision
    request: Callable[[], RequestRecord] | None = None
    state: State = State.FREE


class CheckIns:
    """The check-ins of one door that are under way."""

    def __init__(self, door: DoorContext) -> None:
        self._door = door
        self._under_way: dict[str, _CheckIn] = {}

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._under_way

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, scan: Attempt, at: Instant, passage: Event) -> None:
        """Check in the member of this scan, who has passed.

        The passage and the attempt are on disk both or neither: a crash in between leaves a check-in that is
        known not to be done.
        """
        door, now_s = self._door, self._door.now_s
        partner = door.site.partners[scan.partner or ""]
        rests = resting(partner, now_s)
        attempt = scan._replace(
            id=door.new_id(at.named.at_us),
            kind="check_in",
            at_us=at.named.at_us,
            scanner=None,
            budget_ms=None if rests else partner.budget_ms,
            boot=at.named.boot,
            since_boot_us=at.named.since_boot_us,
            of=scan.id,
        )
        # The budget counts from now: the passage's own time is older by what its sensor is debounced.
        deadline_s = LoopTime(now_s + partner.budget_ms / 1000)
        check_in = _CheckIn(attempt, at, partner, deadline_s, rests or Decision(None))
        self._under_way[attempt.id] = check_in
        until_s = min(LoopTime(now_s + door.site.patience_s), deadline_s)
        door.emit(Record(attempt, until_s, after=passage))
        self._step(check_in, Happening.NO_PARTNER_TO_ASK if rests else Happening.TO_BE_ASKED)

    def go_on(self, given: Feedback) -> None:
        """Take the result of an effect of one of the check-ins."""
        check_in = self._under_way[given.of]
        match given:
            case Recorded():
                happening = Happening.RECORDED
            case RecordLate():
                over = self._door.now_s >= check_in.deadline_s
                happening = Happening.OUT_OF_TIME if over else Happening.RECORD_LATE
            case Answered():
                check_in.decision, check_in.request = given.decision, given.request
                happening = Happening.ANSWERED
            case _:
                raise ValueError(f"a check-in moves no relay: {given.of}")
        self._step(check_in, happening)

    def _step(self, check_in: _CheckIn, happening: Happening) -> None:
        row, attempt = row_of(CHECK_IN, check_in.state, happening), check_in.attempt
        check_in.state = row.to
        match row.action:
            case Action.RECORD:
                self._door.emit(Prepare(attempt, check_in.partner.name))
            case Action.ASK:
                self._ask(check_in)
            case Action.ASK_UNRECORDED:
                self._door.log_late(f"the record of check-in {attempt.id}")
                self._ask(check_in)
            case Action.GIVE_UP:
                budget_ms = check_in.partner.budget_ms
                check_in.decision, check_in.request = unsent_in_time(check_in.at, self._door.now_s, budget_ms)
                self._conclude(check_in)
            case Action.CONCLUDE:
                self._conclude(check_in)

    def _ask(self, check_in: _CheckIn) -> None:
        self._door.emit(Ask(check_in.attempt, check_in.at, check_in.partner.name, check_in.deadline_s))

    def _conclude(self, check_in: _CheckIn) -> None:
        del self._under_way[check_in.attempt.id]
        decision = check_in.decision
        result, message = (
            (Result.DONE, Message.CHECKED_IN_AFTER)
            if decision.admits
            else (Result.FAILED, Message.NOT_CHECKED_IN)
        )
        outcome = Outcome(
            result,
            message.value,
            verdict=decision.verdict,
            status=decision.status,
            fault=decision.fault,
            detail=decision.detail,
            reason=decision.reason,
            request=None if check_in.request is None else check_in.request(),
        )
        self._door.emit(Conclude(Event(check_in.attempt, outcome)))
        self._door.emit(PartnerChanged(check_in.partner.name))
