"""One door as a machine: every input that can happen to it, and the effects that follow.

`DoorMachine.handle(given, now_s)` returns the effects in the order in which they are to be performed. It
never waits, and raises for no behaviour of members, partners, disks or relays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gatectl.decision.door.by_hand import HandOpenings
from gatectl.decision.door.check_ins import CheckIns
from gatectl.decision.door.contact import ContactAlarm, ContactRules
from gatectl.decision.door.context import DoorContext, SharedState
from gatectl.decision.door.exits import ExitRules
from gatectl.decision.door.gate_inputs import GateInputs
from gatectl.decision.door.inputs import InputName, InputState
from gatectl.decision.door.messages import (
    ClockLooked,
    CodeRead,
    Effect,
    Feedback,
    GateBroken,
    Input,
    InputChanged,
    InputLost,
    OpenByHand,
    Ordered,
    Recalled,
    Recorded,
    RecordLate,
    RelayOn,
    RelayStuck,
    Resumed,
    Retried,
    Show,
    Stop,
    TimeUp,
    Unreadable,
)
from gatectl.decision.door.modes import Mode, ModeRules, Modes
from gatectl.decision.door.occupancy import Occupancy
from gatectl.decision.door.passages import PassageRules
from gatectl.decision.door.scan import ScanFlow
from gatectl.decision.door.scan_queue import Admission, ScanQueue
from gatectl.decision.door.table import State
from gatectl.decision.indication import Indication, Screen, View
from gatectl.decision.log import Priority
from gatectl.decision.timestamps import LoopTime

STUCK_S = 10.0
"""After its budget a scan still waits for the disk, 5 s at most; one that takes longer than this never
ends."""


NO_MODES = ModeRules()


class DoorRules(NamedTuple):
    """The settings of one door. What its gate does not have is None."""

    repeat_s: float
    """The same code again within this time is the same scan."""
    contact: ContactRules | None = None
    exits: ExitRules | None = None
    passage: PassageRules | None = None
    modes: ModeRules = NO_MODES
    has_fire: bool = False
    may_hold: bool = False
    """Whether the lock may stay open for hours."""
    return_s: int = 0
    """Seconds in which a member who passed may come in again; 0 never."""


class DoorMachine:
    """The rules of one door. `new_id` makes an event's id of microseconds since the epoch."""

    def __init__(self, name: str, rules: DoorRules, site: SharedState, new_id: Callable[[int], str]) -> None:
        self.dropped = 0
        """Codes for which there was no place, since the start."""
        self._door = DoorContext(name, site, new_id, rules.return_s)
        self._queue = ScanQueue(rules.repeat_s)
        self._scan = ScanFlow(self._door)
        self._by_hand = HandOpenings(self._door)
        self._check_ins = self._door.check_ins = CheckIns(self._door)
        self.may_hold = rules.may_hold
        self.modes = self._door.modes = Modes(self._door, rules.modes)
        sees_both_ways = rules.passage is not None and rules.exits is not None and rules.exits.counts
        self.occupancy = self._door.occupancy = Occupancy(rules.modes.zone) if sees_both_ways else None
        self._inputs = GateInputs(
            self._door, rules.contact, rules.exits, rules.passage, self.modes, has_fire=rules.has_fire
        )
        self._dropped_logged = 0
        self._takers = self._takers_by_kind()

    @property
    def state(self) -> State:
        """The state of the scan under way."""
        return self._scan.state

    @property
    def is_idle(self) -> bool:
        """Whether neither a scan nor a check-in is under way."""
        return self.state is State.FREE and not self._check_ins

    def is_stuck(self, now_s: LoopTime) -> bool:
        """Return whether the scan under way is long past all of its limits."""
        return self.state is not State.FREE and now_s > self._scan.over_at_s + STUCK_S

    def view(self) -> View:
        """The screen for a display that connects now: a member's words are not shown a second time."""
        return View(self._door.name, Screen.IDLE if self.state is State.FREE else Screen.CHECKING)

    @property
    def waiting(self) -> int:
        """Codes that wait for their turn."""
        return self._queue.waiting

    def handle(self, given: Input, now_s: LoopTime) -> list[Effect]:
        """The effects of one input. Raises IllegalInputError where the table has no row for it."""
        self._door.effects = []
        self._door.now_s = now_s
        self._takers.get(type(given), self._go_on)(given)
        self._begin_waiting(now_s)
        self._door.is_deciding = self._scan.state is not State.FREE
        return self._door.effects

    def _takers_by_kind(self) -> dict[type, Callable[[Any], None]]:
        """The methods that take the inputs; all kinds that are not in it are feedback."""
        return {
            CodeRead: self._take_code,
            Unreadable: self._show_unreadable,
            OpenByHand: lambda given: self._by_hand.begin(given, self._door.now_s),
            GateBroken: self._note_broken,
            InputChanged: self._inputs.take,
            InputLost: self._inputs.take,
            Recalled: self._inputs.take,
            TimeUp: self._inputs.take,
            Ordered: lambda given: self.modes.begin(given, self._door.now_s),
            Resumed: self._resume,
            ClockLooked: lambda given: self.modes.look(given.at, trusts_clock=given.trusted),
            Stop: self._stop,
        }

    def _take_code(self, read: CodeRead) -> None:
        if read.leaves and self._inputs.exits is not None:
            self._inputs.exits.code(read)
        else:
            self._offer(read)

    def _note_broken(self, given: GateBroken) -> None:
        self._door.broken = given.cause

    def _resume(self, given: Resumed) -> None:
        order = given.order
        if order is not None and order.mode is Mode.HELD and not self.may_hold:
            order = None  # the settings may be others now
        self.modes.resume(order, given.at, given.admitted_us)

    def _go_on(self, given: Feedback) -> None:
        """Take the result of an effect; a late one of an event that is concluded changes nothing."""
        now_s = self._door.now_s
        if isinstance(given, RelayOn):
            self._door.unlock(LoopTime(given.at_s + given.open_ms / 1000))
        exits = self._inputs.exits
        if given.of == self._scan.event_id:
            self._scan.go_on(given, now_s)
        elif given.of in self._by_hand:
            self._by_hand.go_on(given, now_s)
        elif given.of in self._check_ins:
            self._check_ins.go_on(given)
        elif given.of in self.modes and isinstance(given, Recorded | RecordLate):
            self.modes.go_on(given)
        elif exits is not None and given.of in exits and isinstance(given, Retried | RelayOn | RelayStuck):
            exits.go_on(given)

    @property
    def inputs(self) -> Mapping[InputName, InputState]:
        """The inputs that the door has."""
        return self._inputs.states

    @property
    def alarm(self) -> ContactAlarm | None:
        """The alarm of the contact that has not ended."""
        contact = self._inputs.contact
        return None if contact is None else contact.alarm

    def _offer(self, read: CodeRead) -> None:
        passages = self._inputs.passages
        if passages is not None and passages.is_granted(read.key):
            self._queue.repeat(read)  # the same scan: its own admission still waits for the member
            return
        if self._door.stopping or self._queue.offer(read) is not Admission.FULL:
            return
        self.dropped += 1
        if self.dropped == self._dropped_logged + 1:
            self._door.log(
                Priority.WARNING, "too many codes at once: one was dropped, further ones are counted"
            )

    def _show_unreadable(self, given: Unreadable) -> None:
        """Show that the member may try again, unless another scan's outcome is being shown."""
        if given.showing or self._door.stopping or self._scan.state is not State.FREE:
            return
        self._door.emit(Show(View(self._door.name, Screen.TRY_AGAIN), Indication.TRY_AGAIN))

    def _stop(self, _given: Stop) -> None:
        self._door.stopping = True
        waited = self._queue.clear()
        if waited:
            self._door.log(Priority.WARNING, f"{waited} codes that waited were dropped: gatectl stops")

    def _begin_waiting(self, now_s: LoopTime) -> None:
        while self._scan.state is State.FREE:
            self._queue.end()
            read = self._queue.begin()
            if read is None:
                self._log_dropped()
                return
            self._scan.begin(read, now_s)

    def _log_dropped(self) -> None:
        if self.dropped > self._dropped_logged + 1:
            dropped = self.dropped - self._dropped_logged
            self._door.log(Priority.WARNING, f"{dropped} codes were dropped in a row")
        self._dropped_logged = self.dropped
