"""The scenarios: one fixed ID for each answer of a partner, and gatectl's decision about that answer.

A protocol documents refusals of its own (`gatectl.sim.protocols`); the scenarios here are the same in every
protocol: variants of success, statuses, middleboxes, and faults of the connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.sim import script
from gatectl.sim.http import Reply, html_reply, json_reply, text_reply
from gatectl.sim.script import Build, fixed

Expect = tuple[Verdict, Fault | None]
"""gatectl's interpretation of the answer, under the default budgets; a fault where there is no decision."""

ALLOWED: Expect = (Verdict.ALLOWED, None)
NOT_ALLOWED: Expect = (Verdict.NOT_ALLOWED, None)
NOT_FOUND: Expect = (Verdict.NOT_FOUND, None)
PARTNER: Expect = (Verdict.NONE, Fault.PARTNER)
NETWORK: Expect = (Verdict.NONE, Fault.NETWORK)
TIMEOUT: Expect = (Verdict.NONE, Fault.TIMEOUT)
CREDENTIALS: Expect = (Verdict.NONE, Fault.CREDENTIALS)
CONFIGURATION: Expect = (Verdict.NONE, Fault.CONFIGURATION)

NAMES = "No waiver: Buzz Aldrin, buzz@example.com, please see the front desk."
LONG = "The monthly quota is used up. " * 12
"""360 characters; a stored reason is cut at 200."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One ID of one protocol: the partner's answer, described in a few words, and gatectl's decision.

    `then`, if any, is the answer from the member's second request on: this partner counted the first one,
    even if its answer was lost.
    """

    protocol: str
    id: str
    description: str
    expect: Expect
    build: Build
    then: Build | None = None

    @property
    def verdict(self) -> Verdict:
        return self.expect[0]

    @property
    def fault(self) -> Fault | None:
        """Return None if the partner decided."""
        return self.expect[1]

    @property
    def outcome(self) -> str:
        """Return the decision in words: `allowed`, `not allowed`, `not found`, `timeout` …"""
        return (self.fault or self.verdict).value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class SharedScenario:
    """A scenario of every protocol. A protocol has the word or the number in its ID.

    `expect` is the decision of a protocol that admits on its documented success alone; a protocol that
    decides otherwise names the word in its `interpretations`. `remembered`: the partner counts the member as
    checked in as soon as the request is whole, and answers the next one with its documented refusal; only
    protocols that document one have the scenario.
    """

    number: str
    word: str
    description: str
    expect: Expect
    build: Build
    remembered: bool = False


def _reply(number: str, word: str, description: str, expect: Expect, reply: Reply) -> SharedScenario:
    return SharedScenario(number, word, description, expect, fixed(reply))


SUCCESSES = (
    SharedScenario("200", "GOOD-1", "good", ALLOWED, script.good),
    SharedScenario("001", "GOOD-2", "good", ALLOWED, script.good),
    SharedScenario("002", "GOOD-3", "good", ALLOWED, script.good),
    SharedScenario("201", "EMPTY", "200 without a body", PARTNER, script.empty),
    _reply("202", "OTHER-JSON", "200 with another JSON object", PARTNER, json_reply(200, {"status": "ok"})),
    _reply("203", "NOT-JSON", "200 with plain text", PARTNER, text_reply(200, "OK")),
    SharedScenario("210", "BY-CLOSE", "good, the body ends with the connection", ALLOWED, script.by_close),
    SharedScenario("211", "CHUNKED", "good, in chunks", ALLOWED, script.chunked),
    SharedScenario("212", "SLOW", "good after 300 ms, inside the budget", ALLOWED, script.slow),
    SharedScenario(
        "100", "CONTINUE", "100, 102 and 103, then good", ALLOWED, script.after_interim(100, 102, 103)
    ),
    _reply(
        "476",
        "EMPTY-AS-HTML",
        "200 without a body, typed text/html",
        PARTNER,
        Reply(200, headers=script.AS_HTML),
    ),
    SharedScenario("477", "GOOD-AS-HTML", "good, as JSON typed text/html", ALLOWED, script.typed_as_html),
    SharedScenario(
        "480", "CODING-UTF-8", "good, with Content-Encoding: utf-8", ALLOWED, script.coded_as_utf_8
    ),
    SharedScenario("481", "GZIP", "good, packed with gzip unasked", ALLOWED, script.gzipped),
    SharedScenario(
        "482", "ODD-HEADER", "good, with a header line `PHP Warning: x`", ALLOWED, script.with_odd_header
    ),
)

_STATUSES = (
    _reply("204", "NO-CONTENT", "204", PARTNER, Reply(204)),
    _reply("205", "PORTAL", "200 with an HTML page: a captive portal", PARTNER, script.PORTAL),
    _reply(
        "206",
        "PORTAL-AS-JSON",
        "200 with an HTML page that calls itself JSON",
        PARTNER,
        Reply(200, script.PORTAL.body, (("Content-Type", "application/json"),)),
    ),
    _reply("302", "REDIRECT", "302 to a login page", PARTNER, script.MOVED),
    _reply("440", "PLAIN-404", "404 of a proxy, plain text", PARTNER, text_reply(404, "Not Found")),
    *(
        _reply(str(status), f"STATUS-{status}", str(status), PARTNER, Reply(status))
        for status in (405, 408, 410, 415, 422)
    ),
    _reply("429", "BUSY", "429 with Retry-After: 2", PARTNER, script.BUSY),
    SharedScenario(
        "430", "BUSY-UNTIL", "429 with Retry-After as a date, 2 to 3 s ahead", PARTNER, script.busy_until
    ),
    _reply("431", "BUSY-OPEN", "429 without Retry-After", PARTNER, Reply(429)),
    _reply("503", "MAINTENANCE", "503 with an HTML page", PARTNER, script.MAINTENANCE),
)

_MIDDLEBOXES = (
    _reply(
        "470",
        "GATEWAY-KEY",
        "403 of an API gateway: the key",
        CREDENTIALS,
        json_reply(403, {"message": "Forbidden"}, ("x-amzn-ErrorType", "ForbiddenException")),
    ),
    _reply(
        "471",
        "GATEWAY-PATH",
        "403 of an API gateway: no such path",
        CONFIGURATION,
        json_reply(
            403,
            {"message": "Missing Authentication Token"},
            ("x-amzn-ErrorType", "MissingAuthenticationTokenException"),
        ),
    ),
    _reply(
        "472",
        "CLOUDFLARE",
        "403 of Cloudflare's firewall, with cf-mitigated",
        PARTNER,
        html_reply(403, "Just a moment...", ("cf-mitigated", "challenge")),
    ),
    _reply("473", "NGINX-404", "404 with nginx's page", PARTNER, html_reply(404, "404 Not Found")),
    _reply("474", "FIREWALL-403", "403 with a firewall's page", PARTNER, html_reply(403, "Access denied")),
    _reply(
        "475",
        "FIREWALL-401",
        "401 with a firewall's page",
        PARTNER,
        html_reply(401, "Authorization Required"),
    ),
)
"""Middleboxes between a gym and its partner that answer in the partner's place."""

_FAULTS = (
    SharedScenario("101", "SWITCHING", "101, then silence", PARTNER, script.switching),
    SharedScenario(
        "103", "HINTS-ONLY", "103, then closed without a final answer", NETWORK, script.interim_only
    ),
    SharedScenario("600", "HANG", "no answer, ever", TIMEOUT, script.hang),
    SharedScenario("601", "DRIP", "good, one byte each 50 ms: over the budget", TIMEOUT, script.drip),
    SharedScenario("602", "LATE", "good after {late} s: over the budget", TIMEOUT, script.late),
    SharedScenario("610", "RESET", "connection reset (RST) before the answer", NETWORK, script.reset),
    SharedScenario("611", "CLOSED", "connection closed (FIN) before the answer", NETWORK, script.closed),
    SharedScenario(
        "612", "TRUNCATED", "good, but shorter than its Content-Length, then FIN", NETWORK, script.truncated
    ),
    SharedScenario("613", "RESET-INSIDE", "200, then RST before the body", NETWORK, script.reset_inside),
    SharedScenario("614", "TOO-LARGE", "good, but over 64 KiB", PARTNER, script.too_large),
    SharedScenario(
        "615", "TOO-LARGE-CHUNKED", "good, but over 64 KiB, in chunks", PARTNER, script.too_large_chunked
    ),
    SharedScenario("616", "NOT-HTTP", "an answer that is not HTTP", PARTNER, script.not_http),
    SharedScenario(
        "617",
        "BEHIND",
        "200 with bytes behind its Content-Length, of `authorized: false` for perfectgym",
        PARTNER,
        script.behind,
    ),
    _reply("618", "BROKEN-JSON", "200 with JSON that does not parse", PARTNER, script.BROKEN_JSON),
)

_REMEMBERED = tuple(
    SharedScenario(number, word, f"{description}; then {{already}}", expect, build, remembered=True)
    for number, word, description, expect, build in (
        ("700", "ONCE", "good once", ALLOWED, script.good),
        ("701", "HANG-ONCE", "no answer, but checked in", TIMEOUT, script.hang),
        ("702", "LATE-ONCE", "good after {late} s, over the budget", TIMEOUT, script.late),
        ("703", "RESET-ONCE", "reset, but checked in", NETWORK, script.reset),
        ("704", "CUT-ONCE", "good, cut short", NETWORK, script.truncated),
        ("705", "500-ONCE", "500, but checked in", PARTNER, fixed(Reply(500))),
    )
)

FAILURES = (*_STATUSES, *_MIDDLEBOXES, *_FAULTS, *_REMEMBERED)
