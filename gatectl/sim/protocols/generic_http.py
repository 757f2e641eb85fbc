"""A gym's own backend, the partner's side: asked by the protocol `http` with the settings given here.

A check-in is a POST to `/door/MEMBER` with a bearer token and the JSON object `{"code": …, "door": …}`. It is
answered by `{"granted": true}`, or by `{"granted": false, "message": …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
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
from gatectl.sim.script import fixed

NAME = "http"
PREFIX = "/door/"

RULES = (
    '{ status = 200, json = { granted = true }, verdict = "allowed" }',
    '{ status = [200, 403], json = { granted = false }, verdict = "not_allowed", reason = "message" }',
    '{ status = 404, json = { error = "unknown_member" }, verdict = "not_found" }',
    '{ status = 403, json = { error = "wrong_key" }, verdict = "credentials" }',
    '{ status = 409, json = { error = "unknown_door" }, verdict = "configuration" }',
)


def declined(text: str = "Your membership has ended.", status: int = 200) -> Reply:
    return json_reply(status, {"granted": False, "message": text})


def not_found() -> Reply:
    return json_reply(404, {"error": "unknown_member"})


def denied() -> Reply:
    return json_reply(401, {"error": "no_key"}, ("WWW-Authenticate", "Bearer"))


def _scenario(member: str, description: str, expect: Expect, reply: Reply) -> Scenario:
    return Scenario(NAME, member, description, expect, fixed(reply))


_SCENARIOS = (
    _scenario("REFUSED", "granted: false, with a message", NOT_ALLOWED, declined()),
    _scenario("REFUSED-403", "403 with granted: false", NOT_ALLOWED, declined(status=403)),
    _scenario("UNKNOWN", "404 with unknown_member", NOT_FOUND, not_found()),
    _scenario("GRANTED-TEXT", 'granted: "true", as text', PARTNER, json_reply(200, {"granted": "true"})),
    _scenario("GRANTED-ONE", "granted: 1", PARTNER, json_reply(200, {"granted": 1})),
    _scenario("GRANTED-DEEP", "granted, but deeper", PARTNER, json_reply(200, {"result": {"granted": True}})),
    _scenario("GRANTED-LIST", "granted, but in a list", PARTNER, json_reply(200, [{"granted": True}])),
    _scenario("GRANTED-201", "201 with granted: true", PARTNER, json_reply(201, {"granted": True})),
    _scenario("KEY-401", "401: the key is refused", CREDENTIALS, denied()),
    _scenario("KEY-403", "403 with wrong_key", CREDENTIALS, json_reply(403, {"error": "wrong_key"})),
    _scenario(
        "DOOR", "409: the door is not known", CONFIGURATION, json_reply(409, {"error": "unknown_door"})
    ),
    _scenario("STATUS-403", "403 without a body", PARTNER, Reply(403)),
    _scenario("STATUS-500", "500", PARTNER, text_reply(500, "Internal Server Error")),
    _scenario("NAMES", "refused, with a name and an e-mail address", NOT_ALLOWED, declined(NAMES)),
    _scenario("LONG", "refused, with a message of 360 characters", NOT_ALLOWED, declined(LONG)),
)


class SimulatedHttp(SimulatedProtocol):
    """A backend that knows its members by words."""

    name = NAME
    url_path = PREFIX + "{member}"
    settings = ('body = { code = "{code}", door = "{door}" }', f"answers = [{', '.join(RULES)}]")
    routes = (DemoRoute("GYM-(?P<member>.+)"),)
    examples = (
        ("GYM-GOOD-1", "Own backend: granted"),
        ("GYM-REFUSED", "Own backend: refused, the membership has ended"),
    )
    scenarios = _SCENARIOS
    interpretations: ClassVar[Mapping[str, Expect]] = {"FIREWALL-401": CREDENTIALS}

    @staticmethod
    def owns(target: str) -> bool:
        return target.startswith(PREFIX)

    @staticmethod
    def success(_member: str, _now: datetime) -> Reply:
        return json_reply(200, {"granted": True})

    @staticmethod
    def not_found() -> Reply:
        return not_found()

    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the member, or the refusal: 404, 405, 401, 415 or 400."""
        segment = request.target.removeprefix(PREFIX)
        if not SEGMENT.fullmatch(segment):
            return text_reply(404, "Not Found")
        refusal = refuse_method(request, "POST")
        if refusal is None and request.headers.get("authorization") != f"Bearer {self.key}":
            refusal = denied()
        return refusal or refuse_media_type(request, "", "utf-8") or _read(request, segment)


def _read(request: ReceivedRequest, segment: str) -> str | Reply:
    body = json_object(request)
    if body is None or body.keys() != {"code", "door"}:
        return text_reply(400, "Bad Request")
    if not all(isinstance(text, str) and text for text in body.values()):
        return text_reply(400, "Bad Request")
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        return text_reply(400, "Bad Request")
