"""No number, code or word of a person leaves the gym by default."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import ADMITTED, NOT_FOUND, scan

from gatectl.decision.outcomes import KINDS, Message
from gatectl.decision.verdict import Reason
from gatectl.uplink.privacy import Privacy

KEY = bytes(range(32))
DEFAULT = Privacy("pseudonym", KEY)
SECRET = "Kirsten Mustermann"


def hashed(text: str) -> str:
    return "p:" + hmac.new(KEY, text.encode(), hashlib.sha256).digest()[:16].hex()


def shaped(event, privacy=DEFAULT):
    return privacy.event(event.to_json())


def test_members_and_codes_leave_as_pseudonyms_of_the_tenants_key():
    event = shaped(scan(1, member="4711", credential="WP-4711/9"))
    assert event["member"] == hashed("member\0wellhub\x004711")
    assert event["credential"] == hashed("credential\0WP-4711/9")


def test_none_leaves_them_out_and_plain_has_the_member_alone():
    event = scan(1, member="4711", credential="WP-4711/9", customer="9")
    whose = ("member", "credential", "customer")
    assert [shaped(event, Privacy("none"))[name] for name in whose] == [None, None, None]
    assert [shaped(event, Privacy("plain"))[name] for name in whose] == ["4711", None, None]


def test_every_field_of_an_event_is_there():
    event = scan(1, NOT_FOUND)
    assert shaped(event).keys() == event.to_json().keys()
    assert shaped(event)["request"] == event.to_json()["request"]
    assert shaped(scan(1, ADMITTED))["gate"] == scan(1, ADMITTED).to_json()["gate"]


def test_an_unknown_field_stays_at_the_gate():
    event = scan(1).to_json() | {"name": SECRET}
    assert SECRET not in json.dumps(DEFAULT.event(event))


def test_of_a_reason_only_the_key_leaves():
    assert shaped(scan(1, NOT_FOUND))["reason"] == {"key": "checkin.validation.notfound", "text": None}
    assert shaped(scan(1, reason=Reason(None, SECRET)))["reason"] is None
    assert shaped(scan(1, reason=Reason(SECRET, None)))["reason"] is None


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (f"Opened by hand: {SECRET}", "Opened by hand"),
        (f"Locked down: {SECRET}", "Locked down"),
        (f"Held open until 18:30:00: {SECRET}", "Held open until 18:30:00"),
        (f"Held open until 02:36:01+01:00: {SECRET}", "Held open until 02:36:01+01:00"),
        (f"Held open until 2026-11-27 06:00: Fire alarm: {SECRET}", "Held open until 2026-11-27 06:00"),
        ("Held open by schedule staffed", "Held open by schedule staffed"),
        ("Closed by schedule night", "Closed by schedule night"),
        ("Door closed again after 40 s", "Door closed again after 40 s"),
        ("The exit button is stuck", "The exit button is stuck"),
        ("The passage sensor works again", "The passage sensor works again"),
        (f"Held open until whenever: {SECRET}", "Held open"),
        (f"The exit button is stuck: {SECRET}", ""),
        (f"Door closed again after 40 s: {SECRET}", "Door closed again after"),
        (SECRET, ""),
    ],
)
def test_of_a_message_only_our_own_words_leave(message, left):
    assert shaped(scan(1, message=message))["message"] == left


@pytest.mark.parametrize("message", Message)
def test_messages_without_a_persons_words_leave_as_they_are(message):
    assert shaped(scan(1, message=message.value))["message"] == message.value


@pytest.mark.parametrize(
    ("detail", "left"),
    [
        ("connection refused (203.0.113.4:443)", "connection refused (…)"),
        ("connection refused ([2001:db8::1]:443)", "connection refused (…)"),
        ("no answer from fe80::1%eth0", "no answer from …"),
        ("certificate expired on 2026-11-20", "certificate expired on 2026-11-20"),
        ("502 with a text/html page, as a proxy sends it", "502 with a text/html page, as a proxy sends it"),
        (None, None),
    ],
)
def test_addresses_in_a_detail_stay_at_the_gate(detail, left):
    assert shaped(scan(1, detail=detail))["detail"] == left


@pytest.mark.parametrize(("number", "left"), [("4711", "asked about …, …"), ("471", "asked about 471, 471")])
def test_a_short_number_is_no_number_of_a_person(number, left):
    """Its three digits would mask times and statuses."""
    for whose in ("credential", "member", "customer"):
        event = scan(1, detail=f"asked about {number}, {number}", **{whose: number})
        assert shaped(event)["detail"] == left


numbers = st.text("0123456789ABCDEFabcdef-/:.", min_size=6, max_size=20).filter(
    lambda text: text.strip("-/:. ")
)


@given(st.sampled_from(sorted(KINDS)), numbers, numbers, numbers, st.sampled_from([*Message]))
def test_no_number_of_a_person_leaves_whatever_the_event(kind, code, member, customer, message):
    whose = {"credential": f"X{code}", "member": f"Y{member}", "customer": f"Z{customer}"}
    said = f"number Y{member}, code X{code}, customer Z{customer}"
    reason = Reason(f"key.Y{member}", f"{said} {SECRET}")
    event = scan(1, kind=kind, message=f"{message}: {said} {SECRET}", detail=said, reason=reason, **whose)
    for privacy in (DEFAULT, Privacy("none")):
        left = json.dumps(privacy.event(event.to_json()), ensure_ascii=False)
        assert not [text for text in (*whose.values(), SECRET) if text in left]


STATUS = {
    "version": "1",
    "pid": 5,
    "doors": {
        "main": {
            "state": "free",
            "mode": {"name": "held", "since": "s", "until": "u", "reason": SECRET},
            "alarm": {"name": "forced", "since": "s", "later": SECRET},
            "scanners": [
                {"scanner": "/dev/x", "last_dropped": {"flaw": "length", "detail": SECRET, "at": "t"}}
            ],
            "later": SECRET,
        }
    },
    "partners": {
        "wellhub": {"state": "healthy", "failing": {"fault": "network", "detail": "to 203.0.113.4"}}
    },
    "last_event": scan(1, member=SECRET, credential=SECRET, message=f"Opened by hand: {SECRET}").to_json(),
    "later": SECRET,
}


def test_of_the_status_nothing_leaves_that_a_person_typed_or_is():
    left = DEFAULT.status(STATUS)
    text = json.dumps(left)
    assert SECRET not in text
    assert "203.0.113.4" not in text
    assert left["doors"]["main"]["alarm"] == {"name": "forced", "since": "s"}
    assert left["doors"]["main"]["mode"] == {"name": "held", "since": "s", "until": "u"}
    assert left["doors"]["main"]["scanners"][0]["last_dropped"] == {"flaw": "length", "at": "t"}
