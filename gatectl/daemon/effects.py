"""Performs the effects of a door's machine: on journal, partner, gate, displays and log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from gatectl import clock
from gatectl.daemon.site_context import SiteContext
from gatectl.decision.door import messages as m
from gatectl.decision.door.context import ms_between
from gatectl.decision.event import DETAIL_CHARS, DialRecord, Evidence, RequestRecord
from gatectl.decision.timestamps import Instant, LoopTime, WallUs
from gatectl.devices.gpio.gate import Gate, RelaySwitch
from gatectl.devices.gpio.relay_pin import StuckError
from gatectl.errors import visible
from gatectl.journal.statements import member_past, past_of
from gatectl.partners.exchange import digest_of
from gatectl.partners.http.client import Exchange, PreparedRequest


class Effects:
    """Performs one door's effects. `feed` takes their results, now or later; `tasks` carries what waits."""

    def __init__(
        self,
        door: str,
        gate: Gate,
        context: SiteContext,
        tasks: asyncio.TaskGroup,
        feed: Callable[[m.Input], None],
    ) -> None:
        self._door = door
        self._gate = gate
        self._context = context
        self._tasks = tasks
        self._feed = feed
        self._requests: dict[str, PreparedRequest] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        """The requests under way, by the event."""
        self._performers = self._performers_by_kind()

    def perform(self, effect: m.Effect) -> None:
        """Perform one effect; never wait."""
        self._performers[type(effect)](effect)

    def _performers_by_kind(self) -> dict[type, Callable[[Any], None]]:
        return {
            m.Record: self._record,
            m.Prepare: self._prepare,
            m.Ask: self._begin_asking,
            m.LookUp: self._look_up,
            m.LookBack: self._look_back,
            m.PartnerChanged: lambda changed: self._context.partners[changed.partner].note_condition(),
            m.Conclude: self._conclude,
            m.Note: self._note,
            m.Log: lambda log: self._context.sinks.take(log.entry),
            m.Energise: self._energise,
            m.Release: lambda release: self._gate.entry.release(release.at_s),
            m.KeepOn: self._keep_on,
            m.StopKeeping: self._stop_keeping,
            m.Show: self._show,
            m.WatchClosely: lambda watch: self._context.watch_inputs(self._door, watch.until_s),
            m.Warn: lambda warn: self._gate.warn(on=warn.on),
            m.StartTimer: self._start_timer,
        }

    def abandon(self) -> None:
        """Give up the requests under way; the next start closes their attempts as interrupted."""
        for asking in self._asking.values():
            asking.cancel()

    def _record(self, effect: m.Record) -> None:
        of = effect.attempt.id
        done, late = partial(self._feed, m.Recorded(of)), partial(self._feed, m.RecordLate(of))
        self._context.store.record(effect.attempt, _first_of(effect.until_s, done, late), effect.after)
        if effect.after is not None:
            self._context.sinks.take(effect.after)

    def _prepare(self, effect: m.Prepare) -> None:
        attempt = effect.attempt
        self._requests[attempt.id] = self._context.partners[effect.partner].prepare(
            attempt.member or "",
            attempt.credential or "",
            attempt.customer,
            attempt.door,
            checks_in=effect.checks_in,
        )

    def _begin_asking(self, effect: m.Ask) -> None:
        self._asking[effect.attempt.id] = self._tasks.create_task(self._ask(effect))

    async def _ask(self, effect: m.Ask) -> None:
        partner, of = self._context.partners[effect.partner], effect.attempt.id
        try:
            exchange, decision = await partner.ask(self._requests.pop(of), effect.deadline_s)
        finally:
            del self._asking[of]
        budget_ms = effect.attempt.budget_ms or partner.budget_ms
        record = partial(request_record, exchange, effect.at, budget_ms)
        self._feed(m.Answered(of, decision, record))

    def _conclude(self, effect: m.Conclude) -> None:
        event = effect.event
        self._requests.pop(event.attempt.id, None)  # left over if nothing was sent
        self._context.store.finish(event.attempt.id, event.outcome)
        self._context.sinks.take(event)
        self._context.last_event = event

    def _note(self, effect: m.Note) -> None:
        self._context.store.note(effect.event)
        self._context.sinks.take(effect.event)

    def _look_up(self, effect: m.LookUp) -> None:
        attempt, of = effect.attempt, effect.attempt.id
        ages_us = effect.settle_s * 1_000_000, effect.return_s * 1_000_000
        found = self._context.store.ask(lambda connection: past_of(connection, attempt, *ages_us))

        def done() -> None:
            # If the disk does not answer, there is no reason to open.
            self._feed(m.LookedUp(of) if found.exception() else m.LookedUp(of, *found.result()))

        _when_answered(found, effect.until_s, done, partial(self._feed, m.LookedUp(of)))

    def _look_back(self, effect: m.LookBack) -> None:
        """Ask in the store's thread, with a limit of its own. A journal that was damaged is no evidence."""
        attempt, rules, store = effect.attempt, effect.rules, self._context.store
        found = store.ask(lambda connection: member_past(connection, attempt, rules))

        def done() -> None:
            self._feed(m.LookedBack(attempt.id, None if store.health.damage else found.result()))

        _when_answered(found, effect.until_s, done, partial(self._feed, m.LookedBack(attempt.id)))

    def _show(self, effect: m.Show) -> None:
        self._context.sinks.take(effect.view)
        if effect.indication is not None:
            self._gate.show(effect.indication)

    def _switch(self, *, for_exit: bool) -> RelaySwitch:
        return self._gate.exit if for_exit else self._gate.entry

    def _keep_on(self, effect: m.KeepOn) -> None:
        if not self._is_the_doors_own(effect):
            self._switch(for_exit=effect.for_exit).keep_on(effect.until_s)

    def _stop_keeping(self, effect: m.StopKeeping) -> None:
        if not self._is_the_doors_own(effect):
            self._switch(for_exit=effect.for_exit).stop_keeping()

    def _is_the_doors_own(self, effect: m.KeepOn | m.StopKeeping) -> bool:
        """Whether the exit has no relay of its own: then the mode moves the door's alone, without a gap."""
        return effect.for_exit and self._gate.exit is self._gate.entry

    def _energise(self, effect: m.Energise) -> None:
        switch = self._switch(for_exit=effect.for_exit)
        if effect.try_again and switch.out_of_order:
            self._tasks.create_task(self._retry(effect.of, switch))
        else:
            self._feed(self._open(effect, switch))

    async def _retry(self, of: str, switch: RelaySwitch) -> None:
        await switch.retry()
        self._feed(m.Retried(of))

    def _open(self, effect: m.Energise, switch: RelaySwitch) -> m.RelayOn | m.RelayStuck:
        try:
            switch.open(effect.open_ms)
        except StuckError as error:
            return m.RelayStuck(effect.of, cut(switch.out_of_order or str(error)))
        return m.RelayOn(effect.of, clock.now(), effect.open_ms or switch.relay.open_ms)

    def _start_timer(self, effect: m.StartTimer) -> None:
        earlier = self._timers.pop(effect.name, None)
        if earlier is not None:
            earlier.cancel()
        if effect.at_s is not None:
            loop = asyncio.get_running_loop()
            self._timers[effect.name] = loop.call_at(effect.at_s, self._time_up, effect.name)

    def _time_up(self, name: str) -> None:
        del self._timers[name]
        self._feed(m.TimeUp(name, self._context.instants.instant(clock.now())))


def cut(cause: str) -> str:
    """A driver's error message as an event keeps it."""
    return visible(cause)[:DETAIL_CHARS]


def _first_of(until_s: LoopTime, done: Callable[[], None], late: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls `done`; at that moment `late` is called instead. Never both."""

    def finish() -> None:
        if not timer.cancelled():
            timer.cancel()
            done()

    def expire() -> None:
        timer.cancel()  # `finish` has come too late from now on, also in this same turn of the loop
        late()

    timer = asyncio.get_running_loop().call_at(until_s, expire)
    return finish


def _when_answered(
    awaited: asyncio.Future[Any], until_s: LoopTime, done: Callable[[], None], late: Callable[[], None]
) -> None:
    """Call exactly one of the two: `done` once there is a result, `late` at that moment without one."""
    finish = _first_of(until_s, done, late)

    def finished(_awaited: asyncio.Future[Any]) -> None:
        if not awaited.cancelled() and awaited.exception() is None:
            finish()

    awaited.add_done_callback(finished)


def request_record(exchange: Exchange, at: Instant, budget_ms: int) -> RequestRecord:
    """Make the journal's record of an exchange about a code that was complete at `at`."""

    def us_at(at_s: float | None) -> WallUs | None:
        return None if at_s is None else at.us_at(LoopTime(at_s))

    return RequestRecord(
        sent=exchange.sent,
        sent_us=us_at(exchange.sent_at),
        answered_us=us_at(exchange.answered_at),
        elapsed_ms=ms_between(at.loop_s, LoopTime(exchange.ended_at)),
        budget_ms=budget_ms,
        connection=exchange.connection,
        evidence=_evidence(exchange, at),
    )


def _evidence(exchange: Exchange, at: Instant) -> Evidence:
    dialled, dial = exchange.dialled, None
    if dialled is not None:
        dial = DialRecord(
            begun_us=at.us_at(LoopTime(dialled.at)),
            look_up_ms=_ms(dialled.look_up_s),
            stale=dialled.stale,
            connect_ms=_ms(dialled.connect_s),
            tls_ms=_ms(dialled.tls_s),
        )
    return Evidence(dial, None if exchange.answer is None else digest_of(exchange.answer))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e3, 3)
