"""The password: who has given it, and how often a wrong one may be tried.

A session is a value that the password alone can make, so that a tablet at a door stays signed in over a
restart, and a new password ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

SESSION_S = 30 * 86_400
"""A tablet that nobody touches for a month has been put away."""

RENEW_S = 86_400
"""A session that is older than a day is made anew when it is used."""

CHARS_MIN = 8
"""With the tries below, a shorter one could be found in a year."""

TRIES = 5
TRY_AGAIN_S = 10.0
"""After five wrong ones in a row, one try in ten seconds from each address."""

TRIES_OF_ALL = 30
TRY_AGAIN_OF_ALL_S = 2.0
"""The same for all addresses together: one machine can have many."""

ADDRESSES_MAX = 1000
"""Addresses that are remembered."""

_SALT = b"gatectl monitor session 1"


class _Bucket:
    """Wrong passwords, one of which is forgotten every `every_s`."""

    def __init__(self, most: int, every_s: float) -> None:
        self._most, self._every_s = most, every_s
        self._wrong = 0.0
        self._at = 0.0

    def wait_s(self, now: float) -> float:
        self._wrong = max(0.0, self._wrong - (now - self._at) / self._every_s)
        self._at = now
        return max(0.0, (self._wrong - self._most + 1) * self._every_s)

    def take(self) -> None:
        self._wrong += 1


class Password:
    """The one password of a monitor."""

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode()).digest()
        # Slow on purpose: whoever sees a session's value cannot try passwords against it by the million.
        self._key = hashlib.scrypt(text.encode(), salt=_SALT, n=2**14, r=8, p=1)
        self._all = _Bucket(TRIES_OF_ALL, TRY_AGAIN_OF_ALL_S)
        self._by_address: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until this address may try again; 0 is now."""
        now = time.monotonic()
        return max(self._all.wait_s(now), self._bucket(address).wait_s(now))

    def is_right(self, address: str, given: str) -> bool:
        """A try; to be made only where `wait_s` is 0."""
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        if hmac.compare_digest(digest, self._digest):
            return True
        self._all.take()
        self._bucket(address).take()
        return False

    def session(self) -> str:
        """A cookie's value."""
        until = str(int(time.time()) + SESSION_S)
        return f"{until}.{self._sign(until)}"

    def age_s(self, session: str) -> float | None:
        """How old a session is; None where it is none of ours, or over."""
        until, _, signature = session.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 16):
            return None
        if not hmac.compare_digest(self._sign(until).encode(), signature.encode("utf-8", "surrogatepass")):
            return None
        left = int(until) - time.time()
        return SESSION_S - left if left > 0 else None

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _bucket(self, address: str) -> _Bucket:
        place = _place(address)
        bucket = self._by_address.get(place) or _Bucket(TRIES, TRY_AGAIN_S)
        self._by_address[place] = bucket
        self._by_address.move_to_end(place)
        if len(self._by_address) > ADDRESSES_MAX:
            self._by_address.popitem(last=False)
        return bucket


def _place(address: str) -> str:
    """An IPv6 host has all of its /64 to itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
