"""Wellhub (Gympass) Access Control: validate the check-in that a member has made in the app.

A POST to `/access/v1/validate` with `Authorization: Bearer KEY`, the gym's number in `X-Gym-Id`, and a JSON
object: `gympass_id`, text of 13 digits, and optionally `custom_code`, the gym's own code of the member. It is
a write without an idempotency key: each success makes the transaction that pays the gym.

| answer | comes to |
|---|---|
| 200 without a body, or with a JSON object that holds no error | allowed |
| 200, 400, 404 with `checkin.validation.notfound` (no check-in is waiting) | not found |
| 200, 400, 404 with `checkin.validation.cancelled` (also `canceled`) or `.expired` | not allowed |
| 200, 400, 404 with `checkin.already.validated` | not allowed |
| 200, 400, 404 with anything else | fault `partner` |
| 401, 403 | fault `credentials`: the key is refused, or is for another gym |
| 401, 403 with HTML, as a firewall sends it | fault `partner` |
| anything else | fault `partner` |

An error is an object with `key` and `message` (also `Message`), in a list `errors`, in a bare list, or alone.
`interpret` in `exchange.py` adds the answers that are not a verdict in any protocol.

Sources: https://developers.gympass.com/product/access-control-api/1.0/endpoints; for the keys of refusals,
the page's earlier version, https://developers.gympass.com/product/access-control-api/1.0/endpoint.
"""

import re
from typing import Annotated, Any, Literal

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
)
from gatectl.partners.protocol import ProtocolDescriptor, SettlingSettings
from gatectl.partners.reason import reason_of
from gatectl.validators.addresses import base_url
from gatectl.validators.values import HeaderText

ALREADY_VALIDATED = "checkin.already.validated"

_VERDICTS = {
    "checkin.validation.notfound": Verdict.NOT_FOUND,
    "checkin.validation.cancelled": Verdict.NOT_ALLOWED,
    "checkin.validation.canceled": Verdict.NOT_ALLOWED,
    "checkin.validation.expired": Verdict.NOT_ALLOWED,
    ALREADY_VALIDATED: Verdict.NOT_ALLOWED,
}

_ERROR_MEMBER = frozenset({"key", "message", "Message"})

CUSTOM_CODE_CHARS = 13

NUMBERS = Numbers(Number(re.compile(r"\d{13}", re.ASCII), "13 digits", (13, 13)))
"""gympass_id is text of 13 digits; leading zeros occur."""


class WellhubSettings(SettlingSettings):
    """A partner asked by Wellhub's access control API."""

    protocol: Literal["wellhub"]
    """Wellhub's access control."""
    url: Annotated[str, base_url("/access/v1")] = "https://api.partners.gympass.com"
    """Without the path, without a slash at its end."""
    gym_id: HeaderText
    """Text, since leading zeros count; it is sent as X-Gym-Id."""
    send_custom_code: bool = False
    """Send the scanned code along, where it is not the ID itself."""


class WellhubProtocol:
    """One gym at Wellhub. `validate` is a write: it makes the transaction that pays the gym."""

    def __init__(
        self,
        endpoint: Endpoint,
        gym_id: str,
        key: str,
        *,
        send_custom_code: bool = False,
        other_keys: tuple[str, ...] = (),
    ) -> None:
        """The other partners' keys are masked in reasons too."""
        self.endpoint = endpoint
        self.gym_id = gym_id
        self.key = key
        self.send_custom_code = send_custom_code
        self.other_keys = other_keys

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest:  # noqa: ARG002 - it has none
        """Make the request. `member` is the 13-digit ID; the code is added only if it differs, and fits."""
        body = {"gympass_id": member}
        if self.send_custom_code and code != member and code.strip() and len(code) <= CUSTOM_CODE_CHARS:
            body["custom_code"] = code
        return json_request(
            f"{self.endpoint.base}/access/v1/validate",
            body,
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {self.key}"),
            ("X-Gym-Id", self.gym_id),
        )

    def interpret(self, answer: PartnerResponse) -> Decision:
        """Interpret an answer by the module's table: a documented key decides at 200, 400 and 404 alike."""
        body = json_of(answer)
        errors = _errors_in(body)
        match answer.status:
            case 200 | 401 | 403 if is_html(answer):
                return no_verdict(answer)
            case 200 if not answer.body.strip():
                return Decision(Verdict.ALLOWED, status=200)
            case 200 if isinstance(body, dict) and not _has_errors(body):
                return Decision(Verdict.ALLOWED, status=200)
            case 200 | 400 | 404:
                return self._refusal(answer, body, errors)
            case 401:
                reason = self._reason(body, errors)
                return no_verdict(answer, Fault.CREDENTIALS, reason, "401: the key is refused")
            case 403:
                detail = "403: the key is refused, or it is not for this gym_id"
                return no_verdict(answer, Fault.CREDENTIALS, self._reason(body, errors), detail)
            case _:
                return no_verdict(answer, reason=self._reason(body, errors))

    def _refusal(self, answer: PartnerResponse, body: Any, errors: list[dict[str, Any]]) -> Decision:
        for error in errors:
            verdict = _verdict_of(error)
            if verdict is not None:
                return Decision(verdict, status=answer.status, reason=self._reason(body, [error]))
        detail = f"{answer.status} with an error that is not documented" if errors else None
        return no_verdict(answer, reason=self._reason(body, errors), detail=detail)

    def _reason(self, body: Any, errors: list[dict[str, Any]]) -> Reason | None:
        if not errors:
            return None
        error = errors[0]
        text = error.get("message", error.get("Message"))
        return reason_of(error.get("key"), text, body, (self.key, *self.other_keys), _VERDICTS)


def _verdict_of(error: dict[str, Any]) -> Verdict | None:
    key = error.get("key")
    return _VERDICTS.get(key) if isinstance(key, str) else None


def _has_errors(body: dict[str, Any]) -> bool:
    metadata = body.get("metadata")
    counted = metadata.get("errors") if isinstance(metadata, dict) else None
    # An error member may also come without the array around it.
    bare = bool(body) and body.keys() <= _ERROR_MEMBER
    return bool(body.get("errors")) or bool(counted) or bare or _verdict_of(body) is not None


def _errors_in(body: Any) -> list[dict[str, Any]]:
    """Return the error members, in any of their forms: under `errors`, in a top-level array, or alone."""
    if body is NOT_JSON:
        return []
    errors = body.get("errors") if isinstance(body, dict) else body
    if isinstance(errors, dict):
        errors = [errors]
    found = [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if not found and isinstance(body, dict) and _ERROR_MEMBER & body.keys():
        return [body]
    return found


def _make(
    settings: WellhubSettings, endpoint: Endpoint, key: str, other_keys: tuple[str, ...]
) -> WellhubProtocol:
    return WellhubProtocol(
        endpoint, settings.gym_id, key, send_custom_code=settings.send_custom_code, other_keys=other_keys
    )


PROTOCOL = ProtocolDescriptor(
    name="wellhub",
    settings=WellhubSettings,
    make=_make,
    numbers=lambda _settings: NUMBERS,
    already_in=frozenset({ALREADY_VALIDATED}),
    also_called={"gympass": "Gympass is Wellhub now: did you mean wellhub?"},
    examples={"gym_id": 'gym_id = "…" is the number that Wellhub gave this gym, in quotes'},
    key_advice=("and whether it is for this gym_id", "und ob er für diese gym_id gilt"),
)
