"""PerfectGym check-in validation, the partner's side: an aggregator that identifies members by its own ID.

Sources: https://developer.sportalliance.com/apis/perfectgym/aggregator/checkin-validation; for 404,
https://support.magicline.com/hc/en-us/articles/47879904419857.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from gatectl.sim.http import (
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
from gatectl.sim.script import fixed

NAME = "perfectgym"
PATH = "/checkin-validation"
AGGREGATOR_ID = "fitco-4711"
"""The aggregatorId of a whole gym: with it, the customerId identifies the member."""
AGGREGATOR_ID_CHARS = 128

_CUSTOMER = re.compile(r"[1-9][0-9]{0,17}")


def declined(text: str = "Quota used up") -> Reply:
    """Return 403 with a reason that the Event Monitor does not read."""
    return json_reply(403, {"message": text})


def _id(number: str) -> str:
    return f"1{number}"


def _scenario(number: str, description: str, expect: Expect, reply: Reply) -> Scenario:
    return Scenario(NAME, _id(number), description, expect, fixed(reply))


_SCENARIOS = (
    _scenario("403", "not allowed", NOT_ALLOWED, declined()),
    _scenario("404", "not found", NOT_FOUND, Reply(404)),
    _scenario("207", "200 with authorized: false", NOT_ALLOWED, json_reply(200, {"authorized": False})),
    _scenario("208", "200 with authorized: true", ALLOWED, json_reply(200, {"authorized": True})),
    _scenario("400", "400 with an unknown body", PARTNER, json_reply(400, {"message": "Bad Request"})),
    _scenario("401", "401: the key is refused", CREDENTIALS, text_reply(401, "Unauthorized")),
    _scenario("500", "500", PARTNER, text_reply(500, "Internal Server Error")),
    _scenario("460", "not allowed, with a name and an e-mail address", NOT_ALLOWED, declined(NAMES)),
    _scenario("461", "not allowed, with a reason of 360 characters", NOT_ALLOWED, declined(LONG)),
)


class SimulatedPerfectGym(SimulatedProtocol):
    """The aggregator that a PerfectGym or Magicline gym works with."""

    name = NAME
    url_path = PATH
    id_note = (
        "perfectgym: the ID is the member's, with any customer's "
        f'number; with aggregator_id = "{AGGREGATOR_ID}" it is the customerId.'
    )
    routes = (
        DemoRoute(r"WP-(?P<member>[0-9A-Za-z-]{1,40})/(?P<customer>\d{1,12})"),
        DemoRoute(
            r"WP-(?P<member>(?P<customer>\d{1,18}))",
            "less to type: one number is the member's and the customer's",
        ),
    )
    examples = (
        ("WP-1001/293123213", "PerfectGym: good; the member's number and the customer's"),
        ("WP-1001", "PerfectGym: good; one number for both"),
        ("WP-1403", "PerfectGym: declined"),
        ("WP-1600", "PerfectGym: hangs; the budget ends after 750 ms"),
    )
    late_s = 1.5
    scenarios = _SCENARIOS
    interpretations: ClassVar[Mapping[str, Expect]] = {
        "EMPTY": ALLOWED,
        "OTHER-JSON": ALLOWED,
        "NOT-JSON": ALLOWED,
        "EMPTY-AS-HTML": ALLOWED,
        "PLAIN-404": NOT_FOUND,
        "NGINX-404": NOT_FOUND,
        "FIREWALL-403": NOT_ALLOWED,
        "FIREWALL-401": CREDENTIALS,
    }
    """The status alone decides."""

    @staticmethod
    def owns(target: str) -> bool:
        return target == PATH

    @staticmethod
    def shared_id(scenario: SharedScenario) -> str:
        return _id(scenario.number)

    @staticmethod
    def success(_member: str, _now: datetime) -> Reply:
        """Return 200 without a body: the page documents none, the status alone decides."""
        return Reply(200)

    @staticmethod
    def not_found() -> Reply:
        return Reply(404)

    def read(self, request: ReceivedRequest) -> str | Reply:
        """Return the member, or the refusal: 405, 401, 415 or 400."""
        refusal = refuse_method(request, "POST")
        if refusal is None and request.headers.get("x-api-key") != self.key:
            refusal = text_reply(401, "Unauthorized")
        if refusal is None:
            refusal = refuse_media_type(request, "utf-8")
        return refusal or _read_body(request)


def _read_body(request: ReceivedRequest) -> str | Reply:
    body = json_object(request)
    if body is None or body.keys() != {"aggregatorId", "customerId"}:
        return text_reply(400, "Bad Request")
    aggregator, customer = body["aggregatorId"], body["customerId"]
    if not isinstance(aggregator, str) or not aggregator.strip() or len(aggregator) > AGGREGATOR_ID_CHARS:
        return text_reply(400, "Bad Request")
    if type(customer) is not int or not _CUSTOMER.fullmatch(str(customer)):
        return text_reply(400, "Bad Request")
    return str(customer) if aggregator == AGGREGATOR_ID else aggregator
