"""The catalogue's rows of a single protocol: its documented refusals and its peculiarities."""

from __future__ import annotations

from collections.abc import Mapping

from gatectl.sim import capitan, perfectgym, wellhub
from gatectl.sim.http import ProtocolName, Reply, json_reply, text_reply
from gatectl.sim.row import (
    ALLOWED,
    CONFIGURATION,
    CREDENTIALS,
    NOT_ALLOWED,
    NOT_FOUND,
    PARTNER,
    Expect,
    ScenarioRow,
)
from gatectl.sim.script import Scenario, Script, fixed, whole

NAMES = "No waiver: Buzz Aldrin, buzz@example.com, please see the front desk."
MILESTONES = "Your 100th visit!\nWell done, Buzz: every route of this wall"
LONG = "The monthly quota is used up. " * 12
"""360 characters; a stored reason is cut at 200."""


def _row(number: str, word: str, what: str, expect: Expect, reply: Reply) -> ScenarioRow:
    return ScenarioRow(number, word, what, expect, fixed(reply))


def _lower_case_id(scenario: Scenario) -> Script:
    return whole(json_reply(200, wellhub.success_body(scenario.member, scenario.now, id_key="id")))


def _with_milestones(scenario: Scenario) -> Script:
    return whole(json_reply(200, capitan.success_body(scenario.now) | {"milestones": MILESTONES}))


def _without_id(scenario: Scenario) -> Script:
    body = capitan.success_body(scenario.now)
    del body["id"]
    return whole(json_reply(200, body))


PERFECTGYM = (
    _row("403", "", "not allowed", NOT_ALLOWED, perfectgym.declined()),
    _row("404", "", "not found", NOT_FOUND, perfectgym.not_found()),
    _row("207", "", "200 with authorized: false", NOT_ALLOWED, json_reply(200, {"authorized": False})),
    _row("208", "", "200 with authorized: true", ALLOWED, json_reply(200, {"authorized": True})),
    _row("400", "", "400 with an unknown body", PARTNER, json_reply(400, {"message": "Bad Request"})),
    _row("401", "", "401: the key is refused", CREDENTIALS, text_reply(401, "Unauthorized")),
    _row("500", "", "500", PARTNER, text_reply(500, "Internal Server Error")),
    _row(
        "460", "", "not allowed, with a name and an e-mail address", NOT_ALLOWED, perfectgym.declined(NAMES)
    ),
    _row("461", "", "not allowed, with a reason of 360 characters", NOT_ALLOWED, perfectgym.declined(LONG)),
)

_CANCELED = wellhub.errors_body("checkin.validation.canceled", "Check-In canceled")
_EXPIRED = wellhub.errors_body(wellhub.EXPIRED, "Check-In expired")
_NOT_FOUND = wellhub.errors_body(wellhub.NOT_FOUND, "Check-In not found in database")
_UNKNOWN = wellhub.errors_body("checkin.validation.unknown", "Something else")
_TOP_DENY = {"Message": "User is not authorized to access this resource with an explicit deny"}

WELLHUB = (
    _row("404", "", "not found: no pending check-in", NOT_FOUND, wellhub.not_found()),
    _row("451", "", "cancelled", NOT_ALLOWED, wellhub.cancelled()),
    _row("452", "", "cancelled, spelled canceled", NOT_ALLOWED, json_reply(400, _CANCELED)),
    _row("453", "", "expired", NOT_ALLOWED, wellhub.expired()),
    _row("454", "", "already validated", NOT_ALLOWED, wellhub.already_validated()),
    ScenarioRow("208", "", "good, with lower-case id", ALLOWED, _lower_case_id),
    _row("207", "", "200 with the error expired inside", NOT_ALLOWED, json_reply(200, _EXPIRED)),
    _row("217", "", "200 with the error not found inside", NOT_FOUND, json_reply(200, _NOT_FOUND)),
    _row("218", "", "200 with an unknown error inside", PARTNER, json_reply(200, _UNKNOWN)),
    _row("400", "", "400 with an unknown key", PARTNER, json_reply(400, _UNKNOWN)),
    _row("409", "", "400 without a body", PARTNER, Reply(400)),
    _row("401", "", "401: the key is refused", CREDENTIALS, json_reply(401, {"message": "Unauthorized"})),
    _row("403", "", "403: the key is no longer valid", CREDENTIALS, wellhub.denied()),
    _row("413", "", "403, explicit deny without errors", CREDENTIALS, json_reply(403, _TOP_DENY)),
    _row("500", "", "500", PARTNER, wellhub.unexpected()),
    _row("462", "", "expired, the errors at the top", NOT_ALLOWED, json_reply(400, _EXPIRED["errors"])),
    _row("463", "", "400 with a message alone", PARTNER, json_reply(400, {"message": "Check-In expired"})),
    _row("464", "", "expired at 404", NOT_ALLOWED, json_reply(404, _EXPIRED)),
    _row("465", "", "not found at 400", NOT_FOUND, json_reply(400, _NOT_FOUND)),
    _row(
        "466",
        "",
        "expired, with Message for message",
        NOT_ALLOWED,
        json_reply(400, wellhub.errors_body(wellhub.EXPIRED, "Check-In expired", message_key="Message")),
    ),
    _row(
        "460",
        "",
        "expired, with a name and an e-mail address",
        NOT_ALLOWED,
        json_reply(400, wellhub.errors_body(wellhub.EXPIRED, NAMES)),
    ),
    _row(
        "461",
        "",
        "expired, with a reason of 360 characters",
        NOT_ALLOWED,
        json_reply(400, wellhub.errors_body(wellhub.EXPIRED, LONG)),
    ),
)

CAPITAN = (
    ScenarioRow("", "MILESTONES", "good, with two milestones, a name in one", ALLOWED, _with_milestones),
    _row("", "ALERTS", "check_in_alerts", NOT_ALLOWED, capitan.declined("check_in_alerts", "No waiver.")),
    _row(
        "",
        "ALERTS-TWO",
        "check_in_alerts, two of them",
        NOT_ALLOWED,
        capitan.declined("check_in_alerts", "No waiver.", "Your belay test is out of date."),
    ),
    _row("", "NO-ENTRY", "no_entry_method", NOT_ALLOWED, capitan.declined("no_entry_method")),
    _row("", "DUPLICATE", "duplicate_check_in", NOT_ALLOWED, capitan.declined("duplicate_check_in")),
    _row("", "NOT-FOUND", "customer_not_found", NOT_FOUND, capitan.not_found()),
    _row(
        "",
        "NOT-FOUND-400",
        "customer_not_found at 400",
        NOT_FOUND,
        json_reply(400, {"error": "customer_not_found"}),
    ),
    _row(
        "",
        "ALERTS-404",
        "check_in_alerts at 404",
        NOT_ALLOWED,
        capitan.declined("check_in_alerts", status=404),
    ),
    _row("", "LOCATION", "invalid_location", CONFIGURATION, capitan.invalid_location()),
    _row("", "LOCATION-400", "invalid_location at 400", CONFIGURATION, capitan.invalid_location(400)),
    ScenarioRow("", "NO-ID", "200 with the documented body, but no id", PARTNER, _without_id),
    _row("", "STATUS-400", "400 with an unknown error", PARTNER, json_reply(400, {"error": "unknown"})),
    _row("", "STATUS-401", "401: the token is refused", CREDENTIALS, capitan.unauthorised()),
    _row("", "STATUS-403", "403: the token is refused", CREDENTIALS, capitan.forbidden()),
    _row("", "STATUS-500", "500", PARTNER, text_reply(500, "Server Error (500)")),
    _row(
        "",
        "ALERT-NAMES",
        "check_in_alerts, with the customer's name and e-mail address in the text",
        NOT_ALLOWED,
        capitan.declined("check_in_alerts", NAMES),
    ),
    _row(
        "",
        "ALERT-LONG",
        "check_in_alerts, a text of 360 characters",
        NOT_ALLOWED,
        capitan.declined("check_in_alerts", LONG),
    ),
)

ROWS: Mapping[ProtocolName, tuple[ScenarioRow, ...]] = {
    "perfectgym": PERFECTGYM,
    "wellhub": WELLHUB,
    "capitan": CAPITAN,
}
