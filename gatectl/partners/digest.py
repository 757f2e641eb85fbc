"""What is kept of an answer's body: how long it was, and a digest that its partner can find it by."""

from __future__ import annotations

import hashlib
import re

from gatectl.decision.event import BodyRecord
from gatectl.partners.exchange import Answer, is_encoded

_PERSONAL = re.compile(rb"name|@|\\u0040", re.IGNORECASE)
"""What a body has that names somebody: a field for it, or an address. Too many bodies rather than too few."""


def digest_of(answer: Answer) -> BodyRecord:
    """The length and the SHA-256 of the body as it was received, its chunks put together.

    There is no digest of a body that names somebody. Names are few, and all else in such an answer can be
    guessed or is in the journal beside it: who tries a list of them against the digest learns the name, with
    a salt that is kept too as much as without one. What else an answer says of a member, its reason, is in
    the journal anyway.
    """
    body = answer.body
    personal = is_encoded(answer) or _PERSONAL.search(body.replace(b"\0", b""))  # UTF-16 has zeros
    return BodyRecord(len(body), None if personal else hashlib.sha256(body).digest())
