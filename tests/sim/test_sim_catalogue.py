"""Every ID of the catalogue does what its row says: one table, and it covers the catalogue exactly."""

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from asking import line
from limits import NET_S

from gatectl.sim import script
from gatectl.sim.protocols import PROTOCOLS, catalogue
from gatectl.sim.server import Simulator

KEEPS_NOBODY_WAITING = 0.05
BUDGETS_S = {"perfectgym": 0.75, "wellhub": 2.0, "capitan": 2.0, "device-api": 2.0, "http": 2.0}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


def success(protocol, member, seen):
    """The protocol's own success, every documented field."""
    if protocol == "perfectgym":
        return seen.status == 200 and seen.body == b""
    body = json.loads(seen.body)
    if protocol == "http":
        return seen.status == 200 and body == {"granted": True}
    if protocol == "wellhub":
        results = body["results"]
        stamp = datetime.strptime(results.pop("validated_at"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - stamp) < timedelta(minutes=1)
        gym = {"Id": 1234, "product": {"Id": 77, "description": "Open gym"}}
        assert body["metadata"] == {"total": 1, "errors": 0}
        return seen.status == 200 and results == {"user": {"gympass_id": member}, "gym": gym}
    if protocol == "device-api":
        return seen.status == 200 and body == {"authorized": True, "text": ""}
    return seen.status == 200 and body["id"] == 17 and body["customer_email"] == "buzz@example.com"


def good(end="kept", interim=()):
    return lambda p, m, s: success(p, m, s) and s.end == end and s.interim == list(interim)


def plain(status, kind=None, *, body=None, end="kept"):
    def check(_protocol, _member, seen):
        assert (seen.status, seen.end) == (status, end)
        assert kind is None or seen.headers["content-type"] == kind
        return body is None or seen.body == body

    return check


def says(status, value):
    """A JSON answer that holds at least this."""

    def check(_protocol, _member, seen):
        assert (seen.status, seen.end, seen.headers["content-type"]) == (status, "kept", JSON)
        body = json.loads(seen.body)
        return body == value if isinstance(value, list) else body.items() >= value.items()

    return check


def error(status, key, message="", **names):
    named = names.get("named", "message")
    found = {named: message} if key is None else {named: message, "key": key}
    return says(status, {"metadata": {"total": 0, "errors": 1}, "errors": [found]})


def denied(status, message, code="CHECK_IN_DENIED"):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    return says(status, {"errorMessage": message, "errorCode": code, "traceId": trace})


def ends(end, status=None, interim=()):
    return lambda _p, _m, s: (s.end, s.status, s.interim) == (end, status, list(interim))


def html(status, kind=HTML):
    return lambda p, m, s: plain(status, kind)(p, m, s) and s.body.startswith(b"<!DOCTYPE html>")


def busy(lowest, highest):
    """A date may be over by the time that a busy machine looks at it."""

    def check(_protocol, _member, seen):
        after = seen.headers["retry-after"]
        wait = float(after) if after.isdigit() else _until(after)
        return seen.status == 429 and seen.end == "kept" and lowest <= wait <= highest

    return check


def _until(date):
    return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()


def large(encoding):
    def check(protocol, member, seen):
        assert encoding in seen.headers
        return success(protocol, member, _stripped(seen)) and seen.end == "kept" and len(seen.body) > 65536

    return check


def _stripped(seen):
    return type(seen)(status=seen.status, body=seen.body.rstrip())


def cut(protocol, _member, seen):
    assert (seen.status, seen.end) == (200, "cut")
    missing = int(seen.headers["content-length"]) - len(seen.body)
    return missing == 10 and (protocol == "perfectgym" or json.loads(seen.body) is not None)


def succeeds(protocol, member, seen):
    """A success with a body, which perfectgym's own has not."""
    if protocol == "perfectgym":
        return (seen.status, json.loads(seen.body)) == (200, {"authorized": True})
    return success(protocol, member, seen)


def packed(protocol, member, seen):
    assert seen.headers["content-encoding"] == "gzip"
    return succeeds(protocol, member, replace(seen, body=gzip.decompress(seen.body)))


def behind(protocol, _member, seen):
    """h11 reads two bytes too few; the bytes behind them end the connection."""
    if protocol == "perfectgym":
        assert seen.body == b'{"authorized": fals'
    assert (seen.status, int(seen.headers["content-length"])) == (200, len(seen.body))
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(seen.body)
    return True


def gateway(kind, message):
    def check(protocol, member, seen):
        return seen.headers["x-amzn-errortype"] == kind and says(403, {"message": message})(
            protocol, member, seen
        )

    return check


SILENT = "silent"
DRIPS = "drips"

SHARED = {
    ("200", "GOOD-1"): good(),
    ("001", "GOOD-2"): good(),
    ("002", "GOOD-3"): good(),
    ("201", "EMPTY"): plain(200, body=b""),
    ("202", "OTHER-JSON"): says(200, {"status": "ok"}),
    ("203", "NOT-JSON"): plain(200, TEXT, body=b"OK"),
    ("210", "BY-CLOSE"): lambda p, m, s: good("closed")(p, m, s) and "content-length" not in s.headers,
    ("211", "CHUNKED"): lambda p, m, s: good()(p, m, s) and s.headers["transfer-encoding"] == "chunked",
    ("212", "SLOW"): good(),
    ("100", "CONTINUE"): good(interim=(100, 102, 103)),
    ("204", "NO-CONTENT"): plain(204, body=b""),
    ("205", "PORTAL"): html(200),
    ("206", "PORTAL-AS-JSON"): html(200, JSON),
    ("302", "REDIRECT"): lambda p, m, s: plain(302)(p, m, s) and s.headers["location"].startswith("https://"),
    ("440", "PLAIN-404"): plain(404, TEXT),
    **{(str(status), f"STATUS-{status}"): plain(status) for status in (405, 408, 410, 415, 422)},
    ("429", "BUSY"): busy(2, 2),
    ("430", "BUSY-UNTIL"): busy(-NET_S, 3),
    ("431", "BUSY-OPEN"): lambda p, m, s: plain(429)(p, m, s) and "retry-after" not in s.headers,
    ("503", "MAINTENANCE"): html(503),
    ("101", "SWITCHING"): SILENT,
    ("103", "HINTS-ONLY"): ends("closed", interim=[103]),
    ("600", "HANG"): SILENT,
    ("601", "DRIP"): DRIPS,
    ("602", "LATE"): good(),
    ("610", "RESET"): ends("reset"),
    ("611", "CLOSED"): ends("closed"),
    ("612", "TRUNCATED"): cut,
    ("613", "RESET-INSIDE"): ends("reset", 200),
    ("614", "TOO-LARGE"): large("content-length"),
    ("615", "TOO-LARGE-CHUNKED"): large("transfer-encoding"),
    ("616", "NOT-HTTP"): ends("garbage"),
    ("617", "BEHIND"): behind,
    ("618", "BROKEN-JSON"): plain(200, JSON, body=b'{"authorized": tru'),
    ("470", "GATEWAY-KEY"): gateway("ForbiddenException", "Forbidden"),
    ("471", "GATEWAY-PATH"): gateway("MissingAuthenticationTokenException", "Missing Authentication Token"),
    ("472", "CLOUDFLARE"): lambda p, m, s: html(403)(p, m, s) and s.headers["cf-mitigated"] == "challenge",
    ("473", "NGINX-404"): html(404),
    ("474", "FIREWALL-403"): html(403),
    ("475", "FIREWALL-401"): html(401),
    ("476", "EMPTY-AS-HTML"): plain(200, HTML, body=b""),
    ("477", "GOOD-AS-HTML"): lambda p, m, s: s.headers["content-type"] == HTML and succeeds(p, m, s),
    ("480", "CODING-UTF-8"): lambda p, m, s: s.headers["content-encoding"] == "utf-8" and succeeds(p, m, s),
    ("481", "GZIP"): packed,
    ("482", "ODD-HEADER"): lambda p, m, s: good()(p, m, s) and s.odd_lines == 1,
}
ONCE = {
    ("700", "ONCE"): good(),
    ("701", "HANG-ONCE"): SILENT,
    ("702", "LATE-ONCE"): good(),
    ("703", "RESET-ONCE"): ends("reset"),
    ("704", "CUT-ONCE"): cut,
    ("705", "500-ONCE"): plain(500),
}
CUSTOMER = {
    "customer_id": 13,
    "customer_first_name": "Buzz",
    "customer_last_name": "Aldrin",
    "customer_email": "buzz@example.com",
}
EXPIRED = ("checkin.validation.expired", "Check-In expired")
NOT_FOUND = ("checkin.validation.notfound", "Check-In not found in database")
ALREADY = error(400, "checkin.already.validated", "Check-In already validated")
DUPLICATE = says(400, {"error": "duplicate_check_in", **CUSTOMER})
DENY = "User is not authorized to access this resource with an explicit deny"
NAMES = "No waiver: Buzz Aldrin, buzz@example.com, please see the front desk."


def long_text(_protocol, _member, seen):
    return b"The monthly quota is used up. " * 12 in seen.body and seen.status in {200, 400, 403}


OWN = {
    "perfectgym": {
        "1403": says(403, {"message": "Quota used up"}),
        "1404": plain(404, body=b""),
        "1207": says(200, {"authorized": False}),
        "1208": says(200, {"authorized": True}),
        "1400": says(400, {"message": "Bad Request"}),
        "1401": plain(401),
        "1500": plain(500),
        "1460": says(403, {"message": NAMES}),
        "1461": long_text,
    },
    "wellhub": {
        "0123456789012": good(),
        "1000000000404": error(404, *NOT_FOUND),
        "1000000000451": error(400, "checkin.validation.cancelled", "Check-In cancelled"),
        "1000000000452": error(400, "checkin.validation.canceled", "Check-In canceled"),
        "1000000000453": error(400, *EXPIRED),
        "1000000000454": ALREADY,
        "1000000000208": lambda _p, _m, s: json.loads(s.body)["results"]["gym"]["id"] == 1234,
        "1000000000207": error(200, *EXPIRED),
        "1000000000217": error(200, *NOT_FOUND),
        "1000000000218": error(200, "checkin.validation.unknown", "Something else"),
        "1000000000400": error(400, "checkin.validation.unknown", "Something else"),
        "1000000000409": plain(400, body=b""),
        "1000000000401": says(401, {"message": "Unauthorized"}),
        "1000000000403": error(403, None, DENY, named="Message"),
        "1000000000413": says(403, {"Message": DENY}),
        "1000000000500": error(
            500, "checkin.custom-code.unexpected-error", "There was an unexpected internal server error"
        ),
        "1000000000460": error(400, EXPIRED[0], NAMES),
        "1000000000461": long_text,
        "1000000000462": says(400, [{"message": EXPIRED[1], "key": EXPIRED[0]}]),
        "1000000000463": says(400, {"message": "Check-In expired"}),
        "1000000000464": error(404, *EXPIRED),
        "1000000000465": error(400, *NOT_FOUND),
        "1000000000466": error(400, *EXPIRED, named="Message"),
    },
    "capitan": {
        "MILESTONES": lambda p, m, s: (
            success(p, m, s)
            and json.loads(s.body)["milestones"].split("\n")
            == ["Your 100th visit!", "Well done, Buzz: every route of this wall"]
        ),
        "ALERTS-TWO": says(
            400,
            {
                "error": "check_in_alerts",
                "alerts": ["No waiver.", "Your belay test is out of date."],
                **CUSTOMER,
            },
        ),
        "ALERTS": says(400, {"error": "check_in_alerts", "alerts": ["No waiver."], **CUSTOMER}),
        "NO-ENTRY": says(400, {"error": "no_entry_method", **CUSTOMER}),
        "DUPLICATE": DUPLICATE,
        "NOT-FOUND": says(404, {"error": "customer_not_found"}),
        "NOT-FOUND-400": says(400, {"error": "customer_not_found"}),
        "ALERTS-404": says(404, {"error": "check_in_alerts", **CUSTOMER}),
        "LOCATION": says(404, {"error": "invalid_location"}),
        "LOCATION-400": says(400, {"error": "invalid_location"}),
        "NO-ID": lambda _p, _m, s: (
            s.status == 200 and json.loads(s.body).keys() & {"id", "customer_id"} == {"customer_id"}
        ),
        "STATUS-400": says(400, {"error": "unknown"}),
        "STATUS-401": says(401, {"detail": "Invalid token."}),
        "STATUS-403": says(403, {"detail": "You do not have permission to perform this action."}),
        "STATUS-500": plain(500),
        "ALERT-NAMES": says(400, {"error": "check_in_alerts", "alerts": [NAMES], **CUSTOMER}),
        "ALERT-LONG": long_text,
    },
    "device-api": {
        "1233588208": says(200, {"authorized": True, "text": "Hallo!"}),
        "1233588207": says(200, {"authorized": False, "text": "Vertrag ruht."}),
        "1233588403": denied(403, "Kein gültiger Vertrag."),
        "1233588400": denied(400, "Außerhalb der Zutrittszeit."),
        "1233588404": denied(404, "Karte nicht bekannt.", "CARD_NOT_FOUND"),
        "1233588409": denied(400, "Bad Request", ""),
        "1233588413": says(403, {"message": "no"}),
        "1233588414": plain(403, body=b""),
        "1233588401": denied(401, "Unauthorized", "UNAUTHORIZED"),
        "1233588218": says(201, {"authorized": True}),
        "1233588219": says(200, {"authorized": "true"}),
        "1233588500": denied(500, "Interner Fehler.", "INTERNAL_ERROR"),
        "1233588501": denied(503, "Gerade nicht verfügbar.", "UNAVAILABLE"),
        "1233588460": denied(403, NAMES),
        "1233588461": long_text,
        "1233588720": denied(403, "Tageskontingent verbraucht."),
        "1233588721": SILENT,
    },
    "http": {
        "REFUSED": says(200, {"granted": False, "message": "Your membership has ended."}),
        "REFUSED-403": says(403, {"granted": False, "message": "Your membership has ended."}),
        "UNKNOWN": says(404, {"error": "unknown_member"}),
        "GRANTED-TEXT": says(200, {"granted": "true"}),
        "GRANTED-ONE": lambda p, m, s: s.body == b'{"granted": 1}' and plain(200, JSON)(p, m, s),
        "GRANTED-DEEP": says(200, {"result": {"granted": True}}),
        "GRANTED-LIST": says(200, [{"granted": True}]),
        "GRANTED-201": says(201, {"granted": True}),
        "KEY-401": says(401, {"error": "no_key"}),
        "KEY-403": says(403, {"error": "wrong_key"}),
        "DOOR": says(409, {"error": "unknown_door"}),
        "STATUS-403": plain(403, body=b""),
        "STATUS-500": plain(500),
        "NAMES": says(200, {"granted": False, "message": NAMES}),
        "LONG": long_text,
    },
}
REMEMBERING = ("wellhub", "capitan")
"""The partners that document a refusal of a second check-in."""


def _table():
    for protocol in PROTOCOLS:
        for (number, word), check in (SHARED | (ONCE if protocol in REMEMBERING else {})).items():
            yield (protocol, _id(protocol, number, word)), check
        for member, check in OWN[protocol].items():
            yield (protocol, member), check


def _id(protocol, number, word):
    return {
        "perfectgym": f"1{number}",
        "wellhub": f"1000000000{number}",
        "capitan": word,
        "device-api": f"1233588{number}",
        "http": word,
    }[protocol]


TABLE = dict(_table())


@pytest.fixture
def soon(monkeypatch):
    """Late comes soon: the test of the delays themselves is another one."""
    for protocol in PROTOCOLS:
        monkeypatch.setattr(PROTOCOLS[protocol], "late_s", KEEPS_NOBODY_WAITING)


def test_the_table_covers_the_catalogue_and_ids_are_used_once():
    assert {(entry.protocol, entry.id) for entry in catalogue()} == TABLE.keys()
    assert len(catalogue()) == len(TABLE)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("entry", catalogue(), ids=lambda entry: f"{entry.protocol}-{entry.id}")
def test_each_id_does_what_its_row_says(entry):
    asyncio.run(_perform(entry, TABLE[entry.protocol, entry.id]))


async def _perform(entry, check):
    async with Simulator() as sim, line(sim) as one:
        one.send(entry.protocol, entry.id)
        if check is SILENT:
            await _stays_silent(sim, one, entry)
        elif check is DRIPS:
            assert (await one.see(most=3)).chunks == [1, 1, 1]
        else:
            seen = await one.see()
            assert check(entry.protocol, entry.id, seen), seen
            whole = seen.status is not None and seen.end in {"kept", "closed"}
            assert (sim.requests[0].answered is not None) == whole
        request = sim.requests[0]
        assert (request.protocol, request.member, request.whole) == (entry.protocol, entry.id, True)
        assert request.description == entry.description
        assert PROTOCOLS[entry.protocol].find(entry.id) is entry


async def _stays_silent(sim, one, entry):
    """Nothing but the 101, if any, has come when the line is cut at last."""
    await sim.until(lambda: sim.requests and sim.requests[0].whole)
    if entry.description.startswith("101"):
        assert (await one.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    async with line(sim) as other:
        # Any byte here would have come before another connection's whole exchange.
        other.send("perfectgym", "1001")
        await other.see()
        assert sim.close_idle() == 1
    assert not one.reader.at_eof()
    assert sim.requests[0].answered is None
    sim.drop_all()
    seen = await one.see()
    assert (seen.end, seen.chunks) == ("reset", [])


REMEMBERED = [entry for entry in catalogue() if entry.then is not None]


def test_only_the_partners_that_document_it_remember():
    assert {(entry.protocol, entry.id) for entry in REMEMBERED} == {
        (protocol, _id(protocol, number, word)) for protocol in REMEMBERING for number, word in ONCE
    }


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("entry", REMEMBERED, ids=lambda entry: f"{entry.protocol}-{entry.id}")
def test_the_first_request_counts_with_any_fate_of_its_answer(entry):
    async def story():
        async with Simulator() as sim:
            async with line(sim) as one:
                one.send(entry.protocol, entry.id)
                await sim.until(lambda: sim.requests and sim.requests[0].whole)
            for _ in range(2):
                async with line(sim) as one:
                    one.send(entry.protocol, entry.id)
                    seen = await one.see()
                    refusal = ALREADY if entry.protocol == "wellhub" else DUPLICATE
                    assert refusal(entry.protocol, entry.id, seen)
            sim.forget()
            async with line(sim) as one:
                one.send(entry.protocol, entry.id)
                await sim.until(lambda: len(sim.requests) == 4 and sim.requests[3].whole)
                assert sim.requests[3].description == entry.description

    asyncio.run(story())


@pytest.mark.parametrize("entry", [e for e in catalogue() if e.description == "good"], ids=lambda e: e.id)
def test_an_ordinary_good_id_is_good_every_time(entry):
    async def story():
        async with Simulator() as sim, line(sim) as one:
            for _ in range(3):
                one.send(entry.protocol, entry.id)
                assert success(entry.protocol, entry.id, await one.see())
            assert sim.connections == 1

    asyncio.run(story())


@pytest.mark.parametrize(
    ("protocol", "member", "check"),
    [
        ("perfectgym", "999999999999999999", plain(404, body=b"")),
        ("wellhub", "9999999999999", error(404, *NOT_FOUND)),
        ("capitan", "somebody / else?", says(404, {"error": "customer_not_found"})),
        ("capitan", "x" * 128, says(404, {"error": "customer_not_found"})),
        ("device-api", "0" * 64, denied(404, "Karte nicht bekannt.", "CARD_NOT_FOUND")),
        ("http", "somebody / else?", says(404, {"error": "unknown_member"})),
    ],
)
def test_any_other_id_is_not_found(protocol, member, check):
    async def story():
        async with Simulator() as sim, line(sim) as one:
            one.send(protocol, member)
            assert check(protocol, member, await one.see())
            assert sim.requests[0].member == member

    asyncio.run(story())


def test_late_is_over_and_slow_inside_the_budgets():
    late = {name: protocol.late_s for name, protocol in PROTOCOLS.items()}
    assert late == {"perfectgym": 1.5} | dict.fromkeys(("wellhub", "capitan", "device-api", "http"), 2.5)
    assert min(BUDGETS_S.values()) / 2 > script.SLOW_S

    async def story():
        async with Simulator() as sim, line(sim) as one:
            one.send("perfectgym", "1212")
            await one.see()
            (request,) = sim.requests
            assert request.answered - request.last_byte >= script.SLOW_S

    asyncio.run(story())


@pytest.mark.parametrize(
    ("protocol", "member"),
    [
        ("perfectgym", "1200"),
        ("wellhub", "1000000000200"),
        ("capitan", "GOOD-1"),
        ("device-api", "1233588200"),
        ("http", "GOOD-1"),
    ],
)
def test_a_drip_outlasts_the_budget_twice(protocol, member):
    async def story():
        async with Simulator() as sim, line(sim) as one:
            one.send(protocol, member)
            assert sum((await one.see()).chunks) * script.DRIP_S > 2 * BUDGETS_S[protocol]

    asyncio.run(story())
