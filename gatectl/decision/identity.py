"""Event IDs: UUIDv7 (RFC 9562, section 5.7), sortable by the time of the scan."""

from __future__ import annotations

import uuid

RANDOM_BITS = 74


def uuid7(at_us: int, random: int) -> str:
    """The ID for a moment (µs since the epoch) and 74 random bits."""
    milliseconds = (at_us // 1000) & (1 << 48) - 1
    high = random >> 62 & 0xFFF
    low = random & (1 << 62) - 1
    return str(uuid.UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low))
