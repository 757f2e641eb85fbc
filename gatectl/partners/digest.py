"""What is kept of an answer's body: how long it was, and a digest that its partner can find it by."""

from __future__ import annotations

import hashlib

from gatectl.decision.event import BodyRecord
from gatectl.partners.exchange import Answer, is_encoded

_PERSONAL = (b"name", b"@", b"\\u0040")
"""What a body has that names somebody: a field for it, or an address. Too many bodies rather than too few."""


def digest_of(answer: Answer) -> BodyRecord:
    """The length and the SHA-256 of the body as it was received, its chunks put together.

    There is no digest of a body that names somebody. Names are few, and all else in such an answer can be
    guessed or is in the journal beside it: who tries a list of them against the digest learns the name, with
    a salt that is kept too as much as without one. A name inside a sentence is not seen; the journal has that
    sentence already, as the reason.
    """
    body = answer.body
    letters = body.lower().replace(b"\0", b"")  # UTF-16 has a zero beside each
    personal = is_encoded(answer) or any(sign in letters for sign in _PERSONAL)
    return BodyRecord(len(body), None if personal else hashlib.sha256(body).digest())
