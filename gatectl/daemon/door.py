"""The way of a scan: read, routed, recorded, asked, decided, opened, recorded.

The order of the steps is the table in `decision/scan.py`; this module does what the steps say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Never

from gatectl.daemon import clock
from gatectl.daemon.partner import PartnerDesk
from gatectl.daemon.viewers import Viewers
from gatectl.decision import identity
from gatectl.decision.cards import Card
from gatectl.decision.display import Screen, View, screen_of
from gatectl.decision.door import Offer, Presented, Turns
from gatectl.decision.event import (
    Attempt,
    DialRecord,
    Event,
    Evidence,
    GateRecord,
    Outcome,
    RequestRecord,
    timestamp,
)
from gatectl.decision.notice import Notice, Priority, Tell
from gatectl.decision.outage import RESTING
from gatectl.decision.routing import Destination, Route, destination
from gatectl.decision.scan import Scan, State, Step
from gatectl.decision.signals import Sight, sight_of
from gatectl.decision.verdict import Basis, Fault, Reason, Result, Ruling, Verdict, message_of
from gatectl.devices.gate import Gate
from gatectl.devices.relay import StuckError
from gatectl.devices.trouble import Trouble
from gatectl.errors import visible
from gatectl.journal import clocks
from gatectl.journal.rows import unanswered
from gatectl.journal.store import Store
from gatectl.journal.systemd import Teller
from gatectl.partners.client import Exchange, Request, out_of_time
from gatectl.partners.digest import digest_of
from gatectl.partners.reason import without

SETTLED_MAX = 1000
"""More than a busy site settles in `settle_s`, an hour at most; what is older is not asked about."""

STUCK_S = 10.0
"""After its budget a scan has the disk's patience left, 5 s at most; one that takes longer never ends."""

DETAIL_CHARS = 200
"""A driver may say more than an event keeps."""

_UNRECOGNISED = Ruling(None, Fault.UNRECOGNISED)
_CARDS_UNKNOWN = Ruling(None, Fault.CARDS)


@dataclass(slots=True)
class House:
    """What all doors share."""

    tenant: str
    studio: str
    routes: Sequence[Route]
    cards: Mapping[str, Card] | None
    """None as long as they cannot be read."""
    partners: Mapping[str, PartnerDesk]
    store: Store
    teller: Teller
    patience_s: float
    settled: deque[str] = field(default_factory=lambda: deque(maxlen=SETTLED_MAX))
    """Events that were settled last in this run, on disk or not yet."""
    keys: tuple[str, ...] = field(default=(), repr=False)
    """Every partner's: what a person or a partner says is kept without them."""
    names: clock.Names = field(default_factory=clock.Names)
    viewers: Viewers = field(default_factory=Viewers)
    last_event: Event | None = None
    in_memory: bool = False
    """The store lies where it is gone with the power."""


class Door:
    """One door: its turns, its gate, and the one scan under way."""

    def __init__(self, name: str, repeat_s: float, gate: Gate, house: House) -> None:
        self.name = name
        self.gate = gate
        self._house = house
        self._turns = Turns(repeat_s)
        self._tell: Tell = house.teller.tell
        self._arrived = asyncio.Event()
        self._stopping = False
        self._free = asyncio.Event()
        self._free.set()
        self._free_at = clock.now()
        self._over_at = self._free_at
        """When the scan under way is to be decided at the latest."""
        self._scan = Scan()
        self._dropped = 0
        self._dropped_told = 0

    def is_stuck(self, now: float) -> bool:
        """Is the scan under way long past every limit that it has?"""
        return self._turns.deciding is not None and now > self._over_at + STUCK_S

    def present(self, scanner: str, code: str, at: float) -> None:
        """A complete code from one of the door's scanners; called from the reader's callback."""
        if self._stopping:
            return
        match self._turns.offer(Presented(code, scanner, at)):
            case Offer.TAKEN:
                self._arrived.set()
            case Offer.FULL:
                self._dropped += 1
                if self._dropped == self._dropped_told + 1:
                    self._say(
                        Priority.WARNING, "too many codes at once: one was dropped, further ones are counted"
                    )
            case Offer.SAME:
                pass

    def show_unreadable(self) -> None:
        """Shows that a complete reading was no code; what is shown or decided already goes on."""
        if self._stopping or self._turns.deciding or self._turns.waiting or self.gate.is_showing:
            return
        self.gate.show(Sight.TRY_AGAIN)
        self._house.viewers.show(partial(View, self.name, Screen.TRY_AGAIN))

    async def work(self) -> Never:
        """Decides one scan after the other, for as long as the daemon runs."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while presented := self._turns.begin():
                self._free.clear()
                try:
                    await self._decide(presented)
                finally:
                    self._turns.end()
                    self._free_at = clock.now()
            self._free.set()
            self._tell_dropped()

    async def drain(self) -> None:
        """Takes no further codes, and waits for the scan under way: it ends with its budget."""
        self._stopping = True
        waited = self._turns.clear()
        if waited:
            self._say(Priority.WARNING, f"{waited} codes that waited were dropped: gatectl stops")
        await self._free.wait()

    async def _decide(self, presented: Presented) -> None:
        # The door may have been busy when the code was complete: the budget starts when both are.
        start = max(presented.at, self._free_at)
        self._over_at = start
        self._scan = Scan()
        found, whom = self._route(presented.code)
        whom = self._out_of_order() or whom
        if isinstance(whom, Ruling):
            self._scan.take(Step.NOBODY_TO_ASK)
            attempt = self._attempt(presented.at, presented, found)
            self._house.store.record(attempt)
            self._finish(attempt, whom)
            return
        self._scan.take(Step.PLANNED)
        attempt = self._attempt(presented.at, presented, found, whom.budget_ms)
        self._over_at = deadline = start + whom.budget_ms / 1000
        recorded = self._house.store.record(attempt)
        # Made while the record is on its way to the disk.
        request = whom.prepare(attempt.member or "", presented.code, attempt.customer)
        self._house.viewers.show(partial(View, self.name, Screen.CHECKING, whom.name))
        exchange, ruling = await self._ask(whom, attempt, recorded, request, deadline)
        basis = Basis.PARTNER
        if self._scan.state is State.SETTLING:
            ruling, basis = await self._settle(whom, attempt, ruling), Basis.SETTLED
        gate = None
        if self._scan.state is State.OPENING:
            gate = self._open(presented.at, attempt.at_us)
            self._scan.take(Step.OPENED if gate else Step.STUCK)
            if gate is None:
                ruling = replace(ruling, fault=Fault.GATE, detail=self._gate_detail())
        outage = whom.take(attempt.member or "", ruling, admitted=gate is not None)
        record = _request_record(exchange, presented.at, attempt.at_us, whom.budget_ms)
        self._finish(attempt, ruling, record, gate, basis=basis if gate else None, outage=outage)

    def _route(self, code: str) -> tuple[Destination | None, PartnerDesk | Ruling]:
        """Whose code it is, and whom to ask about it, or what it comes to where nobody is asked."""
        if self._house.cards is None:
            # Any code may be an enrolled card, which a route might send to the wrong partner.
            return None, _CARDS_UNKNOWN
        found = destination(code, self.name, self._house.cards, self._house.routes)
        desk = self._house.partners.get(found.partner) if found else None
        if found and desk and not desk.has_customers:
            found = replace(found, customer=None)
        return found, self._whom_to_ask(code, found)

    def _out_of_order(self) -> Ruling | None:
        """What a scan comes to while the relay cannot be driven: nobody is asked, so nobody is charged."""
        return Ruling(None, Fault.GATE, detail=self._gate_detail()) if self.gate.out_of_order else None

    def _gate_detail(self) -> str | None:
        cause = self.gate.out_of_order
        return cause and visible(cause)[:DETAIL_CHARS]

    def _whom_to_ask(self, code: str, found: Destination | None) -> PartnerDesk | Ruling:
        """The partner's desk, or what it comes to where nobody is asked."""
        if found is None:
            return _UNRECOGNISED
        desk = self._house.partners.get(found.partner)
        if desk is None:
            self._say(
                Priority.NOTICE,
                f"the card {code} is enrolled for the partner {found.partner}, which is not in the settings",
            )
            return _UNRECOGNISED
        objection = desk.objection(found)
        if objection is not None:
            self._say(
                Priority.NOTICE,
                f"{found.partner} cannot be asked: {objection.what}; needed: {objection.needed}",
            )
            return replace(_UNRECOGNISED, detail=objection.detail)
        rest_s = desk.rests_for()
        if rest_s > 0:
            reason = Reason(RESTING, f"the partner asked for a rest, {rest_s:.0f} s of it are left")
            return Ruling(Verdict.NONE, Fault.PARTNER, reason=reason)
        return desk

    def _attempt(
        self,
        at: float,
        presented: Presented | None = None,
        found: Destination | None = None,
        budget_ms: int | None = None,
    ) -> Attempt:
        """The first half of an event: of a scan, or of an opening by hand (nothing presented)."""
        at_us = self._house.names.of(at)
        return Attempt(
            id=identity.uuid7(at_us, secrets.randbits(identity.RANDOM_BITS)),
            kind="scan" if presented else "manual",
            at_us=at_us,
            tenant=self._house.tenant,
            studio=self._house.studio,
            door=self.name,
            scanner=presented.scanner if presented else None,
            credential=presented.code if presented else None,
            partner=found.partner if found else None,
            member=found.member if found else None,
            budget_ms=budget_ms,
            boot=clocks.boot_id(),
            since_boot_us=clock.since_boot_us(at),
            customer=found.customer if found else None,
        )

    async def _ask(
        self,
        desk: PartnerDesk,
        attempt: Attempt,
        recorded: asyncio.Future[None],
        request: Request,
        deadline: float,
    ) -> tuple[Exchange, Ruling]:
        on_disk = await clock.done_by(recorded, min(clock.now() + self._house.patience_s, deadline))
        if not on_disk and clock.now() >= deadline:
            self._scan.take(Step.OUT_OF_TIME)
            detail = "the disk did not answer within the budget"
            exchange = Exchange(lost=out_of_time(), ended_at=clock.now())
            return exchange, Ruling(Verdict.NONE, Fault.TIMEOUT, detail=detail)
        self._scan.take(Step.RECORDED if on_disk else Step.RECORD_LATE)
        if not on_disk:
            self._say_late(f"scan {attempt.id}")
        exchange, ruling = await desk.ask(request, deadline)
        if ruling.admits:
            self._scan.take(Step.ALLOWED)
        elif desk.is_perhaps_ours(ruling):
            self._scan.take(Step.PERHAPS_OURS)
        else:
            self._scan.take(Step.REFUSED)
        return exchange, ruling

    async def _settle(self, desk: PartnerDesk, attempt: Attempt, ruling: Ruling) -> Ruling:
        """The refusal as it is, or as the late answer to our own unanswered request."""
        asked = self._house.store.ask(
            lambda connection: unanswered(connection, attempt, round(desk.settle_s * 1e6))
        )
        known = await clock.done_by(asked, clock.now() + self._house.patience_s)
        for event_id in asked.result() if known else ():
            if event_id not in self._house.settled:
                self._house.settled.append(event_id)
                self._scan.take(Step.ALLOWED)
                reason = Reason(f"settled:{event_id}", ruling.reason.text if ruling.reason else None)
                # The alerts explain a refusal, which this is not any more.
                return replace(ruling, verdict=Verdict.ALLOWED, reason=reason, for_member=None)
        self._scan.take(Step.REFUSED)
        return ruling

    def _open(self, complete_at: float, at_us: int) -> GateRecord | None:
        """Opens the gate; None where the relay cannot be energised."""
        try:
            self.gate.open()
        except StuckError:
            return None
        opened_at = clock.now()
        after_ms = clock.ms_between(complete_at, opened_at)
        return GateRecord(clock.later_us(at_us, complete_at, opened_at), after_ms, self.gate.relay.open_ms)

    def _finish(
        self,
        attempt: Attempt,
        ruling: Ruling,
        request: RequestRecord | None = None,
        gate: GateRecord | None = None,
        *,
        basis: Basis | None = None,
        outage: bool = False,
    ) -> None:
        result = Result.ADMITTED if self._scan.state is State.ADMITTED else Result.REJECTED
        self.gate.show(sight_of(result, ruling.fault))
        screen = screen_of(result, ruling.verdict, ruling.fault, ruling.reason)
        self._house.viewers.show(partial(View, self.name, screen, attempt.partner, gate, ruling.for_member))
        self._conclude(
            attempt,
            Outcome(
                result=result,
                message=message_of(ruling.verdict, ruling.fault).value,
                verdict=ruling.verdict,
                status=ruling.status,
                fault=ruling.fault,
                basis=basis,
                detail=ruling.detail,
                reason=ruling.reason,
                outage=outage,
                request=request,
                gate=gate,
            ),
        )

    def _conclude(self, attempt: Attempt, outcome: Outcome) -> None:
        event = Event(attempt, outcome)
        self._house.store.finish(attempt.id, outcome)
        self._house.teller.tell_event(event)
        self._house.last_event = event

    async def open_by_hand(self, reason: str) -> Event:
        """A person opens: on the record first, like any scan."""
        at = clock.now()
        attempt = self._attempt(at)
        recorded = self._house.store.record(attempt)
        if not await clock.done_by(recorded, at + self._house.patience_s):
            self._say_late(f"opening {attempt.id}")
        message = f"Opened by hand: {without(self._house.keys, reason)}"
        if self.gate.out_of_order:
            await self.gate.retry()
        gate = None if self._stopping else self._open(at, attempt.at_us)
        if gate is None:
            shut = message_of(None, Fault.GATE).value
            outcome = Outcome(
                Result.REJECTED,
                shut,
                fault=Fault.GATE,
                detail=self._gate_detail(),
                reason=Reason(None, message),
            )
        else:
            self.gate.show(Sight.WELCOME)
            self._house.viewers.show(partial(View, self.name, Screen.WELCOME, gate=gate))
            outcome = Outcome(Result.ADMITTED, message, basis=Basis.MANUAL, gate=gate)
        self._conclude(attempt, outcome)
        return Event(attempt, outcome)

    def _say_late(self, what: str) -> None:
        """Where nobody waits for the disk, no record is late."""
        if self._house.patience_s > 0:
            self._say(Priority.WARNING, f"the record of {what} is late: the disk does not answer")

    def _say(self, priority: Priority, what: str) -> None:
        self._tell(Notice(priority, f"{self.name}: {what}", {"DOOR": self.name}))

    def _tell_dropped(self) -> None:
        if self._dropped > self._dropped_told + 1:
            self._say(Priority.WARNING, f"{self._dropped - self._dropped_told} codes were dropped in a row")
        self._dropped_told = self._dropped

    def view(self) -> View:
        """What the door's display shows to whoever comes now: no word to a member is shown twice."""
        return View(self.name, Screen.CHECKING if self._turns.deciding else Screen.IDLE)

    def status(self) -> dict[str, Any]:
        """For `gatectl status --json`."""
        deciding = self._turns.deciding
        off_at = self.gate.relay.off_at
        return {
            "state": self._scan.state.value if deciding else "free",
            "waiting": self._turns.waiting,
            "dropped": self._dropped,
            "gate": {
                "open": off_at is not None,
                "closes_in_ms": None if off_at is None else max(round((off_at - clock.now()) * 1e3), 0),
            }
            | _condition(self.gate.relay.trouble),
            # Only those that are out of order: a signal that works has nothing to say.
            "signals": {
                lamp.value: _condition(pin.trouble)
                for lamp, pin in self.gate.lamps.items()
                if pin.trouble.cause is not None
            },
        }


def _condition(trouble: Trouble) -> dict[str, Any]:
    return {
        "state": "ready" if trouble.cause is None else "out of order",
        "since": timestamp(clock.wall_us(trouble.since)),
        "cause": trouble.cause,
    }


def _request_record(exchange: Exchange, complete_at: float, at_us: int, budget_ms: int) -> RequestRecord:
    def name(moment: float | None) -> int | None:
        return None if moment is None else clock.later_us(at_us, complete_at, moment)

    return RequestRecord(
        sent=exchange.sent,
        sent_us=name(exchange.sent_at),
        answered_us=name(exchange.answered_at),
        elapsed_ms=clock.ms_between(complete_at, exchange.ended_at),
        budget_ms=budget_ms,
        connection=exchange.connection,
        evidence=_evidence(exchange, complete_at, at_us),
    )


def _evidence(exchange: Exchange, complete_at: float, at_us: int) -> Evidence:
    dialled, dial = exchange.dialled, None
    if dialled is not None:
        dial = DialRecord(
            begun_us=clock.later_us(at_us, complete_at, dialled.at),
            look_up_ms=_ms(dialled.look_up_s),
            stale=dialled.stale,
            connect_ms=_ms(dialled.connect_s),
            tls_ms=_ms(dialled.tls_s),
        )
    return Evidence(dial, None if exchange.answer is None else digest_of(exchange.answer))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
