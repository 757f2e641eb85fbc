"""The password: sessions, sessions that were signed out, limits on wrong tries, and keys of displays.

A session is a value derived from the password, so that a browser stays signed in over a restart, and a new
password ends every session. A display's key is derived the same way, and opens only that display.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import sys
import time
import unicodedata
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gatectl.monitor.connections import place_of

SESSION_S = 30 * 86_400
"""A browser unused for a month is assumed to be no longer the staff's."""

RENEW_S = 86_400
"""A session that is older than a day is renewed when it is used."""

CHARS_MIN = 8
"""With the tries below, one address needs a year to guess a shorter one from a list of words."""

TRIES = 5
TRY_AGAIN_S = 10.0
"""After five wrong tries in a row, one try per ten seconds from each address. There is no limit for all
addresses together: with one, a stranger could lock out everyone else."""

ADDRESSES_MAX = 1000
"""Addresses with wrong passwords that are counted separately; further ones are counted together."""

_SALT = b"gatectl monitor session 1"

_KEY_BYTES = 10
"""80 bits: 16 characters, which can be typed on a tablet but not guessed."""


class Session(NamedTuple):
    """A valid session: its sign-in, and its age since the sign-in or the last renewal."""

    sign_in: str
    age_s: float


class _Bucket:
    """A count of wrong passwords, which drops by one every `TRY_AGAIN_S`."""

    def __init__(self) -> None:
        self._wrong = 0.0
        self._at = time.monotonic()

    def left(self, now: float) -> float:
        self._wrong = max(0.0, self._wrong - (now - self._at) / TRY_AGAIN_S)
        self._at = now
        return self._wrong

    def take(self) -> None:
        self._wrong += 1


class Password:
    """The one password of a monitor."""

    def __init__(self, text: str, signed_out: SignedOut | None = None) -> None:
        self._digest = _digest(text)
        # Slow on purpose: somebody who sees a session's value cannot try passwords against it by the million.
        self._key = hashlib.scrypt(_normal(text), salt=_SALT, n=2**14, r=8, p=1)
        self._signed_out = SignedOut(None) if signed_out is None else signed_out
        self._wrong: OrderedDict[str, _Bucket] = OrderedDict()
        self._wrong_elsewhere = _Bucket()

    def wait_s(self, address: str) -> float:
        """Return the seconds until this address may try again; 0 is now."""
        bucket = self._bucket(place_of(address))
        wrong = bucket.left(time.monotonic()) if bucket else 0.0
        return max(0.0, (wrong - TRIES + 1) * TRY_AGAIN_S)

    def is_right(self, address: str, given: str) -> bool:
        """Compare. Call it in the same step of the event loop as `wait_s`, and only if that is 0."""
        if hmac.compare_digest(_digest(given), self._digest):
            return True
        self._count_wrong(place_of(address))
        return False

    def session(self, sign_in: str | None = None) -> str:
        """Make a cookie's value, for a new sign-in or a renewal."""
        text = f"{int(time.time()) + SESSION_S}.{sign_in or secrets.token_hex(8)}"
        return f"{text}.{self._sign(text)}"

    def session_of(self, value: str) -> Session | None:
        """Return a cookie's session; None if it is invalid, expired, or signed out."""
        text, _, signature = value.rpartition(".")
        if not hmac.compare_digest(self._sign(text).encode(), _bytes(signature)):
            return None
        until, _, sign_in = text.partition(".")
        if not (until.isascii() and until.isdigit()):
            return None
        now = time.time()
        made_at = int(until) - SESSION_S
        # Sessions of an earlier version have no name: use their time as the name.
        session = Session(sign_in or until, now - made_at)
        is_over = int(until) <= now or self._signed_out.holds(session.sign_in, made_at)
        return None if is_over else session

    def sign_out(self, session: Session) -> None:
        """End this sign-in with all of its renewals, also for copies of its cookie."""
        self._signed_out.add(session.sign_in, time.time(), SESSION_S)

    def display_key(self, door: str) -> str:
        """The token of a link that opens this door's display without the password."""
        digest = hmac.new(self._key, f"display {door}".encode(), hashlib.sha256).digest()
        return base64.b32encode(digest[:_KEY_BYTES]).decode().lower()

    def opens_display(self, door: str, key: str) -> bool:
        return hmac.compare_digest(self.display_key(door).encode(), _bytes(key))

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, _bytes(text), hashlib.sha256).hexdigest()

    def _bucket(self, place: str) -> _Bucket | None:
        if place in self._wrong or len(self._wrong) < ADDRESSES_MAX:
            return self._wrong.get(place)
        return self._wrong_elsewhere

    def _count_wrong(self, place: str) -> None:
        now = time.monotonic()
        while self._wrong and next(iter(self._wrong.values())).left(now) == 0:
            self._wrong.popitem(last=False)
        bucket = self._bucket(place)
        if bucket is None:
            bucket = self._wrong[place] = _Bucket()
        bucket.take()


def _normal(text: str) -> bytes:
    """Normalise letters, which keyboards encode in different ways (Unicode, annex 15)."""
    return _bytes(unicodedata.normalize("NFC", text))


def _digest(text: str) -> bytes:
    return hashlib.sha256(_normal(text)).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


SIGNED_OUT_MAX = 1000
"""Sign-outs of a month; if there are more, all sessions made until then end."""

FILE = "signed-out.json"


class SignedOut:
    """The sessions that were ended; without a folder they are forgotten at the process's end."""

    def __init__(self, folder: Path | None) -> None:
        self._path = folder and folder / FILE
        self._ended: dict[str, float] = {}
        """Names of sign-ins, and when the last session of each expires; seconds since the epoch."""
        self._all_before = 0.0
        self._read()

    def __len__(self) -> int:
        return len(self._ended)

    def holds(self, sign_in: str, made_at: float) -> bool:
        """Return whether a session was ended; `made_at` is when it was made or renewed."""
        return sign_in in self._ended or made_at < self._all_before

    def add(self, sign_in: str, now: float, session_s: float) -> None:
        """End a sign-in's sessions, which are valid for at most `session_s`."""
        self._ended = {name: until for name, until in self._ended.items() if until > now}
        if len(self._ended) >= SIGNED_OUT_MAX:
            self._ended.clear()
            self._all_before = now
        self._ended[sign_in] = now + session_s
        self._write()

    def _read(self) -> None:
        # The file is missing or damaged: no sign-out is known.
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if self._path is not None:
                held = json.loads(self._path.read_text("utf-8"))
                self._ended = {str(name): float(until) for name, until in held["ended"].items()}
                self._all_before = float(held["all_before"])

    def _write(self) -> None:
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            new.write_text(json.dumps({"ended": self._ended, "all_before": self._all_before}), "utf-8")
            new.replace(self._path)
        except OSError as error:
            sys.stderr.write(f"{self._path}: cannot be written: {error.strerror}\n")
