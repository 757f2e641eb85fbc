"""The inputs of one door, and what follows from each: the contact, the exit button, and their own health."""

from __future__ import annotations

from gatectl.decision.door.contact import HELD, TAIL_S, WARN, Contact, ContactRules
from gatectl.decision.door.context import DoorContext
from gatectl.decision.door.exits import PRESSED, ExitRules, Exits
from gatectl.decision.door.inputs import InputHealth, InputName, InputState, LevelChange
from gatectl.decision.door.messages import InputChanged, InputLost, StartTimer, TimeUp
from gatectl.decision.event import Outcome
from gatectl.decision.timestamps import Instant, LoopTime
from gatectl.decision.verdict import Result

STUCK_S = {InputName.EXIT: 60.0}
"""How long an input may be active: no person presses a button for a minute."""

STUCK, QUIET = "stuck ", "quiet "
"""The names of the timers, before the input's."""

_THINGS = {InputName.CONTACT: "door contact", InputName.EXIT: "exit button"}


class GateInputs:
    """Takes every change of a door's inputs. `contact` and `exits` are None where the door has none."""

    def __init__(self, door: DoorContext, contact: ContactRules | None, exits: ExitRules | None) -> None:
        self._door = door
        self.states: dict[InputName, InputState] = {}
        """By their names, in the order in which status shows them."""
        self.contact = Contact(door, contact) if contact else None
        self.exits = Exits(door, exits) if exits else None
        if contact:
            self.states[InputName.CONTACT] = InputState(InputName.CONTACT)
        if exits and exits.has_button:
            self.states[InputName.EXIT] = InputState(InputName.EXIT)

    def changed(self, given: InputChanged) -> None:
        """Take a stable level."""
        state = self.states[given.name]
        is_first = state.level is None
        if state.health is InputHealth.LOST:
            self._note(state, InputHealth.OK, given.at)
        state.take(LevelChange(given.active, given.at.loop_s), explained=self._explains(state, given))
        self._watch_flutter(state, given.at)
        self._watch_stuck(state, given.at)
        if given.name is InputName.CONTACT and self.contact:
            self.contact.trusted = state.health is InputHealth.OK
            self.contact.changed(is_open=given.active, at=given.at, is_first=is_first)
        elif given.name is InputName.EXIT and self.exits:
            self.exits.changed(is_pressed=given.active, at=given.at)

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

    def time_up(self, given: TimeUp) -> None:
        """Take the end of a timer."""
        if given.name in {HELD, WARN} and self.contact:
            self.contact.time_up(given.name, given.at)
        elif given.name == PRESSED and self.exits:
            self.exits.time_up(given.at.loop_s)
        for state in self.states.values():
            if given.name == STUCK + state.name and state.level and state.health is InputHealth.OK:
                self._note(state, InputHealth.STUCK, given.at)
            elif given.name == QUIET + state.name and state.health is InputHealth.FLUTTERS:
                self._calm(state, given.at)

    def _explains(self, state: InputState, given: InputChanged) -> bool:
        """Whether a change is a known movement: the contact's, of a door that was unlocked when it opened."""
        if state.name is not InputName.CONTACT:
            return False
        if given.active:
            state.opening_is_explained = given.at.loop_s <= self._door.unlocked_until_s + TAIL_S
        return state.opening_is_explained

    def _watch_flutter(self, state: InputState, at: Instant) -> None:
        if state.begins_to_flutter():
            self._note(state, InputHealth.FLUTTERS, at)
        if state.health is InputHealth.FLUTTERS:
            self._door.emit(StartTimer(QUIET + state.name, state.quiet_at_s))

    def _watch_stuck(self, state: InputState, at: Instant) -> None:
        if state.name not in STUCK_S:
            return
        if state.level:
            self._door.emit(StartTimer(STUCK + state.name, LoopTime(at.loop_s + STUCK_S[state.name])))
        else:
            self._door.emit(StartTimer(STUCK + state.name, None))
            if state.health is InputHealth.STUCK:
                self._note(state, InputHealth.OK, at)

    def _calm(self, state: InputState, at: Instant) -> None:
        state.calm()
        self._note(state, InputHealth.OK, at)
        if state.name is InputName.CONTACT and self.contact:
            self.contact.trusted = True

    def _note(self, state: InputState, health: InputHealth, at: Instant, cause: str | None = None) -> None:
        state.health = health
        message = f"The {_THINGS[state.name]} {_WORDS[health]}"
        self._door.note("input", at, Outcome(_RESULTS[health], message, detail=cause))


_WORDS = {
    InputHealth.OK: "works again",
    InputHealth.STUCK: "is stuck",
    InputHealth.FLUTTERS: "flutters",
    InputHealth.LOST: "is lost",
}
_RESULTS = {
    InputHealth.OK: Result.OK,
    InputHealth.STUCK: Result.STUCK,
    InputHealth.FLUTTERS: Result.FLUTTERS,
    InputHealth.LOST: Result.LOST,
}
