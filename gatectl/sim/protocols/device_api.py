"""The Device API of Magicline and PerfectGym Next, the software's side: identify a card at a device.

Source: https://developer.sportalliance.com/ (Device API).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from gatectl.sim import script
from gatectl.sim.http import (
    ReceivedRequest,
    Reply,
    json_object,
    json_reply,
    refuse_media_type,
    refuse_method,
    text_reply,
)
from gatectl.sim.protocol import DemoRoute, SimulatedAnswer, SimulatedProtocol
from gatectl.sim.scenarios import (
    ALLOWED,
    CREDENTIALS,
    LONG,
    NAMES,
    NOT_ALLOWED,
    NOT_FOUND,
    PARTNER,
    TIMEOUT,
    Expect,
    Scenario,
    SharedScenario,
)
from gatectl.sim.script import Build, fixed

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
    _scenario(
        "720", "good, but the check-in is refused", NOT_ALLOWED, refusal(403, "Tageskontingent verbraucht.")
    ),
    Scenario(NAME, _id("721"), "good, but no answer to the check-in", TIMEOUT, script.hang),
)

_GOOD_WITHOUT_CHECK_IN = {_id("720"), _id("721")}
"""Members who are admitted where nobody is to be checked in."""


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

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self._checks_in = True
        """Whether the request at hand is a check-in, and no mere question."""

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
        self._checks_in = True
        refused = refuse_method(request, "POST")
        if refused is None and request.headers.get("authorization") != f"Bearer {self.key}":
            refused = unauthorised()
        if refused is None:
            refused = refuse_media_type(request, "", "utf-8")
        return refused or self._read_body(request)

    def _read_body(self, request: ReceivedRequest) -> str | Reply:
        question = _question(json_object(request))
        if question is None:
            return text_reply(400, "Bad Request")
        value, self._checks_in = question
        return value

    def answer(self, request: ReceivedRequest, now: datetime) -> SimulatedAnswer:
        """Return the answer; its description says where nobody was to be checked in."""
        answer = super().answer(request, now)
        return (
            answer
            if self._checks_in
            else replace(answer, description=f"asked without checking in: {answer.description}")
        )

    def _build(self, scenario: Scenario) -> Build:
        if not self._checks_in and scenario.id in _GOOD_WITHOUT_CHECK_IN:
            return script.good
        return super()._build(scenario)


def _question(body: Any) -> tuple[str, bool] | None:
    """Return the value of a well-formed body, and whether to check in."""
    if body is None or body.keys() != {"identification", "shouldExecuteAction"}:
        return None
    value, checks_in = _value(body["identification"]), body["shouldExecuteAction"]
    return None if value is None or type(checks_in) is not bool else (value, checks_in)


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
