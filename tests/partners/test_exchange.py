"""Endpoints, reasons fit to be kept, and how long a partner rests."""

import json

import pytest
from partner_rigs import ALL, KEY, answer

from gatectl.decision.verdict import Reason
from gatectl.partners.exchange import Endpoint, json_of, rest_s
from gatectl.partners.reason import HIDDEN_MAX, MASK, REASON_CHARS, TEXT_CHARS_MAX, reason_of

NOW_US = 1_792_584_000_000_000  # 21 October 2026, 12:00:00 UTC
NOW = "Wed, 21 Oct 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("url", "tls", "host", "port", "authority"),
    [
        ("https://API.Example.com/x", True, "api.example.com", 443, "api.example.com"),
        ("https://api.example.com:443", True, "api.example.com", 443, "api.example.com"),
        ("https://api.example.com:8443", True, "api.example.com", 8443, "api.example.com:8443"),
        ("http://127.0.0.1:80/", False, "127.0.0.1", 80, "127.0.0.1"),
        ("http://localhost:443", False, "localhost", 443, "localhost:443"),
        ("http://[::1]:8080/", False, "::1", 8080, "[::1]:8080"),
        ("https://xn--mnchen-3ya.example", True, "xn--mnchen-3ya.example", 443, "xn--mnchen-3ya.example"),
    ],
)
def test_an_endpoint(url, tls, host, port, authority):
    endpoint = Endpoint.of(url)
    assert (endpoint.tls, endpoint.host, endpoint.port) == (tls, host, port)
    assert endpoint.authority == authority


@pytest.mark.parametrize(
    ("retry_after", "date", "seconds"),
    [
        (None, None, 30),
        ("", None, 30),
        ("soon", None, 30),
        ("-5", None, 30),
        ("1.5", None, 30),
        ("1e2", None, 30),
        ("٣", None, 30),
        ("120, 60", None, 30),
        ("0", None, 0),
        ("2", None, 2),
        (" 7 ", None, 7),
        ("007", None, 7),
        ("300", None, 300),
        ("301", None, 300),
        ("9" * 400, None, 300),
        ("Wed, 21 Oct 2026 12:00:02 GMT", NOW, 2),
        ("Wed, 21 Oct 2026 12:00:02 GMT", None, 2),
        ("Wed, 21 Oct 2026 12:00:02 GMT", "rubbish", 2),
        ("Wed, 21 Oct 2026 14:00:02 GMT", NOW, 300),
        ("Wed, 21 Oct 2026 11:00:00 GMT", NOW, 0),
        ("Wed, 21 Oct 2026 14:00:09 +0200", NOW, 9),
        ("Wednesday, 21-Oct-26 12:00:05 GMT", NOW, 5),
        ("Wed Oct 21 12:00:06 2026", NOW, 6),
        ("Wed, 21 Oct 2026 12:00:07 -0000", NOW, 7),
        ("Wed, 21 Oct 2026 12:00:08 GMT", "Wed, 21 Oct 2026 12:00:00 -0000", 8),
        # The door's clock is years off: only the answer's own date counts.
        ("Thu, 21 Oct 2027 12:00:03 GMT", "Thu, 21 Oct 2027 12:00:00 GMT", 3),
        ("Mon, 21 Oct 1996 12:00:03 GMT", "Mon, 21 Oct 1996 12:00:00 GMT", 3),
        ("Wed, 21 Oct 99999999 12:00:00 GMT", NOW, 30),
        ("Wed, 32 Oct 2026 12:00:00 GMT", NOW, 30),
        ("Wed, 21 Oct 2026 12:00:00 +9999999", NOW, 30),
        ("Fri, 31 Dec 9999 23:59:59 -2359", NOW, 30),
    ],
)
def test_how_long_a_partner_rests(retry_after, date, seconds):
    headers = {"retry-after": retry_after, "date": date}
    given = {name: value for name, value in headers.items() if value is not None}
    assert rest_s(answer(429, b"", given, NOW_US)) == seconds


@pytest.mark.parametrize("protocol", ALL)
def test_retry_after_matters_at_429_alone(protocol):
    for status in (200, 301, 403, 404, 500, 503):
        assert ALL[protocol].interpret(answer(status, b"", {"retry-after": "9"})).rest_s is None
    assert ALL[protocol].interpret(answer(429, b"", {"retry-after": "9"})).rest_s == 9
    assert ALL[protocol].interpret(answer(429, b"<html>", {"content-type": "text/html"})).rest_s == 30


BUZZ = {"customer_first_name": "Buzz", "customer_last_name": "Aldrin"}


@pytest.mark.parametrize(
    ("text", "body", "kept"),
    [
        ("Quota used up", {}, "Quota used up"),
        ("x" * 500, {}, "x" * REASON_CHARS),
        ("ä" * 200, {}, "ä" * 200),
        ("a\tb\r\nc\x00d\x1b[31m", {}, "a b c d [31m"),
        ("  a   b  ", {}, "a b"),
        ("\u202eevil\u200b\ufeff", {}, "evil"),
        ("a\ud800b", {}, "a?b"),
        ("", {}, None),
        (" \n ", {}, None),
        (5, {}, None),
        (["a"], {}, None),
        ("Ask buzz@example.com, please", {}, f"Ask {MASK} please"),
        ("<buzz@example.com>", {}, MASK),
        ("buzz\u200b@example.com", {}, MASK),
        ("buzz\x00@example.com", {}, MASK),
        (f"wrong key {KEY}.", {}, f"wrong key {MASK}."),
        ("wrong \u212aey " + KEY.replace("K", "\u212a"), {}, f"wrong Key {MASK}"),
        ("No waiver: Buzz Aldrin", BUZZ, f"No waiver: {MASK} {MASK}"),
        ("no waiver: BUZZ aldrin!", BUZZ, f"no waiver: {MASK} {MASK}!"),
        ("Aldrins quota, buzz_aldrin, Buzz's", BUZZ, f"{MASK} quota, {MASK}_{MASK}, {MASK}'s"),
        ("Al is not allowed", {"name": "Al"}, f"{MASK} is not allowed"),
        ("for Mary Jane Watson", {"name": "Mary Jane"}, f"for {MASK} Watson"),
        ("für Jose\u0301", {"name": "José"}, f"für {MASK}"),
        ("会员田中さん", {"lastName": "田中"}, f"会员{MASK}さん"),
        ("for Buzz", {"user": [{"profile": {"NAME": "Buzz"}}]}, f"for {MASK}"),
        ("for Buzz", {"name": {"given": ["Buzz"], "family": "Aldrin"}}, f"for {MASK}"),
        ("a. b", {"name": ". b"}, f"a{MASK}"),
        ("a-b", {"name": "-"}, "a-b"),
        ("(a+)+", {"name": "(a+"}, f"{MASK})+"),
        ("text", {"name": [5, None, {}]}, "text"),
        ("text", {f"name{n}": f"n{n}" for n in range(HIDDEN_MAX + 1)}, None),
        # Names under any key, and in any order.
        ("Max hat kein Kontingent", {"nome": "Max"}, f"{MASK} hat kein Kontingent"),
        ("Max hat kein Kontingent", {"nombre": "MAX"}, f"{MASK} hat kein Kontingent"),
        ("Muster Max: quota", {"member": "Max Muster"}, f"{MASK} {MASK}: quota"),
        ("Muster, Max: quota", {"Inhaber": {"vor": "Max", "nach": "Muster"}}, f"{MASK}, {MASK}: quota"),
        ("Muster, Max: quota", {"x": "Max Muster"}, f"{MASK}, {MASK}: quota"),
        ("quota of max", {"x": [{"y": ["Max"]}]}, f"quota of {MASK}"),
        ("plan Gold Plus is used up", {"plan": "Gold Plus"}, f"plan {MASK} is used up"),
        ("quota used up", {"a": "quota used up"}, "quota used up"),
        ("quota used up", {"a": "up", "b": "u", "c": ""}, f"quota used {MASK}"),
        # Encoded, as somebody else's text often is.
        ("ask max%40example.com now", {}, f"ask {MASK} now"),
        ("ask max%2540example.com now", {}, f"ask {MASK} now"),
        ("ask max&#64;example.com now", {}, f"ask {MASK} now"),
        ("ask max&commat;example.com now", {}, f"ask {MASK} now"),
        ("ask max\\u0040example.com now", {}, f"ask {MASK} now"),
        ("ask max\uff20example.com now", {}, f"ask {MASK} now"),
        ("ask max(at)example.com now", {}, f"ask {MASK} now"),
        ("ask max @ example.com now", {}, f"ask {MASK} {MASK} {MASK} now"),
        ("ask max @example.com now", {}, f"ask {MASK} {MASK} now"),
        ("ask max@ example.com now", {}, f"ask {MASK} {MASK} now"),
        ("for J%C3%BCrgen", {"nome": "Jürgen"}, f"for {MASK}"),
        ("for J&uuml;rgen", {"nome": "Jürgen"}, f"for {MASK}"),
        ("for Jürgen", {"nome": "J%C3%BCrgen"}, f"for {MASK}"),
        ("for Ma\u00adx", {"nome": "Max"}, f"for {MASK}"),
        ("for Max\n Muster", {"nome": "Max  Muster"}, f"for {MASK}"),
        ("100% used, 5%20off", {}, "100% used, 5 off"),
        ("x" * (TEXT_CHARS_MAX + 1), {}, None),
    ],
)
def test_a_reason_fit_to_be_kept(text, body, kept):
    assert reason_of(None, text, body, [KEY]) == (None if kept is None else Reason(None, kept))


def test_a_documented_key_stays_even_if_the_answer_calls_it_a_name():
    documented = {"checkin.already.validated"}
    names = {f"name{n}": f"n{n}" for n in range(HIDDEN_MAX + 1)}
    for body in ({"name": "already"}, {"name": "checkin"}, names):
        kept = reason_of("checkin.already.validated", None, body, ["checkin"], documented)
        assert kept == Reason("checkin.already.validated", None)
    assert reason_of("other", "text", {"name": "other"}, [KEY], documented) == Reason(MASK, "text")
    assert reason_of("other", "text", names, [KEY], documented) is None


@pytest.mark.parametrize(
    ("protocol", "status", "body", "reason"),
    [
        ("perfectgym", 403, {"message": "Quota used up"}, Reason(None, "Quota used up")),
        ("perfectgym", 403, {"code": "QUOTA", "reason": "used up"}, Reason("QUOTA", "used up")),
        ("perfectgym", 404, {"error": "unknown"}, Reason("unknown", None)),
        ("perfectgym", 403, ["?"], None),
        ("perfectgym", 403, {"code": 5}, None),
        (
            "wellhub",
            400,
            {"errors": [{"key": "checkin.validation.expired", "message": "Check-In expired"}]},
            Reason("checkin.validation.expired", "Check-In expired"),
        ),
        ("wellhub", 403, {"errors": [{"Message": "explicit deny"}]}, Reason(None, "explicit deny")),
        ("wellhub", 403, {"Message": "explicit deny"}, Reason(None, "explicit deny")),
        ("wellhub", 400, [{"message": "no key"}], Reason(None, "no key")),
        (
            "wellhub",
            400,
            [{"message": "first"}, {"key": "checkin.already.validated", "message": "second"}],
            Reason("checkin.already.validated", "second"),
        ),
        ("capitan", 404, {"error": "customer_not_found"}, Reason("customer_not_found", None)),
        (
            "capitan",
            400,
            {"error": "check_in_alerts", "alerts": ["No waiver.", 5, "Pay."], "customer_alerts": ["secret"]},
            Reason("check_in_alerts", "No waiver.; Pay."),
        ),
        ("capitan", 404, {"error": "invalid_location"}, Reason("invalid_location", None)),
        ("capitan", 400, {"customer_alerts": [{"alert_text": "internal"}]}, None),
    ],
)
def test_places_of_the_reason_in_each_protocol(protocol, status, body, reason):
    assert ALL[protocol].interpret(answer(status, json.dumps(body).encode())).reason == reason


def test_a_key_that_looks_encoded_is_not_kept():
    assert reason_of(None, "wrong key a%40b!", {}, ["a%40b"]) == Reason(None, f"wrong key {MASK}!")
    assert reason_of(None, "wrong key s%33cret-Key!", {}, [KEY]) == Reason(None, f"wrong key {MASK}!")


@pytest.mark.parametrize("protocol", ALL)
def test_a_success_keeps_no_words(protocol):
    body = {"id": 17, "message": "welcome Buzz", "metadata": {"errors": 0}, "alerts": ["x"]} | BUZZ
    body["authorized"] = True
    decision = ALL[protocol].interpret(answer(200, json.dumps(body).encode()))
    assert decision.admits
    assert decision.reason is None


def test_every_partners_key_is_masked_in_any_partners_answer():
    assert reason_of("k", f"xx{KEY}-long {KEY} other-key", {}, [KEY, f"{KEY}-long", "other-key"]) == Reason(
        "k", f"xx{MASK} {MASK} {MASK}"
    )


def test_a_body_is_parsed_once():
    once = answer(200, b'{"metadata": {}}')
    assert json_of(once) == {"metadata": {}}
    assert json_of(once) is json_of(once)
