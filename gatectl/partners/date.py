"""What an answer's Date says of this machine's clock (RFC 9110, section 6.6.1)."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

AGREES_S = 2
"""Date counts whole seconds, and the answer was on its way: less is no difference."""


def clock_ahead_s(date: str | None, received_us: int) -> int | None:
    """How many seconds our clock is ahead of the partner's, negative where it is behind.

    `received_us` is our clock when the answer came, in microseconds since the epoch. None where the answer
    had no date, or one that is none.
    """
    if date is None:
        return None
    try:
        sent = parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
    ahead = received_us / 1e6 - sent - 0.5
    return 0 if abs(ahead) < AGREES_S else round(ahead)
