"""The Device API of Magicline and PerfectGym Next, the software's side: identify a card at a device.

Source: https://developer.sportalliance.com/ (Device API).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from gatectl.sim.http import (
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
    CREDENTIALS,
    LONG,
    NAMES,
    NOT_ALLOWED,
    NOT_FOUND,
    PARTNER,
    Expect,
    Scenario,
    SharedScenario,
)
from gatectl.sim.script import fixed

NAME = "device-api"
PATH = "/open-api/device/cardreader/identification"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

_VALUES = {
    "DECIMAL": re.compile(r"[0-9]{1,64}"),
    "HEX_MSB": re.compile(r"[0-9A-Fa-f]{1,64}"),
    "HEX_LSB": re.compile(r"(?:[0-9A-Fa-f]{2}){1,32}"),
}


def refusal(status: int, message: str, code: str = "CHECK_IN_DENIED") -> Reply:
    """Return the documented error object; its message is meant for the member."""
    return json_reply(status, {"errorMessage": message, "errorCode": code, "traceId": TRACE_ID})


def unauthorised() -> Reply:
    return json_reply(401, {"errorMessage": "Unauthorized", "errorCode": "UNAUTHORIZED", "traceId": TRACE_ID})


def answered(*, authorized: bool, text: str = "") -> Reply:
    """Return the documented 200."""
    return json_reply(200, {"authorized": authorized, "text": text})


def _id(number: str) -> str:
    return f"1233588{number}"


def _scenario(number: str, description: str, expect: Expect, reply: Reply) -> Scenario:
    return Scenario(NAME, _id(number), description, expect, fixed(reply))


_SCENARIOS = (
    _scenario("208", "good, with words for the member", ALLOWED, answered(authorized=True, text="Hallo!")),
    _scenario(
        "207", "200 with authorized: false", NOT_ALLOWED, answered(authorized=False, text="Vertrag ruht.")
    ),
    _scenario("403", "not allowed", NOT_ALLOWED, refusal(403, "Kein gültiger Vertrag.")),
    _scenario("400", "not allowed, as 400", NOT_ALLOWED, refusal(400, "Außerhalb der Zutrittszeit.")),
    _scenario("404", "not found", NOT_FOUND, refusal(404, "Karte nicht bekannt.", "CARD_NOT_FOUND")),
    _scenario("409", "400 with an empty errorCode", PARTNER, refusal(400, "Bad Request", "")),
    _scenario("413", "403 with an object, but no errorCode", PARTNER, json_reply(403, {"message": "no"})),
    _scenario("414", "403 without a body", CREDENTIALS, Reply(403)),
    _scenario("401", "401: the token is refused", CREDENTIALS, unauthorised()),
    _scenario("218", "201 with authorized: true", PARTNER, json_reply(201, {"authorized": True})),
    _scenario("219", '200 with authorized: "true"', PARTNER, json_reply(200, {"authorized": "true"})),
    _scenario("500", "500", PARTNER, refusal(500, "Interner Fehler.", "INTERNAL_ERROR")),
    _scenario("501", "503", PARTNER, refusal(503, "Gerade nicht verfügbar.", "UNAVAILABLE")),
    _scenario("460", "not allowed, with a name and an e-mail address", NOT_ALLOWED, refusal(403, NAMES)),
    _scenario("461", "not allowed, with a reason of 360 characters", NOT_ALLOWED, refusal(403, LONG)),
)


class SimulatedDeviceApi(SimulatedProtocol):
    """A gym's own software, with one device for the door."""

    name = NAME
    routes = (DemoRoute(r"1233588\d{3}", "the gym's own members, by the numbers of their cards"),)
    examples = (
        (_id("200"), "Device API: good"),
        (_id("403"), "Device API: declined, with words for the member"),
        (_id("404"), "Device API: unknown card"),
    )
    scenarios = _SCENARIOS

    @staticmethod
    def owns(target: str) -> bool:
        return target == PATH

    @staticmethod
    def shared_id(scenario: SharedScenario) -> str:
        return _id(scenario.number)

    @staticmethod
    def success(_member: str, _now: datetime) -> Reply:
        return answered(authorized=True)

    @staticmethod
    def not_found() -> Reply:
        return refusal(404, "Karte nicht bekannt.", "CARD_NOT_FOUND")

    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the identification's value, or the refusal: 405, 401, 415 or 400."""
        refused = refuse_method(request, "POST")
        if refused is None and request.headers.get("authorization") != f"Bearer {self.key}":
            refused = unauthorised()
        if refused is None:
            refused = refuse_media_type(request, "", "utf-8")
        return refused or _read_body(request)


def _read_body(request: ReceivedRequest) -> str | Reply:
    body = json_object(request)
    bad_request = text_reply(400, "Bad Request")
    if body is None or body.keys() != {"identification", "shouldExecuteAction"}:
        return bad_request
    if type(body["shouldExecuteAction"]) is not bool:
        return bad_request
    return _value(body["identification"]) or bad_request


def _value(identification: Any) -> str | None:
    """Return the value of a well-formed identification; only a NUMBER has a format, and needs it."""
    if not isinstance(identification, dict) or not isinstance(identification.get("value"), str):
        return None
    value = identification["value"]
    if identification.get("type") == "NUMBER":
        pattern = _VALUES.get(str(identification.get("format")))
        is_whole = identification.keys() == {"type", "value", "format"}
        return value if is_whole and pattern and pattern.fullmatch(value) else None
    is_other = identification.keys() == {"type", "value"} and isinstance(identification["type"], str)
    return value if is_other and value.strip() and len(value) <= 64 else None
