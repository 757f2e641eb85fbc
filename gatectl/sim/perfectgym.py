"""PerfectGym check-in validation, the partner's side: an aggregator that identifies members by its own ID.

Sources: https://developer.sportalliance.com/apis/perfectgym/aggregator/checkin-validation; for 404,
https://support.magicline.com/hc/en-us/articles/47879904419857.
"""

from __future__ import annotations

import re
from datetime import datetime

from gatectl.sim.http import (
    ReceivedRequest,
    Reply,
    json_object,
    json_reply,
    refuse_media_type,
    refuse_method,
    text_reply,
)
from gatectl.sim.partner_state import AGGREGATOR_ID, CheckInRequest, PartnerState

PATH = "/checkin-validation"
LATE_S = 1.5
"""Twice the 750 ms that the platform allows."""

AGGREGATOR_ID_CHARS = 128

_CUSTOMER = re.compile(r"[1-9][0-9]{0,17}")


def success(_member: str, _now: datetime) -> Reply:
    """Return 200 without a body: the page documents none, the status alone decides."""
    return Reply(200)


def not_found() -> Reply:
    return Reply(404)


def declined(text: str = "Quota used up") -> Reply:
    """Return 403 with a reason that the Event Monitor does not read."""
    return json_reply(403, {"message": text})


def read(request: ReceivedRequest, state: PartnerState) -> CheckInRequest | Reply:
    """The member that is asked for, or the refusal: 405, 401, 415 or 400."""
    refusal = refuse_method(request, "POST")
    if refusal is None and request.headers.get("x-api-key") != state.keys["perfectgym"]:
        refusal = text_reply(401, "Unauthorized")
    if refusal is None:
        refusal = refuse_media_type(request, "utf-8")
    return refusal or _read_body(request)


def _read_body(request: ReceivedRequest) -> CheckInRequest | Reply:
    body = json_object(request)
    if body is None or body.keys() != {"aggregatorId", "customerId"}:
        return text_reply(400, "Bad Request")
    aggregator, customer = body["aggregatorId"], body["customerId"]
    if not isinstance(aggregator, str) or not aggregator.strip() or len(aggregator) > AGGREGATOR_ID_CHARS:
        return text_reply(400, "Bad Request")
    if type(customer) is not int or not _CUSTOMER.fullmatch(str(customer)):
        return text_reply(400, "Bad Request")
    return CheckInRequest(str(customer) if aggregator == AGGREGATOR_ID else aggregator)
