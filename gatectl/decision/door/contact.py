"""The door contact: a door that is forced open, held open, and closed again.

The words are ONVIF's, https://www.onvif.org/specs/srv/door/ONVIF-DoorControl-Service-Spec.pdf.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from gatectl.decision.door.context import DoorContext
from gatectl.decision.door.messages import StartTimer, Warn
from gatectl.decision.door.passages import Grant
from gatectl.decision.event import Attempt, Outcome
from gatectl.decision.log import Priority
from gatectl.decision.outcomes import Message
from gatectl.decision.timestamps import Instant, LoopTime, format_duration
from gatectl.decision.verdict import Result

TAIL_S = 1.5
"""After the lock has engaged again: a door that was pushed in the last moment opens a little later."""

HELD = "contact held"
WARN = "contact warn"
"""The names of its timers."""


class ContactRules(NamedTuple):
    """`held_s` of 0 raises no alarm; the buzzer sounds `warn_s` before it."""

    held_s: int
    warn_s: int
    relock: Literal["open_ms", "on_open", "on_close"]


class ContactAlarm(NamedTuple):
    """An alarm that has not ended: FORCED or HELD."""

    result: Result
    attempt: Attempt


class Contact:
    """Follows the contact of one door; `active` means open."""

    def __init__(self, door: DoorContext, rules: ContactRules) -> None:
        self.trusted = True
        """False while the contact flutters: it raises no alarm then."""
        self._door = door
        self._rules = rules
        self._opened: Instant | None = None
        self._passing: Grant | None = None
        """The member who opened the door, where a sensor behind it has yet to see him."""
        self.alarm: ContactAlarm | None = None

    def changed(self, *, is_open: bool, at: Instant, is_first: bool = False) -> None:
        """Take a level. The first one, at the start or after the pin was lost, is never a forced opening."""
        if not is_open:
            self._close(at)
            return
        self._open(at)
        if is_first:
            self._door.log(Priority.NOTICE, "the door stands open")
        elif not self._door.is_unlocked(LoopTime(at.loop_s - TAIL_S)) and self.trusted:
            self._raise(Result.FORCED, Message.FORCED, at)
        elif self._rules.relock == "on_open":
            self._door.release(at.loop_s, self._passing)

    def time_up(self, name: str, at: Instant) -> None:
        """Take the end of one of its two timers."""
        is_alarming = self._opened is not None and self.trusted and self.alarm is None
        if not is_alarming or self._door.keeps_open:
            return
        if name == WARN:
            self._door.emit(Warn(on=True))
        else:
            self._raise(Result.HELD, Message.HELD_OPEN, at)

    def mode_over(self, now_s: LoopTime) -> None:
        """Count from now on: the mode that kept the door open has ended."""
        if self._opened is not None and self.alarm is None:
            self._count_from(now_s)

    def trust(self) -> None:
        """Believe the contact again; a door that has been open for too long meanwhile is an alarm now."""
        self.trusted = True
        if self._opened is not None and self.alarm is None:
            self._count_from(max(self._opened.loop_s, self._door.kept_open_until_s))

    def _open(self, at: Instant) -> None:
        self._opened = at
        passages = self._door.passages
        self._passing = passages.oldest if passages is not None and passages.has_sensor else None
        self._count_from(at.loop_s)

    def _count_from(self, start_s: LoopTime) -> None:
        if self._rules.held_s:
            held_at_s = LoopTime(start_s + self._rules.held_s)
            self._door.emit(StartTimer(HELD, held_at_s))
            if self._rules.warn_s:
                self._door.emit(StartTimer(WARN, LoopTime(held_at_s - self._rules.warn_s)))

    def _close(self, at: Instant) -> None:
        opened, self._opened = self._opened, None
        if opened is None:
            return
        alarm, self.alarm = self.alarm, None
        self._door.emit(StartTimer(HELD, None), StartTimer(WARN, None), Warn(on=False))
        if self._rules.relock == "on_close":
            self._door.release(at.loop_s, self._passing)
        self._passing = None
        if alarm is not None:
            took = format_duration(round((at.loop_s - opened.loop_s) * 1e6))
            self._door.note(
                "contact", at, Outcome(Result.CLOSED, f"{Message.CLOSED_AGAIN.value} {took}"), alarm.attempt
            )

    def _raise(self, result: Result, message: Message, at: Instant) -> None:
        self.alarm = ContactAlarm(result, self._door.note("contact", at, Outcome(result, message.value)))
