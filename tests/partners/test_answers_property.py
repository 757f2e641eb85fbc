"""Any answer of a partner: only its own success admits, and its words are harmless where they are kept.

`may_admit` states independently of the protocols what may open a gate, and shares no code with them.
"""

import json
import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from partner_rigs import ALL, KEY, answer

from gatectl.decision.outcomes import Fault
from gatectl.decision.verdict import Verdict
from gatectl.partners.exchange import interpret
from gatectl.partners.reason import MASK, TEXT_CHARS_MAX

WELLHUB_KEYS = [
    "checkin.validation.notfound",
    "checkin.validation.cancelled",
    "checkin.validation.canceled",
    "checkin.validation.expired",
    "checkin.already.validated",
]
CAPITAN_ERRORS = [
    "customer_not_found",
    "invalid_location",
    "check_in_alerts",
    "duplicate_check_in",
    "no_entry_method",
]
NAMES = ["Buzz", "Aldrin", "Jürgen", "O'Neil", "田中", "Anna-Lena", "Smith"]
PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
DOCUMENTED = [
    {},
    {"authorized": False},
    {"authorized": True},
    {"metadata": {"total": 1, "errors": 0}, "results": {"gym": {"Id": 1}}},
    {"metadata": {"total": 0, "errors": 1}, "errors": [{"message": "?", "key": WELLHUB_KEYS[0]}]},
    {"id": 17, "customer_id": 13, "customer_first_name": "Buzz", "customer_email": "buzz@example.com"},
    {"error": "check_in_alerts", "alerts": ["No waiver."], "customer_last_name": "Aldrin"},
    {"authorized": True, "text": ""},
    {"errorMessage": "No contract", "errorCode": "DENIED", "traceId": "4bf92f35"},
]
KEYS = ["authorized", "metadata", "errors", "error", "id", "key", "message", "Message", "alerts", "name"]
KEYS += ["text", "errorMessage", "errorCode", "traceId"]


def may_admit(protocol, status, headers, body):
    """Whether this answer may open the gate."""
    start = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n\f\v")
    if status != 200 or "cf-mitigated" in headers or start.startswith("<"):
        return False
    try:
        value, is_json = json.loads(body.decode("utf-8-sig")), True
    except (ValueError, RecursionError):
        value, is_json = None, False
    members = value if isinstance(value, dict) else {}
    match protocol:
        case "perfectgym":
            return members.get("authorized") is not False if is_json else not start.startswith(("{", "["))
        case "wellhub":
            counted = members["metadata"].get("errors") if isinstance(members.get("metadata"), dict) else 0
            has_errors = bool(members.get("errors")) or bool(counted)
            return not body.strip() or (is_json and isinstance(value, dict) and not has_errors)
        case "device-api":
            return members.get("authorized") is True
        case _:
            return type(members.get("id")) is int and not members.get("error")


words = st.one_of(
    st.sampled_from([*NAMES, *WELLHUB_KEYS, *CAPITAN_ERRORS, KEY, "buzz@example.com", f"x{KEY}y", "quota"]),
    st.text(max_size=12),
    st.characters(categories=["Cs", "Cc", "Cf", "Zs"]),
)
texts = st.lists(words, max_size=30).map(" ".join) | st.lists(words, max_size=6).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)


@st.composite
def mutated(draw):
    """A documented answer with some of its members changed, added or gone, at any depth."""
    value = json.loads(json.dumps(draw(st.sampled_from(DOCUMENTED))))
    for _ in range(draw(st.integers(0, 3))):
        place = value
        while isinstance(place, dict) and place and draw(st.booleans()):
            inner = draw(st.sampled_from(sorted(place)))
            if not isinstance(place[inner], dict):
                break
            place = place[inner]
        key = draw(st.sampled_from([*KEYS, *place]))
        if draw(st.booleans()):
            place[key] = draw(values)
        else:
            place.pop(key, None)
    return value


def damaged(data, rubbish, at):
    """Something put into the bytes, or the bytes cut there."""
    at = at % (len(data) + 1)
    return data[:at] if rubbish is None else data[:at] + rubbish + data[at:]


documents = (mutated() | values).map(lambda value: json.dumps(value, ensure_ascii=True).encode())
bodies = st.one_of(
    documents,
    st.builds(damaged, documents, st.none() | st.binary(max_size=3), st.integers(0, 5000)),
    st.binary(max_size=200),
    st.just(PAGE.encode()),
    st.text(max_size=50).map(lambda text: (PAGE[: len(text)] + text).encode("utf-8", "replace")),
)
header_values = st.sampled_from(
    ["application/json", "text/html", "text/plain", "TEXT/HTML;x", "", "gzip", "5", "soon"]
) | st.text(st.characters(max_codepoint=255), max_size=20)
headers = st.dictionaries(
    st.sampled_from(
        ["content-type", "content-encoding", "retry-after", "date", "cf-mitigated", "x-amzn-errortype", "x"]
    ),
    header_values,
)
statuses = st.sampled_from([200, 200, 200, 400, 401, 403, 404, 429, 500]) | st.integers(0, 999)
protocols = st.sampled_from(sorted(ALL))


@settings(max_examples=1500, deadline=None)
@given(protocols, statuses, headers, bodies, st.booleans(), st.booleans())
@example("perfectgym", 200, {}, b'{"authorized": false, "x": ' + b"[" * 60000, False, False)
@example("perfectgym", 200, {}, b'{"authorized":fals', False, False)
@example("capitan", 200, {}, b'{"id": 1, "error": "x", "error": null}', False, False)
@example("wellhub", 200, {}, b"[" * 65536, False, False)
def test_only_the_protocols_own_success_admits(protocol, status, given_headers, body, surplus, packed):
    decision = interpret(
        ALL[protocol], answer(status, body, given_headers, has_surplus=surplus, is_packed=packed)
    )
    if decision.admits or decision.verdict is Verdict.ALLOWED:
        assert may_admit(protocol, status, given_headers, body)
        assert not surplus
    assert decision.detail is not None or decision.fault is None
    assert decision.fault is not None or decision.detail is None or decision.detail.startswith("traceId ")
    assert decision.status == status
    assert (decision.verdict is Verdict.NONE) == (decision.fault is not None)
    assert decision.fault in {None, Fault.PARTNER, Fault.CREDENTIALS, Fault.CONFIGURATION}
    assert (decision.rest_s is not None) == (status == 429)
    assert decision.rest_s is None or 0 <= decision.rest_s <= 300


@pytest.mark.parametrize("protocol", ALL)
@settings(max_examples=100, deadline=None)
@given(extra=st.dictionaries(st.text(max_size=8).map("x-".__add__), values, max_size=4))
def test_a_documented_success_admits_with_any_further_content(protocol, extra):
    good = {"metadata": {"total": 1, "errors": 0}, "results": {}, "id": 17, "authorized": True}
    body = json.dumps(good | extra).encode()
    assert may_admit(protocol, 200, {}, body)
    assert interpret(ALL[protocol], answer(200, body)).admits


def kept(decision):
    return (
        []
        if decision.reason is None
        else [part for part in (decision.reason.key, decision.reason.text) if part]
    )


def check_harmless(part):
    part.encode("utf-8")
    assert part.isprintable()
    assert 0 < len(part) <= 200
    assert KEY not in part
    assert "@" not in part


@settings(max_examples=500, deadline=None)
@given(protocols, statuses, bodies)
def test_reasons_are_harmless_for_any_answer(protocol, status, body):
    decision = interpret(ALL[protocol], answer(status, body))
    for part in kept(decision):
        check_harmless(part)
    if decision.detail is not None:
        check_harmless(decision.detail)


@settings(max_examples=700, deadline=None)
@given(
    protocol=protocols,
    status=st.sampled_from([200, 400, 401, 403, 404, 429, 500]),
    names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    text=texts,
    key=words,
)
def test_no_name_of_the_answer_is_kept(protocol, status, names, text, key):
    body = {
        "authorized": False,
        "code": key,
        "message": text,
        "error": key,
        "alerts": [text, text],
        "errors": [{"key": key, "message": text}],
        "errorCode": key,
        "errorMessage": text,
        "customer_first_name": " ".join(names),
    }
    for part in kept(ALL[protocol].interpret(answer(status, json.dumps(body).encode()))):
        check_harmless(part)
        for name in names:
            # Glued to other letters it is another word; a script without blanks has no such thing.
            edge = r"(?<!\w){}(?!\w)" if name.isascii() else "{}"
            assert not re.search(edge.format(re.escape(name)), part, re.IGNORECASE)


plain_texts = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=12)


@settings(max_examples=700, deadline=None)
@given(
    protocol=protocols,
    others=st.dictionaries(st.text(max_size=6).map("x".__add__), plain_texts, min_size=1, max_size=4),
    before=plain_texts,
    after=plain_texts,
    data=st.data(),
)
def test_no_other_text_of_the_answer_is_kept(protocol, others, before, after, data):
    """The text under any key."""
    secret = data.draw(st.sampled_from(sorted(others.values())))
    text = f"{before} {secret} {after}"
    own = {"message": text, "error": "some_error", "alerts": [text], "errors": [{"message": text}]}
    decision = interpret(ALL[protocol], answer(400, json.dumps(own | others).encode()))
    spelt = re.findall(r"[^\W_]", secret)  # letters or digits: other characters name no person
    if decision.reason is not None and decision.reason.text is not None and spelt:
        kept_text = f" {decision.reason.text} ".replace(MASK, "")
        around = f" {before} {after} "
        # A reason that is this text and nothing else is the partner's own words twice.
        if around.strip() and secret.casefold() not in around.casefold():
            assert f" {secret} " not in kept_text


def test_the_worst_answer_does_not_hold_the_door():
    """64 KiB that make every search as long as can be; the bound is generous, a slow search takes minutes."""
    text = ("a.b_c " * 5000)[:TEXT_CHARS_MAX]
    names = {f"name{n}": f"{'a.b_c ' * n}a" for n in range(20)}
    body = json.dumps({"message": text, "errors": [{"message": text}]} | names).encode()
    assert len(body) < 65536
    start = time.process_time()
    for protocol in ALL.values():
        interpret(protocol, answer(400, body))
    assert time.process_time() - start < 2
