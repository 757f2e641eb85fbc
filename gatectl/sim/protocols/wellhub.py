"""Wellhub Access Control, the partner's side: validate, and custom codes.

Sources: https://developers.gympass.com/product/access-control-api/1.0/endpoints; for the keys and messages of
validate's refusals, the page's earlier version at https://developers.gympass.com/product/access-control-api/1.0/endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from gatectl.decision.verdict import Verdict
from gatectl.sim.http import (
    ReceivedRequest,
    Reply,
    json_object,
    json_reply,
    refuse_media_type,
    refuse_method,
    text_reply,
)
from gatectl.sim.protocol import DemoRoute, SimulatedAnswer, SimulatedProtocol, dated, refused
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
from gatectl.sim.script import AnswerContext, Script, fixed, good, whole

NAME = "wellhub"
GYM_ID = "1234"
"""The only gym for which the key is valid."""
VALIDATE = "/access/v1/validate"
CODE = "/access/v1/code/"

NOT_FOUND_KEY = "checkin.validation.notfound"
CANCELLED_KEY = "checkin.validation.cancelled"
EXPIRED_KEY = "checkin.validation.expired"
ALREADY_VALIDATED_KEY = "checkin.already.validated"

_MEMBER = re.compile(r"[0-9]{13}")
_MAX_CODE = 13


def success_body(member: str, now: datetime, *, id_key: str = "Id") -> dict[str, Any]:
    """Return the documented body; the sandbox spells `Id` in lower case."""
    gym = {id_key: int(GYM_ID), "product": {id_key: 77, "description": "Open gym"}}
    results = {
        "user": {"gympass_id": member},
        "gym": gym,
        "validated_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {"metadata": {"total": 1, "errors": 0}, "results": results}


def errors_body(key: str | None, message: str, *, message_key: str = "message") -> dict[str, Any]:
    """Return the documented error body."""
    error = {message_key: message} if key is None else {message_key: message, "key": key}
    return {"metadata": {"total": 0, "errors": 1}, "errors": [error]}


def not_found() -> Reply:
    return json_reply(404, errors_body(NOT_FOUND_KEY, "Check-In not found in database"))


def cancelled() -> Reply:
    return json_reply(400, errors_body(CANCELLED_KEY, "Check-In cancelled"))


def expired() -> Reply:
    return json_reply(400, errors_body(EXPIRED_KEY, "Check-In expired"))


def already_validated() -> Reply:
    return json_reply(400, errors_body(ALREADY_VALIDATED_KEY, "Check-In already validated"))


def denied() -> Reply:
    """Return 403: the key is no longer valid."""
    message = "User is not authorized to access this resource with an explicit deny"
    return json_reply(403, errors_body(None, message, message_key="Message"))


def unexpected() -> Reply:
    """Return 500, as documented for custom codes."""
    message = "There was an unexpected internal server error"
    return json_reply(500, errors_body("checkin.custom-code.unexpected-error", message))


def _lower_case_id(context: AnswerContext) -> Script:
    return whole(json_reply(200, success_body(context.member, context.now, id_key="id")))


def _id(number: str) -> str:
    return f"1000000000{number}"


def _scenario(number: str, description: str, expect: Expect, reply: Reply) -> Scenario:
    return Scenario(NAME, _id(number), description, expect, fixed(reply))


_CANCELED = errors_body("checkin.validation.canceled", "Check-In canceled")
_EXPIRED = errors_body(EXPIRED_KEY, "Check-In expired")
_NOT_FOUND = errors_body(NOT_FOUND_KEY, "Check-In not found in database")
_UNKNOWN = errors_body("checkin.validation.unknown", "Something else")
_TOP_DENY = {"Message": "User is not authorized to access this resource with an explicit deny"}

_SCENARIOS = (
    _scenario("404", "not found: no pending check-in", NOT_FOUND, not_found()),
    _scenario("451", "cancelled", NOT_ALLOWED, cancelled()),
    _scenario("452", "cancelled, spelled canceled", NOT_ALLOWED, json_reply(400, _CANCELED)),
    _scenario("453", "expired", NOT_ALLOWED, expired()),
    _scenario("454", "already validated", NOT_ALLOWED, already_validated()),
    Scenario(NAME, _id("208"), "good, with lower-case id", ALLOWED, _lower_case_id),
    _scenario("207", "200 with the error expired inside", NOT_ALLOWED, json_reply(200, _EXPIRED)),
    _scenario("217", "200 with the error not found inside", NOT_FOUND, json_reply(200, _NOT_FOUND)),
    _scenario("218", "200 with an unknown error inside", PARTNER, json_reply(200, _UNKNOWN)),
    _scenario("400", "400 with an unknown key", PARTNER, json_reply(400, _UNKNOWN)),
    _scenario("409", "400 without a body", PARTNER, Reply(400)),
    _scenario("401", "401: the key is refused", CREDENTIALS, json_reply(401, {"message": "Unauthorized"})),
    _scenario("403", "403: the key is no longer valid", CREDENTIALS, denied()),
    _scenario("413", "403, explicit deny without errors", CREDENTIALS, json_reply(403, _TOP_DENY)),
    _scenario("500", "500", PARTNER, unexpected()),
    _scenario("462", "expired, the errors at the top", NOT_ALLOWED, json_reply(400, _EXPIRED["errors"])),
    _scenario("463", "400 with a message alone", PARTNER, json_reply(400, {"message": "Check-In expired"})),
    _scenario("464", "expired at 404", NOT_ALLOWED, json_reply(404, _EXPIRED)),
    _scenario("465", "not found at 400", NOT_FOUND, json_reply(400, _NOT_FOUND)),
    _scenario(
        "466",
        "expired, with Message for message",
        NOT_ALLOWED,
        json_reply(400, errors_body(EXPIRED_KEY, "Check-In expired", message_key="Message")),
    ),
    _scenario(
        "460",
        "expired, with a name and an e-mail address",
        NOT_ALLOWED,
        json_reply(400, errors_body(EXPIRED_KEY, NAMES)),
    ),
    _scenario(
        "461",
        "expired, with a reason of 360 characters",
        NOT_ALLOWED,
        json_reply(400, errors_body(EXPIRED_KEY, LONG)),
    ),
    Scenario(NAME, "0123456789012", "good, with a leading zero", ALLOWED, good),
)


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A request to create (POST), update (PUT) or delete (DELETE) a member's custom code."""

    method: str
    member: str
    code: str = ""


class SimulatedWellhub(SimulatedProtocol):
    """Wellhub, with one gym. It keeps custom codes, which may come with a check-in too."""

    name = NAME
    settings = (f'gym_id = "{GYM_ID}"',)
    routes = (DemoRoute(r"\d{13}"),)
    examples = (
        ("1000000000200", "Wellhub: good"),
        ("1000000000453", "Wellhub: declined, the check-in is expired"),
        ("1000000000404", "Wellhub: unknown, no check-in in the app yet"),
        ("1000000000600", "Wellhub: hangs; the budget ends after 2 s"),
    )
    scenarios = _SCENARIOS
    interpretations: ClassVar[Mapping[str, Expect]] = {
        "EMPTY": ALLOWED,
        "OTHER-JSON": ALLOWED,
        "EMPTY-AS-HTML": ALLOWED,
    }
    already = ("already validated", already_validated())

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.codes: dict[str, str] = {}
        """Custom codes: wellhub_id to code."""
        self._unanswered_codes: set[str] = set()
        """Members whose change was made although its answer was lost; their next change is answered."""

    @staticmethod
    def owns(target: str) -> bool:
        return target == VALIDATE or target.startswith(CODE)

    @staticmethod
    def shared_id(scenario: SharedScenario) -> str:
        return _id(scenario.number)

    @staticmethod
    def success(member: str, now: datetime) -> Reply:
        """Return the documented 200."""
        return json_reply(200, success_body(member, now))

    @staticmethod
    def not_found() -> Reply:
        return not_found()

    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the member to be validated, or the refusal: 405, 403, 415 or 400."""
        refusal = refuse_method(request, "POST") or self._refuse_caller(request)
        if refusal is None:
            refusal = refuse_media_type(request, "", "utf-8")
        return refusal or _read_body(request)

    def answer(self, request: ReceivedRequest, now: datetime) -> SimulatedAnswer:
        if request.target.startswith(CODE):
            return self._change_code(request, now)
        answer = super().answer(request, now)
        scenario = None if answer.member is None else self.find(answer.member)
        code = (json_object(request) or {}).get("custom_code")
        if scenario is not None and code is not None and _knows_check_in(scenario):
            self.codes[scenario.id] = code
        return answer

    def forget(self) -> None:
        """Clear the memory of check-ins, and all custom codes."""
        super().forget()
        self.codes.clear()

    def _change_code(self, request: ReceivedRequest, now: datetime) -> SimulatedAnswer:
        """Change a custom code. An ID with a fault at check-in has it here too, and its code stays unchanged.

        If a check-in counts although its answer is lost, so does the first change of the code.
        """
        change = self._read_code(request)
        if isinstance(change, Reply):
            return refused(NAME, change)
        scenario = self.find(change.member)
        is_lost = (
            scenario is not None
            and scenario.fault is not None
            and change.member not in self._unanswered_codes
        )
        if scenario is None or not is_lost:
            reply = dated(change_code(change, self.codes), now)
            return SimulatedAnswer(NAME, change.member, f"custom code: {reply.status}", whole(reply))
        is_taken = scenario.then is not None
        if is_taken:
            self._unanswered_codes.add(change.member)
        reply = change_code(change, self.codes if is_taken else dict(self.codes))
        script = scenario.build(AnswerContext(change.member, reply, self.late_s, now))
        return SimulatedAnswer(NAME, change.member, f"custom code: {scenario.description}", script)

    def _read_code(self, request: ReceivedRequest) -> CodeChange | Reply:
        """Return the change of a member's code, or the refusal: 405, 403, 415 or 400."""
        refusal = refuse_method(request, "POST", "PUT", "DELETE") or self._refuse_caller(request)
        if refusal is not None:
            return refusal
        member = request.target.removeprefix(CODE)
        if not _MEMBER.fullmatch(member):
            return _bad_request()
        if request.method == "DELETE":
            return CodeChange("DELETE", member)
        return refuse_media_type(request, "", "utf-8") or _read_code_body(request, member)

    def _refuse_caller(self, request: ReceivedRequest) -> Reply | None:
        """Refuse a bad key, and another gym's ID alike: the key identifies the caller and its gyms."""
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return denied()
        if "x-gym-id" not in request.headers:
            return _bad_request()
        return None if request.headers["x-gym-id"] == GYM_ID else denied()


def _knows_check_in(scenario: Scenario) -> bool:
    """Whether it has custom codes: check-ins good, cancelled, expired or validated do, errors do not."""
    return scenario.verdict in {Verdict.ALLOWED, Verdict.NOT_ALLOWED} or scenario.then is not None


def _read_body(request: ReceivedRequest) -> str | Reply:
    body = json_object(request)
    if body is None or not {"gympass_id"} <= body.keys() <= {"gympass_id", "custom_code"}:
        return _bad_request()
    member = body["gympass_id"]
    if not isinstance(member, str) or not _MEMBER.fullmatch(member):
        return _bad_request()
    if "custom_code" in body and not _is_code(body["custom_code"]):
        return _bad_request()
    return member


def _read_code_body(request: ReceivedRequest, member: str) -> CodeChange | Reply:
    body = json_object(request)
    if body is None or body.keys() != {"custom_code"}:
        return _bad_request()
    if not _is_code(body["custom_code"]):
        message = f"length must be between 1 and {_MAX_CODE} characters"
        return json_reply(400, errors_body("custom_code", message))
    return CodeChange(request.method, member, body["custom_code"])


def change_code(change: CodeChange, codes: dict[str, str]) -> Reply:
    """Change the codes (wellhub_id to code) as documented: 201, 200, 204, 409 or 404."""
    known = change.member in codes
    if change.method == "POST" and known:
        message = "Already exists a custom code for that gym and user"
        return json_reply(409, errors_body("checkin.custom-code.already-exists", message))
    if change.method != "POST" and not known:
        return _no_such_code()
    if change.method == "DELETE":
        del codes[change.member]
        return Reply(204)
    codes[change.member] = change.code
    status = 201 if change.method == "POST" else 200
    return json_reply(status, {"metadata": {"total": 1, "errors": 0}, "results": {}})


def _no_such_code() -> Reply:
    return json_reply(404, errors_body("checkin.custom-code.not-found", "Custom code not found in database"))


def _is_code(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= _MAX_CODE


def _bad_request() -> Reply:
    """Return 400 without a documented key, so that it says nothing about a check-in."""
    return text_reply(400, "Bad Request")
