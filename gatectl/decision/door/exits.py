"""The way out by a button or a code on the inside. The relay comes first, the record after it.

Nothing may be in the way: no disk, no partner, no mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gatectl.decision.door.context import DoorContext, gate_record
from gatectl.decision.door.messages import CodeRead, Energise, Note, RelayOn, RelayStuck, Retried, StartTimer
from gatectl.decision.door.scan_queue import RecentCodes
from gatectl.decision.event import Attempt, Event, GateRecord, Outcome
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.timestamps import Instant, LoopTime
from gatectl.decision.verdict import Basis, Result

PRESSED = "exit pressed"
"""The name of the timer that extends a press."""


class ExitRules(NamedTuple):
    """`unlock` is False where the button itself cuts the lock's power."""

    open_ms: int
    unlock: bool
    repeat_s: float
    has_button: bool = True
    has_own_relay: bool = False
    counts: bool = False
    """Whether a sensor of its own sees who leaves."""
    pulses: bool = False
    """Whether the gate keeps open by itself after a pulse."""


@dataclass(slots=True)
class _Press:
    attempt: Attempt
    at: Instant


class Exits:
    """Lets people out; one event for each press of the button and each code."""

    def __init__(self, door: DoorContext, rules: ExitRules) -> None:
        self._door = door
        self._rules = rules
        self._unanswered: dict[str, _Press] = {}
        """Presses and codes whose relay has not answered."""
        self._pressed: str | None = None
        self._recent = RecentCodes(rules.repeat_s)
        """Those at the scanners on the inside."""

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._unanswered or event_id == self._pressed

    def changed(self, *, is_pressed: bool, at: Instant) -> None:
        """Take the button's level."""
        if not is_pressed:
            self._pressed = None
            self._door.emit(StartTimer(PRESSED, None))
            return
        attempt = self._door.attempt("exit", self._door.new_id(at.named.at_us), at)
        self._pressed = attempt.id
        if self._rules.unlock:
            self._unanswered[attempt.id] = _Press(attempt, at)
        else:
            self._conclude(attempt, None)
        self._let_out(attempt.id, at.loop_s)

    def code(self, read: CodeRead) -> None:
        """Open the way out for any code; the same code again within `repeat_s` is the same reading."""
        is_repeated = self._recent.has(read)
        self._recent.note(read)
        if is_repeated:
            return
        found = self._door.destination(read.code)
        attempt = self._door.attempt("exit", self._door.new_id(read.at.named.at_us), read.at, read, found)
        self._unanswered[attempt.id] = _Press(attempt, read.at)
        self._energise(attempt.id, read.at.loop_s)

    def left(self, at: Instant) -> None:
        """Take the signal of the exit's own sensor: somebody has left."""
        if self._door.occupancy is not None:
            self._door.occupancy.left(at.named.at_us)
        self._door.note("passage", at, Outcome(Result.LEFT, Message.LEFT.value))

    def time_up(self, now_s: LoopTime) -> None:
        """Extend the opening: the button is still pressed."""
        if self._pressed is not None:
            self._let_out(self._pressed, now_s)

    def go_on(self, given: Retried | RelayOn | RelayStuck) -> None:
        """Take the relay's answer to a press, or to its extension."""
        if isinstance(given, Retried):
            self._energise(given.of, self._door.now_s, try_again=False)
            return
        press = self._unanswered.pop(given.of, None)
        if press is None:
            return  # the press is on record
        if isinstance(given, RelayOn):
            self._conclude(press.attempt, gate_record(press.at, given))
            return
        shut = Outcome(Result.REJECTED, Message.GATE_OUT_OF_ORDER.value, fault=Fault.GATE, detail=given.cause)
        self._door.emit(Note(Event(press.attempt, shut)))

    def _let_out(self, event_id: str, now_s: LoopTime) -> None:
        open_s = self._rules.open_ms / 1000
        if self._rules.unlock:
            self._energise(event_id, now_s)
        else:
            until_s = LoopTime(now_s + open_s)
            self._door.unlock(until_s)
            self._door.leave(until_s, by_own_relay=True)
        # After half of the time, so that the lock does not engage for a moment between two extensions.
        again_s = open_s if self._rules.pulses else open_s / 2
        self._door.emit(StartTimer(PRESSED, LoopTime(now_s + again_s)))

    def _energise(self, event_id: str, now_s: LoopTime, *, try_again: bool = True) -> None:
        until_s = LoopTime(now_s + self._rules.open_ms / 1000)
        self._door.leave(until_s, by_own_relay=self._rules.has_own_relay)
        self._door.emit(Energise(event_id, try_again=try_again, open_ms=self._rules.open_ms, for_exit=True))

    def _conclude(self, attempt: Attempt, gate: GateRecord | None) -> None:
        opened = Outcome(Result.OPENED, Message.EXIT.value, basis=Basis.EXIT, gate=gate)
        self._door.emit(Note(Event(attempt, opened)))
