"""The protocol `http`: asks any backend, a gym's own too, and understands its answers by settings.

The request is of the settings' method, URL and body, with the key where `auth` says. An answer comes to the
verdict of the first rule that fits it (`answer_rules.py`). No rule that fits is no verdict: 401 is fault
`credentials`, anything else fault `partner`. `interpret` in `exchange.py` adds the answers that are not a
verdict in any protocol; an API gateway's 403 is one of them only if no rule fits.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import Number, Numbers
from gatectl.decision.verdict import Decision, Reason, Verdict
from gatectl.partners.exchange import (
    Endpoint,
    PartnerRequest,
    PartnerResponse,
    compact_json,
    no_verdict,
    rest_s,
)
from gatectl.partners.generic_http.answer_rules import AnswerRule, first_fit
from gatectl.partners.generic_http.backend_values import (
    Auth,
    JsonBody,
    TargetTemplate,
    UrlTemplate,
    body_of,
    names_in,
    texts_of,
)
from gatectl.partners.protocol import (
    Contradiction,
    KeyForm,
    PartnerSettings,
    ProtocolDescriptor,
    Remark,
)
from gatectl.partners.reason import reason_of
from gatectl.validators.patterns import AsciiPattern, lengths
from gatectl.validators.values import Key, NotEmpty

_ANY_NUMBER = r"(?!\.{1,2}\Z).{1,512}"
"""The numbers without `member_pattern`. In a path `.` and `..` would be resolved away."""

_FAULTS = {"credentials": Fault.CREDENTIALS, "configuration": Fault.CONFIGURATION}

_DETAILS = {
    Fault.CREDENTIALS: "the key is refused",
    Fault.CONFIGURATION: "the partner does not know what the settings name",
}


class HttpSettings(PartnerSettings):
    """Any other backend: asked as written here, and understood by the rules in `answers`."""

    protocol: Literal["http"]
    """Any backend, the gym's own too."""
    url: UrlTemplate
    """The whole URL. {code}, {member}, {door} and {key} in path and query become the scan's values,
    percent-encoded."""
    method: Literal["POST", "GET", "PUT"] = "POST"
    """The method of the request."""
    auth: Auth = "bearer"
    """How the key is sent: "bearer", "basic" (the key is user:password), "header:NAME", or "none"."""
    key: Key | None = None  # type: ignore[assignment] # only a protocol itself reads its key's place
    """The place of the key; not with auth = "none", unless url or body has {key}."""
    body: JsonBody | None = None
    """A table that is sent as JSON, with POST and PUT. {code}, {member}, {door} and {key} inside its texts
    become the scan's values."""
    member_pattern: AsciiPattern | None = None
    """The numbers that this partner can have; others are not recognised, and it is not asked."""
    answers: Annotated[tuple[AnswerRule, ...], NotEmpty()]
    """The rules, in their order: the first that fits an answer decides; without one there is no verdict."""


class HttpProtocol:
    """One backend. `secrets` are masked in reasons."""

    def __init__(
        self,
        target: TargetTemplate,
        method: str,
        headers: tuple[tuple[str, str], ...],
        body: Mapping[str, Any] | None,
        answers: tuple[AnswerRule, ...],
        key: str,
        secrets: tuple[str, ...],
    ) -> None:
        self.target = target
        self.method = method
        self.headers = headers
        self.body = body
        self.answers = answers
        self.key = key
        self.secrets = secrets

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest:  # noqa: ARG002 - no placeholder for it
        """Make the request, with every value encoded for its place."""
        values = {"member": member, "code": code, "door": door, "key": self.key}
        body = b"" if self.body is None else compact_json(body_of(self.body, values))
        return PartnerRequest(self.target.fill(values), self.headers, body, self.method)

    def interpret(self, answer: PartnerResponse) -> Decision:
        """Interpret an answer by the first rule that fits it."""
        index = first_fit(self.answers, answer)
        if index is None:
            if answer.status == 401:
                return no_verdict(answer, Fault.CREDENTIALS, detail="401: the key is refused")
            is_json = answer.status < 300 and isinstance(answer.json, dict)
            detail = f"{answer.status} with JSON that no rule fits" if is_json else None
            return no_verdict(answer, detail=detail)
        rule = self.answers[index]
        reason = self._reason(rule, answer)
        if rule.verdict in _FAULTS:
            fault = _FAULTS[rule.verdict]
            return no_verdict(answer, fault, reason, f"{answer.status}: {_DETAILS[fault]}", by_rule=True)
        rest = rest_s(answer) if answer.status == 429 else None
        return Decision(Verdict(rule.verdict), None, answer.status, reason, rest_s=rest, by_rule=True)

    def _reason(self, rule: AnswerRule, answer: PartnerResponse) -> Reason | None:
        texts = rule.reason_in(answer)
        return reason_of(None, texts, answer.json, self.secrets) if texts else None


def _make(settings: HttpSettings, _endpoint: Endpoint, key: str, other_keys: tuple[str, ...]) -> HttpProtocol:
    auth = _auth_headers(settings.auth, key)
    content_type = () if settings.body is None else (("Content-Type", "application/json"),)
    sent = [value.rpartition(" ")[2] for _, value in auth]
    password = [key.partition(":")[2]] if settings.auth == "basic" else []
    secrets = {key, quote(key, safe=""), *sent, *password, *other_keys} - {""}
    return HttpProtocol(
        TargetTemplate.of(settings.url),
        settings.method,
        (
            ("Accept", "application/json, */*;q=0.5"),
            ("Accept-Encoding", "identity"),
            *content_type,
            *auth,
        ),
        settings.body,
        settings.answers,
        key,
        tuple(secrets),
    )


def _auth_headers(auth: str, key: str) -> tuple[tuple[str, str], ...]:
    match auth:
        case "none":
            return ()
        case "bearer":
            return (("Authorization", f"Bearer {key}"),)
        case "basic":
            # UTF-8 (RFC 7617, section 2.1).
            return (("Authorization", f"Basic {base64.b64encode(key.encode()).decode()}"),)
    return ((auth.partition(":")[2], key),)


def _numbers(settings: HttpSettings) -> Numbers:
    pattern = settings.member_pattern
    if pattern is None:
        rule = "1 to 512 characters, not `.` or `..`"
        return Numbers(Number(re.compile(_ANY_NUMBER, re.DOTALL), rule, (1, 512)))
    return Numbers(Number(pattern, "one that member_pattern matches", lengths(pattern, "")))


def _key_form(table: Mapping[str, Any]) -> KeyForm:
    auth = table.get("auth")
    if auth == "basic":
        return "user:password"
    return "header value" if isinstance(auth, str) and auth.startswith("header:") else "key"


def _explain(settings: HttpSettings) -> Iterator[str]:
    body = "" if settings.body is None else f" with {compact_json(settings.body).decode()}"
    yield f"asks {settings.method} {settings.url}{body}, {_KEY_SENT.get(settings.auth, settings.auth)}"
    yield from (f"{number}. {rule}" for number, rule in enumerate(settings.answers, 1))
    yield "any other answer -> no verdict, and the gate stays shut (401: our key is refused)"


def _explain_answer(settings: HttpSettings, answer: PartnerResponse) -> str:
    index = first_fit(settings.answers, answer)
    return "" if index is None else f"by rule {index + 1}: {settings.answers[index].condition()}"


_KEY_SENT = {
    "bearer": "the key in Authorization: Bearer",
    "basic": "user and password in Authorization: Basic",
    "none": "no key in a header",
}


def _contradictions(raw: Mapping[str, Any]) -> Iterator[Contradiction]:
    if "body" in raw and raw.get("method", "POST") == "GET":
        yield Contradiction(("body",), "does not go with method GET", ('write method = "POST"',))
    yield from _about_key(raw)
    rules = raw.get("answers")
    if isinstance(rules, list) and rules:
        yield from _about_rules(rules)


def _about_key(raw: Mapping[str, Any]) -> Iterator[Contradiction]:
    auth = raw.get("auth", "bearer")
    texts = [text for part in (raw.get("url"), raw.get("body")) for text in texts_of(part)]
    in_text = any("key" in names_in(text) for text in texts)
    needs = "{key}" if in_text else f'auth = "{auth}"'
    if "key" not in raw and (auth != "none" or in_text):
        yield Contradiction(
            ("key",),
            f"is missing: {needs} sends it",
            (
                'put the key alone into a file: key = { file = "/etc/gatectl/secrets/NAME" }',
                'a backend that wants none has auth = "none"',
            ),
        )
    if "key" in raw and auth == "none" and not in_text:
        what = 'is not used: auth is "none", and neither url nor body has {key}'
        yield Contradiction(("key",), what, ('leave the key out, or write auth = "bearer"',))


def _about_rules(rules: list[Any]) -> Iterator[Contradiction]:
    verdicts = [rule.get("verdict") if isinstance(rule, dict) else None for rule in rules]
    admits = [at for at, verdict in enumerate(verdicts) if verdict == "allowed"]
    if not admits and all(verdicts):
        what = "no rule has the verdict allowed, so nobody would be admitted"
        hint = 'as in { status = 200, json = { granted = true }, verdict = "allowed" }'
        yield Contradiction(("answers",), what, (hint,))
    for at in admits:
        if "status" not in rules[at]:
            what = "opens the gate whatever the status: it must name one"
            yield Contradiction(("answers", at), what, ("add status = 200 to it",))


def _remarks(settings: HttpSettings) -> Iterator[Remark]:
    for index, rule in enumerate(settings.answers):
        where = ("answers", index)
        before = next((at for at in range(index) if settings.answers[at].hides(rule)), None)
        if before is not None:
            yield where, f"never decides: answers[{before}] before it fits all of its answers"
        odd = [status for status in rule.status or () if not 200 <= status < 300]
        if rule.verdict == "allowed" and odd:
            yield where, f"opens the gate on {odd[0]}, with which a server says that something went wrong"
        for path, value in rule.json.items():
            if isinstance(value, dict):
                whole = f'compares "{path}" as a whole; "{path}.NAME", in quotes, is one member of it'
                yield (*where, "json"), whole


PROTOCOL = ProtocolDescriptor(
    name="http",
    settings=HttpSettings,
    make=_make,
    numbers=_numbers,
    any_refusal_may_be_return=True,
    gives_reasons=lambda settings: all(
        rule.reason is not None for rule in settings.answers if rule.verdict == "not_allowed"
    ),
    also_called={
        name: f'{partner} is asked by protocol = "http", with rules for its answers'
        for name, partner in (
            ("https", "a backend over HTTPS"),
            ("rest", "a backend of the gym's own"),
            ("custom", "a backend of the gym's own"),
            ("totalpass", "TotalPass"),
        )
    },
    examples={
        "answers": "each rule is a table of its own, under [[partners.NAME.answers]] in two brackets",
        "verdict": 'verdict = "allowed", "not_allowed", "not_found", "credentials" or "configuration"',
    },
    contradictions=_contradictions,
    remarks=_remarks,
    key_form=_key_form,
    explain=_explain,
    explain_answer=_explain_answer,
)
