"""The modes of a door: fire, lockdown, held by a person, closed or held by a schedule, normal.

The first that applies counts. Fire and schedules come and go by themselves; a person's mode lasts until
its end or another order. Moments are on the wall clock, since people and schedules go by it.
"""

from __future__ import annotations

from datetime import tzinfo
from enum import StrEnum
from typing import NamedTuple

from gatectl.decision.door.context import DoorContext
from gatectl.decision.door.messages import (
    Conclude,
    KeepOn,
    Ordered,
    Record,
    Recorded,
    RecordLate,
    StartTimer,
    StopKeeping,
    Warn,
)
from gatectl.decision.event import Attempt, Event, Outcome
from gatectl.decision.local_time import clock_text, local
from gatectl.decision.log import Priority
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.schedule import Schedule
from gatectl.decision.timestamps import FOREVER, Instant, LoopTime, WallUs
from gatectl.decision.verdict import Result

HOLD_MAX_S = 24 * 3600
"""A person holds a door for a day at most; a schedule may do it every day."""

HOLD_OVER = "hold over"
"""The name of its timer."""


class Mode(StrEnum):
    """In the order in which they apply; the words are those of `gatectl status` and of the results."""

    FIRE = "fire"
    LOCKDOWN = "lockdown"
    HELD = "held"
    CLOSED = "closed"
    NORMAL = "normal"


class Order(NamedTuple):
    """A person's order: LOCKDOWN, or HELD until `until_us`; NORMAL ends the one before it."""

    mode: Mode
    reason: str | None = None
    until_us: WallUs | None = None


class Current(NamedTuple):
    """The mode that applies. `schedule` is the name of the one that caused it, `reason` a person's words."""

    mode: Mode
    until_us: WallUs | None = None
    reason: str | None = None
    schedule: str | None = None

    @property
    def keeps_on(self) -> bool:
        """Whether the relay stays on."""
        return self.mode in {Mode.FIRE, Mode.HELD}


NORMAL = Current(Mode.NORMAL)


class Planned(NamedTuple):
    """A schedule with its name in the settings."""

    name: str
    schedule: Schedule


class ModeRules(NamedTuple):
    """`first_in`: a hold by schedule begins with its span's first admission. `zone` None is the system's."""

    hold_open: Planned | None = None
    closed: Planned | None = None
    first_in: bool = False
    zone: tzinfo | None = None


class Modes:
    """Knows the mode of one door, and keeps its relay on where the mode wants that."""

    def __init__(self, door: DoorContext, rules: ModeRules) -> None:
        self.current = NORMAL
        self.since_us = WallUs(0)
        """When the mode began; 0 as long as it is normal since the start."""
        self._door = door
        self._rules = rules
        self._fire = False
        self._order: Order | None = None
        self._was_ordered = False
        """Whether a person has ordered a mode since the start."""
        self._trusts_clock: bool | None = None
        """None before the first look: until then no schedule counts."""
        self._admitted_us = WallUs(0)
        self._ordered: dict[str, tuple[Order, Attempt, Instant]] = {}

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._ordered

    @property
    def has_fire(self) -> bool:
        """Whether the fire input is active."""
        return self._fire

    @property
    def refusal(self) -> Fault | None:
        """Why the door lets nobody in, without asking."""
        return {Mode.LOCKDOWN: Fault.LOCKDOWN, Mode.CLOSED: Fault.CLOSED}.get(self.current.mode)

    @property
    def needs_clock(self) -> bool:
        """Whether a schedule counts here, or a hold that ends at a time of the wall clock."""
        return self._has_schedule or (self._order is not None and self._order.until_us is not None)

    @property
    def _has_schedule(self) -> bool:
        return self._rules.hold_open is not None or self._rules.closed is not None

    def until_us(self, now_us: WallUs) -> WallUs | None:
        """When the mode ends, as far as that is known: an order's own end, or the schedule's next change."""
        for planned in (self._rules.closed, self._rules.hold_open):
            if planned is not None and planned.name == self.current.schedule:
                change_us = planned.schedule.next_change_us(now_us, self._rules.zone)
                return None if change_us is None else WallUs(change_us)
        return self.current.until_us

    def fire(self, at: Instant, *, active: bool) -> None:
        """Take the level of the fire input."""
        self._fire = active
        self._update(at)

    def begin(self, given: Ordered, now_s: LoopTime) -> None:
        """Take a person's order: on record first."""
        attempt = self._door.attempt("mode", given.of, given.at)
        self._ordered[given.of] = given.order, attempt, given.at
        self._door.emit(Record(attempt, LoopTime(now_s + self._door.site.patience_s)))

    def go_on(self, given: Recorded | RecordLate) -> None:
        """Follow an order that is on record, or whose record is late."""
        order, attempt, at = self._ordered.pop(given.of)
        if isinstance(given, RecordLate):
            self._door.log_late(f"the record of order {given.of}")
        self._order = None if order.mode is Mode.NORMAL else order
        self._was_ordered = True
        facts = {"mode": order.mode.value, "reason": order.reason, "until_us": order.until_us}
        outcome = Outcome(Result(order.mode.value), self._message(_ordered_mode(order)), facts=facts)
        self._door.emit(Conclude(Event(attempt, outcome)))
        self._update(at, is_noted=True)

    def resume(self, order: Order | None, at: Instant, admitted_us: WallUs | None = None) -> None:
        """Go on with the order of before the start, if its end lies ahead, and with a hold that has begun.

        The journal may be slow: a person's order since the start is newer.
        """
        self._admitted_us = max(self._admitted_us, admitted_us or WallUs(0))
        if order is not None and not self._was_ordered:
            self._order = order
            self._update(at, is_noted=True)
        else:
            self._update(at)

    def time_up(self, at: Instant) -> None:
        """Take the end of a hold, whatever became of the wall clock meanwhile: the relay is off by now."""
        if self._order is not None and self._order.mode is Mode.HELD:
            self._order = None
        self._update(at)

    def look(self, at: Instant, *, trusts_clock: bool) -> None:
        """Look at the clock; without a clock to trust no schedule counts, and the log says so once."""
        if self._trusts_clock is not False and not trusts_clock and self._has_schedule:
            what = "the clock has not been set since the boot: no schedule counts until it is"
            self._door.log(Priority.WARNING, what)
        self._trusts_clock = trusts_clock
        self._update(at)

    def admitted(self, at: Instant) -> None:
        """Somebody was admitted, which may begin a hold by schedule."""
        self._admitted_us = at.us_at(self._door.now_s)
        self._update(at)

    def _update(self, at: Instant, *, is_noted: bool = False) -> None:
        # A scan's moment may be before a change that has been made: the mode is that of now.
        now_s = self._door.now_s
        now_us = at.us_at(now_s)
        if self._order is not None and self._order.until_us is not None and now_us >= self._order.until_us:
            self._order = None
        before, self.current = self.current, self._first(now_us)
        if before == self.current:
            return
        self.since_us = now_us
        until_us = self.current.until_us
        until_s = None
        if until_us is not None:
            # The clock may have been set back over a restart, and the end lie further ahead than ever.
            until_s = LoopTime(now_s + min((until_us - now_us) / 1e6, HOLD_MAX_S))
        self._door.emit(StartTimer(HOLD_OVER, until_s))
        self._move_relay(before, until_s, now_s)
        if not is_noted or self.current.mode is not (self._order.mode if self._order else Mode.NORMAL):
            result = Result(self.current.mode.value)
            self._door.note("mode", at, Outcome(result, self._message(self.current)))

    def _move_relay(self, before: Current, until_s: LoopTime | None, now_s: LoopTime) -> None:
        is_fire = self.current.mode is Mode.FIRE
        if before.mode is Mode.FIRE and not is_fire:
            self._door.emit(StopKeeping(for_exit=True))
        if self.current.keeps_on:
            self._door.emit(KeepOn(FOREVER if until_s is None else until_s), Warn(on=False))
            if is_fire:
                self._door.emit(KeepOn(FOREVER, for_exit=True))
        elif before.keeps_on:
            self._door.emit(StopKeeping())
        self._door.keep_open(now_s, on=self.current.keeps_on)
        if self.current.mode is Mode.LOCKDOWN:
            self._door.shut(now_s)

    def _first(self, now_us: WallUs) -> Current:
        order = self._order
        if self._fire:
            return Current(Mode.FIRE)
        if order is not None:
            return Current(order.mode, order.until_us, order.reason)
        if self._is_on(self._rules.closed, now_us) and self._rules.closed:
            return Current(Mode.CLOSED, schedule=self._rules.closed.name)
        hold = self._rules.hold_open
        if hold and self._is_on(hold, now_us) and self._has_begun(hold.schedule, now_us):
            return Current(Mode.HELD, schedule=hold.name)
        return NORMAL

    def _is_on(self, planned: Planned | None, now_us: WallUs) -> bool:
        if planned is None or not self._trusts_clock:
            return False
        return planned.schedule.is_on(now_us, self._rules.zone)

    def _has_begun(self, schedule: Schedule, now_us: WallUs) -> bool:
        if not self._rules.first_in:
            return True
        start_us = schedule.span_start_us(now_us, self._rules.zone)
        return start_us is not None and self._admitted_us >= start_us

    def _message(self, current: Current) -> str:
        match current:
            case Current(Mode.FIRE):
                return Message.FIRE.value
            case Current(Mode.LOCKDOWN, _, reason):
                return f"{Message.LOCKED_DOWN.value}: {reason}"
            case Current(Mode.HELD, until_us, reason, None) if until_us is not None:
                until = clock_text(local(until_us, self._rules.zone), self._rules.zone)
                return f"{Message.HELD.value} until {until}: {reason}"
            case Current(Mode.HELD, schedule=name):
                return f"{Message.HELD.value} by schedule {name}"
            case Current(Mode.CLOSED, schedule=name):
                return f"{Message.CLOSED_BY_SCHEDULE.value} {name}"
            case _:
                return Message.NORMAL_AGAIN.value


def _ordered_mode(order: Order) -> Current:
    return Current(order.mode, order.until_us, order.reason)
