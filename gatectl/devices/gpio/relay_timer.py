"""The thread that looks after the pins, also while the event loop is stuck."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future

from gatectl import clock
from gatectl.decision.timestamps import LoopTime
from gatectl.devices.gpio.output import LampPin, PinFault
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError

OFF_RETRY_S = 0.1
"""A pin that did not go off is tried again ten times a second."""

CHECK_S = 1.0
"""Between two checks of idle pins: another program may have moved one."""

LATE_S = 5.0
"""The thread is stuck if its last pass is older: it passes once a second, and a pass takes microseconds."""

STOP_S = 1.0
"""How long a stop waits for a driver that hangs."""


class RelayTimer:
    """Switches relays off on time, checks their pins, and retries those that failed."""

    def __init__(self, relays: Sequence[RelayPin], lamps: Sequence[LampPin] = ()) -> None:
        self._relays = relays
        self._retried: list[RelayPin | LampPin] = [*relays, *lamps]
        self._woken = threading.Event()
        self._sleeps_until = math.inf
        """When the thread passes again; infinite from the time when it is awake to when it sleeps again."""
        self._stopped = False
        self._passed_at = clock.monotonic()
        self._check_at = self._passed_at
        self._asked: list[tuple[RelayPin, Future[None]]] = []
        self._thread = threading.Thread(target=self._run, name="relay guard", daemon=True)
        self.broken: Future[None] = Future()
        """The error that ended the thread: a bug, which must end the daemon too."""

    def start(self) -> None:
        self._passed_at = clock.monotonic()
        self._thread.start()

    def changed(self, due_at: float = -math.inf) -> None:
        """Wake the thread if it would sleep longer: a relay is to go off at `due_at`, or did not go off."""
        # The relay has its new time already. If the thread did not see that, it was not asleep yet.
        if due_at < self._sleeps_until:
            self._woken.set()

    def retry(self, relay: RelayPin) -> Future[None]:
        """Try at once to recover this relay; the future is done after the try, successful or not."""
        done: Future[None] = Future()
        self._asked.append((relay, done))
        self._woken.set()
        return done

    def is_alive(self, now: LoopTime) -> bool:
        """Return whether the thread still passes."""
        return now - self._passed_at < LATE_S

    def stop(self) -> None:
        self._stopped = True
        self._woken.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            while not self._stopped:
                self._woken.wait(self._pause())
                self._sleeps_until = math.inf
                self._woken.clear()
                self._pass()
                self._passed_at = clock.monotonic()
        except BaseException as error:  # noqa: BLE001 - passed on: it ends the daemon
            self.broken.set_exception(RuntimeError(f"the relay guard failed: {error!r}"))

    def _pause(self) -> float:
        now = clock.monotonic()
        times = [self._check_at]
        for relay in self._relays:
            if relay.off_at is not None:
                not_off = relay.trouble.flaw is PinFault.NOT_OFF
                times.append(LoopTime(now + OFF_RETRY_S) if not_off else relay.off_at)
        times += (one.trouble.retry_at for one in self._retried if one.trouble.retry_at is not None)
        self._sleeps_until = min(times)
        return max(self._sleeps_until - now, 0.0)

    def _pass(self) -> None:
        self._release_due()
        now = clock.monotonic()
        while self._asked:
            relay, done = self._asked.pop(0)
            relay.recover()
            if done.set_running_or_notify_cancel():  # else it was cancelled
                done.set_result(None)
        for one in self._retried:
            if one.trouble.retry_at is not None and one.trouble.retry_at <= now:
                one.trouble.put_off()
                one.recover()
        if now >= self._check_at:
            self._check_at = LoopTime(now + CHECK_S)
            for relay in self._relays:
                with contextlib.suppress(StuckError):  # the relay has recorded it
                    relay.assure()

    def _release_due(self) -> None:
        for relay in self._relays:
            with contextlib.suppress(StuckError):  # the relay has recorded it
                relay.release_if_due(clock.monotonic())
