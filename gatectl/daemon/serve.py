"""The daemon: puts the parts together, supervises them, and takes them down in order."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sqlite3
from collections.abc import Collection, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Never

from gatectl import __version__, clock
from gatectl.config.reader import Usable
from gatectl.daemon import gates
from gatectl.daemon.commands import answering
from gatectl.daemon.door import Door
from gatectl.daemon.lock import alone
from gatectl.daemon.looks import look_regularly, until_next_look
from gatectl.daemon.partner_service import services_of
from gatectl.daemon.sd_notify import feed_watchdog, keep_notifying, notify, watchdog_interval_s
from gatectl.daemon.site_context import SiteContext, recall, resume
from gatectl.decision.cards import Card
from gatectl.decision.door.context import AlreadyInCount, SharedState
from gatectl.decision.door.inputs import InputName, LevelChange
from gatectl.decision.log import LogEntry, Priority
from gatectl.devices.gpio.failsafe import FailsafeProcess
from gatectl.devices.gpio.input_watcher import InputWatcher, Lost
from gatectl.devices.reader.driver import claims_of, scanner_of
from gatectl.devices.reader.supervisor import Scanner
from gatectl.errors import GatectlError
from gatectl.journal import cards, statements
from gatectl.journal.store import Store
from gatectl.journal.store_file import lies_in_memory
from gatectl.sinks.display_feed import DisplayFeed
from gatectl.sinks.event_counts import EventCounts
from gatectl.sinks.sink import Sinks
from gatectl.sinks.systemd_journal import SystemdJournal

OPEN_PATIENCE_S = 2.0
"""How long a start waits for a disk that does not answer. No scanner is read meanwhile."""

EXTEND_S = 30
"""An upgrade of the store extends the service's start by this much, repeatedly."""

PASSAGE_S = 2.0
"""A turnstile's cycle is 1.7 to 2.4 s: a member who was admitted just before a stop still gets through."""

INPUTS_S = 1.5
"""A start waits so long for the first level of every input, which may take its `debounce_ms`."""

FLUSH_S = 5.0
"""How long a stop waits for a disk that does not take the last records."""


def run(
    usable: Usable,
    environ: Mapping[str, str],
    last: FailsafeProcess,
) -> None:
    """Run until SIGTERM or SIGINT. Raises GatectlError for an installer's mistake."""
    settings = usable.settings
    with alone(settings.control.socket):
        viewers = DisplayFeed(name for name, door in settings.doors.items() if door.show_name)
        counts = EventCounts(clock.timestamp_now().at_us)
        sinks = Sinks(SystemdJournal(), viewers, counts)
        try:
            with gates.opened(settings, environ, sinks.take, last) as opened:
                asyncio.run(_Daemon(usable, opened, sinks, viewers, counts, environ).run(last))
        except ExceptionGroup as group:
            _raise_alone(group)
        finally:
            sinks.close()


class _Daemon:
    """One run."""

    def __init__(
        self,
        usable: Usable,
        opened: gates.Gates,
        sinks: Sinks,
        viewers: DisplayFeed,
        counts: EventCounts,
        environ: Mapping[str, str],
    ) -> None:
        self._usable = usable
        self._settings = usable.settings
        self._gates = opened.by_door
        self._relay_timer = opened.relay_timer
        self._factory = opened.factory
        self._sinks = sinks
        self._viewers = viewers
        self._counts = counts
        self._environ = environ
        self._stopped = asyncio.Event()
        self._second_signal = asyncio.Event()
        self._cards_missed = False
        self._inputs: InputWatcher | None = None

    async def run(self, last: FailsafeProcess) -> None:
        """Serve until a signal comes; then the relays are off and the last records written."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop)
        broken: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(partial(_end_on_error, broken))
        last.watch(loop)
        store = Store(self._settings.journal.path, self._settings.journal.keep_days, self._sinks.take)
        store.start()
        context = self._site_context(store)
        try:
            async with asyncio.TaskGroup() as group:
                await self._supervise(group, context, broken)
        finally:
            if self._inputs is not None:
                self._inputs.stop()
            for gate in self._gates.values():
                gate.shut()
            for service in context.partners.values():
                service.close()
            await store.stop(FLUSH_S)

    def _stop(self) -> None:
        """The first signal ends the run in order; a second one ends what that waits for."""
        if self._stopped.is_set():
            self._second_signal.set()
        self._stopped.set()

    def _site_context(self, store: Store) -> SiteContext:
        settings = self._settings
        keys = {name: one.key.value for name, one in self._usable.secrets.items() if one.key.value}
        partners = services_of(self._usable, keys, self._sinks.take)
        return SiteContext(
            site=SharedState(
                tenant=settings.site.tenant,
                studio=settings.site.studio,
                routes=[route.route() for route in settings.routes],
                partners=partners,
                patience_s=settings.journal.patience_ms / 1000,
                already_in=AlreadyInCount(settings.site.zone),
            ),
            partners=partners,
            store=store,
            sinks=self._sinks,
            viewers=self._viewers,
            counts=self._counts,
            keys=tuple(keys.values()),
        )

    def _doors(self, context: SiteContext, tasks: asyncio.TaskGroup) -> dict[str, Door]:
        return {
            name: Door(name, gates.rules_of(self._settings, door), self._gates[name], context, tasks)
            for name, door in self._settings.doors.items()
        }

    def _watch_inputs(self, context: SiteContext, doors: Mapping[str, Door]) -> InputWatcher:
        loop = asyncio.get_running_loop()

        def on_input(door: str, name: InputName, what: LevelChange | Lost) -> None:
            loop.call_soon_threadsafe(doors[door].take_input, name, what)

        inputs = gates.watched(self._settings, self._factory, self._relay_timer.threads, on_input)
        self._inputs, context.watch_inputs = inputs, inputs.watch_closely
        inputs.start()
        return inputs

    async def _wait_for_store(self, context: SiteContext) -> Coroutine[Any, Any, None] | None:
        """Load the cards and close the last run's scans; return the rest if the disk does not answer."""
        store = context.store

        def arm(enrolled: asyncio.Future[dict[str, Card]]) -> None:
            if context.site.cards is None:
                context.site.cards = enrolled.result()
                self._note_cards(context)

        def take(enrolled: dict[str, Card]) -> None:
            context.site.cards = enrolled
            self._note_cards(context)

        store.cards.add_done_callback(arm)
        store.share_cards(lambda: context.site.cards or {}, take)
        usable = asyncio.create_task(_until_usable(store))
        stopped = asyncio.create_task(self._stopped.wait())
        await asyncio.wait([usable, stopped], timeout=OPEN_PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        usable.cancel()
        stopped.cancel()
        if store.opened.done():
            await self._take_up(context)
            return None
        self._note_cards(context)
        return self._take_up(context)

    async def _until_upgraded(self, store: Store) -> None:
        """Wait for a store that is being brought up to date. Doors work meanwhile.

        `scripts/install` takes the notification READY for success, and rolls back an upgrade that fails here.
        """
        stopped = asyncio.create_task(self._stopped.wait())
        awaited: list[asyncio.Future[Any]] = [store.opened, store.slow, stopped]
        while store.upgrading.done() and not any(future.done() for future in awaited):
            notify(f"EXTEND_TIMEOUT_USEC={EXTEND_S * 1_000_000}", self._environ)
            await asyncio.wait(awaited, timeout=EXTEND_S / 3, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()

    def _note_cards(self, context: SiteContext) -> None:
        """Log that the cards cannot be read, and later that they can."""
        if context.site.cards is None:
            self._cards_missed = True
            self._sinks.take(
                LogEntry(
                    Priority.ERROR,
                    f"the enrolled cards in {self._settings.journal.path} cannot be read yet:"
                    " every code is rejected until they can",
                )
            )
        elif self._cards_missed:
            self._cards_missed = False
            self._sinks.take(LogEntry(Priority.NOTICE, "the enrolled cards can be read now"))

    async def _take_up(self, context: SiteContext) -> None:
        for event in await context.store.opened:
            self._sinks.take(event)
        try:
            context.site.cards = await context.store.ask(cards.load_all)
            self._note_cards(context)
            # In the store's thread: a disk that does not answer must not hold up the event loop.
            context.in_memory = await context.store.ask(lambda _: lies_in_memory(self._settings.journal.path))
            past = await context.store.ask(statements.last_scans)
            for name, service in context.partners.items():
                service.recall((at_us, scan) for partner, at_us, scan in past if partner == name)
                if service.grace is not None:
                    since = await context.store.ask(partial(statements.since_last_verdict, partner=name))
                    service.recall_outage(since)
        except sqlite3.Error as error:
            self._sinks.take(
                LogEntry(Priority.ERROR, f"the enrolled cards and the last scans cannot be read ({error})")
            )

    def _outward(self) -> set[str]:
        """The paths of the scanners on the inside."""
        every = (one for door in self._settings.doors.values() for one in door.scanners)
        return {one.path for one in every if one.direction == "out"}

    def _scanners(self, doors: Mapping[str, Door]) -> list[tuple[str, Scanner]]:
        """Make every scanner, each with the name of its door."""
        settings = [(name, scanner) for name in doors for scanner in self._settings.doors[name].scanners]
        claims = claims_of(scanner for _, scanner in settings)
        return [
            (
                name,
                scanner_of(
                    scanner,
                    claims,
                    on_code=partial(doors[name].present, scanner.path, scanner.direction == "out"),
                    on_unreadable=doors[name].show_unreadable,
                    log=self._sinks.take,
                ),
            )
            for name, scanner in settings
        ]

    async def _supervise(
        self,
        group: asyncio.TaskGroup,
        context: SiteContext,
        broken: asyncio.Future[None],
    ) -> None:
        """Any error here, or in what is started here, ends the daemon; the service restarts it."""
        doors = self._doors(context, group)
        context.store.orders.add_done_callback(partial(resume, doors))
        inputs = self._watch_inputs(context, doors)
        scanners = self._scanners(doors)
        # The way out waits for nothing: no disk, no partner.
        outward = self._outward()
        reading = [group.create_task(one.run()) for _, one in scanners if one.status.path in outward]
        opening = await self._wait_for_store(context)
        recalling = group.create_task(recall(self._settings.doors, doors, context))
        if opening is None:
            await asyncio.wait([recalling], timeout=OPEN_PATIENCE_S)
        reading += [group.create_task(one.run()) for _, one in scanners if one.status.path not in outward]
        keeping = [group.create_task(service.keep_connected()) for service in context.partners.values()]
        watching = [*self._begin_watching(group, context, doors, broken), recalling]
        if opening is not None:
            watching.append(group.create_task(opening))
        # Wait until each device was tried, so that after "ready" scans are taken. A device that does not
        # answer costs a second.
        await asyncio.gather(*(scanner.tried.wait() for _, scanner in scanners))
        await asyncio.wait([asyncio.wrap_future(inputs.read_once)], timeout=INPUTS_S)
        await self._serve(group, context, doors, scanners)
        _cancel(reading)
        await self._let_through(doors.values())
        for door in doors.values():
            door.abandon()
        _cancel([*keeping, *watching])

    async def _serve(
        self,
        group: asyncio.TaskGroup,
        context: SiteContext,
        doors: Mapping[str, Door],
        scanners: Sequence[tuple[str, Scanner]],
    ) -> None:
        """Answer commands, and notify the service manager, from now on until the daemon is to stop."""
        socket = self._settings.control.socket
        async with answering(socket, self._environ, context, doors, scanners):
            # Freeze the objects of the start: a collection that walked them would hold up a scan by 30 ms.
            gc.freeze()
            gc.enable()
            await self._until_upgraded(context.store)
            notifying = group.create_task(keep_notifying("READY=1", self._environ))
            self._sinks.take(LogEntry(Priority.INFO, f"gatectl {__version__} is ready"))
            await self._stopped.wait()
            notifying.cancel()
            notify("STOPPING=1", self._environ)

    def _begin_watching(
        self,
        group: asyncio.TaskGroup,
        context: SiteContext,
        doors: Mapping[str, Door],
        broken: asyncio.Future[None],
    ) -> list[asyncio.Task[Any]]:
        """Start the tasks by which a failed part ends the daemon, and those that look regularly."""
        threads = (
            asyncio.wrap_future(ended) for ended in (self._relay_timer.threads.broken, *self._sinks.broken)
        )
        watching: list[Coroutine[Any, Any, None]] = [
            *(_raised(future) for future in (broken, context.store.broken, *threads)),
            look_regularly(doors.values(), self._relay_timer.threads),
            clock.log_clock_steps(self._sinks.take, pause=until_next_look),
        ]
        feeding_s = watchdog_interval_s(self._environ, os.getpid())
        if feeding_s is not None:
            watching.append(feed_watchdog(feeding_s, doors.values(), self._relay_timer, self._environ))
        return [group.create_task(one) for one in watching]

    async def _let_through(self, doors: Collection[Door]) -> None:
        """Decide scans under way and let members who were just admitted pass; a second signal ends both."""
        second_signal = asyncio.create_task(self._second_signal.wait())
        await _drain(doors, second_signal)
        open_until = [gate.relay.off_at or 0.0 for gate in self._gates.values()]
        passage_s = min(max(open_until) - clock.now(), PASSAGE_S)
        if passage_s > 0:
            await asyncio.wait([second_signal], timeout=passage_s)
            await _drain(doors, second_signal)  # who has just passed is checked in
        second_signal.cancel()


async def _until_usable(store: Store) -> None:
    """Wait until the store is open or, if that takes longer, until the cards are known."""
    for other in (store.slow, store.cards):
        awaited: list[asyncio.Future[Any]] = [store.opened, other]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)


async def _drain(doors: Collection[Door], second_signal: asyncio.Task[Any]) -> None:
    draining = [asyncio.create_task(door.drain()) for door in doors]
    drained = asyncio.create_task(asyncio.wait(draining))
    await asyncio.wait([second_signal, drained], return_when=asyncio.FIRST_COMPLETED)
    _cancel([drained, *draining])


def _end_on_error(
    broken: asyncio.Future[None], loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """An error in a callback is a bug like any other: it ends the daemon instead of being logged."""
    error = context.get("exception")
    if isinstance(error, Exception) and "future" not in context and not broken.done():
        broken.set_exception(error)
    else:
        loop.default_exception_handler(context)


def _raise_alone(group: ExceptionGroup) -> Never:
    """Raise an installer's mistake out of its task group, alone; a bug stays in the group."""
    for_user, bugs = group.split(GatectlError)
    if for_user is None or bugs is not None:
        raise group
    raise for_user.exceptions[0] from group


def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


async def _raised(future: asyncio.Future[None]) -> None:
    await asyncio.shield(future)
