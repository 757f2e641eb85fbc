"""Each protocol's classification table, row by row, and the bytes that are asked."""

import json
from urllib.parse import unquote_to_bytes

import h11
import pytest
from partner_rigs import ALL, CAPITAN, KEY, PERFECTGYM, WELLHUB, answer

from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.partners.capitan import CapitanProtocol
from gatectl.partners.exchange import Endpoint, interpret
from gatectl.partners.perfectgym import PerfectGymProtocol
from gatectl.partners.wellhub.check_in import WellhubProtocol

ALLOWED = (Verdict.ALLOWED, None)
NOT_ALLOWED = (Verdict.NOT_ALLOWED, None)
NOT_FOUND = (Verdict.NOT_FOUND, None)
PARTNER = (Verdict.NONE, Fault.PARTNER)
CREDENTIALS = (Verdict.NONE, Fault.CREDENTIALS)
CONFIGURATION = (Verdict.NONE, Fault.CONFIGURATION)

JSON_TYPE = {"content-type": "application/json"}
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


def body_of(value):
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def judged(protocol, status, value=b"", headers=None, **flaws):
    headers = JSON_TYPE if headers is None else headers
    decision = interpret(ALL[protocol], answer(status, body_of(value), headers, **flaws))
    assert decision.status == status
    assert (decision.detail is None) == (decision.fault is None) or "traceId" in decision.detail
    assert decision.detail is None or (
        decision.detail.startswith(str(status)) and len(decision.detail) <= 200
    )
    assert (decision.rest_s is None) == (status != 429)
    assert decision.admits == (decision.verdict is Verdict.ALLOWED)
    return decision.verdict, decision.fault


OLDER = ("perfectgym", "wellhub", "capitan")
"""The protocols of the common tables; the others have tests of their own."""


def check(table):
    """One row: an answer, then what perfectgym, wellhub and capitan make of it."""
    return pytest.mark.parametrize(
        ("protocol", "status", "value", "headers", "expected"),
        [
            pytest.param(protocol, status, value, headers, expected, id=f"{protocol}-{name}")
            for name, status, value, headers, *each in table
            for protocol, expected in zip(OLDER, each * (1 if len(each) == 3 else 3), strict=True)
        ],
    )


@check(
    [
        ("empty", 200, b"", {}, ALLOWED, ALLOWED, PARTNER),
        ("empty, typed as JSON", 200, b"", None, ALLOWED, ALLOWED, PARTNER),
        ("blank", 200, b" \r\n", None, ALLOWED, ALLOWED, PARTNER),
        ("other object", 200, {"status": "ok"}, None, ALLOWED, ALLOWED, PARTNER),
        ("no members", 200, {}, None, ALLOWED, ALLOWED, PARTNER),
        ("without a type", 200, {"id": 1}, {}, ALLOWED),
        ("byte order mark", 200, b'\xef\xbb\xbf{"id": 1}', None, ALLOWED),
        ("plain text", 200, "OK", {"content-type": "text/plain"}, ALLOWED, PARTNER, PARTNER),
        ("broken JSON", 200, '{"id": 17', None, PARTNER),
        ("bytes", 200, b"\xff\xfe\x00", None, ALLOWED, PARTNER, PARTNER),
        ("not UTF-8", 200, b'{"id": 17, "x": "\xe9"}', None, PARTNER),
        ("a number that is none", 200, '{"id": 17, "x": NaN}', None, PARTNER),
        ("a key twice", 200, '{"id": 17, "id": 18}', None, PARTNER),
        ("an endless number", 200, '{"id": ' + "9" * 5000 + "}", None, PARTNER),
        ("brackets", 200, "[" * 65536, None, PARTNER),
        ("an array", 200, [], None, ALLOWED, PARTNER, PARTNER),
        ("null", 200, None, None, ALLOWED, PARTNER, PARTNER),
        ("true", 200, True, None, ALLOWED, PARTNER, PARTNER),
        ("JSON typed as HTML", 200, {"id": 17}, {"content-type": "text/html"}, ALLOWED),
        ("JSON typed as HTML, odd", 200, {"id": 17}, {"content-type": "Text/HTML; charset=utf-8"}, ALLOWED),
        ("empty, typed as HTML", 200, b"", {"content-type": "text/html"}, ALLOWED, ALLOWED, PARTNER),
        ("OK, typed as HTML", 200, "OK", {"content-type": "text/html"}, ALLOWED, PARTNER, PARTNER),
        ("broken JSON, typed as text", 200, '{"id": 17', {"content-type": "text/plain"}, PARTNER),
        ("a broken array", 200, ' \n["id"', None, PARTNER),
        ("a broken string", 200, '"no', None, PARTNER),
        ("broken JSON in UTF-16", 200, '{"id": 17'.encode("utf-16"), None, PARTNER),
        ("broken JSON behind blanks", 200, " " * 5000 + '{"id"', None, PARTNER),
        ("HTML by body", 200, HTML, None, PARTNER),
        ("HTML by body, untyped", 200, HTML, {}, PARTNER),
        ("HTML by body, odd", 200, b"\xef\xbb\xbf\r\n <HTML lang=de>", None, PARTNER),
        ("HTML behind a hard blank", 200, "\u00a0<html>".encode(), None, PARTNER),
        ("HTML behind a hard blank in Latin-1", 200, b"\xa0<html>", None, PARTNER),
        ("HTML behind a line separator", 200, "\u2028\u200b<html>".encode(), None, PARTNER),
        ("broken JSON behind a hard blank", 200, '\u00a0{"id": 17}'.encode(), None, PARTNER),
        ("HTML after a comment", 200, b"<!-- login -->\n<html>", None, PARTNER),
        ("HTML after a long comment", 200, b"<!--" + b"x" * 2000 + b"--><html>", None, PARTNER),
        ("XHTML by body", 200, b'<?xml version="1.0"?>\n<!DOCTYPE html>', None, PARTNER),
        ("a redirecting page", 200, b'<meta http-equiv="refresh" content="0;url=/login">', None, PARTNER),
        ("HTML in UTF-16", 200, "<html><body>".encode("utf-16"), None, PARTNER),
        ("HTML behind blanks", 200, b" " * 5000 + b"<p>", None, PARTNER),
        ("HTML, typed as text", 200, HTML, {"content-type": "text/plain"}, PARTNER),
        ("identity", 200, {"id": 17}, {"content-encoding": "identity"}, ALLOWED),
        ("no coding", 200, {"id": 17}, {"content-encoding": "utf-8"}, ALLOWED),
        ("XML", 200, b"<ok/>", None, PARTNER),
        ("Cloudflare", 200, {"id": 17}, {"cf-mitigated": "challenge"}, PARTNER),
    ]
)
def test_a_200_admits_only_as_the_protocol_says(protocol, status, value, headers, expected):
    assert judged(protocol, status, value, headers) == expected


GOOD = {
    "perfectgym": {},
    "wellhub": {"metadata": {"total": 1, "errors": 0}, "results": {}},
    "capitan": {"id": 17},
    "device-api": {"authorized": True},
}


@check(
    [
        *(
            (str(status), status, b"", None, PARTNER)
            for status in (201, 202, 203, 204, 205, 206, 207, 226, 299)
        ),
        *((str(status), status, b"", None, PARTNER) for status in (100, 101, 102, 103, 199)),
        *((str(status), status, b"", None, PARTNER) for status in (300, 301, 302, 303, 304, 307, 308)),
        *((str(status), status, b"", None, PARTNER) for status in (402, 405, 406, 408, 409, 410, 411, 413)),
        *((str(status), status, b"", None, PARTNER) for status in (415, 417, 418, 421, 422, 425, 431, 451)),
        *(
            (str(status), status, b"", None, PARTNER)
            for status in (429, 500, 501, 502, 503, 504, 511, 599, 999)
        ),
        ("400 without a body", 400, b"", None, PARTNER),
        ("400, text", 400, "Bad Request", {}, PARTNER),
        ("400, HTML", 400, HTML, None, PARTNER),
        ("400, unknown", 400, {"errors": [{"key": "unknown", "message": "?"}], "error": "?"}, None, PARTNER),
        ("400, list", 400, [1, "x", None], None, PARTNER),
        ("401", 401, b"", None, CREDENTIALS),
        ("401, body", 401, {"message": "Unauthorized", "id": 17}, None, CREDENTIALS),
        ("401, HTML", 401, HTML, None, CREDENTIALS, PARTNER, PARTNER),
        ("401, typed as HTML", 401, "no", {"content-type": "text/html"}, CREDENTIALS),
        ("403", 403, b"", None, NOT_ALLOWED, CREDENTIALS, CREDENTIALS),
        (
            "403, typed as HTML",
            403,
            b"",
            {"content-type": "text/html"},
            NOT_ALLOWED,
            CREDENTIALS,
            CREDENTIALS,
        ),
        ("403, HTML", 403, HTML, None, NOT_ALLOWED, PARTNER, PARTNER),
        ("403, gateway's key", 403, {"message": "Forbidden"}, None, CREDENTIALS),
        ("403, gateway's header", 403, {}, {"x-amzn-errortype": "AccessDeniedException"}, CREDENTIALS),
        ("403, gateway's path", 403, {"message": "Missing Authentication Token"}, None, CONFIGURATION),
        (
            "403, gateway's path and header",
            403,
            {"message": "Missing Authentication Token"},
            {"x-amzn-errortype": "MissingAuthenticationTokenException"},
            CONFIGURATION,
        ),
        (
            "403, not the gateway's",
            403,
            {"message": "Forbidden", "x": 1},
            None,
            NOT_ALLOWED,
            CREDENTIALS,
            CREDENTIALS,
        ),
        ("403, Cloudflare", 403, HTML, {"cf-mitigated": "challenge"}, PARTNER),
        ("403, Cloudflare, blank", 403, b"", {"cf-mitigated": "challenge"}, PARTNER),
        ("404, Cloudflare", 404, HTML, {"cf-mitigated": "challenge"}, PARTNER),
        ("429, gateway's header", 429, {}, {"x-amzn-errortype": "LimitExceededException"}, PARTNER),
        ("404, gateway's words", 404, {"message": "Forbidden"}, None, NOT_FOUND, PARTNER, PARTNER),
        ("404", 404, b"", None, NOT_FOUND, PARTNER, PARTNER),
        ("404, text", 404, "Not Found", {}, NOT_FOUND, PARTNER, PARTNER),
        ("404, HTML", 404, HTML, {"content-type": "text/html"}, NOT_FOUND, PARTNER, PARTNER),
        ("404, unknown", 404, {"errors": [{"key": "?"}], "error": "?"}, None, NOT_FOUND, PARTNER, PARTNER),
    ]
)
def test_every_other_status(protocol, status, value, headers, expected):
    assert judged(protocol, status, value, headers) == expected


@pytest.mark.parametrize("protocol", ALL)
def test_no_status_but_200_admits_a_good_body(protocol):
    admitting = [s for s in range(1000) if judged(protocol, s, GOOD[protocol])[0] is Verdict.ALLOWED]
    assert admitting == [200]


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (200, {"authorized": False}, NOT_ALLOWED),
        (200, {"authorized": False, "message": "Quota used up"}, NOT_ALLOWED),
        (200, {"authorized": True}, ALLOWED),
        (200, {"authorized": None}, ALLOWED),
        (200, {"errors": [{"key": "x"}]}, ALLOWED),
        (200, b'{"authorized":fals', PARTNER),
        (200, b'not "authorized": false', PARTNER),
        (200, b'cb({"authorized":false})', PARTNER),
        (200, '{"authorized": false, "name": "Jos\xe9"}'.encode("latin-1"), PARTNER),
        (200, b'{"authorized": false', PARTNER),
        (200, '{"authorized": false}'.encode("utf-16"), PARTNER),
        (200, '{"authorized": true, "authorized" : false}', PARTNER),
        (200, '{"authorized": false, "x": ' + "[" * 60000, PARTNER),
        (200, '{"authorized": false, "x": NaN}', PARTNER),
        (201, {"authorized": True}, PARTNER),
        (400, {"authorized": False}, PARTNER),
        (403, {"authorized": True}, NOT_ALLOWED),
        (404, {"authorized": True}, NOT_FOUND),
    ],
)
def test_perfectgym_takes_a_200_back_where_the_body_does(status, value, expected):
    assert judged("perfectgym", status, value) == expected


def errors(key, message="Check-In says so", name="message"):
    return {"metadata": {"total": 0, "errors": 1}, "errors": [{name: message, "key": key}]}


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("flaw", ["has_surplus", "is_packed"])
def test_a_2xx_that_is_not_what_it_says_is_no_verdict(protocol, flaw):
    body = b"\x1b\x04" if flaw == "is_packed" else body_of(GOOD[protocol] | {"authorized": True})
    for status in (200, 201, 204):
        assert judged(protocol, status, body, **{flaw: True}) == PARTNER
    # And a refusal stays one.
    refusals = {"error": "no_entry_method", "errorCode": "DENIED"}
    declined = body_of(refusals | {"errors": [{"key": "checkin.validation.expired"}]})
    status = 403 if protocol == "perfectgym" else 400
    assert judged(protocol, status, declined, **{flaw: True}) == NOT_ALLOWED


@pytest.mark.parametrize(
    ("protocol", "status", "value", "headers", "detail"),
    [
        ("wellhub", 502, HTML, {}, "502 with a text/html page, as a proxy sends it"),
        ("perfectgym", 200, HTML, {}, "200 with a text/html page, as a captive portal sends it"),
        ("capitan", 404, b"", {}, "404 without a body"),
        ("capitan", 404, "no", {}, "404 with a body that is not JSON"),
        ("perfectgym", 500, {"a": "Max"}, {}, "500 with JSON that is no documented answer"),
        ("wellhub", 302, HTML, {"location": "https://x"}, "302, a redirect, which is never followed"),
        ("wellhub", 429, b"", {"retry-after": "7"}, "429, the partner asks for a rest of 7 s"),
        ("wellhub", 400, {"errors": [{"key": "new"}]}, {}, "400 with an error that is not documented"),
        ("wellhub", 401, b"", {}, "401: the key is refused"),
        ("wellhub", 403, b"", {}, "403: the key is refused, or it is not for this gym_id"),
        ("capitan", 403, b"", {}, "403: the key is refused"),
        ("capitan", 200, {"x": 1}, {}, "200 without the new check-in's id"),
        ("capitan", 200, b"", {}, "200 without a body"),
        ("capitan", 404, {"error": "invalid_location"}, {}, "404: no location has this location_id"),
        ("perfectgym", 401, b"", {}, "401: the key is refused"),
        ("perfectgym", 200, b'{"authorized":fals', {}, "200 with JSON that cannot be read"),
        ("perfectgym", 403, {"message": "Forbidden"}, {}, "403 from an API gateway: the key is refused"),
        (
            "perfectgym",
            403,
            {"message": "Missing Authentication Token"},
            {},
            "403 from an API gateway: it has no such path, see the url",
        ),
        (
            "capitan",
            403,
            HTML,
            {"cf-mitigated": "challenge"},
            "403 from Cloudflare's firewall, before the partner",
        ),
    ],
)
def test_details_of_unexpected_answers(protocol, status, value, headers, detail):
    assert interpret(ALL[protocol], answer(status, body_of(value), headers)).detail == detail


WELLHUB_KEYS = {
    "checkin.validation.notfound": NOT_FOUND,
    "checkin.validation.cancelled": NOT_ALLOWED,
    "checkin.validation.canceled": NOT_ALLOWED,
    "checkin.validation.expired": NOT_ALLOWED,
    "checkin.already.validated": NOT_ALLOWED,
}


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(("key", "expected"), WELLHUB_KEYS.items())
@pytest.mark.parametrize(
    "form",
    [
        errors,
        lambda key: errors(key, name="Message"),
        lambda key: errors(key)["errors"],
        lambda key: {"errors": [{"key": key}]},
        lambda key: {"errors": {"key": key, "message": "one, not in an array"}},
        lambda key: {"key": key, "message": "at the top"},
        lambda key: {"errors": ["odd", None, {"message": "first"}, {"key": key}]},
    ],
    ids=["errors", "Message", "array", "no metadata", "object", "top", "not the first"],
)
def test_a_documented_wellhub_key_decides(status, key, expected, form):
    assert judged("wellhub", status, form(key)) == expected


@pytest.mark.parametrize("status", [401, 403, 405, 422, 429, 500])
@pytest.mark.parametrize("key", WELLHUB_KEYS)
def test_a_documented_wellhub_key_decides_nowhere_else(status, key):
    assert judged("wellhub", status, errors(key))[0] is Verdict.NONE


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"metadata": {"total": 1, "errors": 0}, "results": {"gym": {"Id": 1}}}, ALLOWED),
        ({"metadata": {"total": 1, "errors": 0}, "results": {"gym": {"id": 1}}}, ALLOWED),
        ({"metadata": {"errors": 0}, "errors": []}, ALLOWED),
        ({"metadata": None, "errors": None}, ALLOWED),
        ({"metadata": {"errors": 0}, "message": "welcome", "results": {}}, ALLOWED),
        ({"metadata": {"errors": 1}}, PARTNER),
        ({"metadata": {"errors": 2}, "results": {}}, PARTNER),
        ({"errors": [{"key": "unknown"}]}, PARTNER),
        ({"errors": ["checkin"]}, PARTNER),
        ({"errors": "checkin"}, PARTNER),
        ({"metadata": {"errors": 0}, "errors": [{"key": ["a"]}]}, PARTNER),
        ({"Message": "explicit deny"}, PARTNER),
        ({"message": "Check-In expired"}, PARTNER),
        ({"message": "?", "key": "unknown"}, PARTNER),
        ([{"message": "?", "key": "unknown"}], PARTNER),
    ],
)
def test_a_wellhub_200_with_an_error_inside(value, expected):
    assert judged("wellhub", 200, value) == expected


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (403, {"Message": "User is not authorized with an explicit deny"}, CREDENTIALS),
        (400, {"message": "Check-In expired"}, PARTNER),
        (404, {"Message": "no such path"}, PARTNER),
    ],
)
def test_a_wellhub_message_alone(status, value, expected):
    assert judged("wellhub", status, value) == expected


CAPITAN_ERRORS = {
    "customer_not_found": NOT_FOUND,
    "check_in_alerts": NOT_ALLOWED,
    "duplicate_check_in": NOT_ALLOWED,
    "no_entry_method": NOT_ALLOWED,
}


@pytest.mark.parametrize("status", [200, 400, 404])
@pytest.mark.parametrize(("error", "expected"), CAPITAN_ERRORS.items())
def test_a_documented_capitan_error_decides(status, error, expected):
    assert judged("capitan", status, {"error": error, "id": 17}) == expected


@pytest.mark.parametrize("status", [200, 201, 302, 400, 401, 403, 404, 422, 429, 500])
def test_an_invalid_location_is_our_fault_with_any_status(status):
    assert judged("capitan", status, {"error": "invalid_location"}) == CONFIGURATION


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": 17}, ALLOWED),
        ({"id": 17, "error": None}, ALLOWED),
        ({"id": "17"}, PARTNER),
        ({"id": True}, PARTNER),
        ({"id": None}, PARTNER),
        ({"id": 17.0}, PARTNER),
        ({"customer_id": 13}, PARTNER),
        ({"id": 17, "error": "something new"}, PARTNER),
        ({"id": 17, "error": {"a": 1}}, PARTNER),
        ([{"id": 17}], PARTNER),
    ],
)
def test_a_capitan_200_needs_its_id(value, expected):
    assert judged("capitan", 200, value) == expected


CAPITAN_PAGE = """{ "id": 17, "customer_id": 13, "customer_first_name": "Buzz", "customer_last_name":
"Aldrin", "customer_email": "buzz@example.com", "entry_method": "MEM"%s "entry_method_description":
"Single Monthly Membership", "milestones": "", "check_in_count": 7, "has_any_automatic_check_ins": false,
"has_any_challenges_completed": false, "customer_alerts": [ { "alert_text": "This is an alert.",
"created_date": "2023-12-08", "color_hex": "a52a2a", "prevents_check_in": false } ], "reservations": [],
"association_memberships_pending_reverification": [] }"""

NO_WAIVER = """{ "error": "check_in_alerts", "alerts": [ "No waiver." ], "customer_id": 13,
"customer_first_name": "Buzz", "customer_last_name": "Aldrin", "customer_email": "buzz@example.com" }"""

WELLHUB_PAGE = """{ "metadata": { "total": 1, "errors": 0 }, "results": { "user": { "gympass_id":
"1000000000200" }, "gym": { "Id": 1, "product": { "Id": 2, "description": "Open gym" } },
"validated_at": "2020-02-19T18:00:53Z" } }"""


@pytest.mark.parametrize(
    ("protocol", "status", "value", "expected"),
    [
        ("wellhub", 200, WELLHUB_PAGE, ALLOWED),
        ("wellhub", 200, WELLHUB_PAGE.replace('"Id"', '"id"'), ALLOWED),
        (
            "wellhub",
            403,
            '{"metadata": { "total": 0, "errors": 1},"errors": [ { "Message": "explicit deny" }]}',
            CREDENTIALS,
        ),
        ("capitan", 200, CAPITAN_PAGE % ",", ALLOWED),
        ("capitan", 200, CAPITAN_PAGE % "", PARTNER),
        ("capitan", 404, '{ "error": "customer_not_found" }', NOT_FOUND),
        (
            "capitan",
            400,
            NO_WAIVER,
            NOT_ALLOWED,
        ),
    ],
)
def test_the_pages_own_examples(protocol, status, value, expected):
    assert judged(protocol, status, value) == expected


def headers_of(request):
    return dict(request.headers)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://api.example.com/checkin-validation", "/checkin-validation"),
        ("https://api.example.com/checkin-validation/", "/checkin-validation/"),
        ("https://api.example.com", "/"),
        ("https://api.example.com/a/b?x=1&y=%20", "/a/b?x=1&y=%20"),
        ("https://api.example.com/a%2Fb", "/a%2Fb"),
    ],
)
def test_perfectgym_is_asked(url, target):
    request = PerfectGymProtocol(Endpoint.of(url), None, KEY).request("8213712939218", "WP-1", "293123213")
    assert (request.method, request.target) == ("POST", target)
    assert request.body == b'{"aggregatorId":"8213712939218","customerId":293123213}'
    assert headers_of(request) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json; charset=utf-8",
        "X-API-Key": KEY,
    }


def test_perfectgym_is_asked_with_one_aggregator_id_for_all():
    request = PerfectGymProtocol(PERFECTGYM.endpoint, "fitco-4711", KEY).request("293123213", "WP-293123213")
    assert request.body == b'{"aggregatorId":"fitco-4711","customerId":293123213}'


@pytest.mark.parametrize("customer", ["1", "9" * 18, "100000000000000001", "9007199254740993"])
def test_perfectgym_numbers_keep_every_digit(customer):
    body = PERFECTGYM.request("0", "x", customer).body
    assert body == b'{"aggregatorId":"0","customerId":%b}' % customer.encode()


@pytest.mark.parametrize("member", ["0123456789012", "550e8400-e29b-41d4-a716-446655440000", 'ä"\\', "7"])
def test_perfectgym_members_ids_are_opaque_text(member):
    body = PERFECTGYM.request(member, "1", "1").body
    assert json.loads(body) == {"aggregatorId": member, "customerId": 1}


@pytest.mark.parametrize("base", ["", "/", "/base", "/base/", "/a/b//"])
def test_wellhub_is_asked(base):
    endpoint = Endpoint.of(f"https://api.example.com{base}")
    request = WellhubProtocol(endpoint, "0012", KEY).request("0123456789012", "abc")
    assert (request.method, request.target) == ("POST", f"{base.rstrip('/')}/access/v1/validate")
    assert request.body == b'{"gympass_id":"0123456789012"}'
    assert headers_of(request) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {KEY}",
        "X-Gym-Id": "0012",
    }


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("4711", "4711"),
        ("x", "x"),
        ("1234567890123", "1234567890123"),
        ("12345678901234", None),
        ("ÄÖÜß€ÄÖÜß€ÄÖÜ", "ÄÖÜß€ÄÖÜß€ÄÖÜ"),
        (" 12 ", " 12 "),
        ("", None),
        (" ", None),
        ("\u2003\u00a0", None),
        ("0123456789012", None),
    ],
)
def test_wellhub_custom_codes(code, sent):
    asked = WellhubProtocol(WELLHUB.endpoint, "1234", KEY, send_custom_code=True).request(
        "0123456789012", code
    )
    expected = {"gympass_id": "0123456789012"} | ({} if sent is None else {"custom_code": sent})
    assert json.loads(asked.body) == expected
    assert json.loads(WELLHUB.request("0123456789012", code).body) == {"gympass_id": "0123456789012"}


@pytest.mark.parametrize(
    ("location", "body"), [(3, b'{"location_id":3}'), (None, b"{}"), (0, b'{"location_id":0}')]
)
@pytest.mark.parametrize("base", ["", "/", "/base/"])
def test_capitan_is_asked(location, body, base):
    request = CapitanProtocol(Endpoint.of(f"https://api.example.com{base}"), location, KEY).request(
        "abc123", "c"
    )
    path = f"{base.rstrip('/')}/api/gym-endpoints/barcode-check-in/abc123/"
    assert (request.method, request.target, request.body) == ("POST", path, body)
    assert headers_of(request) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Authorization": f"Token {KEY}",
    }


@pytest.mark.parametrize(
    ("barcode", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("../../x", "..%2F..%2Fx"),
        ("a b+c", "a%20b%2Bc"),
        ("?#&=;:@!$'()*,[]", "%3F%23%26%3D%3B%3A%40%21%24%27%28%29%2A%2C%5B%5D"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("ä€", "%C3%A4%E2%82%AC"),
        ("\U0001f600", "%F0%9F%98%80"),
        ('a\\b"<>^`{|}', "a%5Cb%22%3C%3E%5E%60%7B%7C%7D"),
        ("A-Z_a.z~9", "A-Z_a.z~9"),
        ("0012", "0012"),
        ("x" * 128, "x" * 128),
    ],
)
def test_capitan_barcodes_are_in_the_path_with_nothing_safe(barcode, segment):
    target = CAPITAN.request(barcode, "c").target
    assert target == f"/api/gym-endpoints/barcode-check-in/{segment}/"
    assert unquote_to_bytes(target.split("/")[4]).decode() == barcode
    h11.Request(method="POST", target=target, headers=[("Host", "x")])  # raises where it cannot be sent


@pytest.mark.parametrize("protocol", ALL)
def test_no_key_shows_where_values_are_shown(protocol):
    asked = ALL[protocol].request("1000000000200", "c", "7")
    assert KEY not in repr(ALL[protocol])
    assert KEY not in repr(asked)
    assert KEY in str(asked.headers)
