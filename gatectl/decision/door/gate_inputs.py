"""The inputs of one door, and what follows from each: passages, alarms, the way out, their own health."""

from __future__ import annotations

from gatectl.decision.door.contact import HELD, TAIL_S, WARN, Contact, ContactRules
from gatectl.decision.door.context import DoorContext
from gatectl.decision.door.exits import PRESSED, ExitRules, Exits
from gatectl.decision.door.inputs import CONDITIONS, THINGS, InputHealth, InputName, InputState, LevelChange
from gatectl.decision.door.messages import InputChanged, InputLost, Recalled, StartTimer, TimeUp
from gatectl.decision.door.modes import HOLD_OVER, Modes
from gatectl.decision.door.passages import WAITING, PassageRules, Passages
from gatectl.decision.event import Outcome
from gatectl.decision.timestamps import FOREVER, Instant, LoopTime
from gatectl.decision.verdict import Result

STUCK_S = {InputName.EXIT: 60.0, InputName.PASSAGE: 30.0, InputName.CONTACT: 30.0}
"""How long an input may be active: no person presses a button, or blocks a turnstile, for so long. A door
that stands open is no fault of its contact, which then sees nobody pass."""

STUCK, QUIET = "stuck ", "quiet "
"""The names of the timers, before the input's."""


class GateInputs:
    """Takes every change of a door's inputs. A flow is None where the door's gate does not have it."""

    def __init__(
        self,
        door: DoorContext,
        contact: ContactRules | None,
        exits: ExitRules | None,
        passage: PassageRules | None,
        modes: Modes,
        *,
        has_fire: bool,
    ) -> None:
        self._door = door
        self._modes = modes
        self.contact = door.contact = Contact(door, contact) if contact else None
        self.exits = Exits(door, exits) if exits else None
        self.passages = door.passages = Passages(door, passage) if passage else None
        has = {
            InputName.PASSAGE: passage is not None and passage.has_sensor,
            InputName.CONTACT: contact is not None,
            InputName.FIRE: has_fire,
            InputName.EXIT: exits is not None and exits.has_button,
            InputName.EXIT_PASSAGE: exits is not None and exits.counts,
        }
        self.states = {name: InputState(name) for name in InputName if has[name]}
        """By their names, in the order in which status shows them."""

    def take(self, given: InputChanged | InputLost | Recalled | TimeUp) -> None:
        """Take what concerns an input or a timer."""
        match given:
            case InputChanged():
                self.changed(given)
            case InputLost():
                self.lost(given)
            case Recalled():
                self.recall(given)
            case TimeUp(name, at) if name == HOLD_OVER:
                self._modes.time_up(at)
            case TimeUp():
                self.time_up(given)

    def recall(self, given: Recalled) -> None:
        """Take the unused admissions of before the start."""
        if self.passages:
            for unused in given.unused:
                self.passages.recall(unused, given.at)

    def changed(self, given: InputChanged) -> None:
        """Take a stable level."""
        state = self.states[given.name]
        is_first = state.level is None
        if state.health is InputHealth.LOST:
            self._note(state, InputHealth.OK, given.at)
        explained = self._explains(state, given)
        state.take(LevelChange(given.active, given.at.loop_s), explained=explained)
        self._watch_flutter(state, given.at)
        self._watch_stuck(state, given.at)
        match given.name:
            case InputName.CONTACT:
                self._contact_changed(given, is_first=is_first)
            case InputName.EXIT if self.exits:
                self.exits.changed(is_pressed=given.active, at=given.at)
            case InputName.EXIT_PASSAGE if self.exits and given.active and not is_first:
                self.exits.left(given.at)
            case InputName.FIRE:
                self._modes.fire(given.at, active=given.active)
            case InputName.PASSAGE:
                self._passage_changed(state, given, is_first=is_first)

    def _contact_changed(self, given: InputChanged, *, is_first: bool) -> None:
        if self.contact is None:
            return
        state, passages = self.states[InputName.CONTACT], self.passages
        if given.active and not is_first and state.health is InputHealth.SUSPECT:
            self._note(state, InputHealth.OK, given.at)
        # One that sees none of many members may still see who forces the door.
        self.contact.trusted = state.health in {InputHealth.OK, InputHealth.SUSPECT}
        if passages and not passages.has_sensor and (given.active or is_first):
            # Of a door that stands open at the start nobody can be seen to pass.
            passages.trusted = state.health is InputHealth.OK and not (is_first and given.active)
            if not is_first:
                passages.sensed(given.at)
        self.contact.changed(is_open=given.active, at=given.at, is_first=is_first)

    def _passage_changed(self, state: InputState, given: InputChanged, *, is_first: bool) -> None:
        if self.passages is None:
            return
        if given.active and is_first:
            self._suspect(state, given.at)
        elif given.active:
            if state.health in {InputHealth.STUCK, InputHealth.SUSPECT}:
                self._note(state, InputHealth.OK, given.at)
            self.passages.trusted = state.health is InputHealth.OK
            self.passages.sensed(given.at)
        else:
            if is_first:
                self.passages.trusted = True  # also where the pin was lost, and works again
            self.passages.cleared(given.at.loop_s)

    def _suspect(self, state: InputState, at: Instant) -> None:
        """Believe the sensor no longer, until its next signal."""
        if state.health is InputHealth.OK:
            self._note(state, InputHealth.SUSPECT, at)
        if self.passages:
            self.passages.trusted = False

    def lost(self, given: InputLost) -> None:
        """Take the loss of a pin: its level is unknown from now on, and the door goes on without it."""
        state = self.states[given.name]
        state.level = None
        self._note(state, InputHealth.LOST, given.at, given.cause)
        self._door.emit(StartTimer(STUCK + state.name, None), StartTimer(QUIET + state.name, None))
        if given.name is InputName.CONTACT and self.contact:
            self.contact.trusted = False
        elif given.name is InputName.EXIT and self.exits:
            self.exits.changed(is_pressed=False, at=given.at)
        self._trust(given.name, is_trusted=False)

    def time_up(self, given: TimeUp) -> None:
        """Take the end of a timer."""
        if given.name in {HELD, WARN} and self.contact:
            self.contact.time_up(given.name, given.at)
        elif given.name == PRESSED and self.exits:
            self.exits.time_up(given.at.loop_s)
        elif given.name == WAITING and self.passages and self.passages.time_up(given.at):
            self._suspect(self.states[self._sees_members], given.at)
        for state in self.states.values():
            if given.name == STUCK + state.name and state.level:
                self._stuck(state, given.at)
            elif given.name == QUIET + state.name and state.health is InputHealth.FLUTTERS:
                self._calm(state, given.at)

    def _stuck(self, state: InputState, at: Instant) -> None:
        if state.health is InputHealth.OK and state.name is not InputName.CONTACT:
            self._note(state, InputHealth.STUCK, at)
        self._trust(state.name, is_trusted=False)

    def _trust(self, name: InputName, *, is_trusted: bool) -> None:
        """Believe what this input says about members who pass, if it says so at all."""
        if self.passages and name is self._sees_members:
            self.passages.trusted = is_trusted

    @property
    def _sees_members(self) -> InputName:
        """The input that sees who passes: the door's contact where there is no sensor."""
        has_sensor = self.passages is not None and self.passages.has_sensor
        return InputName.PASSAGE if has_sensor else InputName.CONTACT

    def _explains(self, state: InputState, given: InputChanged) -> bool:
        """Whether a change is a known movement: of an unlocked door, or of a member who was admitted."""
        if given.active:
            state.opening_is_explained = self._expects(state.name, given.at)
        return state.opening_is_explained

    def _expects(self, name: InputName, at: Instant) -> bool:
        match name:
            case InputName.CONTACT:
                return self._door.is_unlocked(LoopTime(at.loop_s - TAIL_S))
            case InputName.PASSAGE if self.passages is not None and self.passages.waiting > 0:
                return True
            case InputName.PASSAGE | InputName.EXIT_PASSAGE:
                return self._door.keeps_open or at.loop_s <= self._door.exit_until_s
            case InputName.EXIT | InputName.FIRE:
                return False

    def _watch_flutter(self, state: InputState, at: Instant) -> None:
        if state.begins_to_flutter():
            self._note(state, InputHealth.FLUTTERS, at)
            self._trust(state.name, is_trusted=False)
        if state.health is InputHealth.FLUTTERS:
            self._door.emit(StartTimer(QUIET + state.name, state.quiet_at_s))

    def _watch_stuck(self, state: InputState, at: Instant) -> None:
        if state.name not in STUCK_S:
            return
        if state.level:
            stuck_at_s = LoopTime(at.loop_s + STUCK_S[state.name])
            self._door.emit(StartTimer(STUCK + state.name, stuck_at_s))
            return
        self._door.emit(StartTimer(STUCK + state.name, None))
        # A passage sensor counts as working again with its next signal.
        if state.health is InputHealth.STUCK and state.name is InputName.EXIT:
            self._note(state, InputHealth.OK, at)

    def _calm(self, state: InputState, at: Instant) -> None:
        state.calm()
        is_stuck = state.level is True and at.loop_s >= state.since_s + STUCK_S.get(state.name, FOREVER)
        if is_stuck and state.name is not InputName.CONTACT:
            self._stuck(state, at)
            return
        self._note(state, InputHealth.OK, at)
        if state.name is InputName.CONTACT and self.contact:
            self.contact.trust()
        self._trust(state.name, is_trusted=not is_stuck)

    def _note(self, state: InputState, health: InputHealth, at: Instant, cause: str | None = None) -> None:
        state.health = health
        words = f"The {THINGS[state.name]} {CONDITIONS[health]}"
        self._door.note("input", at, Outcome(Result(health.value), words, detail=cause))
