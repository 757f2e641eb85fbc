"""The record of an answer besides its decision: its dates, and its body's length and digest."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from gatectl.decision.event import BodyRecord
from gatectl.partners.exchange import PartnerResponse, json_of
from gatectl.partners.reason import names_somebody

_PERSONAL = (b"name", b"nome", b"nombre", b"inhaber", b"mitglied", b"@", b"\\u0040", b"%40", b"&#64;")
"""A body with one of these may name somebody: a key for a name, or an address. In doubt it counts as one."""

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


def digest_of(answer: PartnerResponse) -> BodyRecord:
    """Return the length and the SHA-256 of the body, after removing chunking and compression.

    A body that names somebody gets no digest. Names are few, and the rest of such an answer can be guessed
    or is in the journal: trying a list of names against the digest would reveal the name, even with a salt,
    which would be stored too. A name inside a sentence is not detected; the journal has that sentence
    already, as the reason.
    """
    body = answer.body
    letters = body.lower().replace(b"\0", b"")  # UTF-16 has a zero next to each
    personal = (
        answer.is_packed or any(sign in letters for sign in _PERSONAL) or names_somebody(json_of(answer))
    )
    return BodyRecord(len(body), None if personal else hashlib.sha256(body).digest())
