"""Wellhub custom codes: the requests, and the meaning of each documented answer.

Source: https://developers.gympass.com/product/access-control-api/1.0/endpoints ("Custom codes").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Literal

from gatectl.partners.exchange import PartnerRequest, PartnerResponse, json_of, json_request, rest_s
from gatectl.partners.wellhub.check_in import CUSTOM_CODE_CHARS

Action = Literal["create", "update", "delete"]

_METHODS: dict[Action, str] = {"create": "POST", "update": "PUT", "delete": "DELETE"}
_DONE: dict[Action, frozenset[int]] = {
    "create": frozenset({201}),
    "update": frozenset({200}),
    "delete": frozenset({200, 204}),
}
"""A deletion should have an empty answer, but the page's example of its answer is that of an update."""


class ChangeKind(Enum):
    """The result of a request to change a code."""

    DONE = auto()
    REFUSED = auto()
    """Wellhub refused; it changed nothing."""
    MISSING = auto()
    """Wellhub has no code of this member."""
    KEY = auto()
    """Wellhub refused the key; every other request with it will fail too."""
    BUSY = auto()
    """Wellhub changed nothing; try again after `wait_s`."""
    UNKNOWN = auto()
    """Wellhub may have made the change."""


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """The result of a request: a line for people, and what to do."""

    kind: ChangeKind
    line: str = ""
    hint: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a member's custom code; `code` is empty for a deletion that names none."""

    action: Action
    wellhub_id: str
    code: str = ""

    def request(self, base: str, gym_id: str, key: str) -> PartnerRequest:
        """Make the request. `base` is the path of the settings' URL, without a slash at its end."""
        headers = (("Authorization", f"Bearer {key}"), ("X-Gym-Id", gym_id))
        target = f"{base}/access/v1/code/{self.wellhub_id}"
        if self.action == "delete":
            asked = json_request(target, {}, *headers)
            return PartnerRequest(target, asked.headers, b"", "DELETE")
        asked = json_request(
            target, {"custom_code": self.code}, ("Content-Type", "application/json"), *headers
        )
        return PartnerRequest(target, asked.headers, asked.body, _METHODS[self.action])

    def interpret(self, answer: PartnerResponse) -> ChangeOutcome:
        """Interpret an answer: only the documented success counts as done."""
        errors = _errors(answer)
        match answer.status:
            case status if status in _DONE[self.action] and _is_success(answer) and not errors:
                return ChangeOutcome(ChangeKind.DONE)
            case 400 if "custom_code" in errors:
                what = f"Wellhub refuses the code: it must have 1 to {CUSTOM_CODE_CHARS} characters"
                return ChangeOutcome(ChangeKind.REFUSED, what, "choose a shorter code, and no blank one")
            case 401 | 403:
                return ChangeOutcome(
                    ChangeKind.KEY,
                    f"Wellhub refuses this gym's key or gym_id ({answer.status})",
                    "the key may no longer be valid: ask Wellhub's Technical Sales",
                )
            case 404 if "checkin.custom-code.not-found" in errors:
                what = f"Wellhub has no custom code for {self.wellhub_id} at this gym"
                return ChangeOutcome(ChangeKind.MISSING, what, "make one: gatectl codes create")
            case 409:
                what = f"Wellhub has a custom code for {self.wellhub_id} at this gym already"
                return ChangeOutcome(ChangeKind.REFUSED, what, "replace it: gatectl codes update")
            case 429:
                wait_s = rest_s(answer)
                what = f"Wellhub asks to be left alone for {wait_s:.0f} s"
                return ChangeOutcome(ChangeKind.BUSY, what, "repeat it then", wait_s)
            case status if status >= 500:
                return unknown(self, f"Wellhub failed ({status})")
            case status:
                what = f"Wellhub gave an answer that is not documented ({status})"
                return ChangeOutcome(
                    ChangeKind.UNKNOWN, what, "is the partner's url right? gatectl check --connect"
                )


def unknown(change: Change, what: str) -> ChangeOutcome:
    """Make the outcome for a missing or unclear answer. Repeating the change is safe, and shows the state."""
    hint = "it may have been done there; repeat it"
    if change.action == "create":
        hint += ", and if a code is there already: gatectl codes update"
    return ChangeOutcome(ChangeKind.UNKNOWN, what, hint)


def _is_success(answer: PartnerResponse) -> bool:
    """Return whether the body is the documented one, or empty, with no bytes after its end."""
    if answer.has_surplus or answer.is_packed:
        return False
    body = json_of(answer)
    metadata = body.get("metadata") if isinstance(body, dict) else None
    counted = metadata.get("errors") if isinstance(metadata, dict) else None
    return not answer.body.strip() or (isinstance(body, dict) and not counted)


def _errors(answer: PartnerResponse) -> set[str]:
    """Return the keys of the answer's errors; an error without a key counts as an empty one."""
    body = json_of(answer) if answer.body else None
    found: Any = body.get("errors") if isinstance(body, dict) else body
    listed = found if isinstance(found, list) else []
    return {str(error.get("key", "")) if isinstance(error, dict) else "" for error in listed}
