"""The Event Monitor's page, case by case: who has to do what."""

import re
import shlex

import pytest
from records import ADMITTED, NOT_ALLOWED, NOT_FOUND, TIMEOUT, UNRECOGNISED, scan

from gatectl.cli.main import build_parser
from gatectl.decision.cause import Around
from gatectl.decision.event import RequestRecord
from gatectl.decision.outcomes import Fault, Message
from gatectl.decision.verdict import Reason, Result, Verdict
from gatectl.decision.words.advice import SENTENCES, advice

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


@pytest.mark.parametrize("kind", [Fault.TIMEOUT, Fault.NETWORK, Fault.TLS])
def test_an_outage_in_which_nothing_goes_out_may_be_our_own(kind):
    words = advice(fault(kind, outage=True, request=NOT_SENT), PAGE)
    assert words.index("own network and clock first") < words.index(f"status page ({PAGE})")
    assert "no need to contact Support" not in words
    assert says_support(words)


def test_a_certificate_that_is_not_valid_yet_is_our_clock():
    detail = "the certificate was refused: certificate is not yet valid"
    words = advice(fault(Fault.TLS, outage=True, request=NOT_SENT, detail=detail), PAGE)
    assert "timedatectl" in words
    assert "no need to contact Support" not in words
    assert says_support(words)


@pytest.mark.parametrize("kind", [Fault.CREDENTIALS, Fault.CONFIGURATION])
def test_a_key_that_cannot_be_used_is_not_said_to_be_refused(kind):
    words = advice(fault(kind, request=NOT_SENT), PAGE)
    assert words.startswith("The request did not go out to wellhub. A key or a certificate")
    assert "gatectl check" in words
    assert "refuses" not in words
    assert says_support(words)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 404, 405, 410])
@pytest.mark.parametrize("outage", [True, False])
def test_a_server_that_has_nothing_at_our_url_is_our_settings(status, outage):
    words = advice(fault(Fault.PARTNER, status=status, outage=outage), PAGE)
    assert f"(HTTP {status})" in words
    assert "url" in words
    assert says_support(words)


@pytest.mark.parametrize("status", [500, 502, 503, 429, 200])
def test_a_server_that_fails_is_the_partners(status):
    words = advice(fault(Fault.PARTNER, status=status, outage=True), PAGE)
    assert "no need to contact Support" in words


@pytest.mark.parametrize("outage", [True, False])
def test_two_partners_that_fail_at_once_are_our_own_line(outage):
    words = advice(fault(Fault.TIMEOUT, outage=outage), PAGE, around=Around(others_fail=True))
    assert words.index("own network and clock first") < words.index(f"status page ({PAGE})")
    assert "no need to contact Support" not in words
    assert says_support(words)


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_partner_that_refuses_everyone_may_be_asked_wrongly(language):
    words = advice(scan(1, NOT_ALLOWED), PAGE, language, Around(refuses_everyone=True))
    assert words.startswith("wellhub")
    assert "url" in words.partition(".")[0]
    assert words.endswith(advice(scan(1, NOT_ALLOWED), PAGE, language))


@pytest.mark.parametrize("way", ["expired", "cancelled", "canceled"])
def test_a_check_in_that_is_gone_is_performed_again(way):
    reason = Reason(f"checkin.validation.{way}", None)
    words = advice(scan(1, NOT_ALLOWED, reason=reason), None)
    assert "perform the check-in in the app and to try again" in words
    assert "membership" not in words


@pytest.mark.parametrize("key", ["checkin.already.validated", "duplicate_check_in"])
def test_a_member_who_is_in_already_need_not_clarify_the_membership(key):
    words = advice(scan(1, NOT_ALLOWED, reason=Reason(key, None)), None)
    assert "checked in already" in words
    assert "membership" not in words


@pytest.mark.parametrize("key", ["check_in_alerts", "no_entry_method", "customer_not_found"])
def test_capitans_customers_ask_at_the_front_desk(key):
    outcome = NOT_FOUND if key == "customer_not_found" else NOT_ALLOWED
    words = advice(scan(1, outcome, partner="capitan", reason=Reason(key, "No waiver.")), None)
    assert "front desk" in words
    assert "contact capitan" not in words


def test_a_member_who_is_not_known_look_at_the_number_first():
    words = advice(scan(1, NOT_FOUND, reason=None), None)
    assert words.index("card's number first") < words.index("contact wellhub directly")
    assert "stored incorrectly" in words


def test_a_refused_key_may_be_for_another_gym():
    assert "gym_id" in advice(fault(Fault.CREDENTIALS, status=403), None)


@pytest.mark.parametrize("kind", [Fault.TIMEOUT, Fault.NETWORK, Fault.TLS])
@pytest.mark.parametrize("request_", [NOT_SENT, None])
def test_a_request_that_never_went_out_is_a_case_for_support(kind, request_):
    words = advice(fault(kind, request=request_), PAGE)
    assert "did not go out" in words
    assert says_support(words)
    assert REPORT in words


@pytest.mark.parametrize("kind", [Fault.CREDENTIALS, Fault.CONFIGURATION])
def test_a_cause_beyond_the_member_is_a_case_for_support(kind):
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


def test_an_unknown_code_is_not_repeated_in_the_advice():
    words = advice(scan(1, UNRECOGNISED, partner=None, member=None, credential="x" * 512), None)
    assert "`gatectl route CODE --door main`" in words
    assert "xxx" not in words


def test_a_number_that_the_partner_cannot_have():
    words = advice(scan(1, UNRECOGNISED, credential="X1"), None)
    assert "wellhub cannot be asked: a number of the member is missing, or is none" in words
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


COMMANDS = [
    command
    for words in SENTENCES.values()
    for sentence in words
    for command in re.findall(r"`gatectl ([^`]*)`", sentence)
]


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_each_command_that_the_advice_names_is_one_as_it_stands(command):
    values = {"code": "WP-1", "door": "'main gate'", "id": scan(1).attempt.id}
    args = build_parser().parse_args(shlex.split(command.format(**values)))
    assert getattr(args, "door", None) in {None, "main gate"}
