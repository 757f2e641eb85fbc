"""The inputs of all doors: their pins are read in one thread, which reports debounced changes.

Every level is read once a second, every 20 ms while members are awaited, and an exit's always every 20 ms
where the pin factory has no edges. An edge only makes the thread read earlier: a missed edge only
costs time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

from gatectl import clock
from gatectl.decision.door.inputs import InputName, LevelChange, LevelFilter
from gatectl.decision.timestamps import LONG_AGO, LoopTime
from gatectl.devices.gpio.lines_off import cause_of
from gatectl.devices.gpio.output import FIRST_RETRY_S, LAST_RETRY_S

IDLE_S = 1.0
"""Between two readings of a level that is not urgent."""
CLOSE_S = 0.02
"""Between two readings of a level that counts at once, or is being debounced."""
STOP_S = 1.0
"""How long a stop waits for a driver that hangs."""

URGENT = {InputName.EXIT, InputName.FIRE}
"""Read every 20 ms where the pin factory has no edges: from a stable level to the relay are 50 ms at most."""


class Lost(NamedTuple):
    """The pin cannot be read; the cause is a technician's."""

    cause: str


@dataclass(slots=True)
class WatchedInput:
    """One input of one door. `on_change` takes its changes, in the watcher's thread."""

    door: str
    name: InputName
    pin: int
    active_low: bool
    filter: LevelFilter
    on_change: Callable[[LevelChange | Lost], None]
    edges: bool = False
    close_until_s: LoopTime = LONG_AGO
    """Until when it is read every 20 ms."""
    retry_at_s: LoopTime | None = None
    _device: Any = None
    _pause_s: float = FIRST_RETRY_S
    _is_lost: bool = False

    def claim(self, factory: Any, changed: Callable[..., None]) -> None:
        """Claim the pin with its pull, and its edges if it has any; report a failure, and retry it."""
        try:
            self._device = factory.pin(self.pin)
            self._device.function = "input"
            self._device.pull = "up" if self.active_low else "down"
        except Exception as error:  # noqa: BLE001 - drivers share no base class
            self._lose(error)
            return
        self.edges = _listens(self._device, changed)

    def read(self, now_s: LoopTime) -> None:
        """Read the level, and tell of the change that it settles."""
        if self._device is None:
            return
        try:
            active = bool(self._device.state) != self.active_low
        except Exception as error:  # noqa: BLE001 - as above
            self._lose(error)
            return
        self._is_lost, self._pause_s, self.retry_at_s = False, FIRST_RETRY_S, None
        change = self.filter.read(active, now_s)
        if change is not None:
            self.on_change(change)

    def next_s(self, now_s: LoopTime) -> float:
        """When it is to be read again."""
        if self._device is None:
            return now_s + IDLE_S if self.retry_at_s is None else self.retry_at_s
        due_s = self.filter.due_s
        is_close = now_s < self.close_until_s or (self.name in URGENT and not self.edges)
        pause_s = CLOSE_S if is_close or due_s is not None else IDLE_S
        return now_s + pause_s if due_s is None else min(now_s + pause_s, max(due_s, now_s))

    @property
    def is_known(self) -> bool:
        """Return whether its level or its loss was reported."""
        return self._is_lost or self.filter.is_settled

    def close(self) -> None:
        """Release the pin."""
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(Exception):  # as above; the line is an input, and nothing depends on it
                device.close()

    def _lose(self, error: Exception) -> None:
        self.close()
        self.filter.forget()
        self.retry_at_s = LoopTime(clock.monotonic() + self._pause_s)
        self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)
        if not self._is_lost:
            self._is_lost = True
            self.on_change(Lost(cause_of(error)))


def _listens(device: Any, changed: Callable[..., None]) -> bool:
    """Whether the pin calls `changed` at its edges; some factories have none."""
    try:
        device.edges = "both"
        device.when_changed = changed
    except Exception:  # noqa: BLE001 - drivers share no base class; levels are read anyway
        return False
    return True


class InputWatcher:
    """Reads the inputs of all doors in a thread of its own: a driver that hangs holds up no door."""

    def __init__(self, inputs: Sequence[WatchedInput], factory: Any) -> None:
        self.broken: Future[None] = Future()
        """The error that ended the thread: a bug, which must end the daemon too."""
        self.read_once: Future[None] = Future()
        """Done once the first level of every input, or its loss, was reported."""
        self._inputs = inputs
        self._factory = factory
        self._woken = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Claim the pins and begin to read them, if there are any."""
        if not self._inputs:
            self.read_once.set_result(None)
            return
        self._thread = threading.Thread(target=self._run, name="inputs", daemon=True)
        self._thread.start()

    def watch_closely(self, door: str, until_s: LoopTime) -> None:
        """Read this door's inputs every 20 ms until then: members are awaited."""
        for one in self._inputs:
            if one.door == door:
                one.close_until_s = until_s
        self._woken.set()

    def stop(self) -> None:
        """End the thread and release the pins."""
        self._stopped = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            self._claim(self._inputs)
            while not self._stopped:
                self._pass()
                self._woken.wait(self._pause_s())
                self._woken.clear()
            for one in self._inputs:
                one.close()
        except BaseException as error:  # noqa: BLE001 - passed on: it ends the daemon
            self.broken.set_exception(RuntimeError(f"the inputs' thread failed: {error!r}"))

    def _pass(self) -> None:
        now_s = clock.monotonic()
        self._claim(one for one in self._inputs if one.retry_at_s is not None and one.retry_at_s <= now_s)
        for one in self._inputs:
            one.read(clock.monotonic())
        if not self.read_once.done() and all(one.is_known for one in self._inputs):
            self.read_once.set_result(None)

    def _claim(self, inputs: Iterable[WatchedInput]) -> None:
        for one in inputs:
            one.claim(self._factory, self._wake)

    def _pause_s(self) -> float:
        now_s = clock.monotonic()
        return max(min(one.next_s(now_s) for one in self._inputs) - now_s, 0.0)

    def _wake(self, *_: Any) -> None:
        self._woken.set()
