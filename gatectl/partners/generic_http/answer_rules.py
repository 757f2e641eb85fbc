"""The rules by which the answers of a generic HTTP partner are understood.

The first rule that fits decides. A rule fits by the answer's status and by members of its JSON object. A rule
that admits never fits an HTML page, an answer that begins as JSON and does not parse, one with bytes behind
its end, or one whose compression cannot be undone; `client.py` has already dropped answers that are late,
cut short or over 64 KiB.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

from gatectl.partners.exchange import NOT_JSON, PartnerResponse, is_html, json_of, start_of
from gatectl.partners.generic_http.backend_values import JsonMembers, MemberPath, Statuses
from gatectl.validators.values import Table

Outcome = Literal["allowed", "not_allowed", "not_found", "credentials", "configuration"]
"""The result of an answer: a verdict about the member, or a fault of the gym's own settings."""

_WORDS = {
    "allowed": "allowed: the gate opens",
    "not_allowed": "not allowed",
    "not_found": "not found",
    "credentials": "our key is refused (fault credentials)",
    "configuration": "our settings are wrong (fault configuration)",
}

_ABSENT = object()


class AnswerRule(Table):
    """One rule: the answers that it fits, and their result."""

    status: Statuses | None = None
    """The HTTP status, or a list of them; left out, any. A rule that is allowed names it."""
    json: JsonMembers = MappingProxyType({})
    """Members that the answer's JSON object must have, with these values; "a.b", in quotes, goes deeper."""
    verdict: Outcome
    """The result of such an answer."""
    reason: MemberPath | None = None
    """The member of the answer that is the partner's own reason; "a.b" goes deeper."""

    def fits(self, answer: PartnerResponse) -> bool:
        """Return whether the rule decides about this answer."""
        if self.status is not None and answer.status not in self.status:
            return False
        if self.verdict == "allowed" and not _may_admit(answer):
            return False
        if not self.json:
            return True
        body = json_of(answer)
        return all(is_equal(member_at(body, path), value) for path, value in self.json.items())

    def reason_in(self, answer: PartnerResponse) -> tuple[str, ...]:
        """Return the texts of the partner's own reason; a list on the way gives one for each item."""
        return () if self.reason is None else tuple(_texts_at(json_of(answer), self.reason.split(".")))

    def hides(self, later: "AnswerRule") -> bool:
        """Return whether every answer that `later` fits is decided by this rule before."""
        if self.verdict == "allowed" and later.verdict != "allowed" and not later.json:
            return False  # the later rule may fit a page, or text that is not JSON
        covers = self.status is None or (later.status is not None and {*later.status} <= {*self.status})
        asks_no_more = all(
            path in later.json and is_equal(later.json[path], value) for path, value in self.json.items()
        )
        return covers and asks_no_more

    def condition(self) -> str:
        """Describe the answers that it fits: `403 or 404 with "granted": false`."""
        status = "any status" if self.status is None else " or ".join(map(str, self.status))
        members = [f'"{path}": {json.dumps(value, ensure_ascii=False)}' for path, value in self.json.items()]
        return f"{status} with {' and '.join(members)}" if members else status

    def __str__(self) -> str:
        reason = f', its reason is "{self.reason}"' if self.reason else ""
        return f"{self.condition()} -> {_WORDS[self.verdict]}{reason}"


def first_fit(rules: Sequence[AnswerRule], answer: PartnerResponse) -> int | None:
    """Return the index of the rule that decides about an answer."""
    return next((index for index, rule in enumerate(rules) if rule.fits(answer)), None)


def _may_admit(answer: PartnerResponse) -> bool:
    if answer.has_surplus or answer.is_packed or is_html(answer):
        return False
    begins_as_json = start_of(answer)[:1] in {"{", "[", '"'}
    return not begins_as_json or json_of(answer) is not NOT_JSON


def member_at(body: Any, path: str) -> Any:
    """Return the member of a JSON object; a dot in the path goes into the object there."""
    for name in path.split("."):
        body = body.get(name, _ABSENT) if isinstance(body, dict) else _ABSENT
    return body


def _texts_at(value: Any, path: list[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts_at(item, path)
    elif not path:
        if isinstance(value, str):
            yield value
    elif isinstance(value, dict) and path[0] in value:
        yield from _texts_at(value[path[0]], path[1:])


def is_equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 and 1.0 are equal; true is neither 1 nor "true"."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    return bool(one == other)
