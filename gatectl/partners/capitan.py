"""Capitan barcode check-in: checks a customer of the gym in, by the barcode alone.

A POST to `/api/gym-endpoints/barcode-check-in/BARCODE/` with `Authorization: Token KEY` and a JSON object
that may hold `location_id`; without it the token's own location counts. The barcode is any text of up to 128
characters.

| answer | comes to |
|---|---|
| 200 with the `id` of the new check-in | allowed |
| 200, 400, 404 with the `error` `customer_not_found` | not found |
| 200, 400, 404 with `check_in_alerts`, `duplicate_check_in` or `no_entry_method` | not allowed |
| any status with `invalid_location` | fault `configuration`: no location has this `location_id` |
| 200, 400, 404 with anything else, an empty body too | fault `partner` |
| 401, 403 | fault `credentials`: the key is refused |
| 401, 403 with HTML, as a firewall sends it | fault `partner` |
| anything else | fault `partner` |

`alerts` and `milestones` are meant for the member; `customer_alerts` are internal to the gym, and are neither
shown nor stored. `interpret` in `exchange.py` adds the answers that are not a verdict in any protocol.

Sources: https://api.hellocapitan.com/api/docs/barcode-check-in; https://api.hellocapitan.com/api/docs/ for
the token's header and the length of a barcode.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import Number, Numbers
from gatectl.decision.verdict import Decision, MemberWords, Reason, Verdict
from gatectl.partners.exchange import (
    Endpoint,
    PartnerRequest,
    PartnerResponse,
    is_html,
    json_of,
    json_request,
    no_verdict,
)
from gatectl.partners.protocol import ProtocolDescriptor, Remark, SettlingSettings
from gatectl.partners.reason import member_words_of, reason_of
from gatectl.validators.addresses import base_url
from gatectl.validators.values import whole

DUPLICATE = "duplicate_check_in"
INVALID_LOCATION = "invalid_location"

_VERDICTS = {
    "customer_not_found": Verdict.NOT_FOUND,
    "check_in_alerts": Verdict.NOT_ALLOWED,
    DUPLICATE: Verdict.NOT_ALLOWED,
    "no_entry_method": Verdict.NOT_ALLOWED,
}

NUMBERS = Numbers(
    Number(re.compile(r"(?!\.{1,2}\Z).{1,128}", re.DOTALL), "1 to 128 characters, not `.` or `..`", (1, 128))
)
"""A barcode is a segment of the path, on whose way `.` and `..` would be resolved."""


class CapitanSettings(SettlingSettings):
    """A partner asked by Capitan's barcode check-in."""

    protocol: Literal["capitan"]
    """Capitan's barcode check-in."""
    url: Annotated[str, base_url("/api/gym-endpoints")] = "https://api.hellocapitan.com"
    """Without the path, without a slash at its end."""
    location_id: Annotated[int, whole(0)] | None = None
    """Needed where the gym has several locations."""


class CapitanProtocol:
    """One location at Capitan; without `location_id` the token's own location counts."""

    def __init__(
        self, endpoint: Endpoint, location_id: int | None, key: str, other_keys: tuple[str, ...] = ()
    ) -> None:
        """The other partners' keys are masked in reasons too."""
        self.endpoint = endpoint
        self.location_id = location_id
        self.key = key
        self.other_keys = other_keys

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest:  # noqa: ARG002 - a barcode is all
        """Make the request. `member` is the barcode, any text, escaped in the path."""
        return json_request(
            f"{self.endpoint.base}/api/gym-endpoints/barcode-check-in/{quote(member, safe='')}/",
            {} if self.location_id is None else {"location_id": self.location_id},
            ("Content-Type", "application/json"),
            ("Authorization", f"Token {self.key}"),
        )

    def interpret(self, answer: PartnerResponse) -> Decision:
        """Interpret an answer by the module's table."""
        body = json_of(answer)
        fields = body if isinstance(body, dict) else {}
        error = fields.get("error")
        reason = self._reason(fields)
        if error == INVALID_LOCATION:
            detail = f"{answer.status}: no location has this location_id"
            return no_verdict(answer, Fault.CONFIGURATION, reason, detail)
        match answer.status:
            case 200 | 401 | 403 if is_html(answer):
                return no_verdict(answer)
            case 200 if not error and type(fields.get("id")) is int:
                for_member = self._for_member(fields, _milestones(fields))
                return Decision(Verdict.ALLOWED, status=200, for_member=for_member)
            case 200 | 400 | 404:
                verdict = _VERDICTS.get(error) if isinstance(error, str) else None
                if verdict is None:
                    lacks_id = answer.status == 200 and bool(fields) and not error
                    what = "200 without the new check-in's id" if lacks_id else None
                    return no_verdict(answer, reason=reason, detail=what)
                for_member = self._for_member(fields, _alerts(fields))
                return Decision(verdict, status=answer.status, reason=reason, for_member=for_member)
            case 401 | 403:
                return no_verdict(answer, Fault.CREDENTIALS, reason, f"{answer.status}: the key is refused")
            case _:
                return no_verdict(answer, reason=reason)

    def _reason(self, fields: dict[str, Any]) -> Reason | None:
        return reason_of(
            fields.get("error"),
            tuple(_alerts(fields)),
            fields,
            (self.key, *self.other_keys),
            {*_VERDICTS, INVALID_LOCATION},
        )

    def _for_member(self, fields: dict[str, Any], texts: list[str]) -> MemberWords | None:
        return member_words_of(fields.get("customer_first_name"), texts, fields, (self.key, *self.other_keys))


def _alerts(fields: dict[str, Any]) -> list[str]:
    alerts = fields.get("alerts")
    return [alert for alert in alerts if isinstance(alert, str)] if isinstance(alerts, list) else []


def _milestones(fields: dict[str, Any]) -> list[str]:
    """Return the milestones, which the partner separates by line breaks."""
    milestones = fields.get("milestones")
    return milestones.splitlines() if isinstance(milestones, str) else []


def _make(
    settings: CapitanSettings, endpoint: Endpoint, key: str, other_keys: tuple[str, ...]
) -> CapitanProtocol:
    return CapitanProtocol(endpoint, settings.location_id, key, other_keys)


def _remarks(settings: CapitanSettings) -> Iterator[Remark]:
    if urlsplit(settings.url).path.endswith("/api"):
        yield "url", "ends in /api, which gatectl adds to each request"


PROTOCOL = ProtocolDescriptor(
    name="capitan",
    settings=CapitanSettings,
    make=_make,
    numbers=lambda _settings: NUMBERS,
    already_in=frozenset({DUPLICATE}),
    remarks=_remarks,
)
