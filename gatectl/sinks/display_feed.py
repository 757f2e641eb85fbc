"""The feed of the displays and monitors, each at the end of a control socket's connection.

Screens leave the daemon here and are kept nowhere. No scan waits for a viewer: a screen is handed to the
kernel some time after the step that it shows, and a viewer that does not read is dropped.

A viewer that follows the journal also gets a line for each finished event of any kind, so that it need not
look for new events all the time. The line says no more than that: the journal has the event.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from gatectl.decision.control_messages import message_line
from gatectl.decision.event import Event
from gatectl.decision.indication import View

AFTER_S = 0.02
"""A view is sent this long after its step. By then the request has left or the relay is on, so that a viewer
takes no processor time from the scan. A display has a tenth of a second; this is a fifth of it."""

VIEWERS_MAX = 16
"""Enough for any gym: a monitor serves any number of browsers with one connection."""


_FINISHED = message_line({"event": "finished"})


class Viewer(Protocol):
    """A connection that watches."""

    @property
    def is_closed(self) -> bool: ...

    def show(self, lines: bytes) -> None:
        """Send the lines, or close if the other side does not read."""


class DisplayFeed:
    """The connected viewers. `named` are the doors whose display may show a first name."""

    name = "display feed"
    kinds = (View, Event)
    blocks = False

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(named)
        self._viewers: set[Viewer] = set()
        self._following: set[Viewer] = set()
        """Those among them that get events, too."""
        self._waiting: list[View] = []
        self._is_finished = False
        """Whether an event was finished since the last lines."""
        self._is_due = False

    def __len__(self) -> int:
        self._forget()
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        return len(self) >= VIEWERS_MAX

    def take(self, item: View | Event) -> None:
        """Send the view soon, together with those that come until then. Without a viewer, do nothing."""
        if isinstance(item, Event):
            self.ring()
        elif self._viewers:
            self._waiting.append(item)
            self._send_soon()

    def ring(self) -> None:
        """Say soon that an event was finished."""
        if self._following:
            self._is_finished = True
            self._send_soon()

    def _send_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_later(AFTER_S, self._send)

    def _send(self) -> None:
        views, self._waiting = self._waiting, []
        lines = b"".join(message_line(view.to_json(with_name=view.door in self._named)) for view in views)
        end = _FINISHED if self._is_finished else b""
        self._is_due = self._is_finished = False
        for viewer in self._viewers:
            if news := lines + end if viewer in self._following else lines:
                viewer.show(news)
        self._forget()

    def add(self, viewer: Viewer, now: Iterable[View], *, follows: bool = False) -> None:
        """Send `now`, and every later view until the viewer is gone; events, too, to one that follows."""
        viewer.show(b"".join(message_line(view.to_json(with_name=False)) for view in now))
        self._viewers.add(viewer)
        if follows:
            self._following.add(viewer)

    def _forget(self) -> None:
        self._viewers = {viewer for viewer in self._viewers if not viewer.is_closed}
        self._following &= self._viewers
