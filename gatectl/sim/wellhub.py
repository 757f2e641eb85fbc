"""Wellhub Access Control, the partner's side: validate, and custom codes.

Sources: https://developers.gympass.com/product/access-control-api/1.0/endpoints; for the keys and messages of
validate's refusals, the page's earlier version at https://developers.gympass.com/product/access-control-api/1.0/endpoint.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
from gatectl.sim.partner_state import GYM_ID, CheckInRequest, PartnerState

PREFIX = "/access/v1/"
VALIDATE = "/access/v1/validate"
CODE = "/access/v1/code/"
LATE_S = 2.5

NOT_FOUND = "checkin.validation.notfound"
CANCELLED = "checkin.validation.cancelled"
EXPIRED = "checkin.validation.expired"
ALREADY_VALIDATED = "checkin.already.validated"

_MEMBER = re.compile(r"[0-9]{13}")
_MAX_CODE = 13


def success(member: str, now: datetime) -> Reply:
    """Return the documented 200."""
    return json_reply(200, success_body(member, now))


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
    return json_reply(404, errors_body(NOT_FOUND, "Check-In not found in database"))


def cancelled() -> Reply:
    return json_reply(400, errors_body(CANCELLED, "Check-In cancelled"))


def expired() -> Reply:
    return json_reply(400, errors_body(EXPIRED, "Check-In expired"))


def already_validated() -> Reply:
    return json_reply(400, errors_body(ALREADY_VALIDATED, "Check-In already validated"))


def denied() -> Reply:
    """Return 403: the key is no longer valid."""
    message = "User is not authorized to access this resource with an explicit deny"
    return json_reply(403, errors_body(None, message, message_key="Message"))


def unexpected() -> Reply:
    """Return 500, as documented for custom codes."""
    message = "There was an unexpected internal server error"
    return json_reply(500, errors_body("checkin.custom-code.unexpected-error", message))


def read(request: ReceivedRequest, state: PartnerState) -> CheckInRequest | Reply:
    """The member to be validated, or the refusal: 405, 403, 415 or 400."""
    refusal = refuse_method(request, "POST") or _refuse_caller(request, state)
    if refusal is None:
        refusal = refuse_media_type(request, "", "utf-8")
    return refusal or _read_body(request)


def _read_body(request: ReceivedRequest) -> CheckInRequest | Reply:
    body = json_object(request)
    if body is None or not {"gympass_id"} <= body.keys() <= {"gympass_id", "custom_code"}:
        return _bad_request()
    member = body["gympass_id"]
    if not isinstance(member, str) or not _MEMBER.fullmatch(member):
        return _bad_request()
    if "custom_code" in body and not _is_code(body["custom_code"]):
        return _bad_request()
    return CheckInRequest(member, body.get("custom_code"))


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A request to create (POST), update (PUT) or delete (DELETE) a member's custom code."""

    method: str
    member: str
    code: str = ""


def read_code(request: ReceivedRequest, state: PartnerState) -> CodeChange | Reply:
    """The change of a member's code, or the refusal: 405, 403, 415 or 400."""
    refusal = refuse_method(request, "POST", "PUT", "DELETE") or _refuse_caller(request, state)
    if refusal is not None:
        return refusal
    member = request.target.removeprefix(CODE)
    if not _MEMBER.fullmatch(member):
        return _bad_request()
    if request.method == "DELETE":
        return CodeChange("DELETE", member)
    return refuse_media_type(request, "", "utf-8") or _read_code_body(request, member)


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


def _refuse_caller(request: ReceivedRequest, state: PartnerState) -> Reply | None:
    """Refuse a bad key, and another gym's ID alike: the key identifies the caller and its gyms."""
    if request.headers.get("authorization") != f"Bearer {state.keys['wellhub']}":
        return denied()
    if "x-gym-id" not in request.headers:
        return _bad_request()
    return None if request.headers["x-gym-id"] == GYM_ID else denied()


def _bad_request() -> Reply:
    """Return 400 without a documented key, so that it says nothing about a check-in."""
    return text_reply(400, "Bad Request")
