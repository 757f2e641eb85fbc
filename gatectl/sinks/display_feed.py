"""The feed of the doors: displays and monitors, each at the end of a control socket's connection.

What a member is shown leaves the daemon here and is kept nowhere. No scan waits for a viewer: what is shown
is handed to the kernel some time after the step that it tells of, and a viewer who does not read is dropped.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from gatectl.decision.display import View

AFTER_S = 0.02
"""So long after a step its view goes out: the request has left by then, or the relay is on, and whoever shows
it takes no processor from a scan. It is a fifth of the tenth of a second that a display has."""

VIEWERS_MAX = 16
"""A monitor serves any number of browsers with one connection; a gym has few monitors."""


class Viewer(Protocol):
    """A connection that stays."""

    @property
    def is_closed(self) -> bool: ...

    def show(self, lines: bytes) -> None:
        """Sends the lines, or drops a viewer who does not read."""


class DisplayFeed:
    """Those who are connected now. `named` are the doors whose display may show a first name."""

    def __init__(self, named: Iterable[str] = ()) -> None:
        self._named = frozenset(named)
        self._viewers: set[Viewer] = set()
        self._waiting: list[Callable[[], View]] = []

    def __len__(self) -> int:
        self._forget()
        return len(self._viewers)

    @property
    def is_full(self) -> bool:
        return len(self) >= VIEWERS_MAX

    def show(self, view: Callable[[], View]) -> None:
        """Shows the view soon, with those that come meanwhile; builds none while there are no viewers."""
        if not self._viewers:
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(AFTER_S, self._send)
        self._waiting.append(view)

    def _send(self) -> None:
        views, self._waiting = [view() for view in self._waiting], []
        lines = b"".join(_line(view.to_json(with_name=view.door in self._named)) for view in views)
        for viewer in self._viewers:
            viewer.show(lines)
        self._forget()

    def add(self, viewer: Viewer, now: Iterable[View]) -> None:
        """Shows `now` and what comes after it, until the viewer is gone."""
        viewer.show(b"".join(_line(view.to_json(with_name=False)) for view in now))
        self._viewers.add(viewer)

    def _forget(self) -> None:
        self._viewers = {viewer for viewer in self._viewers if not viewer.is_closed}


def _line(shown: dict[str, Any]) -> bytes:
    return json.dumps(shown, ensure_ascii=False).encode() + b"\n"
