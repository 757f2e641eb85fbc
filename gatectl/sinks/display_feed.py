"""The feed of the displays and monitors, each at the end of a control socket's connection.

Screens leave the daemon here and are kept nowhere. No scan waits for a viewer: a screen is handed to the
kernel some time after the step that it shows, and a viewer that does not read is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from gatectl.decision.control_messages import message_line
from gatectl.decision.indication import View

AFTER_S = 0.02
"""A view is sent this long after its step. By then the request has left or the relay is on, so that a viewer
takes no processor time from the scan. A display has a tenth of a second; this is a fifth of it."""

VIEWERS_MAX = 16
"""Enough for any gym: a monitor serves any number of browsers with one connection."""


class Viewer(Protocol):
    """A connection that watches."""

    @property
    def is_closed(self) -> bool: ...

    def show(self, lines: bytes) -> None:
        """Send the lines, or close if the other side does not read."""


class DisplayFeed:
    """The connected viewers. `named` are the doors whose display may show a first name."""

    name = "display feed"
    kinds = (View,)
    blocks = False

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(named)
        self._viewers: set[Viewer] = set()
        self._waiting: list[View] = []

    def __len__(self) -> int:
        self._forget()
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        return len(self) >= VIEWERS_MAX

    def take(self, item: View) -> None:
        """Send the view soon, together with those that come until then. Without a viewer, do nothing."""
        if not self._viewers:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(AFTER_S, self._send)
        self._waiting.append(item)

    def _send(self) -> None:
        views, self._waiting = self._waiting, []
        lines = b"".join(message_line(view.to_json(with_name=view.door in self._named)) for view in views)
        for viewer in self._viewers:
            viewer.show(lines)
        self._forget()

    def add(self, viewer: Viewer, now: Iterable[View]) -> None:
        """Send `now`, and every later view until the viewer is gone."""
        viewer.show(b"".join(message_line(view.to_json(with_name=False)) for view in now))
        self._viewers.add(viewer)

    def _forget(self) -> None:
        self._viewers = {viewer for viewer in self._viewers if not viewer.is_closed}
