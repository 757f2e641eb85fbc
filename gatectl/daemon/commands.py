"""The commands of the control socket: `status`, `open`, `reload_cards`, `acknowledge`, `watch`."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gatectl.daemon.control import REASON_CHARS, Command, Continuation, ControlConnection
from gatectl.daemon.door import Door
from gatectl.daemon.site_context import SiteContext
from gatectl.daemon.status import status_of
from gatectl.decision.control_messages import RefusedError
from gatectl.devices.reader.supervisor import Scanner
from gatectl.journal import cards

READ_ONLY = ("status", "watch")
"""The commands of those who may look and not act."""


def commands(
    context: SiteContext, doors: Mapping[str, Door], scanners: Sequence[tuple[str, Scanner]]
) -> dict[str, Command]:
    """The commands by their names; `scanners` are by door."""

    async def status(_request: dict[str, Any]) -> dict[str, Any]:
        return status_of(context, doors, scanners)

    async def open_door(request: dict[str, Any]) -> dict[str, Any]:
        name, reason = request.get("door"), request.get("reason")
        if not isinstance(name, str) or name not in doors:
            raise RefusedError(f"there is no door {name!r}", f"there are {', '.join(doors)}")
        if not isinstance(reason, str) or not reason.strip():
            raise RefusedError("an opening by hand needs a reason")
        if len(reason) > REASON_CHARS or not reason.isprintable():
            raise RefusedError(f"the reason must be a line of 1 to {REASON_CHARS} characters")
        return (await doors[name].open_by_hand(reason.strip())).to_json()

    async def watch(_request: dict[str, Any]) -> dict[str, Any]:
        if context.viewers.is_full:
            raise RefusedError("too many viewers watch already", "gatectl monitor needs one connection alone")
        return {"doors": list(doors)}

    return {"status": status, "open": open_door, "watch": watch, **_store_commands(context)}


def _store_commands(context: SiteContext) -> dict[str, Command]:
    async def reload_cards(_request: dict[str, Any]) -> dict[str, Any]:
        try:
            context.site.cards = await context.store.ask(cards.load_all)
        except sqlite3.Error as error:
            raise RefusedError(f"the enrolled cards cannot be read ({error})") from error
        return {"cards": len(context.site.cards)}

    async def acknowledge(_request: dict[str, Any]) -> dict[str, Any]:
        try:
            await context.store.acknowledge()
        except sqlite3.Error as error:
            raise RefusedError(f"that could not be recorded ({error})") from error
        return {}

    return {"reload_cards": reload_cards, "acknowledge": acknowledge}


def subscriptions(context: SiteContext, doors: Mapping[str, Door]) -> dict[str, Continuation]:
    """Continuations after the answer, by the command's name."""

    def watch(connection: ControlConnection) -> None:
        context.viewers.add(connection, [door.view() for door in doors.values()])

    return {"watch": watch}
