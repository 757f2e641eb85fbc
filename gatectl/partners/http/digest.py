"""The record of an answer's body: its length, and a digest by which its partner can find it."""

from __future__ import annotations

import hashlib

from gatectl.decision.event import BodyRecord
from gatectl.partners.exchange import PartnerResponse, json_of
from gatectl.partners.reason import names_somebody

_PERSONAL = (b"name", b"nome", b"nombre", b"inhaber", b"mitglied", b"@", b"\\u0040", b"%40", b"&#64;")
"""A body with one of these may name somebody: a key for a name, or an address. In doubt it counts as one."""


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
