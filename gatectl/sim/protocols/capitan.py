"""Capitan barcode check-in, the partner's side.

Sources: https://api.hellocapitan.com/api/docs/barcode-check-in; for the token's header and the
length of a barcode, https://api.hellocapitan.com/api/docs/.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from gatectl.sim.http import (
    SEGMENT,
    ReceivedRequest,
    Reply,
    json_object,
    json_reply,
    refuse_media_type,
    refuse_method,
    text_reply,
)
from gatectl.sim.protocol import DemoRoute, SimulatedProtocol
from gatectl.sim.scenarios import (
    ALLOWED,
    CONFIGURATION,
    CREDENTIALS,
    LONG,
    NAMES,
    NOT_ALLOWED,
    NOT_FOUND,
    PARTNER,
    Expect,
    Scenario,
)
from gatectl.sim.script import AnswerContext, Script, fixed, whole

NAME = "capitan"
PREFIX = "/api/gym-endpoints/barcode-check-in/"
LOCATIONS = range(1, 100)
"""The known locations; any other is `invalid_location`."""
MILESTONES = "Your 100th visit!\nWell done, Buzz: every route of this wall"
CUSTOMER = {
    "customer_id": 13,
    "customer_first_name": "Buzz",
    "customer_last_name": "Aldrin",
    "customer_email": "buzz@example.com",
}

_MAX_BARCODE = 128


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


def _with_milestones(context: AnswerContext) -> Script:
    return whole(json_reply(200, success_body(context.now) | {"milestones": MILESTONES}))


def _without_id(context: AnswerContext) -> Script:
    body = success_body(context.now)
    del body["id"]
    return whole(json_reply(200, body))


def _scenario(barcode: str, description: str, expect: Expect, reply: Reply) -> Scenario:
    return Scenario(NAME, barcode, description, expect, fixed(reply))


_SCENARIOS = (
    Scenario(NAME, "MILESTONES", "good, with two milestones, a name in one", ALLOWED, _with_milestones),
    _scenario("ALERTS", "check_in_alerts", NOT_ALLOWED, declined("check_in_alerts", "No waiver.")),
    _scenario(
        "ALERTS-TWO",
        "check_in_alerts, two of them",
        NOT_ALLOWED,
        declined("check_in_alerts", "No waiver.", "Your belay test is out of date."),
    ),
    _scenario("NO-ENTRY", "no_entry_method", NOT_ALLOWED, declined("no_entry_method")),
    _scenario("DUPLICATE", "duplicate_check_in", NOT_ALLOWED, declined("duplicate_check_in")),
    _scenario("NOT-FOUND", "customer_not_found", NOT_FOUND, not_found()),
    _scenario(
        "NOT-FOUND-400",
        "customer_not_found at 400",
        NOT_FOUND,
        json_reply(400, {"error": "customer_not_found"}),
    ),
    _scenario(
        "ALERTS-404",
        "check_in_alerts at 404",
        NOT_ALLOWED,
        declined("check_in_alerts", status=404),
    ),
    _scenario("LOCATION", "invalid_location", CONFIGURATION, invalid_location()),
    _scenario("LOCATION-400", "invalid_location at 400", CONFIGURATION, invalid_location(400)),
    Scenario(NAME, "NO-ID", "200 with the documented body, but no id", PARTNER, _without_id),
    _scenario("STATUS-400", "400 with an unknown error", PARTNER, json_reply(400, {"error": "unknown"})),
    _scenario("STATUS-401", "401: the token is refused", CREDENTIALS, unauthorised()),
    _scenario("STATUS-403", "403: the token is refused", CREDENTIALS, forbidden()),
    _scenario("STATUS-500", "500", PARTNER, text_reply(500, "Server Error (500)")),
    _scenario(
        "ALERT-NAMES",
        "check_in_alerts, with the customer's name and e-mail address in the text",
        NOT_ALLOWED,
        declined("check_in_alerts", NAMES),
    ),
    _scenario(
        "ALERT-LONG",
        "check_in_alerts, a text of 360 characters",
        NOT_ALLOWED,
        declined("check_in_alerts", LONG),
    ),
)


class SimulatedCapitan(SimulatedProtocol):
    """Capitan, with one location for each whole number below 100."""

    name = NAME
    settings = (f"location_id = {LOCATIONS[0]}",)
    routes = (DemoRoute("CAP-(?P<member>.+)"),)
    examples = (("CAP-GOOD-1", "Capitan: good"), ("CAP-ALERTS", "Capitan: declined, no waiver"))
    scenarios = _SCENARIOS
    already = ("duplicate_check_in", declined("duplicate_check_in"))

    @staticmethod
    def owns(target: str) -> bool:
        return target.startswith(PREFIX)

    @staticmethod
    def success(_member: str, now: datetime) -> Reply:
        """Return the documented 200."""
        return json_reply(200, success_body(now))

    @staticmethod
    def not_found() -> Reply:
        return not_found()

    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the barcode, or the refusal: 404, 405, 401, 415 or 400."""
        barcode = _barcode(request.target)
        if isinstance(barcode, Reply):
            return barcode
        refusal = refuse_method(request, "POST")
        if refusal is None and request.headers.get("authorization") != f"Token {self.key}":
            refusal = unauthorised()
        return refusal or _refuse_body(request) or barcode


def _barcode(target: str) -> str | Reply:
    """Return the decoded barcode; 404 for another path, or for one that servers normalise away."""
    segment = target.removeprefix(PREFIX)
    if not segment.endswith("/") or not SEGMENT.fullmatch(segment[:-1]):
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
