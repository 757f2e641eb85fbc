"""gatectl with one more partner protocol, `toy`: all that it knows of it is in this file.

As a program it is gatectl's command line: `python toy_partner.py -c FILE run`. The partner's side is in
`tests/sim/toy_protocol.py`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from gatectl.__main__ import main
from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import Number, Numbers
from gatectl.decision.verdict import Decision, Reason, Verdict
from gatectl.partners.exchange import Endpoint, PartnerRequest, json_of, no_verdict
from gatectl.partners.protocol import Contradiction, ProtocolDescriptor, SettlingSettings
from gatectl.partners.registry import PROTOCOLS
from gatectl.validators.addresses import base_url
from gatectl.validators.values import HeaderText


class ToySettings(SettlingSettings):
    """A partner asked by the toy protocol."""

    protocol: Literal["toy"]
    """The toy protocol."""
    url: Annotated[str, base_url("/toy")]
    """Without the path."""
    colour: HeaderText
    """The colour of the toy."""


@dataclass(frozen=True)
class ToyProtocol:
    endpoint: Endpoint
    key: str

    def request(self, member, code, customer="", door=""):  # noqa: ARG002
        return PartnerRequest(
            f"{self.endpoint.base}/toy?member={member}", (("X-Toy-Key", self.key),), b"", "GET"
        )

    def interpret(self, answer):
        match answer.status:
            case 200 if json_of(answer) == {"ok": True}:
                return Decision(Verdict.ALLOWED, status=200)
            case 409:
                return Decision(
                    Verdict.NOT_ALLOWED, status=409, reason=Reason("toy.taken", "already played with")
                )
            case 410:
                return Decision(Verdict.NOT_FOUND, status=410)
            case 401:
                return no_verdict(answer, Fault.CREDENTIALS, detail="401: the key is refused")
            case _:
                return no_verdict(answer)


TOY = ProtocolDescriptor(
    name="toy",
    settings=ToySettings,
    make=lambda _settings, endpoint, key, _others: ToyProtocol(endpoint, key),
    numbers=lambda _settings: Numbers(
        Number(re.compile("[A-Za-z0-9-]+", re.ASCII), "letters, digits and hyphens", (1, 512))
    ),
    already_in=frozenset({"toy.taken"}),
    also_called={"plaything": "it is called toy here"},
    examples={"colour": 'colour = "red" is the colour of the toy'},
    contradictions=lambda raw: (
        [Contradiction(("settle_s",), "is not for white toys")]
        if raw.get("colour") == "white" and "settle_s" in raw
        else []
    ),
    remarks=lambda settings: [("colour", "is a colour that fades")] if settings.colour == "blue" else [],
    key_advice=("and whether it is for this colour", "und ob er für diese Farbe gilt"),
)

if __name__ == "__main__":
    PROTOCOLS["toy"] = TOY
    raise SystemExit(main())
