"""The relay: on for a bounded time, whatever the event loop does."""

from __future__ import annotations

import threading
import time
from typing import Any

from gpiozero import OutputDevice

from gatectl.decision.notice import Notice, Priority, Tell

RETRY_S = 0.1
"""A pin that did not go off is tried again ten times a second."""


class StuckError(Exception):
    """The pin does not do what it was told; the message is a technician's."""


class Relay:
    """One relay. Off from the start; every way through here ends in off.

    Called from the event loop and from the guard's thread, so everything stands under one lock.
    """

    def __init__(self, door: str, pin: int, *, active_high: bool, open_ms: int, factory: Any) -> None:
        """Claims the pin, off. Raises what the driver raises."""
        self.door = door
        self.open_ms = open_ms
        self._lock = threading.Lock()
        self._off_at: float | None = None
        self._device = OutputDevice(pin, active_high=active_high, initial_value=False, pin_factory=factory)

    @property
    def off_at(self) -> float | None:
        """When it goes off (s, monotonic); None while it is off."""
        return self._off_at

    @property
    def is_on(self) -> bool:
        """What the pin itself says."""
        return bool(self._device.value)

    @property
    def obeys(self) -> bool:
        """Is the pin what it was last told?"""
        with self._lock:
            try:
                return self.is_on == (self._off_at is not None)
            except Exception:  # noqa: BLE001 - drivers share no base class; a pin that cannot be read does not
                return False

    def energise(self) -> float:
        """On for a full `open_ms` from now; says until when (s, monotonic). Raises StuckError."""
        with self._lock:
            # The bound stands before the pin moves: nothing that comes between leaves it on.
            self._off_at = time.monotonic() + self.open_ms / 1000
            try:
                self._drive(on=True)
            except StuckError:
                self._off_at = time.monotonic()  # the guard sees to it that it is off
                raise
            return self._off_at

    def release(self) -> None:
        """Off now. Raises StuckError."""
        with self._lock:
            self._release()

    def release_if_due(self, now: float) -> None:
        """Off if the time is over. Raises StuckError."""
        with self._lock:
            if self._off_at is not None and now >= self._off_at:
                self._release()

    def _release(self) -> None:
        self._drive(on=False)
        self._off_at = None

    def _drive(self, *, on: bool) -> None:
        try:
            self._device.value = on
            followed = self.is_on == on
        except Exception as error:
            # Drivers share no base class; whatever this one raised, the pin was not driven.
            raise StuckError(str(error) or type(error).__name__) from error
        if not followed:
            raise StuckError("the pin did not follow")

    def close(self) -> None:
        """Off, and the pin given back; idempotent."""
        if not self._device.closed:
            try:
                self.release()
            finally:
                self._device.close()


class Guard:
    """Switches relays off on time from a thread of its own, should the event loop be stuck."""

    def __init__(self, relays: list[Relay], tell: Tell) -> None:
        self._relays = relays
        self._tell = tell
        self._changed = threading.Condition()
        self._stopped = False
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="relay guard", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def changed(self) -> None:
        """A relay was energised."""
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                self._changed.wait(self._pause())
                self._release_due()

    def _pause(self) -> float | None:
        due = [relay.off_at for relay in self._relays if relay.off_at is not None]
        if not due:
            return None
        return max(min(due) - time.monotonic(), RETRY_S if self._told else 0.0)

    def _release_due(self) -> None:
        for relay in self._relays:
            try:
                relay.release_if_due(time.monotonic())
            except StuckError as error:
                if relay.door not in self._told:
                    self._told.add(relay.door)
                    self._tell(
                        Notice(
                            Priority.ERROR,
                            f"{relay.door}: THE RELAY DOES NOT GO OFF ({error}): the gate may stand open",
                            {"DOOR": relay.door},
                        )
                    )
            else:
                self._told.discard(relay.door)
