"""Drive one output pin, track its failures, and show a lamp or the buzzer with it."""

from __future__ import annotations

import contextlib
from enum import Enum, auto
from typing import Any

from gatectl import clock
from gatectl.decision.indication import Lamp
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.timestamps import LoopTime
from gatectl.devices.gpio.lines_off import cause_of

FIRST_RETRY_S = 0.5
LAST_RETRY_S = 15.0
"""Pauses between two tries, the first and the longest: another program may hold a pin only briefly, and a
technician who has fixed the wiring must not wait long. A try costs microseconds."""


class Output:
    """One output of a gpiozero pin factory. The driver's errors are raised unchanged.

    gpiozero's own OutputDevice is not used: after a failed claim the pin stays reserved for as long as
    anything refers to the error, so that it could not be tried again.
    """

    def __init__(self, factory: Any, number: int, *, active_high: bool = True) -> None:
        """Claim the pin with its off level at once."""
        self._on_level = active_high
        self._pin = factory.pin(number)
        try:
            self._pin.output_with_state(not active_high)
        except Exception:
            with contextlib.suppress(Exception):  # drivers share no base class; the first error is raised
                self._pin.close()
            raise

    @property
    def value(self) -> bool:
        """Return the value read from the pin itself."""
        return bool(self._pin.state) == self._on_level

    @value.setter
    def value(self, on: bool) -> None:
        self._pin.state = on == self._on_level

    def close(self) -> None:
        """Release the pin."""
        self._pin.close()


class PinFault(Enum):
    """The kinds of failures of a pin; the later ones are worse."""

    NOT_CLAIMED = auto()
    NOT_ON = auto()
    NOT_OFF = auto()


class Trouble:
    """The failure of one pin, if any. Its owner calls it under the owner's lock."""

    def __init__(self, log: Log, door: str, over: str) -> None:
        """Take `over`, the log line for the recovery, without the door's name."""
        self._log = log
        self._door = door
        self._over = over
        self._logged: PinFault | None = None
        self._pause_s = FIRST_RETRY_S
        self.flaw: PinFault | None = None
        self.cause: str | None = None
        """The cause, in a technician's words; None while the pin is in order."""
        self.since = clock.monotonic()
        """When the failure began."""
        self.retry_at: LoopTime | None = None
        """When to try again."""

    def begin(self, flaw: PinFault, cause: str) -> None:
        """Record a failure, the first or another; log it if it is the first, or worse than the logged one."""
        now = clock.monotonic()
        if self.cause is None:
            self.since = now
        self.flaw, self.cause = flaw, cause
        if self.retry_at is None:
            self.put_off()
        if self._logged is None or flaw.value > self._logged.value:
            self._logged = flaw
            self._log_entry(Priority.ERROR, cause)

    def put_off(self) -> None:
        """Lengthen the pause before the next try, in case the present one fails too."""
        self.retry_at = LoopTime(clock.monotonic() + self._pause_s)
        self._pause_s = min(2 * self._pause_s, LAST_RETRY_S)

    def suspend(self) -> None:
        """Note that it may be over; do not log yet, since only the next use of the pin can show it."""
        if self.cause is not None:
            self.flaw = self.cause = self.retry_at = None
            self.since = clock.monotonic()

    def end(self) -> None:
        """Record and log the recovery."""
        if self._logged is not None:
            self.suspend()
            self._logged, self._pause_s = None, FIRST_RETRY_S
            self._log_entry(Priority.NOTICE, self._over)

    def _log_entry(self, priority: Priority, what: str) -> None:
        self._log(LogEntry(priority, f"{self._door}: {what}", {"DOOR": self._door}))


class LampPin:
    """A lamp's pin. Call `recover` from the relay timer's thread, the other methods from the event loop."""

    def __init__(self, door: str, lamp: Lamp, pin: int, factory: Any, log: Log) -> None:
        """Do not touch the pin yet: `recover` does."""
        self.lamp = lamp
        self.trouble = Trouble(log, door, f"the signal {lamp.value} can be driven again")
        self._pin = pin
        self._factory = factory
        self._device: Output | None = None
        self._failed: bool | None = None
        """The value that could not be set: a pin that takes the other value may still be broken."""

    def recover(self) -> None:
        """Claim the pin, off, unless it is claimed already."""
        if self._device is None:
            try:
                self._device = Output(self._factory, self._pin)
            except Exception as error:  # noqa: BLE001 - drivers share no base class; logged
                self._begin(PinFault.NOT_CLAIMED, error)
                return
            self.trouble.end()
        self.trouble.retry_at = None  # a claimed pin is tried again at each use

    def set(self, *, on: bool) -> None:
        """Switch it on or off; a failure is logged and never raised, so that members still get in."""
        if self._device is None:
            return
        try:
            self._device.value = on
        except Exception as error:  # noqa: BLE001 - drivers share no base class; logged
            self._failed = on
            self._begin(PinFault.NOT_ON, error)
        else:
            if self._failed is on:
                self._failed = None
                self.trouble.end()

    def _begin(self, flaw: PinFault, error: Exception) -> None:
        self.trouble.begin(flaw, f"the signal {self.lamp.value} cannot be driven ({cause_of(error)})")

    def close(self) -> None:
        """Release the pin."""
        if self._device is not None:
            with contextlib.suppress(Exception):  # drivers share no base class; the daemon ends
                self._device.close()
