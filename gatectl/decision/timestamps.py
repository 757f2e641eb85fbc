"""A moment on two clocks: the wall clock, which people and time servers set, and the one since the boot."""

from __future__ import annotations

from typing import NamedTuple

SET_US = 2_000_000
"""A wall clock that moved by more against the other one was set; a leap second is no news."""

_UNITS = (("years", "year", 365 * 86_400), ("days", "day", 86_400), ("h", "h", 3600), ("min", "min", 60))


class Timestamp(NamedTuple):
    """One moment, named by both.

    `at_us` is microseconds since the epoch. `since_boot_us` counts from the boot with this ID, standby
    included; nobody sets that clock, and it is as fast as the other one.
    """

    at_us: int
    boot: str
    since_boot_us: int

    def clock_step_since(self, before: Timestamp) -> int:
        """By how many microseconds the wall clock was set since then: forward, or back (negative).

        0 where it was not, and where the machine was started anew: then nobody knows.
        """
        if self.boot != before.boot:
            return 0
        moved = (self.at_us - before.at_us) - (self.since_boot_us - before.since_boot_us)
        return moved if abs(moved) > SET_US else 0


def describe_change(before: Timestamp, after: Timestamp) -> str | None:
    """In words, what happened to the machine or its wall clock between two moments; None for nothing."""
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
    """A length of time in its two largest units: `3 years 2 days`, `1 h`, `5 min 20 s`."""
    left = (length_us + 500_000) // 1_000_000
    words = []
    for many, one, seconds in _UNITS:
        count, left = divmod(left, seconds)
        if count:
            words.append(f"{count} {one if count == 1 else many}")
    if left or not words:
        words.append(f"{left} s")
    return " ".join(words[:2])
