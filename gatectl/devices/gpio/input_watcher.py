"""The inputs of all doors: each reports its debounced changes, from the pins' thread.

Every level is read once a second, every 20 ms while members are awaited, and an exit's always every 20 ms
where the pin factory has no edges. An edge only makes the thread read earlier: a missed edge only
costs time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from gatectl import clock
from gatectl.decision.door.inputs import InputName, LevelChange, LevelFilter
from gatectl.decision.timestamps import LONG_AGO, LoopTime
from gatectl.devices.gpio.lines_off import cause_of
from gatectl.devices.gpio.output import FIRST_RETRY_S, LAST_RETRY_S
from gatectl.devices.gpio.pin_threads import PinThreads, next_second

CLOSE_S = 0.02
"""Between two readings of a level that counts at once, or is being debounced."""

URGENT = {InputName.EXIT, InputName.FIRE}
"""Read every 20 ms where the pin factory has no edges: from a stable level to the relay are 50 ms at most."""

HANGS = "the pin's driver does not come back"


class Lost(NamedTuple):
    """The pin cannot be read; the cause is a technician's."""

    cause: str


@dataclass(eq=False, slots=True, weakref_slot=True)
class WatchedInput:
    """One input of one door. `on_change` takes its changes, in the pins' thread."""

    door: str
    kind: InputName
    pin: int
    active_low: bool
    filter: LevelFilter
    on_change: Callable[[LevelChange | Lost], None]
    factory: Any
    threads: PinThreads
    wants_spare: bool = True
    """An exit or a fire must not wait for another input's driver."""
    on_known: Callable[[], None] = lambda: None
    """Called once its first level or its loss was reported."""
    edges: bool = False
    close_until_s: LoopTime = LONG_AGO
    """Until when it is read every 20 ms."""
    _device: Any = None
    _next_s: LoopTime = LONG_AGO
    _read_s: LoopTime = LONG_AGO
    """When it was read last."""
    _has_edge: bool = False
    _pause_s: float = FIRST_RETRY_S
    _is_lost: bool = False
    _hangs: bool = False

    @property
    def name(self) -> str:
        """For the error of a bug."""
        return f"{self.kind} input of {self.door}"

    @property
    def spare_looks(self) -> bool:
        """Whether no edge would wake the spare thread."""
        return not self.is_known or (self.kind in URGENT and not self.edges and self._device is not None)

    @property
    def is_known(self) -> bool:
        """Return whether its level or its loss was reported."""
        return self._is_lost or self.filter.is_settled

    def due_s(self, now_s: LoopTime) -> LoopTime:
        """When it is to be read again."""
        if self._has_edge or self._next_s <= now_s:
            return now_s
        is_close = self._device is not None and now_s < self.close_until_s
        return min(self._next_s, LoopTime(self._read_s + CLOSE_S)) if is_close else self._next_s

    def edge(self, *_: Any) -> None:
        """Read it at once: its level has changed."""
        self._has_edge = True
        self.threads.wake()

    def run(self, now_s: LoopTime) -> None:
        """Read the level, and report the change that it settles; claim the pin before if that is due."""
        self._has_edge = False
        self._read_s = now_s
        try:
            if self._device is None:
                self._claim()
            active = bool(self._device.state) != self.active_low
        except Exception as error:  # noqa: BLE001 - drivers share no base class
            self._lose(cause_of(error))
        else:
            self._take(active, now_s)
        if self._hangs:  # the call has come back after all: the level is reported again
            self._hangs = False
            self.filter.forget()

    def hangs(self) -> None:
        """Report the loss of a pin whose driver does not return."""
        self._hangs = True
        self._report_lost(HANGS)

    def close(self) -> None:
        """Release the pin."""
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(Exception):  # as above; the line is an input, and nothing depends on it
                device.close()

    def _claim(self) -> None:
        """Claim the pin with its pull, and its edges if it has any. Raises the driver's errors."""
        self._device = self.factory.pin(self.pin)
        self._device.function = "input"
        self._device.pull = "up" if self.active_low else "down"
        self.edges = _listens(self._device, self.edge)

    def _take(self, active: bool, now_s: LoopTime) -> None:  # noqa: FBT001 - a level is a value
        self._next_s = next_second(clock.monotonic())
        if self._hangs:
            return
        was_known = self.is_known
        self._is_lost, self._pause_s = False, FIRST_RETRY_S
        change = self.filter.read(active, now_s)
        if change is not None:
            self.on_change(change)
            if not was_known:
                self.on_known()
        self._next_s = self._planned_s(clock.monotonic())

    def _planned_s(self, now_s: LoopTime) -> LoopTime:
        due_s = self.filter.due_s
        is_close = now_s < self.close_until_s or (self.kind in URGENT and not self.edges)
        close_s = LoopTime(now_s + CLOSE_S)
        if due_s is not None:
            return min(close_s, max(due_s, now_s))
        return close_s if is_close else next_second(now_s)

    def _lose(self, cause: str) -> None:
        self.close()
        self.filter.forget()
        self._next_s = LoopTime(clock.monotonic() + self._pause_s)
        self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)
        self._report_lost(cause)

    def _report_lost(self, cause: str) -> None:
        if not self._is_lost:
            was_known, self._is_lost = self.is_known, True
            self.on_change(Lost(cause))
            if not was_known:
                self.on_known()


def _listens(device: Any, changed: Callable[..., None]) -> bool:
    """Whether the pin calls `changed` at its edges; some factories have none."""
    try:
        device.edges = "both"
        device.when_changed = changed
    except Exception:  # noqa: BLE001 - drivers share no base class; levels are read anyway
        return False
    return True


class InputWatcher:
    """The inputs of all doors, in the pins' threads."""

    def __init__(self, inputs: Sequence[WatchedInput], threads: PinThreads) -> None:
        self.read_once: Future[None] = Future()
        """Done once the first level of every input, or its loss, was reported."""
        self._inputs = inputs
        self._threads = threads

    def start(self) -> None:
        """Claim the pins and begin to read them, if there are any."""
        for one in self._inputs:
            one.on_known = self._note_known
        self._note_known()
        self._threads.add(*self._inputs)

    def watch_closely(self, door: str, until_s: LoopTime) -> None:
        """Read this door's inputs every 20 ms until then: members are awaited."""
        for one in self._inputs:
            if one.door == door:
                one.close_until_s = until_s
        self._threads.wake()

    def stop(self) -> None:
        """Read them no longer."""
        self._threads.remove(*self._inputs)

    def _note_known(self) -> None:
        if not self.read_once.done() and all(one.is_known for one in self._inputs):
            self.read_once.set_result(None)
