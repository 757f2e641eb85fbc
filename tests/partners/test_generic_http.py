"""The protocol `http`: its requests carry each value exactly, and nothing admits but a rule that says so."""

import base64
import json
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from partner_rigs import answer

from gatectl.config import model, schema
from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.partners.exchange import Endpoint, interpret
from gatectl.partners.generic_http.answer_rules import is_equal
from gatectl.partners.reason import MASK, mask_secrets
from gatectl.partners.registry import PROTOCOLS, numbers_of

KEY = "s3cret/Key+with=odd&chars"
URL = "https://members.example.com/door/{code}"
GRANTED = {"status": 200, "json": {"granted": True}, "verdict": "allowed"}


def settings_of(*rules, **more):
    raw = {
        "protocol": "http",
        "url": URL,
        "key": {"file": "/dev/null"},
        "answers": list(rules) or [GRANTED],
        **more,
    }
    if raw["key"] is None:
        del raw["key"]
    return schema.read(model.Partner, raw, Path("/"))


def backend(*rules, key=KEY, other_keys=(), **more):
    settings = settings_of(*rules, **({"key": None} if key is None else {}), **more)
    return PROTOCOLS["http"].make(settings, Endpoint.of(settings.url), key or "", other_keys)


def decided(protocol, status, body=b"", headers=None, **flaws):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return interpret(protocol, answer(status, content, headers, **flaws))


def came_to(decision):
    return decision.fault.value if decision.fault else decision.verdict.value


# The request.

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
ODD = [
    "../..",
    "..",
    ".",
    "a/b?c=d#e",
    "a&t=x",
    '","granted":true,"x":"',
    "\r\nX-Evil: 1",
    "%2e%2e",
    "{door}{key}",
    "ü 田",
]


@given(code=TEXTS | st.sampled_from(ODD), member=TEXTS, door=TEXTS)
@example(code="..", member=".", door="/")
def test_every_value_is_carried_exactly_and_changes_nothing_around_it(code, member, door):
    protocol = backend(
        url="https://x.example.com/d%20x/{door}/{code}/in?m={member}&t={key}&v=1",
        body={"code": "{code}", "deep": [{"who": "{member} at {door}"}], "n": 1, "yes": True},
    )
    request = protocol.request(member, code, "", door)
    assert request.target.isascii()
    assert request.target.isprintable()
    assert " " not in request.target
    path, _, query = request.target.partition("?")
    assert path.split("/")[:2] == ["", "d%20x"]
    assert [unquote(part) for part in path.split("/")[2:]] == [door, code, "in"]
    assert not {".", ".."} & {*path.split("/")}
    pairs = [pair.split("=") for pair in query.split("&")]
    assert [(name, unquote(text)) for name, text in pairs] == [("m", member), ("t", KEY), ("v", "1")]
    assert json.loads(request.body) == {
        "code": code,
        "deep": [{"who": f"{member} at {door}"}],
        "n": 1,
        "yes": True,
    }


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://x.example.com", "/"),
        ("https://x.example.com?m={member}", "/?m=M"),
        ("https://x.example.com/{member}", "/M"),
        ("https://x.example.com:8443/a//b/?c", "/a//b/?c"),
        ("http://localhost/{door}{member}", "/mainM"),
    ],
)
def test_the_target_is_the_url_behind_its_host(url, target):
    assert backend(url=url).request("M", "C", "", "main").target == target


@pytest.mark.parametrize(
    ("auth", "key", "header"),
    [
        ("bearer", "abc", ("Authorization", "Bearer abc")),
        (
            "basic",
            "Jörg:pass: word",
            ("Authorization", f"Basic {base64.b64encode('Jörg:pass: word'.encode()).decode()}"),
        ),
        ("header:X-Api-Key", "abc", ("X-Api-Key", "abc")),
    ],
)
def test_the_key_is_sent_as_auth_says(auth, key, header):
    request = backend(auth=auth, key=key).request("M", "C")
    assert header in request.headers
    assert key not in repr(request)
    assert key not in repr(backend(auth=auth, key=key))


def test_a_request_hides_the_key_wherever_it_is():
    protocol = backend(url="https://x.example.com/?t={key}", body={"t": "{key}"}, auth="none", key="abc-123")
    request = protocol.request("M", "C")
    assert "abc-123" in request.target
    assert b"abc-123" in request.body
    assert "abc-123" not in repr(request)


def test_without_a_key_nothing_is_sent_of_one():
    request = backend(auth="none", key=None, method="GET").request("M", "C")
    assert {name for name, _ in request.headers} == {"Accept", "Accept-Encoding"}
    assert (request.method, request.body) == ("GET", b"")


def test_the_body_alone_has_a_content_type():
    names = [name for name, _ in backend(method="PUT", body={}).request("M", "C").headers]
    assert "Content-Type" in names
    assert "Content-Type" not in [name for name, _ in backend().request("M", "C").headers]


# The answer.


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"granted": True}, "allowed"),
        (200, {"granted": True, "more": 1}, "allowed"),
        (200, {"granted": "true"}, "partner"),
        (200, {"granted": 1}, "partner"),
        (200, {"granted": False}, "not_allowed"),
        (200, {}, "partner"),
        (200, [{"granted": True}], "partner"),
        (200, b"", "partner"),
        (200, b'{"granted": true', "partner"),
        (200, b'{"granted": true, "granted": true}', "partner"),
        (200, b'<html>{"granted": true}</html>', "partner"),
        (201, {"granted": True}, "partner"),
        (302, {"granted": True}, "partner"),
        (500, {"granted": True}, "partner"),
        (401, {"granted": True}, "credentials"),
        (401, b"<html>", "credentials"),
        (403, b"<html>", "not_allowed"),
        (403, {"message": "Forbidden"}, "not_allowed"),
        (404, {"error": {"code": "no_member"}}, "not_found"),
        (404, {"error": {"code": "no_path"}}, "partner"),
        (404, {"error": "no_member"}, "partner"),
        (409, b"", "configuration"),
        (418, b"", "credentials"),
        (429, b"", "partner"),
    ],
)
def test_the_first_rule_that_fits_decides(status, body, expected):
    protocol = backend(
        GRANTED,
        {"status": 200, "json": {"granted": False}, "verdict": "not_allowed"},
        {"status": 403, "verdict": "not_allowed"},
        {"status": 404, "json": {"error.code": "no_member"}, "verdict": "not_found"},
        {"status": 409, "verdict": "configuration"},
        {"status": [418, 419], "verdict": "credentials"},
    )
    assert came_to(decided(protocol, status, body)) == expected


def test_a_refusal_may_leave_out_its_status():
    protocol = backend(GRANTED, {"json": {"error": "ended"}, "verdict": "not_allowed"})
    assert came_to(decided(protocol, 422, {"error": "ended"})) == "not_allowed"


BY_STATUS = {"status": [200, 204, 403], "verdict": "allowed"}


@pytest.mark.parametrize(
    ("status", "body", "flaws", "expected"),
    [
        (204, b"", {}, "allowed"),
        (200, b"OK", {}, "allowed"),
        (200, b"  <!DOCTYPE html>", {}, "partner"),
        (200, b"\xef\xbb\xbf<html>", {}, "partner"),
        (200, "\u00a0<html>".encode(), {}, "partner"),
        (200, '\u00a0{"granted": false}'.encode(), {}, "partner"),
        (403, b"<html>", {}, "partner"),
        (200, b'{"granted": tru', {}, "partner"),
        (200, b"[1", {}, "partner"),
        (200, b"OK", {"has_surplus": True}, "partner"),
        (403, b"OK", {"has_surplus": True}, "partner"),
        (200, b"\x1f\x8b", {"is_packed": True}, "partner"),
        (200, b"OK", {"headers": {"cf-mitigated": "challenge"}}, "partner"),
    ],
)
def test_a_rule_by_status_alone_admits_no_page_and_nothing_broken(status, body, flaws, expected):
    assert came_to(decided(backend(BY_STATUS), status, body, **flaws)) == expected


def test_a_429_rests_also_where_a_rule_decides():
    decision = decided(
        backend(GRANTED, {"status": 429, "verdict": "not_allowed"}), 429, headers={"retry-after": "7"}
    )
    assert (came_to(decision), decision.rest_s) == ("not_allowed", 7)


@pytest.mark.parametrize(
    ("headers", "body"), [({"x-amzn-errortype": "x"}, b""), ({}, {"message": "Forbidden"})]
)
def test_an_api_gateways_refusal_counts_where_no_rule_fits(headers, body):
    assert came_to(decided(backend(), 403, body, headers)) == "credentials"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([1.0, 0.0, 1.5])
    | st.sampled_from(["", "true", "1", "a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["granted", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=6,
)
WANTED = st.dictionaries(
    st.sampled_from(["granted", "a", "a.b", "a.b.a"]),
    JSON.filter(lambda value: "null" not in json.dumps(value)),
    min_size=1,
    max_size=2,
)
RULES = st.lists(
    st.builds(
        lambda status, wanted, verdict: (
            {"status": status, "verdict": verdict} | ({"json": wanted} if wanted else {})
        ),
        st.sampled_from([200, 204, 403, 404, [200, 403]]),
        st.none() | WANTED,
        st.sampled_from(["allowed", "not_allowed", "not_found", "credentials", "configuration"]),
    ),
    min_size=1,
    max_size=4,
)
BODIES = JSON.map(lambda value: json.dumps(value).encode()) | st.sampled_from(
    [b"", b"OK", b"<p>", b"{", b'{"granted": true}x']
)


def _same(one, other):
    """Equality of JSON values, by their canonical text: it shares no code with the product."""

    def plain(value):
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, list):
            return [plain(item) for item in value]
        return {name: plain(item) for name, item in value.items()} if isinstance(value, dict) else value

    return json.dumps(plain(one), sort_keys=True) == json.dumps(plain(other), sort_keys=True)


def _says_so(rule, status, body):
    """Whether this rule says that such an answer opens the gate."""
    statuses = rule["status"] if isinstance(rule["status"], list) else [rule["status"]]
    if rule["verdict"] != "allowed" or status not in statuses or body.lstrip().startswith(b"<"):
        return False
    try:
        value = json.loads(body)
    except ValueError:
        return "json" not in rule and not body.startswith((b"{", b"[", b'"'))
    for path, wanted in rule.get("json", {}).items():
        node = value
        for name in path.split("."):
            if not isinstance(node, dict) or name not in node:
                return False
            node = node[name]
        if not _same(node, wanted):
            return False
    return True


@given(rules=RULES, status=st.sampled_from([200, 201, 204, 302, 401, 403, 404, 429, 503]), body=BODIES)
def test_no_answer_admits_without_a_rule_that_says_so(rules, status, body):
    decision = decided(backend(*rules), status, body)
    admits = decision.verdict is Verdict.ALLOWED and decision.fault is None
    assert admits == decision.admits
    if admits:
        assert any(_says_so(rule, status, body) for rule in rules)
    if _says_so(rules[0], status, body):
        assert admits


@given(one=JSON, other=JSON)
@example(one=1, other=1.0)
@example(one=True, other=1)
@example(one=[True], other=[1])
@example(one={"a": 0}, other={"a": False})
def test_values_are_equal_as_json_has_it(one, other):
    assert is_equal(one, other) == _same(one, other)


# The partner's own reason.


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("message", {"message": "Not paid"}, "Not paid"),
        ("error.text", {"error": {"text": "Not paid"}}, "Not paid"),
        ("errors.label", {"errors": [{"label": "Not paid"}, {"label": "Twice"}]}, "Not paid; Twice"),
        ("message", {"message": "Ask buzz@example.com"}, f"Ask {MASK}"),
        ("message", {"message": "Not paid", "name": "Buzz"}, "Not paid"),
        ("message", {"message": "Buzz did not pay", "name": "Buzz"}, f"{MASK} did not pay"),
        ("message", {"message": f"key {KEY}"}, f"key {MASK}"),
        ("message", {"message": "key s3cret%2FKey%2Bwith%3Dodd%26chars"}, f"key {MASK}"),
        ("message", {"message": "of another: 0ther-key"}, f"of another: {MASK}"),
        ("message", {"message": 7}, None),
        ("message", {}, None),
        ("message", b"<html>", None),
    ],
)
def test_the_reason_is_the_member_that_the_rule_names(path, body, text):
    protocol = backend(
        GRANTED, {"status": 403, "verdict": "not_allowed", "reason": path}, other_keys=("0ther-key",)
    )
    decision = decided(protocol, 403, body)
    assert decision.verdict is Verdict.NOT_ALLOWED
    assert (decision.reason and decision.reason.text) == text


def test_a_password_and_its_coded_form_are_masked():
    rule = {"status": 403, "verdict": "not_allowed", "reason": "message"}
    protocol = backend(GRANTED, rule, auth="basic", key="door:opensesame")
    coded = base64.b64encode(b"door:opensesame").decode()
    reason = decided(protocol, 403, {"message": f"{coded} opensesame no"}).reason
    assert reason.text == f"{MASK} {MASK} no"


def test_the_missing_key_of_a_backend_without_one_masks_nothing():
    rule = {"status": 403, "verdict": "not_allowed", "reason": "message"}
    protocol = backend(GRANTED, rule, auth="none", key="", other_keys=("", "0ther-key"))
    assert decided(protocol, 403, {"message": "closed, 0ther-key"}).reason.text == f"closed, {MASK}"
    assert mask_secrets(("", "0ther-key"), "closed, 0ther-key") == f"closed, {MASK}"


def test_a_fault_by_rule_says_what_is_wrong():
    decision = decided(backend(GRANTED, {"status": 418, "verdict": "credentials"}), 418)
    assert (decision.fault, decision.detail) == (Fault.CREDENTIALS, "418: the key is refused")


# The member's number.


@pytest.mark.parametrize(
    ("pattern", "member", "carried"),
    [
        (None, "x", True),
        (None, "x" * 512, True),
        (None, "", False),
        (None, "..", False),
        (r"\d{3}", "123", True),
        (r"\d{3}", "1234", False),
        (r"\d{3}", "١٢٣", False),
    ],
)
def test_which_numbers_it_can_have(pattern, member, carried):
    more = {} if pattern is None else {"member_pattern": pattern}
    assert bool(numbers_of(settings_of(**more)).member.pattern.fullmatch(member)) == carried


def test_the_query_is_one_that_a_server_reads_back():
    protocol = backend(url="https://x.example.com/check?card={code}&token={key}", auth="none", method="GET")
    target = protocol.request("M", "A&B=C#+ %", "").target
    assert parse_qs(urlsplit(target).query) == {"card": ["A&B=C#+ %"], "token": [KEY]}
