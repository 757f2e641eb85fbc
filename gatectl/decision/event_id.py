"""Event IDs: UUIDv7 (RFC 9562, section 5.7), sortable by the time of the scan, to a quarter microsecond."""

from __future__ import annotations

RANDOM_BITS = 62


def uuid7(at_us: int, random: int) -> str:
    """The ID for a moment (µs since the epoch) and 62 random bits.

    The twelve bits behind the milliseconds are their fraction (section 6.2, method 3).
    """
    milliseconds, microseconds = divmod(at_us, 1000)
    fraction = microseconds * 4096 // 1000
    whole = milliseconds & (1 << 48) - 1
    digits = f"{whole << 80 | 7 << 76 | fraction << 64 | 2 << 62 | random & (1 << RANDOM_BITS) - 1:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
