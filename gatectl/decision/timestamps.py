"""Moments on the three clocks, and steps of the wall clock. `gatectl/clock.py` reads the clocks."""

from __future__ import annotations

from typing import NamedTuple, NewType

LoopTime = NewType("LoopTime", float)
"""A moment on the event loop's clock: seconds, monotonic. Deadlines and durations go by it."""

LONG_AGO = LoopTime(0.0)
"""Before every moment of a run."""

FOREVER = LoopTime(float("inf"))
"""After every moment of a run."""

WallUs = NewType("WallUs", int)
"""A moment on the wall clock: microseconds since the epoch. People and time servers set that clock."""

BootUs = NewType("BootUs", int)
"""A moment on the boot clock: microseconds since the boot, standby included. That clock is never set."""

SET_US = 2_000_000
"""A wall clock that moved by more against the boot clock was set; a leap second moves it by less."""

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

_UNITS = (("years", "year", 365 * 86_400), ("days", "day", 86_400), ("h", "h", 3600), ("min", "min", 60))


class Timestamp(NamedTuple):
    """One moment on the wall clock and on the boot clock of the boot with this ID."""

    at_us: WallUs
    boot: str
    since_boot_us: BootUs

    def clock_step_since(self, before: Timestamp) -> int:
        """Return by how many microseconds the wall clock was set since then: forward, or back (negative).

        0 if it was not set, and after a restart of the machine, which leaves nothing to compare with.
        """
        if self.boot != before.boot:
            return 0
        moved = (self.at_us - before.at_us) - (self.since_boot_us - before.since_boot_us)
        return moved if abs(moved) > SET_US else 0


class Instant(NamedTuple):
    """One moment on all clocks: `loop_s` decides, `named` is for the record."""

    loop_s: LoopTime
    named: Timestamp

    def us_at(self, at_s: LoopTime) -> WallUs:
        """Translate another moment of the loop's clock, as if the wall clock were not set in between."""
        return WallUs(self.named.at_us + round((at_s - self.loop_s) * 1e6))


def describe_change(before: Timestamp, after: Timestamp) -> str | None:
    """Describe a restart or a step of the wall clock between two moments; None if there was neither."""
    if before.boot != after.boot:
        back_us = before.at_us - after.at_us
        return "restarted" + (
            f", the clock back by at least {format_duration(back_us)}" if back_us > SET_US else ""
        )
    moved_us = after.clock_step_since(before)
    if not moved_us:
        return None
    return f"the clock was set {'forward' if moved_us > 0 else 'back'} by {format_duration(abs(moved_us))}"


def format_duration(length_us: int) -> str:
    """Format a duration in its two largest units: `3 years 2 days`, `1 h`, `5 min 20 s`."""
    left = (length_us + 500_000) // 1_000_000
    words = []
    for many, one, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            words.append(f"{count} {one if count == 1 else many}")
    if left or not words:
        words.append(f"{left} s")
    return " ".join(words[:2])
