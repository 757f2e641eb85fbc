"""Openings by a person, recorded first. Several may be under way at once, also next to a scan."""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.door.context import AfterPassage, DoorContext, gate_record
from gatectl.decision.door.messages import (
    Conclude,
    Energise,
    Feedback,
    OpenByHand,
    Record,
    Recorded,
    RecordLate,
    RelayOn,
    RelayStuck,
    Retried,
    Show,
)
from gatectl.decision.door.table import BY_HAND, Action, Happening, State, row_of
from gatectl.decision.event import Attempt, Event, GateRecord, Outcome
from gatectl.decision.indication import Indication, Screen, View
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.timestamps import Instant, LoopTime
from gatectl.decision.verdict import Basis, Reason, Result


@dataclass(slots=True)
class _Opening:
    attempt: Attempt
    at: Instant
    message: str
    state: State = State.FREE
    gate: GateRecord | None = None
    cause: str | None = None
    fault: Fault = Fault.GATE
    """Why the gate did not open."""


class HandOpenings:
    """The openings by hand that are under way."""

    def __init__(self, door: DoorContext) -> None:
        self._door = door
        self._openings: dict[str, _Opening] = {}

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._openings

    def begin(self, given: OpenByHand, now_s: LoopTime) -> None:
        """Begin with an opening."""
        attempt = self._door.attempt("manual", given.of, given.at)
        opening = _Opening(attempt, given.at, f"{Message.OPENED_BY_HAND}: {given.reason}")
        self._openings[given.of] = opening
        self._step(opening, Happening.BY_HAND, now_s)

    def go_on(self, given: Feedback, now_s: LoopTime) -> None:
        """Take the result of an effect of one of the openings."""
        opening = self._openings[given.of]
        match given:
            case Recorded() | RecordLate() | Retried() if self._is_overtaken(opening):
                happening = Happening.REFUSED
            case Retried():
                happening = Happening.RETRIED
            case Recorded():
                happening = Happening.RECORDED
            case RecordLate():
                happening = Happening.RECORD_LATE
            case RelayOn():
                opening.gate = gate_record(opening.at, given)
                self._door.admit(opening.attempt, opening.at, given.at_s, AfterPassage(may_try_again=False))
                happening = Happening.RELAY_ON
            case RelayStuck():
                opening.cause = given.cause
                happening = Happening.RELAY_STUCK
            case _:
                raise ValueError(f"no partner was asked about opening {given.of}")
        self._step(opening, happening, now_s)

    def _is_overtaken(self, opening: _Opening) -> bool:
        """Whether a stop or a lockdown came while the disk or the relay's driver was waited for."""
        if self._door.refusal is Fault.LOCKDOWN:
            opening.fault = Fault.LOCKDOWN
            return True
        return self._door.stopping

    def _step(self, opening: _Opening, happening: Happening, now_s: LoopTime) -> None:
        row = row_of(BY_HAND, opening.state, happening)
        opening.state = row.to
        match row.action:
            case Action.RECORD:
                until_s = LoopTime(now_s + self._door.site.patience_s)
                self._door.emit(Record(opening.attempt, until_s))
            case Action.ENERGISE:
                self._door.emit(Energise(opening.attempt.id, try_again=True))
            case Action.ENERGISE_UNRECORDED:
                self._door.log_late(f"the record of opening {opening.attempt.id}")
                self._door.emit(Energise(opening.attempt.id, try_again=True))
            case Action.ENERGISE_RETRIED:
                self._door.emit(Energise(opening.attempt.id))
            case Action.REJECT:
                self._finish(opening, self._shut(opening))
            case Action.ADMIT:
                view = View(self._door.name, Screen.WELCOME, gate=opening.gate)
                self._door.emit(Show(view, Indication.WELCOME))
                opened = Outcome(Result.ADMITTED, opening.message, basis=Basis.MANUAL, gate=opening.gate)
                self._finish(opening, opened)

    @staticmethod
    def _shut(opening: _Opening) -> Outcome:
        reason = Reason(None, opening.message)
        return Outcome(
            Result.REJECTED,
            opening.fault.unasked.message.value,
            fault=opening.fault,
            detail=opening.cause,
            reason=reason,
        )

    def _finish(self, opening: _Opening, outcome: Outcome) -> None:
        del self._openings[opening.attempt.id]
        self._door.emit(Conclude(Event(opening.attempt, outcome)))
