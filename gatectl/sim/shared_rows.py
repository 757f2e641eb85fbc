"""The catalogue's rows that several protocols share: variants of success, statuses, faults of the line."""

from __future__ import annotations

from gatectl.sim import script
from gatectl.sim.http import ProtocolName, Reply, html_reply, json_reply, text_reply
from gatectl.sim.row import (
    ALLOWED,
    CONFIGURATION,
    CREDENTIALS,
    NETWORK,
    NOT_ALLOWED,
    NOT_FOUND,
    PARTNER,
    TIMEOUT,
    ScenarioRow,
    each,
)

_ELSEWHERE = each(ALLOWED, PARTNER, PARTNER)
"""A 200 without the documented body: allowed for perfectgym only, where the status alone decides."""
_WITH_MEMORY: tuple[ProtocolName, ...] = ("wellhub", "capitan")

SUCCESSES = (
    ScenarioRow("200", "GOOD-1", "good", ALLOWED, script.good),
    ScenarioRow("001", "GOOD-2", "good", ALLOWED, script.good),
    ScenarioRow("002", "GOOD-3", "good", ALLOWED, script.good),
    ScenarioRow("201", "EMPTY", "200 without a body", each(ALLOWED, ALLOWED, PARTNER), script.empty),
    ScenarioRow(
        "202",
        "OTHER-JSON",
        "200 with another JSON object",
        each(ALLOWED, ALLOWED, PARTNER),
        script.fixed(json_reply(200, {"status": "ok"})),
    ),
    ScenarioRow("203", "NOT-JSON", "200 with plain text", _ELSEWHERE, script.fixed(text_reply(200, "OK"))),
    ScenarioRow("210", "BY-CLOSE", "good, the body ends with the connection", ALLOWED, script.by_close),
    ScenarioRow("211", "CHUNKED", "good, in chunks", ALLOWED, script.chunked),
    ScenarioRow("212", "SLOW", "good after 300 ms, inside the budget", ALLOWED, script.slow),
    ScenarioRow(
        "100", "CONTINUE", "100, 102 and 103, then good", ALLOWED, script.after_interim(100, 102, 103)
    ),
    ScenarioRow(
        "476",
        "EMPTY-AS-HTML",
        "200 without a body, typed text/html",
        each(ALLOWED, ALLOWED, PARTNER),
        script.fixed(Reply(200, headers=script.AS_HTML)),
    ),
    ScenarioRow("477", "GOOD-AS-HTML", "good, as JSON typed text/html", ALLOWED, script.typed_as_html),
    ScenarioRow("480", "CODING-UTF-8", "good, with Content-Encoding: utf-8", ALLOWED, script.coded_as_utf_8),
    ScenarioRow("481", "GZIP", "good, packed with gzip unasked", ALLOWED, script.gzipped),
    ScenarioRow(
        "482", "ODD-HEADER", "good, with a header line `PHP Warning: x`", ALLOWED, script.with_odd_header
    ),
)

IN_BETWEEN = (
    ScenarioRow(
        "470",
        "GATEWAY-KEY",
        "403 of an API gateway: the key",
        CREDENTIALS,
        script.fixed(json_reply(403, {"message": "Forbidden"}, ("x-amzn-ErrorType", "ForbiddenException"))),
    ),
    ScenarioRow(
        "471",
        "GATEWAY-PATH",
        "403 of an API gateway: no such path",
        CONFIGURATION,
        script.fixed(
            json_reply(
                403,
                {"message": "Missing Authentication Token"},
                ("x-amzn-ErrorType", "MissingAuthenticationTokenException"),
            )
        ),
    ),
    ScenarioRow(
        "472",
        "CLOUDFLARE",
        "403 of Cloudflare's firewall, with cf-mitigated",
        PARTNER,
        script.fixed(html_reply(403, "Just a moment...", ("cf-mitigated", "challenge"))),
    ),
    ScenarioRow(
        "473",
        "NGINX-404",
        "404 with nginx's page",
        each(NOT_FOUND, PARTNER, PARTNER),
        script.fixed(html_reply(404, "404 Not Found")),
    ),
    ScenarioRow(
        "474",
        "FIREWALL-403",
        "403 with a firewall's page",
        each(NOT_ALLOWED, PARTNER, PARTNER),
        script.fixed(html_reply(403, "Access denied")),
    ),
    ScenarioRow(
        "475",
        "FIREWALL-401",
        "401 with a firewall's page",
        each(CREDENTIALS, PARTNER, PARTNER),
        script.fixed(html_reply(401, "Authorization Required")),
    ),
)
"""Middleboxes between a gym and its partner that answer in the partner's place."""

STATUSES = (
    ScenarioRow("204", "NO-CONTENT", "204", PARTNER, script.fixed(Reply(204))),
    ScenarioRow(
        "205", "PORTAL", "200 with an HTML page: a captive portal", PARTNER, script.fixed(script.PORTAL)
    ),
    ScenarioRow(
        "206",
        "PORTAL-AS-JSON",
        "200 with an HTML page that calls itself JSON",
        PARTNER,
        script.fixed(Reply(200, script.PORTAL.body, (("Content-Type", "application/json"),))),
    ),
    ScenarioRow("302", "REDIRECT", "302 to a login page", PARTNER, script.fixed(script.MOVED)),
    ScenarioRow(
        "440",
        "PLAIN-404",
        "404 of a proxy, plain text",
        each(NOT_FOUND, PARTNER, PARTNER),
        script.fixed(text_reply(404, "Not Found")),
    ),
    *(
        ScenarioRow(str(status), f"STATUS-{status}", str(status), PARTNER, script.fixed(Reply(status)))
        for status in (405, 408, 410, 415, 422)
    ),
    ScenarioRow("429", "BUSY", "429 with Retry-After: 2", PARTNER, script.fixed(script.BUSY)),
    ScenarioRow(
        "430", "BUSY-UNTIL", "429 with Retry-After as a date, 2 to 3 s ahead", PARTNER, script.busy_until
    ),
    ScenarioRow("431", "BUSY-OPEN", "429 without Retry-After", PARTNER, script.fixed(Reply(429))),
    ScenarioRow("503", "MAINTENANCE", "503 with an HTML page", PARTNER, script.fixed(script.MAINTENANCE)),
)

FAULTS = (
    ScenarioRow("101", "SWITCHING", "101, then silence", PARTNER, script.switching),
    ScenarioRow("103", "HINTS-ONLY", "103, then closed without a final answer", NETWORK, script.interim_only),
    ScenarioRow("600", "HANG", "no answer, ever", TIMEOUT, script.hang),
    ScenarioRow("601", "DRIP", "good, one byte each 50 ms: over the budget", TIMEOUT, script.drip),
    ScenarioRow("602", "LATE", "good after {late} s: over the budget", TIMEOUT, script.late),
    ScenarioRow("610", "RESET", "connection reset (RST) before the answer", NETWORK, script.reset),
    ScenarioRow("611", "CLOSED", "connection closed (FIN) before the answer", NETWORK, script.closed),
    ScenarioRow(
        "612", "TRUNCATED", "good, but shorter than its Content-Length, then FIN", NETWORK, script.truncated
    ),
    ScenarioRow("613", "RESET-INSIDE", "200, then RST before the body", NETWORK, script.reset_inside),
    ScenarioRow("614", "TOO-LARGE", "good, but over 64 KiB", PARTNER, script.too_large),
    ScenarioRow(
        "615", "TOO-LARGE-CHUNKED", "good, but over 64 KiB, in chunks", PARTNER, script.too_large_chunked
    ),
    ScenarioRow("616", "NOT-HTTP", "an answer that is not HTTP", PARTNER, script.not_http),
    ScenarioRow(
        "617",
        "BEHIND",
        "200 with bytes behind its Content-Length, of `authorized: false` for perfectgym",
        PARTNER,
        script.behind,
    ),
    ScenarioRow(
        "618", "BROKEN-JSON", "200 with JSON that does not parse", PARTNER, script.fixed(script.BROKEN_JSON)
    ),
)

REMEMBERED = tuple(
    ScenarioRow(number, word, f"{what}; then {{already}}", expect, build, _WITH_MEMORY, remembered=True)
    for number, word, what, expect, build in (
        ("700", "ONCE", "good once", ALLOWED, script.good),
        ("701", "HANG-ONCE", "no answer, but checked in", TIMEOUT, script.hang),
        ("702", "LATE-ONCE", "good after {late} s, over the budget", TIMEOUT, script.late),
        ("703", "RESET-ONCE", "reset, but checked in", NETWORK, script.reset),
        ("704", "CUT-ONCE", "good, cut short", NETWORK, script.truncated),
        ("705", "500-ONCE", "500, but checked in", PARTNER, script.fixed(Reply(500))),
    )
)

FAILURES = (*STATUSES, *IN_BETWEEN, *FAULTS, *REMEMBERED)
