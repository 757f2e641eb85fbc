import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatectl.partners.exchange import PartnerResponse
from gatectl.partners.wellhub.codes import Change, ChangeKind

MEMBER = "0123456789012"
DONE = {"create": {201}, "update": {200}, "delete": {200, 204}}
FINE = {"metadata": {"total": 1, "errors": 0}, "results": {}}


def error(key, message="what Wellhub says"):
    return {"metadata": {"total": 0, "errors": 1}, "errors": [{"message": message, "key": key}]}


def answer(status, body=None, **headers):
    return PartnerResponse(status, headers, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("action", "method", "body"),
    [
        ("create", "POST", b'{"custom_code":"A1"}'),
        ("update", "PUT", b'{"custom_code":"A1"}'),
        ("delete", "DELETE", b""),
    ],
)
def test_the_request_to_wellhub(action, method, body):
    request = Change(action, MEMBER, "A1").request("/base", "1234", "k3y")
    assert (request.method, request.target, request.body) == (
        method,
        f"/base/access/v1/code/{MEMBER}",
        body,
    )
    headers = dict(request.headers)
    assert (headers["Authorization"], headers["X-Gym-Id"]) == ("Bearer k3y", "1234")
    assert headers.get("Content-Type") == (None if action == "delete" else "application/json")
    assert "k3y" not in repr(request)


@pytest.mark.parametrize("action", DONE)
def test_only_the_documented_success_is_one(action):
    change = Change(action, MEMBER, "A1")
    for status in range(200, 300):
        assert (change.interpret(answer(status, FINE)).kind is ChangeKind.DONE) == (status in DONE[action])
    for status in DONE[action]:
        for body in (b"<html>log in here</html>", b"OK", b"[]", b'{"metadata":'):
            page = PartnerResponse(status, {"content-type": "application/json"}, body)
            assert change.interpret(page).kind is ChangeKind.UNKNOWN
        for wrong in (error("custom_code"), {"metadata": {"total": 0, "errors": 1}}):
            assert change.interpret(answer(status, wrong)).kind is ChangeKind.UNKNOWN
        assert (
            change.interpret(PartnerResponse(status, {}, b"{}", has_surplus=True)).kind is ChangeKind.UNKNOWN
        )
        assert (
            change.interpret(PartnerResponse(status, {"content-type": "text/html"}, b"")).kind
            is ChangeKind.DONE
        )


EXISTS = answer(409, error("checkin.custom-code.already-exists"))
MISSING = answer(404, error("checkin.custom-code.not-found"))
DENIED = answer(403, {"errors": [{"Message": "explicit deny"}]})
FAILED = answer(500, error("checkin.custom-code.unexpected-error"))


@pytest.mark.parametrize(
    ("action", "given_", "kind", "line", "hint"),
    [
        ("create", answer(400, error("custom_code")), ChangeKind.REFUSED, "1 to 13 characters", "shorter"),
        ("create", EXISTS, ChangeKind.REFUSED, "already", "codes update"),
        ("update", MISSING, ChangeKind.MISSING, "no custom code", "codes create"),
        ("delete", MISSING, ChangeKind.MISSING, "no custom code", "codes create"),
        ("delete", answer(404, error("other")), ChangeKind.UNKNOWN, "not documented (404)", "url"),
        ("delete", answer(404), ChangeKind.UNKNOWN, "not documented (404)", "url"),
        ("update", DENIED, ChangeKind.KEY, "key", "Technical Sales"),
        ("update", answer(401), ChangeKind.KEY, "(401)", "Technical Sales"),
        ("create", answer(400), ChangeKind.UNKNOWN, "not documented (400)", "url"),
        ("create", FAILED, ChangeKind.UNKNOWN, "(500)", "codes update"),
        ("delete", answer(503), ChangeKind.UNKNOWN, "(503)", "repeat it"),
        ("create", answer(302), ChangeKind.UNKNOWN, "not documented (302)", "url"),
        ("create", answer(429, **{"retry-after": "7"}), ChangeKind.BUSY, "for 7 s", "repeat"),
    ],
)  # fmt: skip
def test_every_documented_answer_is_a_clear_line(action, given_, kind, line, hint):
    outcome = Change(action, MEMBER, "A1").interpret(given_)
    assert outcome.kind is kind
    assert line in outcome.line
    assert hint in outcome.hint


def test_how_long_to_wait():
    assert Change("create", MEMBER, "A1").interpret(answer(429, **{"retry-after": "7"})).wait_s == 7.0


@given(st.sampled_from(sorted(DONE)), st.integers(100, 599), st.binary(max_size=60))
def test_no_body_is_too_odd(action, status, body):
    outcome = Change(action, MEMBER, "A1").interpret(PartnerResponse(status, {}, body))
    if status not in DONE[action]:
        assert outcome.kind is not ChangeKind.DONE
        assert outcome.line
