"""Undo `Content-Encoding`: some servers compress although identity is requested (RFC 9110, section 8.4)."""

from __future__ import annotations

import zlib

from gatectl.decision.verdict import Fault
from gatectl.partners.http.connection import ExchangeFailed

CODINGS_MAX = 2
"""Even two are unusual; each costs the event loop time."""

_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
"""For zlib. Many servers send `deflate` without the zlib header that it should have."""

_UNREADABLE = frozenset({"br", "compress", "x-compress", "dcb", "dcz", "zstd"})
"""Registered codings without a library in Python. Any other name, such as `utf-8`, is a mistake for
identity."""


def undone(codings: str, body: bytes, size_max: int) -> bytes | None:
    """Return the body without its codings, or None if they cannot be undone; ExchangeFailed over `size_max`.

    `codings` is the header's value: names separated by commas, in the order in which they were applied.
    """
    names = [name.strip().lower() for name in codings.split(",")]
    names = [name for name in names if name in _WINDOW_BITS or name in _UNREADABLE]
    if not body or not names:
        return body
    if len(names) > CODINGS_MAX or not _UNREADABLE.isdisjoint(names):
        return None
    for name in reversed(names):
        tries = (_inflated(body, bits, size_max) for bits in _WINDOW_BITS[name])
        inflated = next((found for found in tries if found is not None), None)
        if inflated is None:
            return None
        body = inflated
    return body


def _inflated(body: bytes, window_bits: int, size_max: int) -> bytes | None:
    stream = zlib.decompressobj(window_bits)
    try:
        inflated = stream.decompress(body, size_max + 1)
    except zlib.error:
        return None
    if len(inflated) > size_max:
        raise too_large(size_max)
    return inflated if stream.eof and not stream.unused_data else None


def too_large(size_max: int) -> ExchangeFailed:
    return ExchangeFailed(Fault.PARTNER, f"answer larger than {size_max // 1024} KiB")
