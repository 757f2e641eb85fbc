"""The relay: on for a bounded time, even if the event loop is stuck."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from gatectl import clock
from gatectl.decision.log import Log, LogEntry, Priority
from gatectl.decision.timestamps import LoopTime
from gatectl.devices.gpio.lines_off import cause_of
from gatectl.devices.gpio.output import Output, PinFault, Trouble

LOCK_S = 0.2
"""How long to wait for the lock: a driver takes microseconds, so after this time it hangs."""


class StuckError(Exception):
    """The pin does not follow; the message is for a technician."""


class _DriverLock:
    """A lock for calls of a driver. Entering it raises StuckError where another thread's call hangs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=LOCK_S):
            raise StuckError("its driver does not come back")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class RelayPin:
    """One relay. It starts off, and every path through this class ends with it off.

    One lock protects everything: the event loop and the relay timer's thread both call it.
    """

    def __init__(
        self,
        door: str,
        pin: int,
        *,
        active_high: bool,
        open_ms: int,
        factory: Any,
        log: Log,
        name: str = "relay",
        pulse_ms: int | None = None,
    ) -> None:
        """Do not touch the pin yet: `claim` does. `name` distinguishes the relays of one door.

        With `pulse_ms` every opening is a pulse of that length at most, and the gate itself keeps open.
        """
        self.door = door
        self.name = name
        self.open_ms = open_ms
        self._pulse_ms = pulse_ms
        self.trouble = Trouble(log, door, "the gate is in order again")
        self._log = log
        self._pin = pin
        self._active_high = active_high
        self._factory = factory
        self._lock = _DriverLock()
        self._off_at: LoopTime | None = None
        """When the last opening ends."""
        self._kept_until: LoopTime | None = None
        """Until when a mode keeps it on."""
        self._device: Output | None = None
        self._moved = False

    @property
    def off_at(self) -> LoopTime | None:
        """Return when it goes off; None while it is off, infinity while a mode without an end keeps it on."""
        if self._kept_until is None or self._off_at is None:
            return self._off_at if self._kept_until is None else self._kept_until
        return max(self._off_at, self._kept_until)

    @property
    def is_on(self) -> bool:
        """Return the state read from the pin itself."""
        return self._device is not None and self._device.value

    def claim(self) -> None:
        """Claim the pin and drive it off. Raises the driver's own errors."""
        with self._lock:
            self._claim()

    def failed(self, cause: str) -> None:
        """Record that the first claim failed: the relay is out of order, and retried from now on."""
        self._not_recovered(StuckError(cause))

    def energise(self, open_ms: int | None = None) -> LoopTime:
        """Switch on for a full `open_ms` from now; return until when. Raises StuckError.

        While it is on, this extends its time and never cuts it short.
        """
        if self._device is None:
            raise StuckError(f"pin {self._pin} is not ours")
        try:
            with self._lock:
                # Set the deadline before the pin moves, so that an interruption cannot leave it on.
                length_ms = open_ms or self.open_ms
                on_ms = length_ms if self._pulse_ms is None else min(self._pulse_ms, length_ms)
                until_s = LoopTime(clock.monotonic() + on_ms / 1000)
                self._off_at = off_at = max(until_s, self._off_at or until_s)
                try:
                    self._drive(on=True)
                except StuckError:
                    self._off_at = clock.monotonic()  # the relay timer switches it off at once
                    raise
        except StuckError as error:
            self._not_on(error)
            raise
        self.trouble.end()
        return off_at

    def keep_on(self, until_s: LoopTime) -> None:
        """Switch on and keep it so until then, whatever openings end meanwhile. Raises StuckError."""
        try:
            with self._lock:
                self._kept_until = until_s  # also where it fails: it goes on as soon as it can be driven
                self._drive(on=True)
        except StuckError as error:
            if self._device is not None:  # else it is known already that the pin cannot be claimed
                self._not_on(error)
            raise
        self.trouble.end()

    def stop_keeping(self) -> None:
        """End what keeps it on; an opening under way has its full time. Raises StuckError."""
        with self._lock:
            if self._kept_until is None:
                return
            now = clock.monotonic()
            self._kept_until = None
            if self._off_at is None or now >= self._off_at:
                self._off_at = now  # the relay timer tries again if it does not go off now
                self._release()

    def release(self) -> None:
        """End the opening now; a mode keeps it on all the same. Raises StuckError."""
        with self._lock:
            if self._kept_until is None:
                self._release()
            else:
                self._off_at = None

    def shorten(self, until_s: LoopTime) -> None:
        """Let the opening under way end then at the latest. Raises StuckError."""
        with self._lock:
            if self._off_at is not None:
                self._off_at = min(self._off_at, until_s)

    def release_if_due(self, now: LoopTime) -> None:
        """Switch off if its time is over. Raises StuckError."""
        with self._lock:
            off_at = self.off_at
            if off_at is not None and now >= off_at:
                self._release()

    def assure(self) -> None:
        """Drive the pin back to its intended state if something else moved it. Raises StuckError."""
        with self._lock:
            if self._device is None or self.trouble.cause is not None:
                return
            on = self.off_at is not None
            with contextlib.suppress(Exception):  # drivers share no base class; driving it shows the error
                if self.is_on == on:
                    return
            if on:
                self._drive_on_again()
            else:
                self._release()
            if not self._moved:
                self._moved = True
                what = f"{self.door}: another program moved the {self.name}'s pin; it was driven back"
                self._log(LogEntry(Priority.WARNING, what, {"DOOR": self.door}))

    def _drive_on_again(self) -> None:
        try:
            self._drive(on=True)
        except StuckError as error:
            self._not_on(error)
            raise

    def recover(self) -> None:
        """Try to bring it back in order, off or as a mode keeps it; record the result in `trouble`."""
        try:
            with self._lock:
                self._recover()
        except StuckError as error:
            self._not_recovered(error)

    def _recover(self) -> None:
        if self._device is not None:
            try:
                self._drive(on=False)
            except StuckError:
                # A claimed line that can no longer be driven may work after claiming it again.
                device, self._device = self._device, None
                with contextlib.suppress(Exception):
                    device.close()
        if self._device is None:
            try:
                self._claim()
            except StuckError:
                raise
            except Exception as error:
                raise StuckError(cause_of(error)) from error
        self._off_at = None
        if self._kept_until is not None:
            self._resume_keeping()
        elif self.trouble.flaw is PinFault.NOT_ON:
            self.trouble.suspend()
        else:
            self.trouble.end()

    def _resume_keeping(self) -> None:
        try:
            self._drive(on=True)
        except StuckError as error:
            self._not_on(error)
        else:
            self.trouble.end()

    def _not_recovered(self, error: StuckError) -> None:
        # Another program holds it, or it was lost while on: it may be on now.
        was_kept_on = self._kept_until is not None and self.trouble.flaw is not PinFault.NOT_CLAIMED
        if self._device is not None or self._off_at is not None or was_kept_on:
            self._not_off(error)
        else:
            self.trouble.begin(
                PinFault.NOT_CLAIMED, f"the {self.name}'s pin {self._pin} cannot be driven ({error})"
            )

    def _claim(self) -> None:
        self._device = Output(self._factory, self._pin, active_high=self._active_high)
        if self.is_on:
            raise StuckError("the pin did not follow")

    def _release(self) -> None:
        try:
            self._drive(on=False)
        except StuckError as error:
            self._not_off(error)
            raise
        self._off_at = self._kept_until = None
        if self.trouble.flaw is PinFault.NOT_OFF:
            self.trouble.end()

    def _not_on(self, error: StuckError) -> None:
        self.trouble.begin(PinFault.NOT_ON, f"the {self.name} cannot be energised ({error})")

    def _not_off(self, error: StuckError) -> None:
        self.trouble.begin(
            PinFault.NOT_OFF, f"THE {self.name.upper()} DOES NOT GO OFF ({error}): the gate may stand open"
        )

    def _drive(self, *, on: bool) -> None:
        if self._device is None:
            raise StuckError(f"pin {self._pin} is not ours")
        try:
            self._device.value = on
            followed = self.is_on == on
        except Exception as error:
            # Drivers share no base class; any error means that the pin was not driven.
            raise StuckError(cause_of(error)) from error
        if not followed:
            raise StuckError("the pin did not follow")

    def close(self) -> None:
        """Switch off and release the pin; idempotent. Raises StuckError."""
        if self._device is None:
            return
        self._kept_until = None
        try:
            self.release()
        finally:
            device, self._device = self._device, None
            try:
                device.close()
            except Exception as error:
                raise StuckError(cause_of(error)) from error
