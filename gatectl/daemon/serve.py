"""The daemon: puts the parts together, supervises them, and takes them down in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sqlite3
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from gatectl import __version__
from gatectl.config import model
from gatectl.daemon import clock, control, gates, watchdog
from gatectl.daemon.door import Door, House
from gatectl.daemon.notify import notify
from gatectl.daemon.partner import PartnerDesk, contexts
from gatectl.daemon.status import status_of
from gatectl.decision.notice import Notice, Priority
from gatectl.decision.routing import Route
from gatectl.devices.gate import Gate
from gatectl.devices.keyboard import keyboard_scanner
from gatectl.devices.scanner import Scanner
from gatectl.devices.serial_port import serial_scanner
from gatectl.errors import GatectlError
from gatectl.journal import cards, rows
from gatectl.journal.store import Opened, Store
from gatectl.journal.systemd import Teller

OPEN_PATIENCE_S = 5.0
"""A start waits so long for a disk that is slow to give the journal; then members come first."""

PASSAGE_S = 2.0
"""A turnstile's cycle is 1.7 to 2.4 s: whoever was admitted just before a stop still gets through."""

FLUSH_S = 5.0
"""How long the end waits for a disk that does not take the last records."""


def run(settings: model.Settings, keys: Mapping[str, SecretStr], environ: Mapping[str, str]) -> None:
    """Runs until SIGTERM or SIGINT. Raises GatectlError for what an installer has to mend."""
    with _alone(settings.control.socket):
        teller = Teller()
        try:
            with gates.opened(settings, environ, teller.tell) as opened:
                asyncio.run(_Daemon(settings, keys, opened, teller, environ).run())
        finally:
            teller.close()


@contextlib.contextmanager
def _alone(socket: Path) -> Iterator[None]:
    """One daemon at a time: a second one would close the first one's scans as interrupted."""
    path = socket.with_name(socket.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise GatectlError(
            f"{path}: {error.strerror}", "control.socket must be in a folder that gatectl may write to"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise GatectlError(
            f"gatectl is running already: {path} is locked", "stop it first: systemctl stop gatectl"
        ) from None
    finally:
        os.close(file)


class _Daemon:
    """One run."""

    def __init__(
        self,
        settings: model.Settings,
        keys: Mapping[str, SecretStr],
        opened: Mapping[str, Gate],
        teller: Teller,
        environ: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._gates = opened
        self._teller = teller
        self._environ = environ
        self._scanners: list[tuple[str, Scanner]] = []
        self._stop_signals = 0
        self._stopped = asyncio.Event()
        self._hurried = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        broken: asyncio.Future[None] = loop.create_future()
        loop.set_exception_handler(partial(_end_on_error, broken))
        store = Store(self._settings.journal.path, self._settings.journal.keep_days, self._teller.tell)
        store.start()
        house = self._house(store)
        try:
            opening = await self._wait_for_store(house)
            self._doors = {
                name: Door(name, door.repeat_ms / 1000, self._gates[name], house)
                for name, door in self._settings.doors.items()
            }
            async with asyncio.TaskGroup() as group:
                await self._supervise(group, house, broken, opening)
        finally:
            for desk in house.partners.values():
                desk.close()
            await store.stop(FLUSH_S)

    def _stop(self) -> None:
        self._stop_signals += 1
        self._stopped.set()
        if self._stop_signals > 1:
            self._hurried.set()

    def _house(self, store: Store) -> House:
        settings = self._settings
        made = contexts(settings.partners)
        return House(
            tenant=settings.site.tenant,
            studio=settings.site.studio,
            routes=[
                Route(route.match, route.partner, None if route.doors is None else frozenset(route.doors))
                for route in settings.routes
            ],
            cards={},
            partners={
                name: PartnerDesk(
                    name,
                    partner,
                    self._keys[name].get_secret_value(),
                    context=made[name],
                    doors=len(settings.doors),
                    tell=self._teller.tell,
                )
                for name, partner in settings.partners.items()
            },
            store=store,
            teller=self._teller,
            patience_s=settings.journal.patience_ms / 1000,
            settled=set(),
        )

    async def _wait_for_store(self, house: House) -> Coroutine[Any, Any, None] | None:
        """Takes up what the last run left; what is still to be awaited if the disk does not answer."""
        await asyncio.wait({house.store.opened}, timeout=OPEN_PATIENCE_S)
        if house.store.opened.done():
            await self._take_up(house)
            return None
        return self._take_up(house)

    async def _take_up(self, house: House) -> None:
        opened: Opened = await house.store.opened
        for event in opened.interrupted:
            self._teller.tell_event(event)
        try:
            house.cards = await house.store.ask(cards.load_all)
            for name, desk in house.partners.items():
                desk.streak = await house.store.ask(partial(rows.streak_of, partner=name))
        except sqlite3.Error as error:
            self._teller.tell(Notice(Priority.ERROR, f"the enrolled cards cannot be read ({error})"))

    async def _supervise(
        self,
        group: asyncio.TaskGroup,
        house: House,
        broken: asyncio.Future[None],
        opening: Coroutine[Any, Any, None] | None,
    ) -> None:
        """Any error here, or in what is started here, ends the daemon; the service restarts it."""
        self._scanners = [
            (name, scanner)
            for name, door in self._settings.doors.items()
            for scanner in (self._scanner(name, settings) for settings in door.scanners)
        ]
        reading = [group.create_task(scanner.run()) for _, scanner in self._scanners]
        working = [group.create_task(door.work()) for door in self._doors.values()]
        keeping = [group.create_task(desk.keep_connected()) for desk in house.partners.values()]
        watching = [group.create_task(_raised(future)) for future in (broken, house.store.broken)]
        if opening is not None:
            watching.append(group.create_task(opening))
        feeding_s = watchdog.interval_s(self._environ, os.getpid())
        if feeding_s is not None:
            watching.append(group.create_task(watchdog.feed(feeding_s, self._doors.values(), self._environ)))
        await asyncio.sleep(0)  # the tasks' first steps: each scanner that is there is open now
        async with control.listening(self._settings.control.socket, self._commands(house)):
            notify("READY=1", self._environ)
            self._teller.tell(Notice(Priority.INFO, f"gatectl {__version__} is ready"))
            await self._stopped.wait()
            notify("STOPPING=1", self._environ)
        _cancel(reading)
        await self._let_through()
        _cancel([*working, *keeping, *watching])

    async def _let_through(self) -> None:
        """Scans under way are decided, and whoever was just admitted passes; a second signal ends both."""
        hurried = asyncio.create_task(self._hurried.wait())
        draining = asyncio.create_task(self._drain())
        await asyncio.wait([hurried, draining], return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()
        open_until = [gate.relay.off_at or 0.0 for gate in self._gates.values()]
        passage_s = min(max(open_until) - clock.now(), PASSAGE_S)
        if passage_s > 0:
            await asyncio.wait([hurried], timeout=passage_s)
        hurried.cancel()

    async def _drain(self) -> None:
        await asyncio.gather(*(door.drain() for door in self._doors.values()))

    def _scanner(self, door: str, settings: model.Scanner) -> Scanner:
        match settings:
            case model.SerialScanner():
                path = str(settings.port)
                return serial_scanner(
                    path,
                    baud=settings.baud,
                    framing=settings.framing,
                    idle_s=settings.idle_ms / 1000,
                    strip_aim=settings.strip_aim,
                    on_code=partial(self._present, door, path),
                    tell=self._teller.tell,
                )
            case model.EvdevScanner():
                path = str(settings.device)
                return keyboard_scanner(
                    path,
                    layout=settings.layout,
                    idle_s=settings.idle_ms / 1000,
                    strip_aim=settings.strip_aim,
                    on_code=partial(self._present, door, path),
                    tell=self._teller.tell,
                )

    def _present(self, door: str, scanner: str, code: str, at: float) -> None:
        self._doors[door].present(scanner, code, at)

    def _commands(self, house: House) -> dict[str, control.Command]:
        async def status(_request: dict[str, Any]) -> dict[str, Any]:
            return status_of(house, self._doors, self._scanners)

        async def open_door(request: dict[str, Any]) -> dict[str, Any]:
            name, reason = request.get("door"), request.get("reason")
            if not isinstance(name, str) or name not in self._doors:
                raise control.RefusedError(
                    f"there is no door {name!r}", f"there are {', '.join(self._doors)}"
                )
            if not isinstance(reason, str) or not reason.strip():
                raise control.RefusedError("an opening by hand needs a reason")
            if len(reason) > control.REASON_CHARS or not reason.isprintable():
                raise control.RefusedError(
                    f"the reason must be a line of 1 to {control.REASON_CHARS} characters"
                )
            return (await self._doors[name].open_by_hand(reason.strip())).to_json()

        async def reload_cards(_request: dict[str, Any]) -> dict[str, Any]:
            try:
                house.cards = await house.store.ask(cards.load_all)
            except sqlite3.Error as error:
                raise control.RefusedError(f"the enrolled cards cannot be read ({error})") from error
            return {"cards": len(house.cards)}

        return {"status": status, "open": open_door, "reload_cards": reload_cards}


def _end_on_error(
    broken: asyncio.Future[None], loop: asyncio.AbstractEventLoop, context: dict[str, Any]
) -> None:
    """An error in a callback is a bug like any other: it ends the daemon instead of being logged."""
    error = context.get("exception")
    if isinstance(error, Exception) and "future" not in context and not broken.done():
        broken.set_exception(error)
    else:
        loop.default_exception_handler(context)


def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


async def _raised(future: asyncio.Future[None]) -> None:
    await asyncio.shield(future)
