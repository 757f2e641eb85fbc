"""The Device API: what is asked, and what each answer comes to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from partner_rigs import DEVICE_API, KEY, answer

from gatectl.decision.outcomes import Fault
from gatectl.decision.routing import objection
from gatectl.decision.verdict import MemberWords, Reason, Verdict
from gatectl.partners.device_api import PROTOCOL, DeviceApiProtocol, DeviceApiSettings
from gatectl.partners.exchange import Endpoint, interpret
from gatectl.validators.values import KeySource

ALLOWED = (Verdict.ALLOWED, None)
NOT_ALLOWED = (Verdict.NOT_ALLOWED, None)
NOT_FOUND = (Verdict.NOT_FOUND, None)
PARTNER = (Verdict.NONE, Fault.PARTNER)
CREDENTIALS = (Verdict.NONE, Fault.CREDENTIALS)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HTML = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
ERROR = {"errorMessage": "Kein Vertrag.", "errorCode": "DENIED", "traceId": TRACE}


def of(status, value, headers=None, **flaws):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return interpret(DEVICE_API, answer(status, body, headers or {}, **flaws))


def settings(**own):
    usual = {"protocol": "device-api", "url": "https://a.example", "key": KeySource(env="K")}
    return DeviceApiSettings(**usual | own)


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        (200, {"authorized": True, "text": ""}, ALLOWED),
        (200, {"authorized": True}, ALLOWED),
        (200, {"authorized": True, "text": None, "more": [1]}, ALLOWED),
        (200, {"authorized": False, "text": "Vertrag ruht."}, NOT_ALLOWED),
        (200, {"authorized": False}, NOT_ALLOWED),
        (200, {"authorized": "true"}, PARTNER),
        (200, {"authorized": 1}, PARTNER),
        (200, {"authorized": None}, PARTNER),
        (200, {}, PARTNER),
        (200, [{"authorized": True}], PARTNER),
        (200, [], PARTNER),
        (200, None, PARTNER),
        (200, ERROR, PARTNER),
        (200, b"", PARTNER),
        (200, b"OK", PARTNER),
        (200, b'{"authorized": true', PARTNER),
        (200, b'{"authorized": false, "authorized": true}', PARTNER),
        (200, HTML, PARTNER),
        (201, {"authorized": True, "text": ""}, PARTNER),
        (202, {"authorized": True}, PARTNER),
        (204, b"", PARTNER),
        (302, HTML, PARTNER),
        (400, ERROR, NOT_ALLOWED),
        (403, ERROR, NOT_ALLOWED),
        (404, ERROR, NOT_FOUND),
        (400, {"errorCode": "DENIED"}, NOT_ALLOWED),
        (400, ERROR | {"errorCode": ""}, PARTNER),
        (400, ERROR | {"errorCode": "  "}, PARTNER),
        (400, ERROR | {"errorCode": None}, PARTNER),
        (400, {"errorMessage": "no"}, PARTNER),
        (400, b"", PARTNER),
        (400, [ERROR], PARTNER),
        (400, HTML, PARTNER),
        (403, ERROR | {"errorCode": ""}, PARTNER),
        (403, {"message": "no"}, PARTNER),
        (403, {}, PARTNER),
        (403, b"", CREDENTIALS),
        (403, b"no", CREDENTIALS),
        (403, [], CREDENTIALS),
        (403, HTML, PARTNER),
        (404, ERROR | {"errorCode": ""}, PARTNER),
        (404, b"Not Found", PARTNER),
        (404, HTML, PARTNER),
        (401, ERROR, CREDENTIALS),
        (401, b"", CREDENTIALS),
        (401, {}, CREDENTIALS),
        (401, HTML, PARTNER),
        (405, ERROR, PARTNER),
        (409, ERROR, PARTNER),
        (422, ERROR, PARTNER),
        (429, ERROR, PARTNER),
        (500, ERROR, PARTNER),
        (503, ERROR, PARTNER),
        (503, HTML, PARTNER),
    ],
)
def test_the_decision_on_an_answer(status, value, expected):
    decision = of(status, value)
    assert (decision.verdict, decision.fault, decision.status) == (*expected, status)
    assert (decision.rest_s is None) == (status != 429)


@pytest.mark.parametrize(
    ("headers", "flaws"),
    [({}, {"has_surplus": True}), ({"cf-mitigated": "challenge"}, {})],
)
def test_a_success_that_is_not_the_partners_own(headers, flaws):
    decision = of(200, {"authorized": True}, headers, **flaws)
    assert (decision.verdict, decision.fault) == PARTNER


def test_an_api_gateways_refusal_is_the_keys():
    assert of(403, {"message": "Forbidden"}).fault is Fault.CREDENTIALS


@given(
    status=st.sampled_from([200, 400, 403, 404]) | st.integers(100, 599),
    body=st.fixed_dictionaries(
        {},
        optional={
            "authorized": st.sampled_from([True, False, "true", 1, None]),
            "errorCode": st.sampled_from(["DENIED", "", " ", 7, None]),
            "errorMessage": st.text(max_size=5),
            "traceId": st.text(max_size=5) | st.just(TRACE),
        },
    ),
)
def test_every_answer_is_classified_and_only_the_success_admits(status, body):
    decision = of(status, body)
    assert decision.admits == (status == 200 and body.get("authorized") is True)
    refuses = {400: Verdict.NOT_ALLOWED, 403: Verdict.NOT_ALLOWED, 404: Verdict.NOT_FOUND}
    if status in refuses:
        refused = body.get("errorCode") == "DENIED"
        assert decision.verdict is (refuses[status] if refused else Verdict.NONE)
    elif status != 200:
        assert decision.verdict is Verdict.NONE
    assert (decision.fault is None) == (decision.verdict is not Verdict.NONE)


@pytest.mark.parametrize(
    ("status", "value", "detail"),
    [
        (200, {"authorized": True, "traceId": TRACE}, f"traceId {TRACE}"),
        (200, {"authorized": True}, None),
        (403, ERROR, f"traceId {TRACE}"),
        (404, ERROR, f"traceId {TRACE}"),
        (500, ERROR, f"500 with JSON that is no documented answer, traceId {TRACE}"),
        (401, ERROR, f"401: the token is refused, traceId {TRACE}"),
        (403, b"", "403: the token is refused"),
        (429, ERROR, f"429, the partner asks for a rest of 30 s, traceId {TRACE}"),
        (503, HTML, "503 with a text/html page, as a proxy sends it"),
    ],
)
def test_the_trace_id_goes_into_the_detail(status, value, detail):
    assert of(status, value).detail == detail


@pytest.mark.parametrize(
    "trace", ["", " ", "buzz@example.com", "a b", "ü", "x" * 65, "a\n", 7, None, f"x{KEY}y"]
)
def test_a_trace_id_that_is_none_is_not_kept(trace):
    assert of(403, ERROR | {"traceId": trace}).detail is None


def test_another_partners_key_is_not_kept_as_a_trace_id():
    protocol = DeviceApiProtocol(DEVICE_API.endpoint, KEY, other_keys=("other-key",))
    body = json.dumps(ERROR | {"traceId": "other-key"}).encode()
    assert interpret(protocol, answer(403, body)).detail is None


@pytest.mark.parametrize(
    ("status", "value", "reason", "lines"),
    [
        (200, {"authorized": True, "text": "Hallo!"}, None, ("Hallo!",)),
        (200, {"authorized": True, "text": ""}, None, ()),
        (200, {"authorized": False, "text": "Ruht.\nBitte melden."}, (None, "Ruht. Bitte melden."), 2),
        (403, ERROR, ("DENIED", "Kein Vertrag."), ("Kein Vertrag.",)),
        (404, ERROR, ("DENIED", "Kein Vertrag."), ("Kein Vertrag.",)),
        (403, {"errorCode": "DENIED"}, ("DENIED", None), ()),
        (500, ERROR, ("DENIED", "Kein Vertrag."), ()),
    ],
)
def test_the_words_for_the_member(status, value, reason, lines):
    decision = of(status, value)
    assert decision.reason == (reason and Reason(*reason))
    if lines == 2:
        lines = ("Ruht.", "Bitte melden.")
    assert decision.for_member == (MemberWords(None, lines) if lines else None)


def test_a_name_in_the_words_is_not_stored():
    decision = of(403, ERROR | {"errorMessage": "Buzz Aldrin: gesperrt", "customerName": "Buzz Aldrin"})
    assert "Buzz" not in decision.reason.text
    assert "Aldrin" not in decision.reason.text


def asked(member="1233588160", base="", **own):
    endpoint = Endpoint.of(f"https://gym.devices.magicline.com{base}")
    return PROTOCOL.make(settings(**own), endpoint, KEY, ()).request(member, "code", "7")


def test_the_request():
    request = asked()
    assert (request.method, request.target) == ("POST", "/open-api/device/cardreader/identification")
    assert json.loads(request.body) == {
        "identification": {"type": "NUMBER", "value": "1233588160", "format": "DECIMAL"},
        "shouldExecuteAction": True,
    }
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {KEY}",
    }
    assert KEY not in repr(request)


@pytest.mark.parametrize(
    ("own", "identification"),
    [
        ({"format": "HEX_MSB"}, {"type": "NUMBER", "value": "1233588160", "format": "HEX_MSB"}),
        ({"format": "HEX_LSB"}, {"type": "NUMBER", "value": "1233588160", "format": "HEX_LSB"}),
        ({"identification": "QR_CODE"}, {"type": "QR_CODE", "value": "1233588160"}),
    ],
)
def test_the_identification(own, identification):
    assert json.loads(asked(**own).body)["identification"] == identification


def test_the_language_and_a_path_in_front():
    request = asked(base="/proxy", language="de")
    assert dict(request.headers)["Accept-Language"] == "de"
    assert request.target == "/proxy/open-api/device/cardreader/identification"


@pytest.mark.parametrize(
    ("own", "member", "carried"),
    [
        ({}, "1173673668653440", True),
        ({}, "0" * 64, True),
        ({}, "0" * 65, False),
        ({}, "", False),
        ({}, "042b73321a3180", False),
        ({}, "\uff11", False),
        ({}, "12 3", False),
        ({"format": "HEX_MSB"}, "042b73321a3180", True),
        ({"format": "HEX_MSB"}, "42B73321A3180", True),
        ({"format": "HEX_MSB"}, "04:2b", False),
        ({"format": "HEX_LSB"}, "80311a32732b04", True),
        ({"format": "HEX_LSB"}, "80311a32732b0", False),
        ({"format": "HEX_LSB"}, "ab" * 33, False),
        ({"identification": "QR_CODE"}, "a b/ü", True),
        ({"identification": "QR_CODE"}, " ", False),
        ({"identification": "QR_CODE"}, "x" * 65, False),
    ],
)
def test_which_numbers_it_carries(own, member, carried):
    assert (objection(PROTOCOL.numbers(settings(**own)), member, None) is None) is carried
