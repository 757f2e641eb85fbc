"""The Event Monitor's page, case by case: who has to do what."""

import pytest
from records import ADMITTED, NOT_ALLOWED, NOT_FOUND, TIMEOUT, UNRECOGNISED, scan

from gatectl.decision.advice import advice
from gatectl.decision.event import RequestRecord
from gatectl.decision.verdict import Fault, Message, Reason, Result, Verdict

PAGE = "https://status.example.com"
NOT_SENT = RequestRecord(False, None, None, 12.0, 2000, None)
REPORT = f"`gatectl report {scan(1).attempt.id}`"


def fault(kind, **changes):
    return scan(1, TIMEOUT, fault=kind, **changes)


def says_support(words):
    return "Contact Support" in words


def test_nothing_is_to_be_done_for_who_is_in():
    assert advice(scan(1), PAGE) == ""
    assert advice(scan(1, kind="manual", partner=None, verdict=None), None) == ""


def test_declined_the_member_contacts_the_partner():
    words = advice(scan(1, NOT_ALLOWED), PAGE)
    assert "member to contact wellhub directly" in words
    assert "cannot be overridden" in words
    assert "Support" not in words


def test_not_found_the_member_contacts_the_partner():
    words = advice(scan(1, NOT_FOUND, reason=None), None)
    assert "does not know this member" in words
    assert "member to contact wellhub directly" in words


def test_no_check_in_waiting_the_member_uses_the_app_first():
    words = advice(scan(1, NOT_FOUND), None)
    assert "check in in the app first" in words
    assert "should contact wellhub directly" in words


@pytest.mark.parametrize("kind", [Fault.TIMEOUT, Fault.NETWORK, Fault.TLS, Fault.PARTNER])
def test_one_members_failure_again_in_five_minutes(kind):
    words = advice(fault(kind), PAGE)
    assert "try again in five minutes" in words
    assert "wellhub should be contacted" in words
    assert "Support" not in words


@pytest.mark.parametrize("kind", [Fault.TIMEOUT, Fault.NETWORK, Fault.TLS, Fault.PARTNER])
def test_an_outage_is_the_partners(kind):
    words = advice(fault(kind, outage=True), PAGE)
    assert f"status page ({PAGE})" in words
    assert "contact wellhub" in words
    assert "no need to contact Support" in words
    assert "five minutes" not in words


def test_an_outage_without_a_status_page_in_the_settings():
    words = advice(fault(Fault.TIMEOUT, outage=True), None)
    assert "check its status page and contact wellhub" in words


def test_an_outage_in_which_nothing_goes_out_may_be_our_own():
    words = advice(fault(Fault.NETWORK, outage=True, request=NOT_SENT), None)
    assert "no need to contact Support" in words
    assert "own network" in words


@pytest.mark.parametrize("kind", [Fault.TIMEOUT, Fault.NETWORK, Fault.TLS])
@pytest.mark.parametrize("request_", [NOT_SENT, None])
def test_a_request_that_never_went_out_is_a_case_for_support(kind, request_):
    words = advice(fault(kind, request=request_), PAGE)
    assert "did not go out" in words
    assert says_support(words)
    assert REPORT in words


@pytest.mark.parametrize("kind", [Fault.CREDENTIALS, Fault.CONFIGURATION])
def test_what_no_member_can_mend_is_a_case_for_support(kind):
    words = advice(fault(kind, status=401), PAGE)
    assert says_support(words)
    assert REPORT in words


def test_a_success_behind_a_closed_gate_is_a_case_for_support():
    gate = {"result": Result.REJECTED, "message": Message.GATE_STAYED_SHUT, "fault": Fault.GATE, "gate": None}
    words = advice(scan(1, ADMITTED, **gate), None)
    assert says_support(words)
    assert REPORT in words


def test_a_resting_partner_is_no_case_for_support():
    words = advice(fault(Fault.PARTNER, request=None, reason=Reason("resting", None)), PAGE)
    assert "asked for a pause" in words
    assert "five minutes" in words
    assert "Support" not in words


def test_an_unknown_code_the_route_is_checked():
    words = advice(scan(1, UNRECOGNISED, partner=None, member=None, credential="it's"), None)
    assert """`gatectl route 'it'"'"'s' --door main`""" in words
    assert "No card and no route" in words


def test_a_number_that_the_partner_cannot_have():
    words = advice(scan(1, UNRECOGNISED, credential="X1"), None)
    assert "wellhub has no members with such a number" in words
    assert "`gatectl route X1 --door main`" in words


@pytest.mark.parametrize(
    ("record", "expected"),
    [(RequestRecord(None, None, None, None, 2000, None), "may have gone out"), (None, "Nobody was asked")],
)
def test_interrupted_says_what_it_means(record, expected):
    verdict = Verdict.NONE if record else None
    words = advice(fault(Fault.INTERRUPTED, result=Result.UNKNOWN, verdict=verdict, request=record), None)
    assert expected in words


@pytest.mark.parametrize("kind", Fault)
def test_every_fault_has_its_advice_on_one_line(kind):
    words = advice(fault(kind), None)
    assert words.endswith(".")
    assert "\n" not in words
