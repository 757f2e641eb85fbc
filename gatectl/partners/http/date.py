"""Read the dates in an answer's headers, and check this machine's clock by them (RFC 9110, section 5.6.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

AGREES_S = 2
"""Seconds. Date has whole seconds, and the answer took time: a smaller difference does not count."""


def moment_of(value: str) -> datetime | None:
    """Return a header's date in UTC, or None if it is not a date.

    HTTP's dates are in UTC, also those without a zone, or with `-0000`.
    """
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def clock_ahead_s(date: str | None, received_us: int) -> int | None:
    """The seconds by which our clock is ahead of the partner's, negative where it is behind.

    `date` is the answer's Date, and `received_us` our clock when the answer came, in microseconds since the
    epoch. None if the answer had no valid date.
    """
    sent = None if date is None else moment_of(date)
    if sent is None:
        return None
    ahead = received_us / 1e6 - sent.timestamp() - 0.5
    return 0 if abs(ahead) < AGREES_S else round(ahead)
