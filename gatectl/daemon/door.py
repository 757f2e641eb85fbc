"""One door's shell: feeds its machine, and performs the effects. All rules are in `decision/door/`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from gatectl import clock
from gatectl.daemon.effects import Effects, cut
from gatectl.daemon.site_context import EventIds, SiteContext
from gatectl.decision.door.inputs import InputName, LevelChange
from gatectl.decision.door.machine import DoorMachine, DoorRules
from gatectl.decision.door.messages import (
    ClockLooked,
    CodeRead,
    Conclude,
    GateBroken,
    Input,
    InputChanged,
    InputLost,
    OpenByHand,
    Ordered,
    Recalled,
    Resumed,
    Stop,
    Unreadable,
    Unused,
)
from gatectl.decision.door.modes import Order
from gatectl.decision.event import Event
from gatectl.decision.indication import View
from gatectl.decision.timestamps import LoopTime, WallUs
from gatectl.devices.gpio.gate import Gate
from gatectl.devices.gpio.input_watcher import Lost
from gatectl.partners.reason import mask_secrets


class Door:
    """One door. Used from the event loop alone; `tasks` carries what waits for a partner or a pin."""

    def __init__(
        self, name: str, rules: DoorRules, gate: Gate, context: SiteContext, tasks: asyncio.TaskGroup
    ) -> None:
        self.name = name
        self.gate = gate
        self._context = context
        self._new_id = EventIds()
        self.machine = DoorMachine(name, rules, context.site, self._new_id)
        self._effects = Effects(name, gate, context, tasks, self._feed)
        self._inputs: deque[Input] = deque()
        self._by_hand: dict[str, asyncio.Future[Event]] = {}
        self._broken: str | None = None
        """The cause for which the relay is out of order, as far as the machine knows it."""
        self._drained: asyncio.Future[None] | None = None
        """Done once nothing is under way; set while the door drains."""
        self._is_over = False

    def present(self, scanner: str, leaves: bool, code: str, at_s: float) -> None:  # noqa: FBT001 - bound first
        """Take a complete code from one of the door's scanners; `leaves` on the inside."""
        self._feed(CodeRead(code, scanner, self._context.instants.instant(LoopTime(at_s)), leaves))

    def show_unreadable(self) -> None:
        """Show that a complete reading was no code."""
        self._feed(Unreadable(showing=self.gate.is_showing))

    def take_input(self, name: InputName, change: LevelChange | Lost) -> None:
        """Take a stable level of an input, or its loss."""
        if isinstance(change, Lost):
            self._feed(InputLost(name, change.cause, self._context.instants.instant(clock.now())))
        else:
            self._feed(InputChanged(name, change.active, self._context.instants.instant(change.since_s)))

    async def order(self, order: Order) -> Event:
        """Follow a person's order of a mode; return the event, once it is concluded."""
        at = self._context.instants.instant(clock.now())
        if order.reason is not None:
            order = order._replace(reason=mask_secrets(self._context.keys, order.reason))
        return await self._concluded(Ordered(self._new_id(at.named.at_us), at, order))

    def resume(self, order: Order | None, admitted_us: WallUs | None) -> None:
        """Take the order that counted before this start, and when somebody was admitted here last."""
        self._feed(Resumed(order, self._context.instants.instant(clock.now()), admitted_us))

    def look_at_clock(self, *, trusted: bool) -> None:
        """Look whether a schedule begins or ends."""
        self._feed(ClockLooked(self._context.instants.instant(clock.now()), trusted))

    def recall(self, unused: Sequence[Unused]) -> None:
        """Take the admissions that were not used before this start."""
        own = [one for one in unused if one.attempt.door == self.name]
        if own:
            self._feed(Recalled(own, self._context.instants.instant(clock.now())))

    async def open_by_hand(self, reason: str) -> Event:
        """Open for a person; return the event, once it is concluded."""
        at = self._context.instants.instant(clock.now())
        reason = mask_secrets(self._context.keys, reason)
        return await self._concluded(OpenByHand(self._new_id(at.named.at_us), at, reason))

    async def _concluded(self, given: OpenByHand | Ordered) -> Event:
        concluded: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._by_hand[given.of] = concluded
        self._feed(given)
        return await concluded

    async def drain(self) -> None:
        """Take no further codes, and wait for scan and check-ins under way: they end with their budget."""
        self._drained = asyncio.get_running_loop().create_future()
        self._feed(Stop())
        await self._drained

    def abandon(self) -> None:
        """Give up all that is under way, also what waits for the disk; the next start closes it."""
        self._is_over = True
        self._effects.abandon()

    def is_stuck(self, now_s: LoopTime) -> bool:
        """Return whether the scan under way is long past all of its limits."""
        return self.machine.is_stuck(now_s)

    def view(self) -> View:
        """The screen for a display that connects now."""
        return self.machine.view()

    def _feed(self, given: Input) -> None:
        """Take an input and perform what follows. One that comes up meanwhile waits for its turn."""
        if self._is_over:
            return
        self._inputs.append(given)
        if len(self._inputs) > 1:
            return
        if (cause := self.gate.entry.relay.trouble.cause) != self._broken:
            self._broken = cause
            self._inputs.appendleft(GateBroken(None if cause is None else cut(cause)))
        while self._inputs:
            for effect in self.machine.handle(self._inputs[0], clock.now()):
                self._effects.perform(effect)
                if self._by_hand and isinstance(effect, Conclude):
                    self._answer_caller(effect.event)
            self._inputs.popleft()
        if self._drained is not None and self.machine.is_idle and not self._drained.done():
            self._drained.set_result(None)

    def _answer_caller(self, event: Event) -> None:
        concluded = self._by_hand.pop(event.attempt.id, None)
        if concluded is not None and not concluded.done():
            concluded.set_result(event)
