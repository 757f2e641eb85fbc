"""A request to a partner and its answer, as values, and the rules that hold for the answers of all protocols.

These answers are no verdict, even if the protocol gives their status a meaning (`interpret`):

| answer | comes to |
|---|---|
| 2xx with bytes behind its end, or with a compressed body that cannot be unpacked | fault `partner` |
| the header `cf-mitigated`: Cloudflare's firewall answered | fault `partner` |
| 403 `{"message": "Forbidden"}`, or with `x-amzn-errortype`, by an API gateway | fault `credentials` |
| 403 `{"message": "Missing Authentication Token"}`, by one without this path | fault `configuration` |

The last two do not hold where a rule of an installer's own decided.

`client.py` has already dropped answers that are late, cut short, over 64 KiB or not HTTP. After a 429 the
partner is not asked for a while.
"""

from __future__ import annotations

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NamedTuple, Never, Protocol
from urllib.parse import quote, urlsplit

from gatectl.decision.event import BodyRecord
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Decision, Reason, Verdict
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
        answer.is_packed or any(map(letters.__contains__, _PERSONAL)) or names_somebody(json_of(answer))
    )
    return BodyRecord(len(body), None if personal else hashlib.sha256(body).digest())


_TARGET_SAFE = "/%:@!$&'()*+,;=~?"  # RFC 3986, sections 3.3 and 3.4; keep an installer's own escapes

REST_S = 30.0
"""A partner rests so long after a 429 that names no time."""
REST_MAX_S = 300.0
"""A partner that wants hours is asked again after five minutes: members are waiting."""

NOT_JSON = object()
"""The result of `json_of` for a body that is no JSON; `null` is JSON."""


def quoted_target(text: str) -> str:
    """Encode a part of a path or of a query as an installer wrote it, as far as it needs it."""
    return quote(text, safe=_TARGET_SAFE)


class Endpoint(NamedTuple):
    """A partner's address, taken from its URL once, at start."""

    tls: bool
    host: str
    port: int
    target: str
    """Path and query as the installer wrote them, percent-encoded where needed; never empty."""

    @classmethod
    def of(cls, url: str) -> Endpoint:
        parts = urlsplit(url)
        tls = parts.scheme == "https"
        target = quoted_target(parts.path or "/")
        if parts.query:
            target += "?" + quoted_target(parts.query)
        return cls(tls, parts.hostname or "", parts.port or (443 if tls else 80), target)

    @property
    def base(self) -> str:
        """The prefix of a protocol's own paths: the URL's path without a slash at its end."""
        return self.target.rstrip("/")

    @property
    def authority(self) -> str:
        """Return the `Host` header, with the port only if it is not the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.host.encode("idna").decode("ascii")
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class PartnerRequest(NamedTuple):
    """One request. Headers are complete except for `Host` and `Content-Length`. Any part may hold the key."""

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"

    def __repr__(self) -> str:
        return f"PartnerRequest(method={self.method!r})"


@dataclass(frozen=True)  # without slots: `json` is kept in its dictionary
class PartnerResponse:
    """A whole answer. `headers` have lower-case names; `received_us` is our wall clock."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_us: int = 0
    has_surplus: bool = False
    """Whether bytes had come after its end: its framing is wrong, or they are not from this partner."""
    is_packed: bool = False
    """Whether the body is compressed in a way that could not be undone."""

    @cached_property
    def json(self) -> Any:
        """The body as JSON, parsed once; see `json_of`."""
        try:
            return _STRICT.decode(self.body.removeprefix(BOM_UTF8).decode())
        except (ValueError, RecursionError):  # 64 KiB of brackets nest deeper than Python's parser goes
            return NOT_JSON


class PartnerProtocol(Protocol):
    """A protocol, without I/O: makes the request and interprets the answer."""

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest: ...

    def interpret(self, answer: PartnerResponse) -> Decision: ...


_INVISIBLE = (
    " \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff\ufffd"
)
"""The blanks of Unicode, marks without a width, and what stands for bytes that are not UTF-8."""


def json_request(target: str, body: Mapping[str, Any], *headers: tuple[str, str]) -> PartnerRequest:
    """Make a POST of a JSON object, with the headers that all protocols share."""
    return PartnerRequest(
        target,
        (
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            *headers,
        ),
        compact_json(body),
    )


def compact_json(value: Any) -> bytes:
    """Return a value as JSON, in UTF-8."""
    return _COMPACT.encode(value).encode()


def start_of(answer: PartnerResponse) -> str:
    """Return the body from its first visible character on, without UTF-16's zeros.

    Byte order marks and all of Unicode's blanks are skipped, also in other encodings than UTF-8.
    """
    return answer.body.replace(b"\0", b"").decode("utf-8", "replace").lstrip(_INVISIBLE)


def is_html(answer: PartnerResponse) -> bool:
    """Return whether it is a page for people, a captive portal's or a proxy's, and not a protocol's answer.

    The body decides, not the header: frameworks send every answer without a declared type as `text/html`.
    """
    return start_of(answer).startswith("<")


def json_of(answer: PartnerResponse) -> Any:
    """Parse the body as JSON (UTF-8, a byte order mark allowed); NOT_JSON if it is not.

    Strict, since it opens a gate: text that two parsers could read differently is not accepted.
    """
    return answer.json


def _no_constant(name: str) -> Never:
    raise ValueError(f"{name} is Python's, not JSON's")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


# `json.loads` and `json.dumps` would make these again for each scan.
_STRICT = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_once)
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def interpret(partner: PartnerProtocol, answer: PartnerResponse) -> Decision:
    """Interpret an answer by the rules of its protocol, and by those of all protocols.

    A decision with a fault describes the answer in `detail`.
    """
    decision = partner.interpret(answer)
    overruled = _overruled(answer, by_rule=decision.by_rule)
    if overruled is not None:
        fault, detail = overruled
        return no_verdict(answer, fault, decision.reason, detail)
    if decision.fault is None or decision.detail is not None:
        return decision
    return decision._replace(detail=described(answer))


def _overruled(answer: PartnerResponse, *, by_rule: bool) -> tuple[Fault, str] | None:
    """Return the fault and a description of an answer that is not a verdict in any protocol; else None."""
    status = answer.status
    if 200 <= status < 300:
        if answer.has_surplus:
            return Fault.PARTNER, f"{status} with more bytes behind its end"
        if answer.is_packed and json_of(answer) is NOT_JSON:
            return Fault.PARTNER, f"{status} with a compressed body that cannot be unpacked"
    # https://developers.cloudflare.com/cloudflare-challenges/challenge-types/challenge-pages/detect-response/
    if "cf-mitigated" in answer.headers:
        return Fault.PARTNER, f"{status} from Cloudflare's firewall, before the partner"
    return _by_api_gateway(answer) if status == 403 and not by_rule else None


def _by_api_gateway(answer: PartnerResponse) -> tuple[Fault, str] | None:
    """A refusal of Amazon's API Gateway itself, which did not ask the partner behind it.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """
    body = json_of(answer)
    if isinstance(body, dict) and body.get("message") == "Missing Authentication Token":
        return Fault.CONFIGURATION, "403 from an API gateway: it has no such path, see the url"
    if body == {"message": "Forbidden"} or "x-amzn-errortype" in answer.headers:
        return Fault.CREDENTIALS, "403 from an API gateway: the key is refused"
    return None


def described(answer: PartnerResponse) -> str:
    """Describe the answer in our own words: its status, and the kind of its body."""
    status = answer.status
    if 300 <= status < 400:
        return f"{status}, a redirect, which is never followed"
    if status == 429:
        return f"429, the partner asks for a rest of {rest_s(answer):.0f} s"
    if is_html(answer):
        who = "captive portal" if status == 200 else "proxy"
        return f"{status} with a text/html page, as a {who} sends it"
    if not answer.body.strip():
        return f"{status} without a body"
    if answer.is_packed:
        return f"{status} with a compressed body that cannot be unpacked"
    if json_of(answer) is NOT_JSON:
        return f"{status} with a body that is not JSON"
    return f"{status} with JSON that is no documented answer"


def no_verdict(
    answer: PartnerResponse,
    fault: Fault = Fault.PARTNER,
    reason: Reason | None = None,
    detail: str | None = None,
    *,
    by_rule: bool = False,
) -> Decision:
    """Make the decision for an answer that says nothing about the member."""
    rest = rest_s(answer) if answer.status == 429 else None
    return Decision(Verdict.NONE, fault, answer.status, reason, rest_s=rest, detail=detail, by_rule=by_rule)


def rest_s(answer: PartnerResponse) -> float:
    """Return the seconds to leave the partner alone after a 429 (RFC 9110, section 10.2.3).

    A date counts from the answer's own `Date` if it has one: a door without a battery-backed clock may be
    years off.
    """
    # The daemon has it from its start; commands that only read settings do without its 40 modules.
    from gatectl.partners.exchange import moment_of  # noqa: PLC0415

    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        # Nine digits are thirty years; longer numbers are over the maximum anyway.
        return REST_MAX_S if len(value) > 9 else min(float(value), REST_MAX_S)
    until = moment_of(value)
    if until is None:
        return REST_S
    now = moment_of(answer.headers.get("date", "")) or datetime.fromtimestamp(answer.received_us / 1e6, UTC)
    return min(max((until - now).total_seconds(), 0.0), REST_MAX_S)
