"""A request to a partner and its answer, as values; and the reading of what answers have in common."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Never, Protocol
from urllib.parse import quote, urlsplit

from gatectl.decision.verdict import Fault, ForMember, Reason, Ruling, Verdict

REASON_CHARS = 200
LINES_MAX = 5
"""What a member can read while standing at a gate."""
FIRST_NAME_CHARS = 40
MASK = "[masked]"
NAMES_MAX = 32
"""One member's answer holds a handful of names. One with more is not a member's: its words are not kept."""
WORD_NAME_CHARS = 3
"""Names up to this length are masked as words alone: "Al" must not be found in "allowed"."""

_PATH_SAFE = "/%:@!$&'()*+,;=~"  # RFC 3986, section 3.3; an installer's own escapes stay

REST_S = 30.0
"""How long a partner rests after a 429 that names no time."""
REST_MAX_S = 300.0
"""A partner that asks for hours is asked again after five minutes: members are waiting."""

NOT_JSON = object()
"""What `json_of` gives for a body that is no JSON; `null` is JSON."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a partner lives, taken from its URL once, at start."""

    tls: bool
    host: str
    port: int
    target: str
    """Path and query as the installer wrote them, percent-encoded where needed; never empty."""

    @classmethod
    def of(cls, url: str) -> Endpoint:
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        target = quote(parts.path or "/", safe=_PATH_SAFE)
        if parts.query:
            target += "?" + quote(parts.query, safe=_PATH_SAFE + "?")
        return cls(tls, parts.hostname or "", parts.port or (443 if tls else 80), target)

    @property
    def base(self) -> str:
        """What a protocol's own paths are added to: the path without a slash at its end."""
        return self.target.rstrip("/")

    @property
    def authority(self) -> str:
        """The `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode("ascii")
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Question:
    """One request. Headers are complete but for `Host` and `Content-Length`; they hold the key."""

    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `headers` have lower-case names; `received_us` is our wall clock."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_us: int = 0


class Partner(Protocol):
    """A protocol as a pure module knows it: what is asked, and what an answer means."""

    def question(self, member: str, code: str) -> Question: ...

    def judge(self, answer: Answer) -> Ruling: ...


def json_question(target: str, body: Mapping[str, Any], *headers: tuple[str, str]) -> Question:
    """A POST of a JSON object, with the headers that all protocols share."""
    return Question(
        target,
        (
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            *headers,
        ),
        json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
    )


_PAGE_BEGINS = re.compile(
    rb"<(!--|(!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta)[\s/>])"
)
"""What makes a body HTML whatever its type (WHATWG MIME Sniffing, section 7.1); `meta` is the portals'."""

_PAGE_FOLLOWS = re.compile(rb"<(!doctype html|html|head|body|script)\b")
"""The same, behind an XML declaration."""


def is_html(answer: Answer) -> bool:
    """A page for people: a captive portal's or a proxy's, never a protocol's answer."""
    if "html" in answer.headers.get("content-type", "").lower():
        return True
    # A page in UTF-16 has a zero beside each letter.
    start = answer.body[:1024].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\f").lower()
    return start.startswith(b"<") and bool(_PAGE_BEGINS.match(start) or _PAGE_FOLLOWS.search(start))


def is_encoded(answer: Answer) -> bool:
    """Compressed, though `identity` was asked for: what it says cannot be looked at."""
    coding = answer.headers.get("content-encoding", "").strip().lower()
    return bool(answer.body) and coding not in {"", "identity"}


def json_of(answer: Answer) -> Any:
    """The body as JSON (UTF-8, a byte order mark allowed), or NOT_JSON.

    Strict, since a gate hangs on it: what two readers could read differently is not JSON.
    """
    try:
        return json.loads(
            answer.body.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_once
        )
    except (ValueError, RecursionError):  # 64 KiB of brackets nest deeper than Python's parser goes
        return NOT_JSON


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is Python's, not JSON's")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def no_verdict(answer: Answer, fault: Fault = Fault.PARTNER, reason: Reason | None = None) -> Ruling:
    """The partner answered, and said nothing about the member."""
    rest = rest_s(answer) if answer.status == 429 else None
    return Ruling(Verdict.NONE, fault, answer.status, reason, rest)


def rest_s(answer: Answer) -> float:
    """Seconds to leave the partner alone after a 429 (RFC 9110, section 10.2.3).

    A date counts from the answer's own `Date` where it has one: a door without a battery clock may be
    years off.
    """
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        # Nine digits are thirty years: longer ones need no arithmetic.
        return REST_MAX_S if len(value) > 9 else min(float(value), REST_MAX_S)
    until = _date(value)
    if until is None:
        return REST_S
    now = _date(answer.headers.get("date", "")) or datetime.fromtimestamp(answer.received_us / 1e6, UTC)
    return min(max((until - now).total_seconds(), 0.0), REST_MAX_S)


def _date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def reason_of(
    key: Any, text: Any, body: Any, secrets: Collection[str], documented: Collection[str] = ()
) -> Reason | None:
    """The partner's own reason, fit to be kept: cut, and without addresses, names or our keys in it.

    `body` is the parsed answer: whatever it calls a name is masked in the reason too. A `documented`
    key is the protocol's own word and stays as it is.
    """
    names = _names_in(body)
    is_documented = isinstance(key, str) and key in documented
    if len(names) > NAMES_MAX:
        return Reason(key, None) if is_documented else None
    clean_key = key if is_documented else _clean(key, names, secrets)
    clean_text = _clean(text, names, secrets)
    return None if clean_key is None and clean_text is None else Reason(clean_key, clean_text)


def for_member_of(
    first_name: Any, texts: Iterable[Any], body: Any, secrets: Collection[str]
) -> ForMember | None:
    """What the partner means for the member's own eyes, fit for a screen that others see too."""
    names = _names_in(body)
    if len(names) > NAMES_MAX:
        return None
    cleaned = (_clean(text, names, secrets) for text in texts)
    lines = tuple(text.replace(MASK, "…") for text in cleaned if text is not None)[:LINES_MAX]
    name = _clean(first_name, [], secrets)
    shown = name[:FIRST_NAME_CHARS] if name and MASK not in name else None
    return ForMember(shown, lines) if shown or lines else None


def without(secrets: Collection[str], text: str) -> str:
    """The text with every key in it masked, the longest first: one may be a part of another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _clean(value: Any, names: list[str], secrets: Collection[str]) -> str | None:
    if not isinstance(value, str):
        return None
    # A lone surrogate (JSON allows it) has no UTF-8.
    text = without(secrets, _composed(value.encode("utf-8", "replace").decode("utf-8")))
    # Before anything else is cut apart: a control character inside an address must not save half of it.
    text = " ".join(MASK if "@" in word else word for word in text.split())
    for name in names:
        text = re.sub(_pattern_of(name), MASK, text, flags=re.IGNORECASE)
    # Control characters have no place in a line.
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words)[:REASON_CHARS] or None


def _pattern_of(name: str) -> str:
    if not name.isascii():  # scripts that write without spaces have no edges
        return re.escape(name)
    # An underscore is no letter of a name; a longer one may take an ending, as in "Aldrins".
    end = r"(?![^\W_])" if len(name) <= WORD_NAME_CHARS else r"[^\W_]*"
    return rf"(?<![^\W_]){re.escape(name)}{end}"


def _names_in(body: Any) -> list[str]:
    """Every text at or below a key with `name` in it, and its words; the longest first."""
    found: set[str] = set()
    waiting = [(body, False)]
    while waiting:
        value, is_name = waiting.pop()
        if isinstance(value, list):
            waiting.extend((item, is_name) for item in value)
        elif isinstance(value, dict):
            waiting.extend((item, is_name or "name" in key.lower()) for key, item in value.items())
        elif is_name and isinstance(value, str):
            text = _composed(value.strip())
            found.update(name for name in (text, *text.split()) if any(map(str.isalnum, name)))
    return sorted(found, key=len, reverse=True)


def _composed(text: str) -> str:
    """One spelling for letters that Unicode can spell in two ways."""
    return unicodedata.normalize("NFC", text)
