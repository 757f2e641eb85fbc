"""Admissions that wait for their members to pass, and the second try of those who did not.

No partner can be asked again: most refuse the second check-in of a day, and one would charge for it.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from gatectl.decision.cards import key_of
from gatectl.decision.door.context import AfterPassage, DoorContext
from gatectl.decision.door.messages import Note, Show, StartTimer, Unused, WatchClosely
from gatectl.decision.event import Attempt, GateRecord, Outcome
from gatectl.decision.indication import Indication, Screen, View
from gatectl.decision.outcomes import Message
from gatectl.decision.timestamps import Instant, LoopTime
from gatectl.decision.verdict import Result

SILENT_MAX = 10
"""So many granted openings in a row without a passage are a broken sensor, not ten members in doubt."""

WAITING = "passage"
"""The name of its timer."""


class PassageRules(NamedTuple):
    """`release`: the relay goes off when the sensor's signal begins or ends, or by its own time ("no").

    Without a sensor the door's contact answers in its place.
    """

    wait_s: float
    again_s: float
    has_sensor: bool = True
    release: Literal["start", "end", "no"] = "start"
    debounce_s: float = 0.0
    """The sensor's signal is known so much later than it began."""


class Grant(NamedTuple):
    """An admission whose member has not passed yet."""

    attempt: Attempt
    relay_on_s: LoopTime
    after: AfterPassage

    @property
    def key(self) -> str | None:
        """The code in the form in which codes are compared; an opening by hand has none."""
        return None if self.attempt.credential is None else key_of(self.attempt.credential)


class Passages:
    """The admissions of one door, in the order of their relay."""

    def __init__(self, door: DoorContext, rules: PassageRules) -> None:
        self.trusted = True
        """False while the sensor is suspect: then no member is recorded as not passed, or gets a second
        try."""
        self.has_sensor = rules.has_sensor
        self._door = door
        self._rules = rules
        self._granted: deque[Grant] = deque()
        self._unused: dict[str, tuple[Attempt, LoopTime]] = {}
        """By the code's key: admissions that were not used, and when that was known."""
        self._silent = 0
        self._releases = False

    def is_granted(self, key: str) -> bool:
        """Whether this code's own admission is waiting: another reading of it is the same scan."""
        return any(grant.key == key for grant in self._granted)

    @property
    def waiting(self) -> int:
        """Admissions that wait for their members."""
        return len(self._granted)

    @property
    def oldest(self) -> Grant | None:
        """The member who is to pass next."""
        return self._granted[0] if self._granted else None

    def waits_for_another(self, passing: Grant | None) -> bool:
        """Whether a member waits who is not the one in the door."""
        return any(grant is not passing for grant in self._granted)

    def recall(self, unused: Unused, now: Instant) -> None:
        """Take an admission that was not used before this start."""
        partner = self._door.site.partners.get(unused.attempt.partner or "")
        if partner is not None and partner.checks_in_after_passage:
            return  # he was not checked in, and the partner can be asked once more
        age_s = (now.named.at_us - unused.known_us) / 1e6
        if unused.attempt.credential is not None:
            key = key_of(unused.attempt.credential)
            self._unused[key] = unused.attempt, LoopTime(now.loop_s - max(age_s, 0.0))

    def grant(self, attempt: Attempt, relay_on_s: LoopTime, after: AfterPassage) -> None:
        """Wait for the member of an admission: the relay is on."""
        grant = Grant(attempt, relay_on_s, after)
        self._granted.append(grant)
        if grant.key is not None:
            self._unused.pop(grant.key, None)  # an admission has one second try, and this may be it
        self._await_oldest()

    def second_try(self, key: str, now_s: LoopTime) -> Attempt | None:
        """The admission that this code may use once more."""
        attempt, known_s = self._unused.get(key, (None, now_s))
        return attempt if self.trusted and now_s <= known_s + self._rules.again_s else None

    def sensed(self, at: Instant) -> None:
        """Take the beginning of the sensor's signal: somebody passes."""
        while self._granted and at.loop_s > self._granted[0].relay_on_s + self._rules.wait_s:
            self._give_up(self._granted.popleft(), at)
        self._silent = 0
        if not self._granted:
            self._await_oldest()
            if self.has_sensor:
                self._take_stranger(at)
            return
        grant = self._granted.popleft()
        # A member who pushes early: the signal may have begun while the relay was being switched on.
        after_ms = max(round((at.loop_s - grant.relay_on_s) * 1e3, 3), 0.0)
        gate = GateRecord(at.us_at(grant.relay_on_s), after_ms, round(self._rules.wait_s * 1e3))
        self._count_in(at)
        passed = Outcome(Result.PASSED, Message.PASSED.value, gate=gate)
        event = self._door.event("passage", at, passed, grant.attempt)
        if grant.after.checks_in and self._door.check_ins is not None:
            self._door.check_ins.begin(grant.attempt, at, event)
        else:
            self._door.emit(Note(event))
        self._await_oldest()
        self._releases = self._rules.release != "no" and not self._granted
        if self._rules.release == "start":
            self.cleared(at.loop_s)

    def _take_stranger(self, at: Instant) -> None:
        """Take a passage of somebody who was not admitted."""
        if not self.trusted or at.loop_s <= self._door.exit_until_s:
            return  # the sensor flutters, or he may be leaving by the way in
        self._count_in(at)
        if not self._door.keeps_open:
            self._door.note("passage", at, Outcome(Result.UNEXPECTED, Message.UNEXPECTED.value))

    def _count_in(self, at: Instant) -> None:
        if self._door.occupancy is not None:
            self._door.occupancy.came_in(at.named.at_us)

    def cleared(self, now_s: LoopTime) -> None:
        """Take the end of the sensor's signal."""
        if self._releases and not self._granted:
            self._door.release(now_s)
        self._releases = False

    def time_up(self, at: Instant) -> bool:
        """Give up those who did not pass in time; whether the sensor is suspect from now on."""
        while self._granted and at.loop_s >= self._known_s(self._granted[0]):
            self._give_up(self._granted.popleft(), at)
        self._await_oldest()
        return self.trusted and self._silent >= SILENT_MAX

    def _give_up(self, grant: Grant, at: Instant) -> None:
        self._silent += 1
        if not self.trusted:
            return
        self._door.note("passage", at, Outcome(Result.NOT_PASSED, Message.NOT_PASSED.value), grant.attempt)
        opens_again = grant.after.may_try_again and self._rules.again_s > 0
        if grant.key is None or not (opens_again or grant.after.checks_in):
            return
        if opens_again:
            self._forget_old(at.loop_s)
            self._unused[grant.key] = grant.attempt, at.loop_s
        if not self._door.is_deciding and self._door.refusal is None:
            self._door.emit(Show(View(self._door.name, Screen.DID_NOT_PASS), Indication.TRY_AGAIN))

    def _forget_old(self, now_s: LoopTime) -> None:
        """Keep only second tries that can still be used."""
        for key, (_, known_s) in list(self._unused.items()):
            if now_s > known_s + self._rules.again_s:
                del self._unused[key]

    def _await_oldest(self) -> None:
        if not self._granted:
            self._door.emit(StartTimer(WAITING, None))
            return
        # The shell's timers are exact to a millisecond, and the last moment still counts as passed.
        self._door.emit(StartTimer(WAITING, self._known_s(self._granted[0])))
        self._door.emit(WatchClosely(self._known_s(self._granted[-1])))

    def _known_s(self, grant: Grant) -> LoopTime:
        """When it is known whether the member has passed."""
        return LoopTime(grant.relay_on_s + self._rules.wait_s + self._rules.debounce_s)
