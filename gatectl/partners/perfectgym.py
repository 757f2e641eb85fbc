"""PerfectGym Next check-in validation: may this guest enter? gatectl asks as the gym's software does.

A POST to the URL that the aggregator has registered, with the header `X-API-Key` and a JSON object:
`aggregatorId`, the aggregator's own ID of the member, is opaque text; `customerId`, the platform's number of
the customer, is a JSON number. The platform waits 750 ms. No body is documented for the answer, so the status
decides alone, with two exceptions:

| answer | comes to |
|---|---|
| 200 | allowed |
| 200 with `"authorized": false`, as in sibling endpoints | not allowed |
| 200 with HTML (a captive portal), or with JSON that cannot be read | fault `partner` |
| 403, 404 | not allowed, not found |
| 401 | fault `credentials` |
| anything else | fault `partner` |

`interpret` in `exchange.py` adds the answers that are not a verdict in any protocol.

Sources: https://developer.sportalliance.com/apis/perfectgym/aggregator/checkin-validation (200, 403);
https://developer.sportalliance.com/apis/perfectgym/aggregator/member-validation (whose ID `aggregatorId` is);
https://support.magicline.com/hc/en-us/articles/47879904419857 (404).
"""

import re
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import Number, Numbers
from gatectl.decision.verdict import Decision, Reason, Verdict
from gatectl.partners.exchange import (
    NOT_JSON,
    Endpoint,
    PartnerRequest,
    PartnerResponse,
    is_html,
    json_of,
    json_request,
    no_verdict,
    start_of,
)
from gatectl.partners.protocol import Budget, PartnerSettings, ProtocolDescriptor, Remark
from gatectl.partners.reason import reason_of
from gatectl.validators.addresses import Url
from gatectl.validators.values import Name

_AGGREGATORS_ID = Number(
    re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,128}", re.ASCII), "1 to 128 characters", (1, 128)
)
"""The aggregator's own ID of the member is opaque: digits, with leading zeros too, and UUIDs occur."""

_CUSTOMERS_ID = Number(
    re.compile(r"[1-9]\d{0,17}", re.ASCII), "1 to 18 digits without a leading zero", (1, 18)
)
"""customerId is an integer: a leading zero would not survive, and 18 digits always fit 64 bits."""

_UNAUTHORISED = re.compile(r'"authorized"\s*:\s*false')


class PerfectGymSettings(PartnerSettings):
    """A partner asked by PerfectGym Next's check-in validation."""

    protocol: Literal["perfectgym"]
    """PerfectGym's check-in validation."""
    url: Url
    """The whole endpoint."""
    aggregator_id: Name | None = None
    """Only for a partner that wants one aggregatorId for the whole gym: it is sent for everybody, and the
    member's number as customerId. Left out, the member's number is sent as aggregatorId, and the customer's
    number, from the card or the route, as customerId."""
    budget_ms: Budget = 750
    """Milliseconds from the complete code to the whole answer; 750 is PerfectGym's own limit."""


class PerfectGymProtocol:
    """The aggregator's registered endpoint. The aggregator's own ID of the member is sent as aggregatorId."""

    def __init__(
        self, endpoint: Endpoint, aggregator_id: str | None, key: str, other_keys: tuple[str, ...] = ()
    ) -> None:
        """`aggregator_id` is sent for everybody; None sends the member's own. `other_keys` are masked too."""
        self.endpoint = endpoint
        self.aggregator_id = aggregator_id
        self.key = key
        self.other_keys = other_keys

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest:  # noqa: ARG002 - the code stays here
        """Make the request: the aggregator's ID is text; the customer's, 1 to 18 digits, a JSON number."""
        ids = (member, customer) if self.aggregator_id is None else (self.aggregator_id, member)
        return json_request(
            self.endpoint.target,
            {"aggregatorId": ids[0], "customerId": int(ids[1])},
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-API-Key", self.key),
        )

    def interpret(self, answer: PartnerResponse) -> Decision:
        """Interpret an answer by the module's table.

        The body can revoke a 200, so a body that begins as JSON and cannot be read is not an admission.
        """
        body = json_of(answer)
        reason = self._reason(body)
        match answer.status:
            case 200 if is_html(answer):
                return no_verdict(answer)
            case 200 if body is NOT_JSON and _is_damaged(answer):
                return no_verdict(answer, detail="200 with JSON that cannot be read")
            case 200 if isinstance(body, dict) and body.get("authorized") is False:
                return Decision(Verdict.NOT_ALLOWED, status=200, reason=reason)
            case 200:
                return Decision(Verdict.ALLOWED, status=200)
            case 403:
                return Decision(Verdict.NOT_ALLOWED, status=403, reason=reason)
            case 404:
                return Decision(Verdict.NOT_FOUND, status=404, reason=reason)
            case 401:
                return no_verdict(answer, Fault.CREDENTIALS, reason, "401: the key is refused")
            case _:
                return no_verdict(answer, reason=reason)

    def _reason(self, body: Any) -> Reason | None:
        # No body is documented; refusals of similar endpoints have these members.
        if not isinstance(body, dict):
            return None
        key = next((body[name] for name in ("key", "code", "error", "errorCode") if name in body), None)
        text = next(
            (body[name] for name in ("message", "reason", "detail", "errorMessage") if name in body), None
        )
        return reason_of(key, text, body, (self.key, *self.other_keys))


def _is_damaged(answer: PartnerResponse) -> bool:
    """Return whether a body that is not JSON was meant to be, or contains a refusal."""
    start = start_of(answer)
    return start.startswith(("{", "[", '"')) or _UNAUTHORISED.search(start) is not None


def _make(
    settings: PerfectGymSettings, endpoint: Endpoint, key: str, other_keys: tuple[str, ...]
) -> PerfectGymProtocol:
    return PerfectGymProtocol(endpoint, settings.aggregator_id, key, other_keys)


def _numbers(settings: PerfectGymSettings) -> Numbers:
    """Return the numbers: if one aggregatorId is sent for everybody, customerId is the member's number."""
    return (
        Numbers(_AGGREGATORS_ID, _CUSTOMERS_ID) if settings.aggregator_id is None else Numbers(_CUSTOMERS_ID)
    )


def _remarks(settings: PerfectGymSettings) -> Iterator[Remark]:
    if urlsplit(settings.url).path in {"", "/"}:
        yield "url", "has no path; perfectgym wants the whole address"


PROTOCOL = ProtocolDescriptor(
    name="perfectgym",
    settings=PerfectGymSettings,
    make=_make,
    numbers=_numbers,
    also_called=dict.fromkeys(
        ("egym", "wellpass", "fitogram"),
        "aggregators of PerfectGym Next and Magicline are asked by perfectgym",
    ),
    any_refusal_may_be_return=True,
    gives_reasons=lambda _settings: False,
    remarks=_remarks,
)
