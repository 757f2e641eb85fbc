"""Switches relays off on time in the pins' thread, also while the event loop is stuck."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from concurrent.futures import Future

from gatectl import clock
from gatectl.decision.timestamps import LoopTime
from gatectl.devices.gpio.output import LampPin, PinFault
from gatectl.devices.gpio.pin_threads import PinThreads, next_second
from gatectl.devices.gpio.relay_pin import RelayPin, StuckError

OFF_RETRY_S = 0.1
"""A pin that did not go off is tried again ten times a second."""

LATE_S = 5.0
"""The thread is stuck if its last pass is older: it passes once a second, and a pass takes microseconds."""


class RelayTimer:
    """Switches relays off on time, checks their pins, and retries those that failed."""

    name = "relay timer"
    wants_spare = spare_looks = False
    """The watchdog notices its hang."""

    def __init__(self, relays: Sequence[RelayPin], lamps: Sequence[LampPin] = ()) -> None:
        self._relays = relays
        self._retried: list[RelayPin | LampPin] = [*relays, *lamps]
        self._passed_at = clock.monotonic()
        self._check_at = self._passed_at
        """The next check of idle pins: another program may have moved one."""
        self._asked: list[tuple[RelayPin, Future[None]]] = []
        self.threads = PinThreads()
        """Its own thread looks after the inputs too."""
        self.threads.add(self)

    def start(self) -> None:
        self._passed_at = clock.monotonic()
        self.threads.start()

    def changed(self, due_at: float = -math.inf) -> None:
        """Wake the thread if it would sleep longer: a relay is to go off at `due_at`, or did not go off."""
        self.threads.wake(due_at)

    def retry(self, relay: RelayPin) -> Future[None]:
        """Try at once to recover this relay; the future is done after the try, successful or not."""
        done: Future[None] = Future()
        self._asked.append((relay, done))
        self.threads.wake()
        return done

    def is_alive(self, now: LoopTime) -> bool:
        """Return whether the thread still passes."""
        return now - self._passed_at < LATE_S

    def stop(self) -> None:
        """End the pins' threads."""
        self.threads.stop()

    def hangs(self) -> None:
        """The watchdog ends the daemon."""

    def due_s(self, now_s: LoopTime) -> LoopTime:
        """When the next relay is to go off, to be tried again or to be checked."""
        if self._asked:
            return now_s
        times = [self._check_at]
        for relay in self._relays:
            off_at = relay.off_at
            if off_at is not None:
                not_off = relay.trouble.flaw is PinFault.NOT_OFF
                times.append(max(off_at, LoopTime(self._passed_at + OFF_RETRY_S)) if not_off else off_at)
        times += (one.trouble.retry_at for one in self._retried if one.trouble.retry_at is not None)
        return min(times)

    def run(self, _now_s: LoopTime) -> None:
        """Do what is due."""
        self._pass()
        self._passed_at = clock.monotonic()

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
            self._check_at = next_second(now)
            for relay in self._relays:
                with contextlib.suppress(StuckError):  # the relay has recorded it
                    relay.assure()

    def _release_due(self) -> None:
        for relay in self._relays:
            with contextlib.suppress(StuckError):  # the relay has recorded it
                relay.release_if_due(clock.monotonic())
