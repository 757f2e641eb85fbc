"""The Device API of Magicline and PerfectGym Next: identifies a card or code, as their turnstiles do.

It knows the gym's own members and those of its aggregators. A POST to
`/open-api/device/cardreader/identification` with `Authorization: Bearer TOKEN`, the device's own token, and a
JSON object: `identification` has the `type`, the `value` and, for a NUMBER, the `format`; DECIMAL
1173673668653440, HEX_MSB 042b73321a3180 and HEX_LSB 80311a32732b04 are the same card. With
`shouldExecuteAction` the software makes the check-in, and books what it costs; without it all is checked, and
nothing done.

| answer | comes to |
|---|---|
| 200 with `"authorized": true` | allowed |
| 200 with `"authorized": false` | not allowed; `text` says why |
| 400, 403 with an `errorCode` | not allowed; `errorMessage` says why |
| 404 with an `errorCode` | not found |
| 401 | fault `credentials`: the token is refused |
| 403 without a JSON object | fault `credentials` |
| 401, 403 with HTML, as a firewall sends it | fault `partner` |
| anything else, also without an `errorCode` | fault `partner` |

`text` and `errorMessage` are meant for the member. `traceId` is meant for the platform's support, and goes
into the event's detail. `interpret` in `exchange.py` adds the answers that are not a verdict in any protocol.

Source: https://developer.sportalliance.com/ (Device API).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import Number, Numbers
from gatectl.decision.verdict import Decision, MemberWords, Reason, Verdict
from gatectl.partners.exchange import (
    Endpoint,
    PartnerRequest,
    PartnerResponse,
    described,
    is_html,
    json_of,
    json_request,
    no_verdict,
)
from gatectl.partners.protocol import Contradiction, PartnerSettings, ProtocolDescriptor, Remark
from gatectl.partners.reason import member_words_of, reason_of
from gatectl.validators.addresses import base_url
from gatectl.validators.values import HeaderText, Name

PATH = "/open-api/device/cardreader/identification"

NUMBER = "NUMBER"
"""The one type of identification that has a format."""

Format = Literal["DECIMAL", "HEX_MSB", "HEX_LSB"]

_VALUE_CHARS_MAX = 64
_NUMBERS: Mapping[str | None, Number] = {
    "DECIMAL": Number(re.compile(r"\d{1,64}", re.ASCII), "1 to 64 digits", (1, _VALUE_CHARS_MAX)),
    "HEX_MSB": Number(re.compile(r"[0-9A-Fa-f]{1,64}"), "1 to 64 hexadecimal digits", (1, _VALUE_CHARS_MAX)),
    # From the last byte on, half a byte has no place.
    "HEX_LSB": Number(
        re.compile(r"(?:[0-9A-Fa-f]{2}){1,32}"),
        "2 to 64 hexadecimal digits, two for each byte",
        (2, _VALUE_CHARS_MAX),
    ),
    None: Number(
        re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,64}", re.ASCII), "1 to 64 characters", (1, _VALUE_CHARS_MAX)
    ),
}
"""The values of each format of a NUMBER; None is any other type of identification."""

_TRACE_ID = re.compile(r"[0-9A-Za-z._:-]{1,64}", re.ASCII)

_REFUSALS = {400: Verdict.NOT_ALLOWED, 403: Verdict.NOT_ALLOWED, 404: Verdict.NOT_FOUND}
"""Statuses that are a refusal if the answer has an errorCode."""


class DeviceApiSettings(PartnerSettings):
    """The gym's own software, asked by its Device API: Magicline or PerfectGym Next."""

    protocol: Literal["device-api"]
    """The Device API of Magicline and PerfectGym Next."""
    url: Annotated[str, base_url("/open-api")]
    """Without the path: https://TENANT.devices.magicline.com or https://TENANT.devices.perfectgym.com."""
    identification: Name = NUMBER
    """The type of identification. NUMBER is a card's number; another type of the API is sent as it is."""
    format: Format | None = None
    """How the software reads the number; only for NUMBER, where DECIMAL is the default."""
    language: HeaderText | None = None
    """The language of the words for the member, such as de; it is sent as Accept-Language."""
    check_in: Literal["admission", "passage"] = "admission"
    """When the member is checked in: with the admission, or once the sensor has seen him pass."""


class DeviceApiProtocol:
    """One device of the gym's software. Its token belongs to one door in the software."""

    def __init__(
        self,
        endpoint: Endpoint,
        key: str,
        identification: str = NUMBER,
        number_format: Format | None = "DECIMAL",
        language: str | None = None,
        other_keys: tuple[str, ...] = (),
        *,
        checks_in: bool = True,
    ) -> None:
        """`number_format` is None for another identification than NUMBER. `other_keys` are masked too.

        Without `checks_in` the software only decides.
        """
        self.endpoint = endpoint
        self.key = key
        self.identification = identification
        self.format = number_format
        self.language = language
        self.other_keys = other_keys
        self.checks_in = checks_in

    def request(self, member: str, code: str, customer: str = "", door: str = "") -> PartnerRequest:  # noqa: ARG002 - one number
        """Make the request."""
        identification = {"type": self.identification, "value": member}
        if self.format is not None:
            identification["format"] = self.format
        language = () if self.language is None else (("Accept-Language", self.language),)
        return json_request(
            f"{self.endpoint.base}{PATH}",
            {"identification": identification, "shouldExecuteAction": self.checks_in},
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {self.key}"),
            *language,
        )

    def interpret(self, answer: PartnerResponse) -> Decision:
        """Interpret an answer by the module's table."""
        body = json_of(answer)
        fields = body if isinstance(body, dict) else None
        match answer.status:
            case 200 | 401 | 403 if is_html(answer):
                return no_verdict(answer)
            case 200 if fields is not None and fields.get("authorized") is True:
                return self._decided(answer, Verdict.ALLOWED, fields, fields.get("text"))
            case 200 if fields is not None and fields.get("authorized") is False:
                return self._decided(answer, Verdict.NOT_ALLOWED, fields, fields.get("text"))
            case 400 | 403 | 404 if fields is not None and _error_code(fields):
                verdict = _REFUSALS[answer.status]
                return self._decided(answer, verdict, fields, fields.get("errorMessage"))
            case 401:
                return self._undecided(answer, fields, Fault.CREDENTIALS, "401: the token is refused")
            case 403 if fields is None:
                return self._undecided(answer, fields, Fault.CREDENTIALS, "403: the token is refused")
            case _:
                return self._undecided(answer, fields)

    def _decided(
        self, answer: PartnerResponse, verdict: Verdict, fields: dict[str, Any], text: Any
    ) -> Decision:
        is_refusal = verdict is not Verdict.ALLOWED
        return Decision(
            verdict,
            status=answer.status,
            reason=self._reason(fields) if is_refusal else None,
            detail=_trace(fields, self._keys) or None,
            for_member=self._for_member(text, fields),
        )

    def _undecided(
        self,
        answer: PartnerResponse,
        fields: dict[str, Any] | None,
        fault: Fault = Fault.PARTNER,
        what: str | None = None,
    ) -> Decision:
        trace = _trace(fields or {}, self._keys)
        what = what or described(answer)
        return no_verdict(
            answer,
            fault,
            None if fields is None else self._reason(fields),
            f"{what}, {trace}" if trace else what,
        )

    @property
    def _keys(self) -> tuple[str, ...]:
        return (self.key, *self.other_keys)

    def _reason(self, fields: dict[str, Any]) -> Reason | None:
        text = fields.get("errorMessage", fields.get("text"))
        return reason_of(_error_code(fields), text, fields, self._keys)

    def _for_member(self, text: Any, fields: dict[str, Any]) -> MemberWords | None:
        lines = text.splitlines() if isinstance(text, str) else []
        return member_words_of(None, lines, fields, self._keys)


def _error_code(fields: dict[str, Any]) -> str | None:
    """Return the answer's errorCode; an empty one counts as none."""
    code = fields.get("errorCode")
    return code if isinstance(code, str) and code.strip() else None


def _trace(fields: dict[str, Any], secrets: tuple[str, ...]) -> str:
    """Return the platform's own ID of this exchange, in words; empty if none is fit to store."""
    trace_id = fields.get("traceId")
    if not isinstance(trace_id, str) or not _TRACE_ID.fullmatch(trace_id):
        return ""
    return "" if any(secret in trace_id for secret in secrets) else f"traceId {trace_id}"


def _format(settings: DeviceApiSettings) -> Format | None:
    return (settings.format or "DECIMAL") if settings.identification == NUMBER else None


def _make(
    settings: DeviceApiSettings,
    endpoint: Endpoint,
    key: str,
    other_keys: tuple[str, ...],
    *,
    checks_in: bool = True,
) -> DeviceApiProtocol:
    return DeviceApiProtocol(
        endpoint,
        key,
        settings.identification,
        _format(settings),
        settings.language,
        other_keys,
        checks_in=checks_in,
    )


def _make_asking_only(
    settings: DeviceApiSettings, endpoint: Endpoint, key: str, other_keys: tuple[str, ...]
) -> DeviceApiProtocol | None:
    if settings.check_in == "admission":
        return None
    return _make(settings, endpoint, key, other_keys, checks_in=False)


def _contradictions(raw: Mapping[str, Any]) -> Iterator[Contradiction]:
    if "format" in raw and raw.get("identification", NUMBER) != NUMBER:
        hint = f"leave it out, or leave out identification, which is {NUMBER} then"
        yield Contradiction(("format",), f"is only for {NUMBER}, the numbers of cards", (hint,))


def _remarks(settings: DeviceApiSettings) -> Iterator[Remark]:
    if settings.url.lower().startswith("https://tenant."):
        yield "url", "TENANT stands for the gym's own name in the address of its software"


PROTOCOL = ProtocolDescriptor(
    name="device-api",
    settings=DeviceApiSettings,
    make=_make,
    numbers=lambda settings: Numbers(_NUMBERS[_format(settings)]),
    make_asking_only=_make_asking_only,
    also_called=dict.fromkeys(
        ("deviceapi", "device_api", "device", "magicline", "members", "turnstile", "cardreader"),
        "the gym's own members of Magicline and PerfectGym Next are asked by device-api, "
        "those of an aggregator by perfectgym",
    ),
    contradictions=_contradictions,
    remarks=_remarks,
    key_advice=(
        "and whether the device is still there in the gym's software",
        "und ob es das Gerät in der Software des Studios noch gibt",
    ),
)
