"""The daemon's control sockets and their commands: of the doors, of the store, and those that only look."""

from __future__ import annotations

import contextlib
import shlex
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatectl import clock
from gatectl.daemon.control import (
    REASON_CHARS,
    WATCH_SOCKET,
    Command,
    Continuation,
    ControlConnection,
    listening,
)
from gatectl.daemon.door import Door
from gatectl.daemon.site_context import SiteContext
from gatectl.daemon.status import status_of
from gatectl.decision.control_messages import RefusedError
from gatectl.decision.door.modes import HOLD_MAX_S, Mode, Order
from gatectl.decision.log import LogEntry, Priority
from gatectl.decision.timestamps import WallUs
from gatectl.devices.reader.supervisor import Scanner
from gatectl.errors import GatectlError
from gatectl.journal import cards

READ_ONLY = ("status", "metrics", "watch")
"""The commands of those who may look and not act."""


@contextlib.asynccontextmanager
async def answering(
    path: Path,
    environ: Mapping[str, str],
    context: SiteContext,
    doors: Mapping[str, Door],
    scanners: Sequence[tuple[str, Scanner]],
) -> AsyncIterator[None]:
    """Answer on the control socket and, where the service names one, on the socket of those who only look.

    `scanners` are by door. Raises GatectlError where the control socket cannot be made.
    """
    log, continuations = context.sinks.take, _continuations(context, doors)
    everything = _commands(context, doors, scanners)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(listening(path, everything, log, continuations))
        if WATCH_SOCKET in environ:
            looks = {name: everything[name] for name in READ_ONLY}
            socket = Path(environ[WATCH_SOCKET])
            try:
                await stack.enter_async_context(listening(socket, looks, log, continuations))
            except GatectlError as error:  # doors work without displays
                log(LogEntry(Priority.WARNING, f"no viewer can connect: {error.message}"))
        yield


def _commands(
    context: SiteContext, doors: Mapping[str, Door], scanners: Sequence[tuple[str, Scanner]]
) -> dict[str, Command]:
    """The commands by their names."""

    async def open_door(request: dict[str, Any]) -> dict[str, Any]:
        door, reason = _door_of(doors, request), _reason_of(request)
        if door.machine.modes.current.mode is Mode.LOCKDOWN:
            hint = f"`gatectl normal {shlex.quote(door.name)}` ends that"
            raise RefusedError(f"{door.name} is locked down", hint)
        return (await door.open_by_hand(reason)).to_json()

    async def hold(request: dict[str, Any]) -> dict[str, Any]:
        door, seconds = _door_of(doors, request), request.get("seconds")
        if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= HOLD_MAX_S:
            raise RefusedError("a hold lasts from a second to 24 hours")
        if not door.machine.may_hold:
            what = "its relay is not made to stay on"
            hint = f"doors.{door.name}.relay.continuous = true: the lock may stay energised for hours"
            raise RefusedError(f"{door.name} cannot be held open: {what}", hint)
        until_us = WallUs(clock.timestamp_now().at_us + seconds * 1_000_000)
        return (await door.order(Order(Mode.HELD, _reason_of(request), until_us))).to_json()

    async def lockdown(request: dict[str, Any]) -> dict[str, Any]:
        order = Order(Mode.LOCKDOWN, _reason_of(request))
        return (await _door_of(doors, request).order(order)).to_json()

    async def normal(request: dict[str, Any]) -> dict[str, Any]:
        return (await _door_of(doors, request).order(Order(Mode.NORMAL))).to_json()

    async def watch(_request: dict[str, Any]) -> dict[str, Any]:
        if context.viewers.is_full:
            raise RefusedError("too many viewers watch already", "gatectl monitor needs one connection alone")
        return {"doors": list(doors)}

    at_doors = {"open": open_door, "hold": hold, "lockdown": lockdown, "normal": normal}
    looks = _looks(context, doors, scanners)
    return {**looks, "watch": watch, **at_doors, **_store_commands(context)}


def _looks(
    context: SiteContext, doors: Mapping[str, Door], scanners: Sequence[tuple[str, Scanner]]
) -> dict[str, Command]:
    async def status(_request: dict[str, Any]) -> dict[str, Any]:
        return status_of(context, doors, scanners)

    async def metrics(_request: dict[str, Any]) -> dict[str, Any]:
        return {
            **context.counts.to_json(),
            "clock_synchronised": clock.is_synchronised(),
            "status": status_of(context, doors, scanners),
        }

    return {"status": status, "metrics": metrics}


def _door_of(doors: Mapping[str, Door], request: dict[str, Any]) -> Door:
    name = request.get("door")
    if not isinstance(name, str) or name not in doors:
        raise RefusedError(f"there is no door {name!r}", f"there are {', '.join(doors)}")
    return doors[name]


def _reason_of(request: dict[str, Any]) -> str:
    reason = request.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise RefusedError("it needs a reason")
    if len(reason) > REASON_CHARS or not reason.isprintable():
        raise RefusedError(f"the reason must be a line of 1 to {REASON_CHARS} characters")
    return reason.strip()


def _store_commands(context: SiteContext) -> dict[str, Command]:
    async def reload_cards(_request: dict[str, Any]) -> dict[str, Any]:
        try:
            context.site.cards = await context.store.ask(cards.load_all)
        except sqlite3.Error as error:
            raise RefusedError(f"the enrolled cards cannot be read ({error})") from error
        context.viewers.ring()  # `gatectl erase`, which asks for this, has written an event
        return {"cards": len(context.site.cards)}

    async def acknowledge(_request: dict[str, Any]) -> dict[str, Any]:
        try:
            await context.store.acknowledge()
        except sqlite3.Error as error:
            raise RefusedError(f"that could not be recorded ({error})") from error
        return {}

    return {"reload_cards": reload_cards, "acknowledge": acknowledge}


def _continuations(context: SiteContext, doors: Mapping[str, Door]) -> dict[str, Continuation]:
    """Continuations after the answer, by the command's name."""

    def watch(connection: ControlConnection, request: Mapping[str, Any]) -> None:
        views = [door.view() for door in doors.values()]
        context.viewers.add(connection, views, follows=request.get("events") is True)

    return {"watch": watch}
