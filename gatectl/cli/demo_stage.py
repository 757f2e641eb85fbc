"""The stage of the demo's plays: scans, moves the gate's inputs, and shows each event as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from rich.text import Text

from gatectl.cli.control import call
from gatectl.cli.render import EventList, TextConsole
from gatectl.decision.event import Event
from gatectl.decision.verdict import Basis, Result
from gatectl.errors import GatectlError
from gatectl.journal.filters import Filters
from gatectl.journal.reader import Reader
from gatectl.sim.plays import Play, passes
from gatectl.sim.simulated_door import MAIN, SimulatedDoor
from gatectl.sim.simulated_gate import GateInput, SimulatedGate

EVENT_S = 20.0
"""A member has 8 s to pass, and no partner's budget is longer; the rest is for slow, emulated machines."""

POLL_S = 0.02
"""Between two looks at the journal's index: too short for a person to notice."""


class _NothingNew(Exception):
    """Ends a look at the journal."""


def _stop() -> None:
    raise _NothingNew


class DemoStage:
    """A door, its gate if it has one, and its journal."""

    def __init__(
        self,
        door: SimulatedDoor,
        gate: SimulatedGate | None,
        wait_ms: int,
        reader: Reader,
        console: TextConsole,
        screen: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Take `wait_ms`, in which a member has to pass.

        `screen` is entered around each output: it keeps a prompt out of the way.
        """
        self._door = door
        self._gate = gate
        self._wait_s = wait_ms / 1000
        self._reader = reader
        self._console = console
        self._screen = screen
        self._list = EventList({}, console)
        self._mark = 0
        self._member: str | None = None
        self._granted: dict[str, tuple[str, float]] = {}
        """Members who were admitted and have not passed: code, and until when the gate waits, by scan."""

    @property
    def settings(self) -> Path:
        """The settings of the running daemon."""
        return self._door.settings

    @property
    def member(self) -> str | None:
        """The code that was scanned last at the main door."""
        return self._member

    @property
    def gate_is_open(self) -> bool:
        """Return whether a person can pass."""
        return self._gate is not None and self._gate.is_open

    @property
    def inside(self) -> int | None:
        """How many people are inside by the daemon's count, where the gate counts both ways."""
        status = call(self._door.control, {"command": "status"})
        inside: int | None = status["doors"][MAIN]["inside"]
        return inside

    def awaits(self, code: str) -> bool:
        """Return whether this code was admitted, and the gate waits for its member to pass."""
        return code in self._standing()

    def say(self, words: str, style: str = "bold") -> None:
        """Print a line of the demo's own."""
        with self._screen():
            self._console.print(Text(words, style))

    def show_new(self) -> None:
        """Show the events since the last look."""
        for event in self._new():
            self._show(event)

    def scan(self, code: str, door: str = MAIN) -> bool:
        """Scan, and wait for the event; return whether the member was admitted."""
        openings = self._gate.openings if self._gate else 0
        self._door.type_code(code, door)
        event = self._awaited(f"no event came of {code!r}", lambda one: one.attempt.kind == "scan")
        is_admitted = event.outcome.result is Result.ADMITTED
        if door == MAIN:
            self._member = code
            if is_admitted and self._gate:
                self._gate.until_open(openings)
        return is_admitted

    def play(self, play: Play) -> None:
        """Play a scene; one that wants a member at an open gate is left out where there is none."""
        if play.member and not self.gate_is_open:
            self.say("the gate is shut: nobody can pass")
        elif play.member and not self._standing():
            self.say("no member stands at the gate: scan first")
        else:
            if not play.member and self.gate_is_open:
                for _ in self._standing():
                    passes(self)
            play.run(self)

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def move(self, what: GateInput, *, active: bool) -> None:
        """Set an input's level."""
        self._wired.move(what, active=active)

    def until_shut(self) -> None:
        """Wait until the relay is off."""
        self._wired.until_shut()

    def expect(self, kind: str, result: Result) -> None:
        """Wait for this event; others may come before it."""
        self._awaited(
            f"no event came: {kind} {result.value}",
            lambda one: (one.attempt.kind, one.outcome.result) == (kind, result),
        )

    def order(self, command: str, *, seconds: int | None = None, reason: str | None = None) -> None:
        """Give a person's order to the main door over the control socket."""
        request: dict[str, Any] = {"command": command, "door": MAIN}
        more = {"seconds": seconds, "reason": reason}
        call(self._door.control, request | {name: value for name, value in more.items() if value is not None})
        self._awaited(f"no event came of {command}", lambda one: one.attempt.kind == "mode")

    def fail_partner(self, partner: str, *, down: bool) -> None:
        """Let a partner answer nobody, or everybody again."""
        self.say(f"-- the partner {partner} {'is down' if down else 'works again'} --", "cyan")
        if down:
            self._door.simulator.down.add(partner)
        else:
            self._door.simulator.down.discard(partner)

    def _standing(self) -> list[str]:
        """The codes of the members for whom the gate waits."""
        now = time.monotonic()
        return [code for code, until in self._granted.values() if now < until]

    @property
    def _wired(self) -> SimulatedGate:
        if self._gate is None:
            raise ValueError("this door has nothing but a reader and a relay")
        return self._gate

    def _awaited(self, failure: str, fits: Callable[[Event], bool]) -> Event:
        """Show events until one fits. GatectlError with the failure where none does in time."""
        until = time.monotonic() + EVENT_S
        while time.monotonic() < until:
            for event in self._new():
                self._show(event)
                if fits(event):
                    return event
            time.sleep(POLL_S)
        raise GatectlError(failure)

    def _new(self) -> Iterator[Event]:
        """The events that have not been shown."""
        with suppress(_NothingNew):
            for event in self._reader.follow(Filters(), self._mark, _stop):
                self._mark += 1  # the journal numbers its decisions without gaps
                yield event

    def _show(self, event: Event) -> None:
        attempt, outcome = event.attempt, event.outcome
        if attempt.kind == "passage" and attempt.of:
            self._granted.pop(attempt.of, None)
        elif attempt.kind == "scan" and outcome.result is Result.ADMITTED and outcome.basis is not Basis.FIRE:
            self._granted[attempt.id] = attempt.credential or "", time.monotonic() + self._wait_s
        with self._screen():
            self._list.show(event)
        for words in _gate_words(event):
            self.say(f"         {words}")


def _gate_words(event: Event) -> Iterator[str]:
    """Say what the relay did, as far as the event has it."""
    gate = event.outcome.gate
    match event.attempt.kind:
        case "scan" if gate:
            yield f"the gate opens {gate.after_ms:.1f} ms after the scan, for {gate.open_ms / 1000:g} s"
        case "scan":
            yield "the gate stays shut"
        case "exit" if gate:
            yield f"the gate opens {gate.after_ms:.1f} ms after the button, for {gate.open_ms / 1000:g} s"
        case "passage" if gate:
            yield f"the member passes {gate.after_ms / 1000:.2f} s after the gate opened"
