"""Capitan barcode check-in, the partner's side.

Sources: https://api.hellocapitan.com/api/docs/barcode-check-in; for the token's header and the
length of a barcode, https://api.hellocapitan.com/api/docs/.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from gatectl.sim.http import (
    ReceivedRequest,
    Reply,
    json_object,
    json_reply,
    refuse_media_type,
    refuse_method,
    text_reply,
)
from gatectl.sim.partner_state import LOCATIONS, CheckInRequest, PartnerState

PREFIX = "/api/gym-endpoints/barcode-check-in/"
LATE_S = 2.5
CUSTOMER = {
    "customer_id": 13,
    "customer_first_name": "Buzz",
    "customer_last_name": "Aldrin",
    "customer_email": "buzz@example.com",
}

_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")
"""One segment of a path (RFC 3986, section 3.3)."""
_MAX_BARCODE = 128


def success(_member: str, now: datetime) -> Reply:
    """Return the documented 200."""
    return json_reply(200, success_body(now))


def success_body(now: datetime) -> dict[str, Any]:
    """Return the page's example with every field; the alert is internal and must never be shown."""
    alert = {
        "alert_text": "Pays late. Call buzz@example.com",
        "created_date": now.strftime("%Y-%m-%d"),
        "color_hex": "a52a2a",
        "prevents_check_in": False,
    }
    return {
        "id": 17,
        **CUSTOMER,
        "entry_method": "MEM",
        "entry_method_description": "Single Monthly Membership",
        "milestones": "",
        "check_in_count": 7,
        "has_any_automatic_check_ins": False,
        "has_any_challenges_completed": False,
        "customer_alerts": [alert],
        "reservations": [],
        "association_memberships_pending_reverification": [],
    }


def not_found() -> Reply:
    return json_reply(404, {"error": "customer_not_found"})


def declined(error: str, *alerts: str, status: int = 400) -> Reply:
    """Return a documented refusal, with the customer's name and address as on the page."""
    body: dict[str, Any] = {"error": error}
    if alerts:
        body["alerts"] = list(alerts)
    return json_reply(status, body | CUSTOMER)


def invalid_location(status: int = 404) -> Reply:
    return json_reply(status, {"error": "invalid_location"})


def unauthorised() -> Reply:
    return json_reply(401, {"detail": "Invalid token."}, ("WWW-Authenticate", "Token"))


def forbidden() -> Reply:
    return json_reply(403, {"detail": "You do not have permission to perform this action."})


def already_checked_in() -> Reply:
    return declined("duplicate_check_in")


def read(request: ReceivedRequest, state: PartnerState) -> CheckInRequest | Reply:
    """The member of the barcode, or the refusal: 404, 405, 401, 415 or 400."""
    barcode = _barcode(request.target)
    if isinstance(barcode, Reply):
        return barcode
    refusal = refuse_method(request, "POST")
    if refusal is None and request.headers.get("authorization") != f"Token {state.keys['capitan']}":
        refusal = unauthorised()
    return refusal or _refuse_body(request) or CheckInRequest(barcode)


def _barcode(target: str) -> str | Reply:
    """Return the decoded barcode; 404 for another path, or for one that servers normalise away."""
    segment = target.removeprefix(PREFIX)
    if not segment.endswith("/") or not _SEGMENT.fullmatch(segment[:-1]):
        return text_reply(404, "Not Found")
    try:
        barcode = unquote_to_bytes(segment[:-1]).decode("utf-8")
    except UnicodeDecodeError:
        return text_reply(400, "Bad Request")
    if barcode in {".", ".."}:
        return text_reply(404, "Not Found")
    return barcode if len(barcode) <= _MAX_BARCODE else text_reply(400, "Bad Request")


def _refuse_body(request: ReceivedRequest) -> Reply | None:
    """Return the refusal of a body, or None. The body is optional, and so is its one field."""
    if not request.body:
        return None
    refusal = refuse_media_type(request, "", "utf-8")
    if refusal is not None:
        return refusal
    body = json_object(request)
    if body is None or not body.keys() <= {"location_id"}:
        return text_reply(400, "Bad Request")
    location = body.get("location_id", LOCATIONS[0])
    if type(location) is not int:
        return text_reply(400, "Bad Request")
    return None if location in LOCATIONS else invalid_location()
